"""Endpoints and what a run is compared with, in the run file: mistakes, secrets, and what is in which key."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.config.load import LoadedRun, load
from luthier.config.paths import file_problems
from luthier.config.schema import AgainstEntry
from luthier.core.errors import ConfigError

BASE = "base_model: starter\nadapter: lora\nlearning_rate: 1e-3\ndatasets: [{path: rows.jsonl}]\n"
BIG = "endpoints: {big: {base_url: 'http://localhost:8000/v1', model: large}}\n"


def loaded(tmp_path: Path, text: str) -> LoadedRun:
    path = tmp_path / "run.yaml"
    path.write_text(BASE + text, encoding="utf-8")
    return load(path)


def told(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    return str(caught.value)


def test_an_endpoint_with_its_defaults(tmp_path: Path) -> None:
    big = loaded(tmp_path, BIG).config.endpoints["big"]
    assert (big.timeout_seconds, big.concurrency, big.retries, big.limit_key, big.api_key_env, big.price) == (120, 4, 4, "auto", None, None)


def test_all_kinds_of_entries(tmp_path: Path) -> None:
    (tmp_path / "runs/a").mkdir(parents=True)
    (tmp_path / "runs/a/resolved.yaml").write_text("")
    entries = f"base, big, big+parser, checkpoint-3, {tmp_path}/runs/a, {{predictions: p.jsonl, name: p}}, p+parser"
    text = f"{BIG}evaluate: {{against: [{entries}], judge: big}}\n"
    section = loaded(tmp_path, text).config.evaluate
    assert section.against[-2] == AgainstEntry(predictions="p.jsonl", name="p")
    assert section.judge == "big"
    assert loaded(tmp_path, "evaluate: {against: base}\n").config.evaluate.against == ("base",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("evaluate: {against: [bse]}\n", "did you mean `base`?"),
        (f"{BIG}evaluate: {{against: [bigg]}}\n", "did you mean `big`?"),
        ("evaluate: {against: [base, base]}\n", "stands twice"),
        ("evaluate: {against: [{name: x}]}\n", "takes `run: FOLDER` or `predictions: FILE`"),
        ("evaluate: {against: [{run: a/b, predictions: c}]}\n", "takes `run: FOLDER` or `predictions: FILE`"),
        ("evaluate: {against: [{predictions: a/gpt+parser.jsonl}]}\n", "cannot end in `+parser`"),
        ("evaluate: {against: [{run: a/b, name: b+parser}]}\n", "cannot end in `+parser`"),
        ("evaluate: {against: [{runs: a}]}\n", "did you mean `evaluate.against[0].run`?"),
        ("evaluate: {against: [nowhere/at-all]}\n", "this is no run folder"),
        ("evaluate: {against: [{predictions: none.jsonl}]}\n", "names a file that is not there"),
        ("evaluate: {judge: big}\n", "`evaluate.judge` names no endpoint"),
        ("evaluate: {engine: vlm}\n", "did you mean `vllm`?"),
        ("endpoints: {base: {base_url: 'http://h/v1', model: m}}\n", "an endpoint cannot be called `base`"),
        ("endpoints: {run: {base_url: 'http://h/v1', model: m}}\n", "an endpoint cannot be called `run`"),
        ("endpoints: {tuned: {base_url: 'http://h/v1', model: m}}\n", "an endpoint cannot be called `tuned`"),
        ("endpoints: {checkpoint-1: {base_url: 'http://h/v1', model: m}}\n", "cannot be called"),
        ("endpoints: {a+b: {base_url: 'http://h/v1', model: m}}\n", "cannot be called"),
        ("endpoints: {big: {model: m}}\n", "the key `endpoints.big.base_url` is missing"),
        ("endpoints: {big: {base_url: 'http://h/v1', modle: m}}\n", "did you mean `endpoints.big.model`?"),
        ("endpoints: {big: {base_url: 'h/v1', model: m}}\n", "begins with http:// or https://"),
        ("endpoints: {big: {base_url: 'http://h/v1', model: m, price: {input: -1, output: 1}}}\n", "it must be at least 0"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(BASE + text, encoding="utf-8")
    try:
        problems = "\n".join(problem.text() for problem in file_problems(load(path).document))
    except ConfigError as error:
        problems = str(error)
    assert words in problems


@pytest.mark.parametrize(
    ("field", "secret"),
    [
        ("api_key_env: sk-proj-abcdefghijklmnopqrst", "sk-proj"),
        ("api_key_env: 0a1b2c3d4e5f60718293a4b5", "0a1b2c"),
        ("api_key_env: abcdef0123456789", "abcdef"),
        ("api_key: abcdef0123456789", "abcdef"),
        ("base_url: 'https://user:hunter2@host/v1'", "hunter2"),
        ("base_url: 'https://host/v1?key=hunter2'", "hunter2"),
    ],
)
def test_a_key_in_the_file_is_refused_and_never_shown(tmp_path: Path, field: str, secret: str) -> None:
    fields = {"base_url": "base_url: 'http://h/v1'", "model": "model: m", field.partition(":")[0]: field}
    text = f"endpoints: {{big: {{{', '.join(fields.values())}}}}}\n"
    assert secret not in told(tmp_path, text)


USED = "evaluate: {against: [base, big]}\n"


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        (BIG.replace("large", "other"), True),
        (BIG.replace("8000", "9000"), True),
        (BIG.replace("large", "large, concurrency: 9, timeout_seconds: 3, retries: 0, api_key_env: K, limit_key: max_tokens"), False),
        (BIG.replace("large", "large, price: {input: 1, output: 2}"), False),
        (BIG.replace("}}\n", "}, small: {base_url: 'http://h/v1', model: m}}\n"), False),
    ],
)
def test_what_changes_a_result_is_in_the_runs_name(tmp_path: Path, text: str, changes: bool) -> None:
    first, second = loaded(tmp_path, BIG + USED), loaded(tmp_path, text + USED)
    assert (first.name != second.name) == changes
    assert (first.config.fields_of("evaluate") != second.config.fields_of("evaluate")) == changes
    assert first.config.fields_of("train") == second.config.fields_of("train")


def test_a_null_leaves_the_default(tmp_path: Path) -> None:
    text = BIG.replace("large", "large, price: null, timeout_seconds: null")
    assert loaded(tmp_path, text).config == loaded(tmp_path, BIG).config


def test_an_endpoint_can_be_set_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(BASE + BIG)
    assert load(path, ["endpoints.big.concurrency=9"]).config.endpoints["big"].concurrency == 9
