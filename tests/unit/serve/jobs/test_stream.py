"""What a job tells as it goes on, and how far it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from luthier.core.events import EventLog
from luthier.serve.jobs.progress import has_progressed, read_progress
from luthier.serve.jobs.records import Job
from luthier.serve.jobs.stream import JobEvent, JobStream

SECRET = "ghp_" + "b7Kq9ZtR2mXw4LpV8sNc1YdF6hJg3aEu5TQo"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job("1", "train", "queued", "t", ("-c",), str(tmp_path), 0.0, directory=str(tmp_path))


def told(found: list[JobEvent]) -> list[object]:
    return [event.data["status"] if event.name == "status" else event.data["event"] for event in found]


def emit(job: Job, *names: str, **fields: object) -> None:
    log = EventLog(Path(job.folder, "events.jsonl"))
    for name in names:
        log.emit(name, **fields)
    log.close()


def test_lines_and_status_come_in_order_and_the_end_comes_last(job: Job) -> None:
    stream = JobStream(job, None)
    assert told(stream.read()) == ["queued"]
    assert stream.read() == []
    emit(job, "a", "b")
    stream.job = replace(job, status="running", started=1.0, revision=1)
    assert told(stream.read()) == ["a", "b", "running"]
    with Path(job.folder, "events.jsonl").open("a") as file:
        file.write('{"event": "cut')
    assert stream.read() == []
    with Path(job.folder, "events.jsonl").open("a") as file:
        file.write('"}\nno event at all\n[1]\n')
    assert told(stream.read()) == ["cut"]
    emit(job, "c")
    stream.job = replace(job, status="done", started=1.0, revision=2)
    assert told(stream.read()) == ["c"]
    assert not stream.is_over
    assert told(stream.read()) == ["done"]
    assert stream.is_over


def test_it_goes_on_after_any_event_as_if_it_had_never_stopped(job: Job) -> None:
    emit(job, *"abc")
    job = replace(job, status="done", started=1.0, revision=5)
    stream = JobStream(job, None)
    whole = [*stream.read(), *stream.read()]
    assert told(whole) == ["a", "b", "c", "done"]
    for number, event in enumerate(whole):
        again = JobStream(job, event.id)
        assert [*again.read(), *again.read()] == whole[number + 1 :]
    assert JobStream(job, whole[-1].id).is_over
    for nonsense in ("", "x", "-", "1-", "9" * 60 + "-1", "-1-1", "²-1"):
        again = JobStream(job, nonsense)
        assert [*again.read(), *again.read()] == whole


def test_what_an_earlier_job_wrote_there_is_not_this_ones(job: Job) -> None:
    emit(job, "earlier")
    job = replace(job, started=1.0, status="running", events_from=Path(job.folder, "events.jsonl").stat().st_size, revision=1)
    emit(job, "own")
    assert told(JobStream(job, None).read()) == ["own", "running"]


def test_a_line_without_end_is_passed_over(job: Job) -> None:
    Path(job.folder, "events.jsonl").write_text('{"event": "a"}\n' + "x" * 3_000_000 + '\n{"event": "b"}\n')
    stream = JobStream(replace(job, started=1.0, status="running"), None)
    found = [name for _ in range(10) for name in told(stream.read())]
    assert [name for name in found if name in ("a", "b")] == ["a", "b"]


def test_no_secret_is_told(job: Job) -> None:
    emit(job, "note", message=f"GITHUB_TOKEN={SECRET}", more=[{"inner": f"GITHUB_TOKEN={SECRET}"}])
    (event, _) = JobStream(replace(job, started=1.0, status="running", revision=1), None).read()
    assert SECRET not in json.dumps(event.data)
    assert event.data["message"] == "GITHUB_TOKEN=<GITHUB_TOKEN>"


def test_how_far_it_is_is_what_was_told_last(job: Job) -> None:
    assert read_progress(job) is None
    job = replace(job, started=1.0, status="running")
    assert read_progress(job) is None
    emit(job, "stage.start", stage="data", key="k")
    assert read_progress(job) == {"stage": "data", "step": None, "of": None, "loss": None, "rate": None}
    emit(job, "data.progress", step="rows", done=120)
    assert read_progress(job) == {"stage": "data", "step": 120, "of": None, "what": "rows", "loss": None, "rate": None}
    emit(job, "ingest.progress", step="files", done=7)
    assert read_progress(job) == {"stage": "ingest", "step": 7, "of": None, "what": "files", "loss": None, "rate": None}
    emit(job, "stage.start", stage="train", key="k")
    emit(job, "train.step", step=3, steps=9, epoch=0.5, loss=1.25, tokens_per_second=99.0, seconds_left=7.0, learning_rate=1e-3)
    emit(job, "train.eval", "note", message="x")
    assert read_progress(job) == {
        "stage": "train", "step": 3, "of": 9, "loss": 1.25, "rate": 99.0, "epoch": 0.5, "seconds_left": 7.0,
    }  # fmt: skip
    emit(job, *["note"] * 5_000, message="x" * 50)
    assert read_progress(job) is None
    emit(job, "evaluate.progress", suite="commands", candidate="base", done=2, total=8)
    assert read_progress(job) == {
        "stage": "evaluate", "step": 2, "of": 8, "loss": None, "rate": None, "suite": "commands", "candidate": "base",
    }  # fmt: skip


def begun_now(job: Job) -> Job:
    return replace(job, started=1.0, status="running", begun_from=Path(job.folder, "events.jsonl").stat().st_size)


def test_begun_again_it_is_nowhere_until_it_says_so(job: Job) -> None:
    emit(job, "train.step", step=3, steps=9)
    assert (read_progress(replace(job, started=1.0)) or {})["step"] == 3
    again = begun_now(job)
    assert read_progress(again) is None
    emit(job, "stage.start", stage="train", key="k")
    assert (read_progress(again) or {})["step"] is None


def test_getting_further_is_a_checkpoint_an_answer_or_a_stage_that_was_not_there_before(job: Job) -> None:
    assert not has_progressed(job)
    # Of another job in the same folder.
    emit(job, "train.checkpoint", step=1_000)
    job = replace(begun_now(job), events_from=Path(job.folder, "events.jsonl").stat().st_size)
    emit(job, "stage.start", stage="train", key="k")
    emit(job, "train.step", "note", step=40, message='"train.checkpoint"')
    assert not has_progressed(job)
    emit(job, "stage.end", stage="data")
    emit(job, "train.checkpoint", step=50)
    emit(job, "evaluate.progress", suite="a", candidate="base", done=7)
    assert has_progressed(job)
    job = begun_now(job)
    # All of that once more is no progress, whatever the stream's size.
    for name, fields in (("stage.end", {"stage": "data"}), ("train.checkpoint", {"step": 50}), ("train.checkpoint", {"step": "x"})):
        emit(job, name, **fields)
    emit(job, "evaluate.progress", suite="a", candidate="base", done=7)
    assert not has_progressed(job)
    for name, fields in (
        ("stage.end", {"stage": "train"}),
        ("train.checkpoint", {"step": 51}),
        ("evaluate.progress", {"suite": "a", "candidate": "base", "done": 8}),
        ("evaluate.progress", {"suite": "a", "candidate": "tuned", "done": 1}),
    ):
        job = begun_now(job)
        emit(job, name, **fields)
        assert has_progressed(job), name
