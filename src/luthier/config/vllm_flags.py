"""The flags that may go to vLLM's command line: how it uses this machine's GPUs and memory, never who may ask it or what code it runs.

The names are those of its engine arguments, 0.10 to 0.27; what a version does not know it refuses itself, by name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# What each kind of flag takes.
_NUMBER, _WORD, _SWITCH = re.compile(r"\d{1,12}(?:\.\d{1,6})?"), re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}"), re.compile("")

# The flags by what they are for; the heads are those of the table in docs/how-to/serve-models.md.
FLAGS = {
    "GPUs of this machine": {
        "--tensor-parallel-size": _NUMBER,
        "--pipeline-parallel-size": _NUMBER,
        # `ray` reaches other machines, and a class by its name is code.
        "--distributed-executor-backend": re.compile("mp|uni"),
        "--enable-expert-parallel": _SWITCH,
        "--disable-custom-all-reduce": _SWITCH,
        "--fully-sharded-loras": _SWITCH,
    },
    "memory": {
        "--block-size": _NUMBER,
        "--swap-space": _NUMBER,
        "--cpu-offload-gb": _NUMBER,
        "--kv-cache-memory-bytes": _NUMBER,
        "--num-gpu-blocks-override": _NUMBER,
        "--kv-cache-dtype": _WORD,
        "--calculate-kv-scales": _SWITCH,
        "--enable-prefix-caching": _SWITCH,
        "--enable-chunked-prefill": _SWITCH,
        "--max-num-batched-tokens": _NUMBER,
        "--max-num-partial-prefills": _NUMBER,
        "--max-long-partial-prefills": _NUMBER,
        "--long-prefill-token-threshold": _NUMBER,
    },
    "kernels": {
        "--enforce-eager": _SWITCH,
        "--max-cudagraph-capture-size": _NUMBER,
        "--attention-backend": _WORD,
        "--disable-cascade-attn": _SWITCH,
        "--async-scheduling": _SWITCH,
    },
    "start and log": {
        "--safetensors-load-strategy": re.compile("lazy|eager"),
        "--max-parallel-loading-workers": _NUMBER,
        "--disable-log-stats": _SWITCH,
    },
}
_KINDS = {name: kind for flags in FLAGS.values() for name, kind in flags.items()}

_SETS = "the server sets it itself"
_OPENS = "it would say who may ask vLLM, which answers the server alone"
_LOADS = "it would have vLLM load code"
# Names whose reason is told; one stands for all that begin so.
_NAMES = {
    _LOADS: """--worker-cls --worker-extension-cls --scheduler-cls --logits-processor --middleware --tool-parser-plugin
        --reasoning-parser-plugin --io-processor-plugin --model-impl --load-format --model-loader-extra-config --kv-transfer-config
        --speculative-config --compilation-config --additional-config --hf-overrides""",
    _OPENS: """--host --port --uds --api-key --ssl- --root-path --allowed- --allow-credentials --data-parallel- --otlp- --headless
        --api-server-count""",
    _SETS: """--model --served-model-name --dtype --seed --generation-config --max-num-seqs --max-logprobs --max-model-len --quantization
        --enable-lora --lora-modules --max-loras --max-cpu-loras --max-lora-rank --chat-template --config --tokenizer
        --disable-uvicorn-access-log""",
    "`trust_remote_code` is refused everywhere: it runs code from a model's folder": "--trust-remote-code",
    "it is `serve.vllm.memory`": "--gpu-memory-utilization",
}
_REASONS = [(name, why) for why, names in _NAMES.items() for name in names.split()]
_HINT = "take it out; docs/how-to/serve-models.md lists the flags that may be given, each by its whole name"


def check_flags(words: Sequence[str]) -> None:
    """`ValueError` with the flag, why it is not taken, and what to do, unless all of `words` are flags of the list with plain values."""
    given = list(words)
    while given:
        flag, equals, value = given.pop(0).partition("=")
        # vLLM takes underscores for dashes; a switch has an opposite.
        name = flag.replace("_", "-")
        kind = _KINDS.get(name) or (_KINDS.get(f"--{name[5:]}") if name.startswith("--no-") else None)
        if kind is None or (name.startswith("--no-") and kind is not _SWITCH):
            raise ValueError(f"`{flag[:60]}` may not be given to vLLM{_reason(name)}; {_HINT}")
        if kind is _SWITCH:
            if equals:
                raise ValueError(f"`{flag}` takes no value; write `{flag}`, or `--no-{name[2:]}` for its opposite")
            continue
        if not equals:
            value = given.pop(0) if given else ""
        if not kind.fullmatch(value):
            raise ValueError(f"`{flag}` is given `{value[:60]}`; {_meant(kind)}")


def _reason(name: str) -> str:
    if not name.startswith("--"):
        return ": a flag such as `--tensor-parallel-size=2` is meant"
    # vLLM takes the beginning of a name for the whole.
    found = [why for begin, why in _REASONS if name.startswith(begin)] or [why for begin, why in _REASONS if begin.startswith(name)]
    return f": {found[0]}" if found else ""


def _meant(kind: re.Pattern[str]) -> str:
    if kind is _NUMBER:
        return "a number is meant"
    return (
        "a plain word is meant" if kind is _WORD else "one of " + ", ".join(f"`{word}`" for word in kind.pattern.split("|")) + " is meant"
    )
