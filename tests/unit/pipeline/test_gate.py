"""A run is held to its gate once all that was asked for is done: exit code 3, and nothing is measured again for a changed gate."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from luthier.cli import main as cli
from luthier.config.load import load
from luthier.core.errors import GateError
from luthier.core.files import write_json, write_text
from luthier.core.runs import RunFolder
from luthier.core.stages import STAGES
from luthier.pipeline import run as pipeline
from luthier.pipeline.experiment import Experiment
from luthier.pipeline.stages import Context, StageSpec

SCORE = {"value": 0.4, "low": 0.3, "high": 0.5, "count": 90}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stages that ran, all of them stand-ins; the evaluation's finds 0.4."""
    names: list[str] = []

    def start(name: str) -> object:
        def run(context: Context, key: str) -> None:
            names.append(name)
            if name == "evaluate":
                scores = {"suite": "commands", "candidates": {"tuned": {"exact_match": SCORE}}, "paired": {}}
                write_json(context.folder.evaluate / "commands" / "scores.json", scores)
            else:
                for output in STAGES[name].outputs:
                    write_text(context.folder.path / output, "x")

        return run

    real = {spec.name: spec for spec in pipeline.STAGE_SPECS}
    specs = [StageSpec(name, STAGES[name], real[name].inputs if name == "report" else lambda *_: {}, start(name)) for name in STAGES]  # type: ignore[arg-type]
    monkeypatch.setattr(pipeline, "STAGE_SPECS", tuple(specs))
    return names


def run_file(path: Path, gate: str) -> Path:
    (path / "rows.jsonl").write_text("{}")
    text = f"base_model: starter\nadapter: lora\nlearning_rate: 1e-3\noutput_dir: {path}/runs\ndatasets: [{{path: {path}/rows.jsonl}}]\n"
    (path / "run.yaml").write_text(text + (f"evaluate: {{gate: {{commands.exact_match: {gate}}}}}\n" if gate else ""))
    return path / "run.yaml"


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["luthier", *words])
    try:
        cli.main()
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def test_all_stages_are_done_before_the_gate_speaks(
    tmp_path: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = run_file(tmp_path, "{min: 0.5}")
    assert command(monkeypatch, "run", str(path), "--junit", str(tmp_path / "junit.xml")) == 3
    assert ran == list(STAGES)
    said = capsys.readouterr().err
    assert "commands.exact_match: value 0.4 (0.3 to 0.5, 90 rows), min 0.5" in said
    assert "commands.exact_match min" in (tmp_path / "junit.xml").read_text()
    # Judged before the report is written, which shows it.
    assert (
        load(path).folder.joinpath("evaluate", "gate.json").stat().st_mtime_ns <= load(path).folder.joinpath("report.md").stat().st_mtime_ns
    )


def test_a_changed_gate_redoes_the_report_alone(tmp_path: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert command(monkeypatch, "run", str(run_file(tmp_path, "{min: 0.5}"))) == 3
    ran.clear()
    assert command(monkeypatch, "run", str(run_file(tmp_path, "{min: 0.3}"))) == 0
    assert ran == ["report"]
    ran.clear()
    assert command(monkeypatch, "run", str(run_file(tmp_path, "{min: 0.5}"))) == 3
    assert command(monkeypatch, "run", str(run_file(tmp_path, "{min: 0.5}"))) == 3
    assert ran == ["report"]
    assert command(monkeypatch, "run", str(run_file(tmp_path, ""))) == 0
    assert len(list((tmp_path / "runs").glob("run-*"))) == 1


def test_training_alone_is_not_held_to_it(tmp_path: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = run_file(tmp_path, "{min: 0.5}")
    assert command(monkeypatch, "evaluate", str(path)) == 3
    assert command(monkeypatch, "train", str(path)) == 0


def test_json_holds_the_gate(tmp_path: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(monkeypatch, "evaluate", str(run_file(tmp_path, "{min: 0.5}")), "--json") == 3
    found = json.loads(capsys.readouterr().out)
    assert (found["gate"]["passed"], found["gate"]["rules"][0]["value"]) == (False, 0.4)


def test_the_api_raises(tmp_path: Path, ran: list[str]) -> None:
    with pytest.raises(GateError, match="its gate was not met"):
        Experiment.load(run_file(tmp_path, "{min: 0.5}")).run()
    assert ran == list(STAGES)


def test_what_others_keep_in_the_folder_changes_nothing(tmp_path: Path, ran: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = run_file(tmp_path, "{min: 0.3}")
    command(monkeypatch, "evaluate", str(path))
    folder = RunFolder(load(path).folder)
    write_text(folder.review / "judged.jsonl", "by hand")
    ran.clear()
    assert command(monkeypatch, "evaluate", str(path)) == 0
    assert ran == []
    write_text(folder.evaluate / "commands" / "scores.json", "{}")
    assert command(monkeypatch, "evaluate", str(path)) == 0
    assert ran == ["evaluate"]
    assert (folder.review / "judged.jsonl").read_text() == "by hand"
