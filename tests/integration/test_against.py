"""The real starter against an endpoint, an earlier run, a checkpoint and predictions, in the run file and beside a complete run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fake_endpoint import completion, say, serve
from luthier.cli.main import group
from luthier.config.load import load
from luthier.core.errors import ConfigError, MissingExtraError, ModelError
from luthier.core.files import read_json, read_jsonl, sha256_file
from luthier.core.runs import RunFolder
from luthier.pipeline.run import run_stages

KEY = "sk-live-fedcba9876543210"
RUN = """base_model: starter
adapter: lora
lora_r: 4
learning_rate: {rate}
datasets: [{{path: {rows}}}]
sequence_len: 128
max_steps: 2
save_steps: 1
deterministic: true
output_dir: {out}
endpoints:
  big: {{base_url: "{url}", model: large, api_key_env: BIG_KEY, price: {{input: 1, output: 2}}}}
evaluate: {{suites: [{suite}], against: {against}, max_new_tokens: 8}}
export: [adapter]
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    rows = [
        {"messages": [{"role": "user", "content": f"show file number {n}"}, {"role": "assistant", "content": f"cat f{n}"}]}
        for n in range(12)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = [{"id": f"q{n}", "request": f"show file number {20 + n}", "answer": f"cat f{20 + n}"} for n in range(4)]
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    (tmp_path / "asked.yaml").write_text("name: asked\nkind: commands\nrows: asked.jsonl\n")
    return tmp_path


def write_run(place: Path, url: str, against: str, rate: str = "1e-3", name: str = "run") -> Path:
    path = place / f"{name}.yaml"
    words = {"rows": place / "rows.jsonl", "out": place / "runs", "suite": place / "asked.yaml"}
    path.write_text(RUN.format(rate=rate, url=url, against=against, **words))
    return path


def right(handler: Any, body: dict[str, Any], number: int) -> None:
    number = int(body["messages"][-1]["content"].split()[-1])
    say(handler, 200, completion(f"```\ncat f{number}\n```"))


def scores(folder: RunFolder) -> dict[str, Any]:
    found: dict[str, Any] = read_json(folder.evaluate / "asked" / "scores.json")
    return found


def test_all_kinds_at_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIG_KEY", KEY)
    with serve(right) as endpoint:
        earlier = load(write_run(place, endpoint.url, "[]", name="earlier"))
        run_stages(earlier, "evaluate")
        assert endpoint.bodies == []
        against = f"[base, big, big+parser, checkpoint-1, {earlier.folder}]"
        path = write_run(place, endpoint.url, against, rate="2e-3")
        events: list[Any] = []
        loaded = load(path)
        run_stages(loaded, "evaluate", (events.append,))
        folder = RunFolder(loaded.folder)
        found = scores(folder)
        assert list(found["candidates"]) == ["base", "big", "big+parser", "checkpoint-1", earlier.folder.name, "tuned"]
        assert found["candidates"]["big"]["exact_match"]["value"] == 0
        assert found["candidates"]["big+parser"]["exact_match"]["value"] == 1
        assert len(endpoint.bodies) == 4
        assert endpoint.keys == [f"Bearer {KEY}"] * 4
        notes = [event.get("message", "") for event in events]
        assert f"4 answers of an equal model are taken from {earlier.folder.name}" in notes, "an earlier run's answers are not made twice"
        assert any("`big` gave 4 replies, 28 tokens in and 12 out; cost 5.2e-05" in note for note in notes)
        for file in place.rglob("*"):
            assert not file.is_file() or KEY.encode() not in file.read_bytes(), file
        monkeypatch.delenv("BIG_KEY")
        assert [item.outcome for item in run_stages(load(path), "evaluate")][-1] == "kept", "a run that is evaluated needs no key"
        text = path.read_text().replace("max_new_tokens: 8", "max_new_tokens: 9")
        path.write_text(text)
        with pytest.raises(ConfigError, match="BIG_KEY is not set"):
            run_stages(load(path), "evaluate")
        assert run_stages(load(path), "data"), "the data stage asks nobody"
        assert len(endpoint.bodies) == 4


def test_what_failed_is_asked_again_after_a_complete_evaluation(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIG_KEY", KEY)

    def first_fails(handler: Any, body: dict[str, Any], number: int) -> None:
        if number == 1:
            say(handler, 400, b'{"error": "down"}')
        else:
            right(handler, body, number)

    with serve(first_fails) as endpoint:
        loaded = load(write_run(place, endpoint.url, "[big+parser]"))
        folder = RunFolder(loaded.folder)
        run_stages(loaded, "evaluate")
        assert (scores(folder)["failed"], len(endpoint.bodies)) == ({"big+parser": 1}, 4)
        monkeypatch.delenv("BIG_KEY")
        with pytest.raises(ConfigError, match="BIG_KEY is not set"):
            run_stages(loaded, "evaluate")
        (place / "theirs.jsonl").write_text('{"id": "q0", "text": "cat f20"}\n')
        only_compared = CliRunner().invoke(group, ["evaluate", str(loaded.folder), "--predictions", str(place / "theirs.jsonl")])
        assert (only_compared.exit_code, len(endpoint.bodies)) == (0, 4), "who only compares pays for nothing, and needs no key"
        monkeypatch.setenv("BIG_KEY", KEY)
        assert [item.outcome for item in run_stages(loaded, "evaluate")] == ["kept", "kept", "done"]
        assert (scores(folder)["failed"], len(endpoint.bodies)) == ({}, 5)
        assert scores(folder)["candidates"]["big+parser"]["exact_match"]["value"] == 1
        assert [item.outcome for item in run_stages(loaded, "evaluate")] == ["kept", "kept", "kept"]


def test_an_endpoint_that_refuses_its_key_costs_nobody_elses_answers(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIG_KEY", KEY)

    def one_refuses(handler: Any, body: dict[str, Any], number: int) -> None:
        if body["model"] == "denied":
            say(handler, 401, b'{"error": "wrong key"}')
        else:
            right(handler, body, number)

    with serve(one_refuses) as endpoint:
        path = write_run(place, endpoint.url, "[shut, big]")
        denied = f'endpoints:\n  shut: {{base_url: "{endpoint.url}", model: denied, api_key_env: BIG_KEY, concurrency: 1}}\n'
        path.write_text(path.read_text().replace("endpoints:\n", denied))
        events: list[Any] = []
        with pytest.raises(ModelError, match=r"endpoints\.shut: .*401(?s:.*)mend the key in the environment variable BIG_KEY"):
            run_stages(load(path), "evaluate", (events.append,))
        assert [body["model"] for body in endpoint.bodies] == ["denied", *["large"] * 4], "told once, and the others are asked"
        assert any("shut cannot be asked" in event.get("message", "") for event in events if event["event"] == "warning")
        assert not (RunFolder(load(path).folder).evaluate / "summary.json").exists(), "no figures without the one that was asked for"
        without = load(write_run(place, endpoint.url, "[big]", name="without"))
        assert without.folder != load(path).folder
        run_stages(without, "evaluate")
        assert len(endpoint.bodies) == 5, "answers of a run that ended in an error are paid for once"
        assert scores(RunFolder(without.folder))["candidates"]["big"]["exact_match"]["count"] == 4


def test_an_answer_longer_than_what_is_kept_is_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIG_KEY", KEY)

    def one_is_long(handler: Any, body: dict[str, Any], number: int) -> None:
        say(handler, 200, completion("x" * (1_000_000 if body["messages"][-1]["content"].endswith("20") else 200_000)))

    with serve(one_is_long) as endpoint:
        loaded = load(write_run(place, endpoint.url, "[big]"))
        events: list[Any] = []
        run_stages(loaded, "evaluate", (events.append,))
    rows = read_jsonl(RunFolder(loaded.folder).evaluate / "asked" / "generations.jsonl")
    kept = {row["id"]: row["details"].get("kept_characters") for row in rows if row["candidate"] == "big"}
    assert kept == {"q0": 200_000, "q1": None, "q2": None, "q3": None}
    warnings = [event["message"] for event in events if event["event"] == "warning"]
    assert "big: 1 of 4 answers of `asked` had more than 200,000 characters, and are judged by the first" in warnings


def test_without_the_client_the_install_line_is_told_before_anything_runs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIG_KEY", KEY)
    monkeypatch.setitem(sys.modules, "httpx2", None)
    loaded = load(write_run(place, "http://127.0.0.1:9/v1", "[big]"))
    with pytest.raises(MissingExtraError, match=r"luthier\[remote\]"):
        run_stages(loaded, "evaluate")
    assert not loaded.folder.exists()


def test_a_checkpoint_that_is_not_there(place: Path) -> None:
    path = write_run(place, "http://127.0.0.1:9/v1", "[checkpoint-7]")
    with pytest.raises(ModelError, match="known: checkpoint-1, checkpoint-2"):
        run_stages(load(path), "evaluate")


def test_beside_a_complete_run_through_the_command_line(place: Path) -> None:
    path = write_run(place, "http://127.0.0.1:9/v1", "[base]")
    theirs = place / "theirs.jsonl"
    theirs.write_text("".join(json.dumps({"request": f"show file number {20 + n}", "text": f"cat f{20 + n}"}) + "\n" for n in range(3)))
    words = ["evaluate", str(path), "--checkpoint", "checkpoint-2", "--predictions", f"other={theirs}"]
    done = CliRunner().invoke(group, words)
    assert done.exit_code == 0, done.output
    folder = RunFolder(load(path).folder)
    assert "other 75.0%" in done.output
    assert "`other` has no prediction for 1 of 4 rows of `asked`, which count as wrong: q3" in done.output
    assert set(scores(folder)["candidates"]) == {"base", "tuned"}
    same = {row["id"]: row["text"] for row in read_jsonl(folder.path / "against/checkpoint-2/asked/generations.jsonl")}
    tuned = {row["id"]: row["text"] for row in read_jsonl(folder.evaluate / "asked/generations.jsonl") if row["candidate"] == "tuned"}
    assert same == tuned, "the last checkpoint is the tuned model"
    before = {file: sha256_file(file) for file in folder.path.glob("against/**/*.json*")}
    again = CliRunner().invoke(group, ["evaluate", str(folder.path), *words[2:], "--json"])
    assert again.exit_code == 0, again.output
    found = json.loads(again.stdout)
    assert [stage["outcome"] for stage in found["stages"]] == ["kept", "kept", "kept"]
    assert found["against"]["other"]["asked"]["candidates"]["other"]["exact_match"]["value"] == 0.75
    assert {file: sha256_file(file) for file in folder.path.glob("against/**/*.json*")} == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--checkpoint", "checkpoint-9"], "there is no checkpoint `checkpoint-9`"),
        (["--predictions", "none.jsonl"], "the file of predictions is not there"),
        (["--predictions", "base={theirs}"], "the name is taken"),
        (["--predictions", "../x={theirs}"], "cannot name a folder"),
    ],
)
def test_what_cannot_be_compared_is_told(place: Path, words: list[str], told: str) -> None:
    path = write_run(place, "http://127.0.0.1:9/v1", "[base]")
    theirs = place / "theirs.jsonl"
    theirs.write_text('{"id": "q0", "text": "x"}\n')
    words = [word.format(theirs=theirs) for word in words]
    done = CliRunner().invoke(group, ["evaluate", str(path), *words])
    assert done.exit_code != 0
    assert told in str(done.exception)
