"""Which flags may go to vLLM."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.config.load import load_model
from luthier.config.vllm_flags import FLAGS
from luthier.core.errors import ConfigError

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "serve-models.md"


def arguments(*words: str) -> list[str]:
    written = ", ".join(f"'{word}'" for word in words)
    return load_model("starter", (f"serve.vllm.arguments=[{written}]",), ("serve",)).config.serve.vllm.arguments


@pytest.mark.parametrize(
    "words",
    [
        ["--tensor-parallel-size", "2"],
        ["--tensor_parallel_size=2", "--enforce-eager", "--cpu-offload-gb=1.5"],
        ["--no-enable-prefix-caching", "--kv-cache-dtype", "fp8_e4m3", "--distributed-executor-backend=mp"],
        ["--attention-backend=FLASH_ATTN", "--safetensors-load-strategy", "eager"],
    ],
)
def test_flags_of_the_list_go_to_vllm_as_they_are_written(words: list[str]) -> None:
    assert arguments(*words) == words


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("--trust-remote-code", "is refused everywhere"),
        ("--trust_remote_code", "is refused everywhere"),
        ("--trust-rem", "is refused everywhere"),
        ("--host=0.0.0.0", "who may ask vLLM"),
        ("--api-key", "who may ask vLLM"),
        ("--ssl-keyfile=key.pem", "who may ask vLLM"),
        ("--data-parallel-address=10.0.0.1", "who may ask vLLM"),
        ("--middleware=mine.Layer", "load code"),
        ("--logits-processors", "load code"),
        ("--worker-extension-cls=mine.Worker", "load code"),
        ("--tool-parser-plugin=plugin.py", "load code"),
        ("--load-format=pt", "load code"),
        ("--model=elsewhere", "the server sets it itself"),
        ("--chat-template", "the server sets it itself"),
        ("--gpu-memory-utilization=0.5", "`serve.vllm.memory`"),
        ("--allowed-local-media-path=/", "who may ask vLLM"),
        ("--one-that-comes-with-a-later-version", "take it out"),
        ("--tensor-parallel-siz=2", "by its whole name"),
        ("--no-tensor-parallel-size", "take it out"),
        ("-tp=2", "by its whole name"),
        ("-O3", "by its whole name"),
        ("elsewhere", "a flag such as"),
        ("", "a flag such as"),
    ],
)
def test_every_other_flag_is_an_error_that_names_key_flag_and_reason(word: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        arguments("--enforce-eager", word)
    told = str(caught.value)
    assert "`serve.vllm.arguments`" in told
    assert f"`{word.partition('=')[0]}`" in told
    assert "may not be given to vLLM" in told
    assert why in told
    assert "docs/how-to/serve-models.md" in told


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["--tensor-parallel-size"], "a number is meant"),
        (["--tensor-parallel-size", "--host"], "a number is meant"),
        (["--tensor-parallel-size=2\n"], "a number is meant"),
        (["--kv-cache-dtype=../x"], "a plain word is meant"),
        (["--distributed-executor-backend", "ray"], "one of `mp`, `uni` is meant"),
        (["--distributed-executor-backend=mine.Executor"], "one of `mp`, `uni` is meant"),
        (["--enforce-eager=true"], "takes no value"),
        (["--enforce-eager", "true"], "may not be given"),
    ],
)
def test_a_value_is_plain(words: list[str], meant: str) -> None:
    with pytest.raises(ConfigError, match=meant):
        arguments(*(word.replace("\n", "x y") for word in words))


def test_the_page_lists_them_all() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for head, flags in FLAGS.items():
        (line,) = [line for line in page.splitlines() if line.startswith(f"| {head} |")]
        assert {word.strip("` ") for word in line.split("|")[2].split(",")} == set(flags), head
