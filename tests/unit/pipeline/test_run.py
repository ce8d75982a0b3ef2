"""The order of the stages: what is skipped, taken from a sibling, redone, and refused. The stages here are stand-ins that count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from luthier.config.load import LoadedRun, load
from luthier.core.errors import ConfigError, LuthierError, UserError
from luthier.core.files import write_text
from luthier.core.runs import RunFolder
from luthier.core.stages import StageFacts
from luthier.pipeline import run as pipeline
from luthier.pipeline.stages import Context, StageSpec

RUN = "base_model: starter\nadapter: lora\nlearning_rate: {rate}\ndatasets: [{{path: {rows}}}]\noutput_dir: {out}\n"


def facts(name: str) -> StageFacts:
    return StageFacts(1, (), (name,))


class Stages:
    """Three stages that write one file each and remember that they ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.fail_at = ""

    def specs(self) -> tuple[StageSpec, ...]:
        def starter(name: str) -> Callable[[Context, str], None]:
            def start(context: Context, key: str) -> None:
                self.ran.append(name)
                write_text(context.folder.path / name / "half", "half")
                if self.fail_at == name:
                    raise LuthierError("failed")
                write_text(context.folder.path / name / "out.txt", f"{name} {key}")

            return start

        def before(*stages: str) -> Callable[[LoadedRun, RunFolder], dict[str, str]]:
            def inputs(loaded: LoadedRun, folder: RunFolder) -> dict[str, str]:
                records = folder.manifest().stages
                return {stage: str(records[stage].outputs) for stage in stages if stage in records}

            return inputs

        def rows(loaded: LoadedRun, folder: RunFolder) -> dict[str, str]:
            return {"rows": Path(loaded.config.datasets[0].path).read_text()}

        return (
            StageSpec("data", facts("data"), rows, starter("data")),
            StageSpec("train", facts("train"), before("data"), starter("train"), needs=("data",), resumes=True),
            StageSpec("evaluate", facts("evaluate"), before("train"), starter("evaluate"), needs=("train",)),
        )


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Stages:
    stages = Stages()
    monkeypatch.setattr(pipeline, "STAGE_SPECS", stages.specs())
    return stages


def loaded(tmp_path: Path, rate: str = "1e-3") -> LoadedRun:
    rows = tmp_path / "rows.jsonl"
    if not rows.exists():
        rows.write_text("rows")
    path = tmp_path / "run.yaml"
    path.write_text(RUN.format(rate=rate, rows=rows, out=tmp_path / "runs"))
    return load(path)


def outcomes(run: LoadedRun, until: str = "evaluate") -> list[str]:
    return [item.outcome for item in pipeline.run_stages(run, until)]


def test_a_second_run_does_nothing(tmp_path: Path, stages: Stages) -> None:
    assert outcomes(loaded(tmp_path)) == ["done", "done", "done"]
    assert outcomes(loaded(tmp_path)) == ["kept", "kept", "kept"]
    assert stages.ran == ["data", "train", "evaluate"]


