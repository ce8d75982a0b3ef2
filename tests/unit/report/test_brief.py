"""What a list tells of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from luthier.core.errors import IntegrityError
from luthier.core.files import write_json
from luthier.core.runs import RunFolder
from luthier.report.brief import brief
from luthier.report.reading import read_run, suite_folder

Write = Callable[..., RunFolder]


def test_a_whole_run_in_a_line(write_run: Write, tmp_path: Path) -> None:
    told = brief(write_run(tmp_path / "run"))
    assert told.done == ("data", "train", "evaluate", "export")
    assert told.started == "2026-03-02 09:14 UTC"
    assert told.score is not None
    assert (told.score.suite, told.score.metric, told.score.rival, told.score.tone) == ("commands", "exact match", "Base", "good")
    assert told.score.gain.startswith("+")
    assert told.more_suites == 3
    assert told.gate == "not met"
    assert told.error == ""


def test_a_run_that_has_only_begun(write_run: Write, tmp_path: Path) -> None:
    told = brief(write_run(tmp_path / "run", ("data",)))
    assert (told.done, told.final_loss, told.eval_loss, told.score, told.gate, told.error) == (("data",), "", "", None, "", "")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", "{"),
        ("manifest.json", json.dumps({"format": 99, "run": "r", "stages": {}})),
        ("train/summary.json", '{"final_loss": "much"}'),
        ("evaluate/summary.json", '{"suites": [{"name": 5}]}'),
        ("evaluate/summary.json", '{"suites": 5}'),
        ("evaluate/commands/scores.json", '{"candidates": {"tuned": {"exact_match": 1}}}'),
    ],
)
def test_a_run_that_cannot_be_read_says_why_and_raises_nothing(write_run: Write, tmp_path: Path, name: str, content: str) -> None:
    folder = write_run(tmp_path / "run")
    (folder.path / name).write_text(content)
    told = brief(folder)
    assert told.error
    assert told.score is None


@pytest.mark.parametrize("name", ["../other", "..", ".", "", "/etc", "a/b", "a\0b", None])
def test_a_suite_s_name_leads_nowhere_else(write_run: Write, tmp_path: Path, name: str) -> None:
    with pytest.raises(IntegrityError):
        suite_folder(tmp_path, name)
    folder = write_run(tmp_path / "run")
    write_json(folder.evaluate / "summary.json", {"suites": [{"name": name, "rows": 1}]})
    with pytest.raises(IntegrityError):
        read_run(folder)
    assert "cannot be called" in brief(folder).error
