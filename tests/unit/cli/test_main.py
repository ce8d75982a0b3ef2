"""The command line's last words: what went wrong, where, and how to go on."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from luthier.cli.main import group
from luthier.core.errors import Interrupted, UserError
from luthier.pipeline import run as pipeline
from review_parts import write_run

LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0})); from luthier.cli.main import main; main()"


def luthier(*words: str, most_bytes: int) -> subprocess.CompletedProcess[str]:
    """Luthier in a process whose files may have `most_bytes`: a disk that is full, as far as it can tell."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    code = LIMITED.format(most_bytes)
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)


def test_no_room_is_told_with_the_file_what_is_free_and_how_to_go_on(tmp_path: Path) -> None:
    run, target = write_run(tmp_path / "run"), tmp_path / "sheet.csv"
    done = luthier("review", str(run), "--sheet", str(target), most_bytes=100)
    assert done.returncode == 1
    first, *rest = done.stderr.splitlines()
    assert first.startswith(f"error: {target} cannot be written: File too large; ")
    assert first.endswith(f" MiB are free at {tmp_path}")
    assert "ulimit -f" in rest[0]
    assert "the same command goes on from there" in rest[1]
    assert not target.exists()


RUN = "base_model: starter\nadapter: lora\nlearning_rate: 1e-3\ndatasets: [{{path: {0}/rows.jsonl}}]\noutput_dir: {0}/runs\n"


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    (tmp_path / "run.yaml").write_text(RUN.format(tmp_path))
    return tmp_path / "run.yaml"


def test_what_was_stopped_says_how_to_go_on(run_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "run_stages", stopped)
    done = CliRunner().invoke(group, ["run", str(run_file)])
    assert isinstance(done.exception, Interrupted)
    assert "the same command goes on from there" in str(done.exception)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.jsonl", "the file of predictions is not there"),
        ("a+parser=rows.jsonl", "a name cannot end in `\\+parser`"),
        ("rows.jsonl", "rows.jsonl:1: this is no prediction"),
    ],
)
def test_what_is_wrong_with_predictions_is_told_before_anything_runs(
    run_file: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    ran = []
    monkeypatch.setattr(pipeline, "run_stages", lambda *_, **__: ran.append(1))
    monkeypatch.chdir(run_file.parent)
    done = CliRunner().invoke(group, ["evaluate", str(run_file), "--predictions", name])
    assert isinstance(done.exception, UserError)
    assert re.search(said, str(done.exception))
    assert ran == []


def test_predictions_of_the_run_file_are_read_by_check(run_file: Path) -> None:
    path = run_file.parent / "theirs.jsonl"
    path.write_text('{"id": "a", "text": "ls"}\n{"id": "b"}\n')
    run_file.write_text(run_file.read_text() + f"evaluate: {{suites: [safety], against: [{{predictions: {path}}}]}}\n")
    done = CliRunner().invoke(group, ["check", str(run_file)])
    assert isinstance(done.exception, UserError)
    assert f"{path}:2: this is no prediction" in str(done.exception)


@pytest.mark.parametrize("name", ["", "rows.jsonl/out.xml"])
def test_where_no_junit_file_can_be_is_told_before_anything_runs(run_file: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    ran = []
    monkeypatch.setattr(pipeline, "run_stages", lambda *_, **__: ran.append(1))
    done = CliRunner().invoke(group, ["run", str(run_file), "--junit", str(run_file.parent / name)])
    assert isinstance(done.exception, UserError)
    assert (done.exception.exit_code, done.exception.problems[0].where, ran) == (2, "--junit", [])


def test_the_end_of_a_stage_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"messages": [{"role": "user", "content": "ask"}, {"role": "assistant", "content": "say"}]}\n')
    (tmp_path / "run.yaml").write_text(RUN.format(tmp_path))
    first = CliRunner().invoke(group, ["data", str(tmp_path / "run.yaml")])
    assert first.exception is None
    assert len(re.findall("data +done in", first.stdout + first.stderr)) == 1
    assert "data " not in first.stdout
    assert first.stdout.startswith("rows ")
    again = CliRunner().invoke(group, ["data", str(tmp_path / "run.yaml")])
    assert again.stdout.startswith("nothing to do: data are complete")
