"""Files that a run file names, looked at before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.config.load import load
from luthier.config.paths import file_problems

BASE = "base_model: starter\nadapter: lora\nlearning_rate: 1e-3\ndatasets:\n"
IDLE = {
    "revision: main": "`revision` acts only on hub data sets",
    "name: en": "`name` acts only on hub data sets",
    "data_files: a.jsonl": "`data_files` acts only on folders and hub data sets",
    "split: 'train[:5]'": "`split: train[:5]` of a local file or folder is not in this version yet",
}


@pytest.mark.parametrize("key", IDLE)
def test_keys_that_act_on_other_kinds_of_path_are_named_with_their_line(tmp_path: Path, key: str) -> None:
    (tmp_path / "rows.jsonl").write_text("{}")
    (tmp_path / "run.yaml").write_text(f"{BASE}  - path: {tmp_path}/rows.jsonl\n    {key}\n")
    problems = file_problems(load(tmp_path / "run.yaml").document)
    assert [(problem.what, problem.where) for problem in problems] == [(IDLE[key], f"{tmp_path}/run.yaml:6")]


def test_a_revision_of_a_local_base_is_idle(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(f"{BASE}  - path: {tmp_path}\nrevision_of_model: abc\n")
    problems = file_problems(load(tmp_path / "run.yaml").document)
    assert [(problem.what, problem.where) for problem in problems] == [
        ("`revision_of_model` acts only on hub models", f"{tmp_path}/run.yaml:6")
    ]


def test_keys_that_act_pass(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}")
    entries = (
        f"  - {{path: {tmp_path}, data_files: rows.jsonl, split: train}}\n  - {{path: owner/name, revision: v1, name: en, split: test}}\n"
    )
    (tmp_path / "run.yaml").write_text(BASE + entries)
    assert file_problems(load(tmp_path / "run.yaml").document) == []


def test_every_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}")
    (tmp_path / "run.yaml").write_text(f"{BASE}  - path: {tmp_path}/row.jsonl\nevaluate: {{suites: [none.yaml]}}\n")
    problems = file_problems(load(tmp_path / "run.yaml").document)
    assert [problem.where for problem in problems] == [f"{tmp_path}/run.yaml:5", f"{tmp_path}/run.yaml:6"]
    assert f"did you mean `{tmp_path}/rows.jsonl`?" in problems[0].hint


def test_a_base_below_the_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "base").mkdir()
    (tmp_path / "run.yaml").write_text(f"{BASE.replace('starter', '~/base')}  - path: {tmp_path}\n")
    assert file_problems(load(tmp_path / "run.yaml").document) == []
