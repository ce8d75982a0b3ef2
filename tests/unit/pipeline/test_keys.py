"""The real stages' keys: what changes which, over a run folder as the stages leave it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from luthier.config.load import load
from luthier.core.files import write_json, write_text
from luthier.core.manifest import StageRecord
from luthier.core.runs import RunFolder
from luthier.evaluate.judging import grounds
from luthier.guard import lint, sandbox
from luthier.pipeline.stages import STAGE_SPECS
from luthier.train.engines import environment

BASE = "base_model: starter\nadapter: lora\n"


def keys(tmp_path: Path, text: str = "", rate: str = "1e-3", seconds: float = 1.0) -> dict[str, str]:
    """The key of every stage for the run file with `text` added, over a folder whose training took `seconds`."""
    (tmp_path / "rows.jsonl").write_text("{}")
    (tmp_path / "run.yaml").write_text(f"{BASE}learning_rate: {rate}\ndatasets: [{{path: {tmp_path}/rows.jsonl}}]\n{text}")
    loaded = load(tmp_path / "run.yaml", {"output_dir": str(tmp_path / "runs")})
    folder = RunFolder(loaded.folder)
    write_text(folder.resolved_yaml, loaded.resolved_text())
    write_text(folder.split("train"), "{}\n")
    write_json(folder.templates, {})
    write_json(folder.train_summary, {"seconds": seconds})
    write_text(folder.adapter / "adapter_model.safetensors", "weights")
    write_json(folder.export_summary, {"targets": {}})
    manifest = folder.manifest()
    for spec in STAGE_SPECS:
        manifest = manifest.with_stage(spec.name, StageRecord("", folder.output_hashes(spec.facts.outputs), 0.0))
    folder.save_manifest(manifest)
    return {spec.name: spec.key(loaded, folder) for spec in STAGE_SPECS}


def changed(tmp_path: Path, **other: object) -> set[str]:
    first, second = keys(tmp_path), keys(tmp_path, **other)  # type: ignore[arg-type]
    return {name for name in first if first[name] != second[name]}


@pytest.mark.parametrize(
    ("other", "stages"),
    [
        ({"text": "seed: 7\n"}, {"data", "train", "evaluate", "card", "report"}),
        ({"rate": "2e-3"}, {"train", "card", "report"}),
        ({"text": "evaluate: {shots: 2}\n"}, {"evaluate", "card", "report"}),
        ({"text": "evaluate: {gate: {commands.exact_match: {min: 0.5}}}\n"}, {"report"}),
        ({"text": "run_name: other\n"}, {"card", "report"}),
        ({"text": "export: [adapter, merged]\n"}, {"export", "card", "report"}),
        ({"text": "save_total_limit: 2\n"}, {"report"}),
        ({"seconds": 2.0}, {"card", "report"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_change_redoes_what_it_can_change_and_nothing_else(tmp_path: Path, other: dict[str, object], stages: set[str]) -> None:
    assert changed(tmp_path, **other) == stages


def test_versions_of_another_engine_move_training_and_where_it_lies_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "versions", lambda python: {"axolotl": python.rpartition("/")[2]})
    first, second, moved = (
        keys(tmp_path, f"engine: axolotl\naxolotl: {{python: {python}}}\n") for python in ("/a/0.19.0", "/a/0.19.1", "/b/0.19.0")
    )
    assert {name for name in first if first[name] != second[name]} == {"train", "report"}
    assert {name for name in first if first[name] != moved[name]} == {"report"}


def test_a_folder_without_changes_keeps_every_key(tmp_path: Path) -> None:
    assert changed(tmp_path) == set()


@pytest.mark.parametrize(
    ("suite", "program", "moves"),
    [
        ("kind: commands\nrows: [{request: a, answer: ls}]\ntree: tree\n", "bwrap", True),
        ("kind: commands\nrows: [{request: a, answer: ls}]\n", "bwrap", False),
        ("kind: commands\nrows: [{request: a, answer: ls}]\n", "shellcheck", True),
        ("kind: commands\nrows: [{request: a, answer: ls}]\n", "bash", True),
        ("kind: tasks\nrows: [{prompt: a, checks: [{contains: b}]}]\n", "bwrap", True),
        ("kind: maths\nrows: [{question: a, answer: '1'}]\n", "bwrap", False),
        ("kind: maths\nrows: [{question: a, answer: '1'}]\n", "shellcheck", False),
    ],
)
def test_a_program_that_judges_moves_the_evaluation_once_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suite: str, program: str, moves: bool
) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "s.yaml").write_text(f"name: s\n{suite}")
    (tmp_path / "program").write_text("one")
    which: dict[str, str] = {}
    monkeypatch.setattr(shutil, "which", which.get)
    monkeypatch.setattr(lint, "tool_path", which.get)
    text = f"evaluate: {{suites: [{tmp_path}/s.yaml]}}\n"
    absent = keys(tmp_path, text)
    which[program] = str(tmp_path / "program")
    there = keys(tmp_path, text)
    (tmp_path / "program").write_text("another one")
    other = keys(tmp_path, text)
    assert keys(tmp_path, text) == other
    assert (absent["evaluate"] != there["evaluate"], there["evaluate"] != other["evaluate"]) == (moves, moves)


@pytest.mark.parametrize(
    ("part", "moves"),
    [("rules/a.toml", True), ("options.toml", True), ("risk/b.py", True), ("secrets/c.py", False), ("rules/x.pyc", False)],
)
def test_the_guards_rules_and_code_move_the_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, moves: bool) -> None:
    guard = tmp_path / "guard"
    monkeypatch.setattr(grounds, "_GUARD", guard)
    write_text(guard / part, "one")
    first = keys(tmp_path)
    write_text(guard / part, "another")
    second = keys(tmp_path)
    assert {name for name in first if first[name] != second[name]} == ({"evaluate"} if moves else set())


def test_the_tables_of_refusals_and_the_switches_of_the_kernel_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, switch = tmp_path / "refusals.toml", tmp_path / "max_user_namespaces"
    monkeypatch.setattr(grounds, "_REFUSALS", table)
    monkeypatch.setattr(sandbox, "SWITCHES", (sandbox.Switch(switch, "0", "turn it"),))
    (tmp_path / "s.yaml").write_text("name: s\nkind: tasks\nrows: [{prompt: a, checks: [{contains: b}]}]\n")
    text = f"evaluate: {{suites: [safety, {tmp_path}/s.yaml]}}\n"
    found = []
    for words, number in (("one", "0"), ("two", "0"), ("two", "100"), ("two", "200")):
        table.write_text(words)
        switch.write_text(f"{number}\n")
        found.append(keys(tmp_path, text)["evaluate"])
    assert len(set(found)) == 3
    assert found[2] == found[3], "how many there may be says nothing"
