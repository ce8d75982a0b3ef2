"""What `runs show` tells of a run."""

from __future__ import annotations

from pathlib import Path

from luthier.core.files import write_json, write_text
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder
from luthier.pipeline.history import show_run, show_text

TRAINED: JsonObject = {"first_loss": 2.0, "final_loss": 1.0, "steps": 4, "peak_memory_bytes": 1_200_000_000}


def shown(path: Path, summary: JsonObject) -> str:
    folder = RunFolder(path)
    write_text(folder.resolved_yaml, "base_model: starter\n")
    write_json(folder.train_summary, summary)
    return show_text(show_run(str(path)))


def test_the_measured_peak_stands_beside_the_estimate(tmp_path: Path) -> None:
    told = shown(tmp_path / "run", TRAINED | {"estimated_memory_bytes": 1_100_000_000})
    assert "memory    peak 1.20 GB (estimated 1.10 GB)" in told.splitlines()


def test_a_run_without_an_estimate_tells_its_peak_alone(tmp_path: Path) -> None:
    assert "memory    peak 1.20 GB" in shown(tmp_path / "run", TRAINED).splitlines()
    assert "memory" not in shown(tmp_path / "older", {name: value for name, value in TRAINED.items() if "memory" not in name})


def test_what_was_not_measured_is_told_with_the_reason(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    left_out = [
        {"suite": "commands", "reason": "no test rows"},
        {"suite": "safety", "metric": "shellcheck_rate", "reason": "no shellcheck"},
    ]
    write_json(folder.evaluate / "summary.json", {"suites": [], "left_out": left_out})
    lines = shown(folder.path, TRAINED).splitlines()
    assert "left out  commands – no test rows" in lines
    assert "left out  safety: shellcheck_rate – no shellcheck" in lines
    assert show_run(str(folder.path))["left_out"] == left_out