def test_failed_requests_are_tried_again_until_none_is_left(tmp_path: Path, stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [2, 1, 0]
    data, train, evaluate = stages.specs()
    again = replace(evaluate, resumes=True, failed=lambda folder: left.pop(0))
    monkeypatch.setattr(pipeline, "STAGE_SPECS", (data, train, again))
    assert outcomes(loaded(tmp_path)) == ["done", "done", "done"]
    assert RunFolder(loaded(tmp_path).folder).manifest().stages["evaluate"].failed == 2
    assert outcomes(loaded(tmp_path)) == ["kept", "kept", "done"]
    assert outcomes(loaded(tmp_path)) == ["kept", "kept", "done"]
    assert outcomes(loaded(tmp_path)) == ["kept", "kept", "kept"]


def test_a_new_learning_rate_redoes_training_and_never_data(tmp_path: Path, stages: Stages) -> None:
    outcomes(loaded(tmp_path))
    assert outcomes(loaded(tmp_path, "2e-3")) == ["taken", "done", "done"]


def test_changed_rows_redo_everything_in_the_same_folder(tmp_path: Path, stages: Stages) -> None:
    outcomes(loaded(tmp_path))
    (tmp_path / "rows.jsonl").write_text("other rows")
    assert outcomes(loaded(tmp_path)) == ["done", "done", "done"]


def test_only_what_is_asked_for_runs(tmp_path: Path, stages: Stages) -> None:
    assert outcomes(loaded(tmp_path), "data") == ["done"]
    assert outcomes(loaded(tmp_path), "train") == ["kept", "done"]


def test_a_failed_stage_is_cleaned_and_redone(tmp_path: Path, stages: Stages) -> None:
    stages.fail_at = "evaluate"
    with pytest.raises(LuthierError):
        outcomes(loaded(tmp_path))
    stages.fail_at = ""
    (loaded(tmp_path).folder / "evaluate" / "rest").write_text("from the failed try")
    assert outcomes(loaded(tmp_path)) == ["kept", "kept", "done"]
    assert not (loaded(tmp_path).folder / "evaluate" / "rest").exists()


def test_an_altered_output_is_redone_with_what_rests_on_it(tmp_path: Path, stages: Stages) -> None:
    outcomes(loaded(tmp_path))
    write_text(loaded(tmp_path).folder / "train" / "out.txt", "altered")
    assert outcomes(loaded(tmp_path)) == ["kept", "done", "done"]


def test_a_run_folder_runs_without_its_sources(tmp_path: Path, stages: Stages) -> None:
    run = loaded(tmp_path)
    outcomes(run)
    assert outcomes(load(run.folder)) == ["kept", "kept", "kept"]
    assert load(run.folder).folder == run.folder


def test_missing_rows_are_refused_with_their_key(tmp_path: Path, stages: Stages) -> None:
    run = loaded(tmp_path)
    (tmp_path / "rows.jsonl").rename(tmp_path / "rosw.jsonl")
    with pytest.raises(ConfigError, match=r"datasets\[0\]\.path") as caught:
        outcomes(run)
    assert "rosw.jsonl" in str(caught.value)
    assert stages.ran == []


def test_without_datasets_there_is_nothing_to_run(tmp_path: Path, stages: Stages) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("base_model: starter\nadapter: lora\nlearning_rate: 1\n")
    with pytest.raises(ConfigError, match="nothing to train on"):
        pipeline.run_stages(load(path), "report")


def test_the_run_folder_holds_what_ran(tmp_path: Path, stages: Stages) -> None:
    run = loaded(tmp_path)
    heard: list[str] = []
    pipeline.run_stages(run, "data", (lambda event: heard.append(event["event"]),))
    folder = RunFolder(run.folder)
    assert folder.run_yaml.read_text() == run.text
    assert "luthier==" in folder.versions_lock.read_text()
    assert load(folder.resolved_yaml).config == run.config
    assert heard == ["stage.start", "stage.end", "report.written"]


def test_a_redone_stage_forgets_only_what_rests_on_it(tmp_path: Path, stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    data, train, evaluate = stages.specs()

    def export(context: Context, key: str) -> None:
        write_text(context.folder.path / "export" / "out.txt", key)

    apart = StageSpec("export", facts("export"), evaluate.inputs, export, needs=("train",))
    monkeypatch.setattr(pipeline, "STAGE_SPECS", (data, train, evaluate, apart))
    outcomes(loaded(tmp_path), "export")
    write_text(loaded(tmp_path).folder / "evaluate" / "out.txt", "altered")
    assert outcomes(loaded(tmp_path), "export") == ["kept", "kept", "done", "kept"]
    write_text(loaded(tmp_path).folder / "train" / "out.txt", "altered")
    assert outcomes(loaded(tmp_path), "export")[1:] == ["done", "done", "done"]


def test_a_run_that_does_nothing_leaves_the_versions_as_they_were(tmp_path: Path, stages: Stages) -> None:
    outcomes(loaded(tmp_path))
    lock = RunFolder(loaded(tmp_path).folder).versions_lock
    lock.write_text("made by these")
    outcomes(loaded(tmp_path))
    assert lock.read_text() == "made by these"
    write_text(loaded(tmp_path).folder / "evaluate" / "out.txt", "altered")
    outcomes(loaded(tmp_path))
    assert "luthier==" in lock.read_text()


@pytest.mark.parametrize("manifest", ["{}", "garbage", '{"format": 99, "stages": {}}', "[]"])
def test_a_broken_sibling_stops_nobody(tmp_path: Path, stages: Stages, manifest: str) -> None:
    write_text(tmp_path / "runs" / "broken-00000000" / "manifest.json", manifest)
    assert outcomes(loaded(tmp_path)) == ["done", "done", "done"]


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path: Path, stages: Stages) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(UserError, match="output_dir"):
        outcomes(loaded(tmp_path))


TASK = "name: mine\nkind: tasks\nrows:\n  - prompt: q\n    checks: [{%s}]\n"


def with_suite(tmp_path: Path, check: str, more: str = "") -> LoadedRun:
    """A run whose only suite is one task with one check."""
    (tmp_path / "mine.yaml").write_text(TASK % check)
    run = loaded(tmp_path)
    run.path.write_text(run.text + f"evaluate: {{suites: [mine.yaml], against: base{more}}}\n")
    return load(run.path)


@pytest.fixture
def no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("no_programs")
@pytest.mark.parametrize(
    ("check", "more", "said"),
    [
        ("judge: Is it kind?", "", "the suite `mine` has checks for a judge model, and `evaluate.judge` names none"),
        ("unit_tests: assert answer", "", "the suite `mine` runs what is answered: the sandbox needs the program `bwrap`"),
        ("contains: a", ", engine: vllm", r"`vllm` is not installed \(evaluate.engine: vllm\)"),
    ],
)
def test_what_the_evaluation_cannot_do_without_stops_the_run_before_it_starts(
    tmp_path: Path, stages: Stages, check: str, more: str, said: str
) -> None:
    run = with_suite(tmp_path, check, more)
    with pytest.raises(UserError, match=said):
        outcomes(run)
    assert stages.ran == []


@pytest.mark.usefixtures("no_programs")
def test_what_only_the_evaluation_needs_hinders_no_stage_before_it(tmp_path: Path, stages: Stages) -> None:
    run = with_suite(tmp_path, "unit_tests: assert answer")
    assert outcomes(run, "train") == ["done", "done"]
    with pytest.raises(ConfigError, match="bwrap"):
        outcomes(load(run.folder))


def test_an_evaluation_that_is_done_needs_nothing_more(tmp_path: Path, stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    run = with_suite(tmp_path, "unit_tests: assert answer")
    outcomes(run)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert outcomes(run) == ["kept", "kept", "kept"]
    (run.folder / "evaluate" / "out.txt").write_text("altered")
    with pytest.raises(ConfigError, match="bwrap"):
        outcomes(run)
