"""The table of jobs: what each change makes of a job, and what is refused."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from luthier.serve.jobs.job_file import StoreError
from luthier.serve.jobs.records import ALONE, KINDS, RUNNING, Ending, Job, Kind, NewJob
from luthier.serve.jobs.store import ConflictError, KeyReusedError, NoSuchJobError, Store, is_due

DONE, KILLED, FAILED, MISSED = Ending(0, result={"run": "x"}), Ending(-9, "killed"), Ending(1, "no"), Ending(3, "a gate")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "jobs.sqlite", 0.2)
    made.prepare()
    return made


def new(folder: str = "a", kind: Kind = "data", word: str = "x") -> NewJob:
    return NewJob(kind, "title", ("-c", word), f"/runs/{folder}", "/here")


def running(store: Store, folder: str = "a", kind: Kind = "data") -> Job:
    job = store.claim(store.add(new(folder, kind)).id, 9, 0)
    assert job is not None
    return job


def running_again(store: Store, attempts: int, stop: str) -> Job:
    """A job that runs for the n-th time, n being `attempts`, and is being stopped in this way."""
    job = running(store)
    for _ in range(attempts - 1):
        store.put_back(job.id, 9, "killed")
        store.claim(job.id, 9, 0)
    if stop == "cancel":
        store.cancel(job.id)
    elif stop == "pause":
        store.pause_all()
    return job


def test_jobs_are_told_newest_first_by_kind_and_status_and_page(store: Store) -> None:
    made = [store.add(new(str(number), KINDS[number % 5])) for number in range(12)]
    store.cancel(made[3].id)
    assert [job.id for job in store.jobs(limit=5)] == [job.id for job in made[:-6:-1]]
    assert [job.id for job in store.jobs(limit=100, before=made[3].id)] == [job.id for job in made[2::-1]]
    assert [job.id for job in store.jobs(kind="data")] == [job.id for job in (made[11], made[6], made[1])]
    assert [job.id for job in store.jobs(status=("cancelled",))] == [made[3].id]
    assert [job.id for job in store.active()] == [job.id for job in made if job is not made[3]]
    assert store.get(made[0].id) == made[0]
    for ask in (store.get, lambda job_id: store.jobs(before=job_id), store.cancel, store.retry, store.beat):
        with pytest.raises(NoSuchJobError):
            ask("none")


def test_what_is_stored_is_read_again_by_another(store: Store, tmp_path: Path) -> None:
    job = running(store)
    store.finish(job.id, Ending(3, "a gate was missed: ü", {"scores": [1, None]}), False, 3)
    again = Store(tmp_path / "jobs.sqlite", 0.2)
    again.prepare()
    found = again.get(job.id)
    assert (found.status, found.exit_code, found.error, found.result) == ("done", 3, "a gate was missed: ü", {"scores": [1, None]})
    assert found.command == ("-c", "x")


def test_a_key_starts_one_job(store: Store) -> None:
    job = store.add(new(), "key")
    assert store.add(new(), "key") == job
    store.cancel(job.id)
    assert store.add(new(), "key").id == job.id
    with pytest.raises(KeyReusedError, match=job.id):
        store.add(new("b"), "key")
    assert store.known("other", "request") is None
    asked = store.add(NewJob("data", "t", ("-c", "y"), "/runs/c", request="what was sent"), "third")
    assert store.known("third", "what was sent") == asked
    with pytest.raises(KeyReusedError):
        store.known("third", "something else")


def test_the_same_work_in_a_folder_is_one_job_and_other_work_a_conflict(store: Store) -> None:
    job = store.add(new())
    assert store.add(new(), "a key of its own").id == job.id
    with pytest.raises(ConflictError, match=f"{job.id}.*queued"):
        store.add(new(word="y"))
    store.claim(job.id, 9, 0)
    assert store.add(new()).id == job.id
    # One that is being stopped is not what is asked for.
    store.cancel(job.id)
    with pytest.raises(ConflictError, match="stopping"):
        store.add(new())
    store.finish(job.id, FAILED, False, 3)
    assert store.add(new()).id != job.id
    # The key stays with the job that it was told.
    assert store.add(new(), "a key of its own").id == job.id


@pytest.mark.parametrize(
    ("others", "kind", "folder", "at_once", "runs"),
    [
        ([], "train", "a", 1, True),
        (["data"], "train", "a", 2, True),
        (["data"], "train", "a", 1, False),
        *[([one], other, "a", 9, False) for one in ALONE for other in ALONE],
        (["train"], "data", "a", 2, True),
        (["train"], "ingest", "a", 2, True),
        (["train", "ingest"], "data", "a", 2, False),
        (["data"], "ingest", "0", 9, False),
    ],
)
def test_what_may_run_beside_what(
    store: Store, tmp_path: Path, others: list[Kind], kind: Kind, folder: str, at_once: int, runs: bool
) -> None:
    job = store.add(new(folder, kind)) if folder == "a" else None
    for number, other in enumerate(others):
        running(store, str(number), other)
    if job is None:
        # Put in beside the running one by hand: a request for it would be refused.
        job = store.add(new("z", kind))
        with sqlite3.connect(tmp_path / "jobs.sqlite") as base:
            base.execute("UPDATE jobs SET folder = '/runs/0' WHERE id = ?", (job.id,))
    claimed = store.claim(job.id, at_once, 7)
    assert (claimed is not None) == runs
    if claimed is not None:
        assert (claimed.status, claimed.attempts, claimed.events_from) == ("running", 1, 7)
        # Nobody begins it a second time.
        assert store.claim(job.id, at_once, 7) is None


@pytest.mark.parametrize(
    ("ending", "stop", "is_paused", "attempts", "status", "left"),
    [
        (DONE, "", False, 1, "done", 1),
        (MISSED, "", False, 1, "done", 1),
        (FAILED, "", False, 1, "failed", 1),
        (KILLED, "", False, 1, "queued", 1),
        (KILLED, "", False, 3, "failed", 3),
        (FAILED, "cancel", False, 1, "cancelled", 1),
        (FAILED, "cancel", True, 1, "cancelled", 1),
        (KILLED, "cancel", False, 1, "cancelled", 1),
        (DONE, "cancel", False, 1, "done", 1),
        (FAILED, "pause", False, 1, "queued", 0),
        (FAILED, "", True, 2, "queued", 1),
        (KILLED, "", True, 3, "queued", 2),
        (DONE, "pause", True, 1, "done", 1),
    ],
)
def test_how_a_job_ends(store: Store, ending: Ending, stop: str, is_paused: bool, attempts: int, status: str, left: int) -> None:
    job = running_again(store, attempts, stop)
    found = store.finish(job.id, ending, is_paused, 3)
    assert (found.status, found.attempts, found.stop) == (status, left, "")
    if status == "queued":
        assert (found.ended, found.error, found.exit_code) == (None, None, None)
    else:
        assert (found.exit_code, found.error, found.result) == (ending.exit_code, ending.error, ending.result)
        assert found.ended is not None


@pytest.mark.parametrize(
    ("stop", "attempts", "status"),
    [("", 1, "queued"), ("", 2, "queued"), ("", 3, "failed"), ("cancel", 1, "cancelled"), ("pause", 1, "queued"), ("pause", 3, "queued")],
)
def test_what_becomes_of_a_job_whose_process_was_killed(store: Store, stop: str, attempts: int, status: str) -> None:
    job = running_again(store, attempts, stop)
    found = store.put_back(job.id, 3, "its process was killed")
    assert found.status == status
    assert (found.error is not None) == (status != "queued")
    # What has been recorded is not taken back.
    assert store.put_back(job.id, 3, "once more") == found


def test_only_times_without_progress_count(store: Store) -> None:
    """A training that is killed ten times and reached a checkpoint each time goes on; then it stands still, and ends."""
    job = running(store)
    for _ in range(5):
        assert (store.put_back(job.id, 2, "the power went", True).status, store.get(job.id).attempts) == ("queued", 0)
        store.claim(job.id, 9, 0)
        assert store.finish(job.id, KILLED, False, 2, True).status == "queued"
        store.claim(job.id, 9, 0)
    assert (store.put_back(job.id, 2, "killed").status, store.get(job.id).attempts) == ("queued", 1)
    store.claim(job.id, 9, 0)
    assert store.finish(job.id, FAILED, True, 2, True).attempts == 0
    store.claim(job.id, 9, 0)
    store.put_back(job.id, 2, "killed")
    store.claim(job.id, 9, 0)
    ended = store.put_back(job.id, 2, "killed")
    assert (ended.status, ended.attempts) == ("failed", 2)


def test_where_the_stream_was_when_it_was_begun_first_and_last(store: Store) -> None:
    job_id = store.add(new()).id
    for stream_bytes in (7, 900):
        job = store.claim(job_id, 9, stream_bytes)
        assert job is not None
        assert (job.events_from, job.begun_from) == (7, stream_bytes)
        store.put_back(job_id, 9, "killed")


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_a_version_before_goes_on_with_its_jobs_and_keys(store: Store, tmp_path: Path, version: int) -> None:
    job = store.add(new(), "a-key")
    store.close()
    with sqlite3.connect(tmp_path / "jobs.sqlite") as base:
        if version == 1:
            base.execute("ALTER TABLE jobs DROP COLUMN begun_from")
        base.execute("ALTER TABLE keys DROP COLUMN created")
        base.execute(f"PRAGMA user_version = {version}")
    for number in range(2):
        store.prepare()
        assert store.get(job.id) == job
        assert store.add(new(), "a-key") == job
        store.add(new(f"other-{number}"), f"key {number}")


@pytest.mark.parametrize("status", ["done", "failed", "cancelled"])
def test_a_job_that_ended_long_ago_is_forgotten_with_its_key_and_what_is_to_be_emptied(store: Store, status: str) -> None:
    old, young = ended(store, "old", status), ended(store, "young", status)
    now = time.time()
    assert store.expired(now + 1, now + 1, 1) == [old]
    assert store.expired(now + 1, now + 1, 9) == [old, young]
    assert store.expired(now - 60, now + 1, 9) == []
    # The key that named it came a moment ago.
    assert store.expired(now + 1, now - 60, 9) == []
    emptied: list[str] = []
    store.remove(old, now + 1, now - 60, lambda: emptied.append("too early"))
    store.remove(old, now - 60, now + 1, lambda: emptied.append("too early"))
    assert emptied == []

    def fail() -> None:
        raise OSError("a disk")

    with pytest.raises(OSError, match="a disk"):
        store.remove(old, now + 1, now + 1, fail)
    assert store.get(old).status == status
    store.remove(old, now + 1, now + 1, lambda: emptied.append(old))
    store.remove(old, now + 1, now + 1, lambda: emptied.append(old))
    assert emptied == [old]
    with pytest.raises(NoSuchJobError):
        store.get(old)
    assert store.known("old", "asked") is None
    assert store.get(young).status == status


def ended(store: Store, word: str, status: str) -> str:
    job = store.add(replace(new(word, word=word), request="asked"), word)
    if status == "cancelled":
        return store.cancel(job.id).id
    store.claim(job.id, 9, 0)
    return store.finish(job.id, Ending(0) if status == "done" else FAILED, False, 3).id


def test_no_job_that_waits_or_runs_is_forgotten(store: Store) -> None:
    later = time.time() + 1_000
    waiting, running, again = (store.add(new(word, word=word)).id for word in ("waiting", "running", "again"))
    store.claim(running, 9, 0)
    store.cancel(again)
    assert store.expired(later, later, 9) == [again]
    store.retry(again)
    assert store.expired(later, later, 9) == []
    for job_id in (waiting, running, again):
        store.remove(job_id, later, later, lambda: pytest.fail("its folder is wanted"))
        assert not store.get(job_id).is_over


def test_jobs_are_counted_while_another_holds_the_file_and_only_writing_is_not_to_be_had(store: Store, tmp_path: Path) -> None:
    store.add(new())
    holder = sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        assert store.counts() == {("data", "queued"): 1}
        with pytest.raises(StoreError):
            store.check()
    finally:
        holder.close()
    store.check()


def test_cancel_and_retry(store: Store) -> None:
    job = store.add(new())
    assert store.cancel(job.id).status == "cancelled"
    assert store.cancel(job.id).status == "cancelled"
    again = store.retry(job.id)
    assert (again.status, again.attempts, again.ended) == ("queued", 0, None)
    assert store.retry(job.id) == again
    store.claim(job.id, 9, 0)
    assert store.cancel(job.id).status == "stopping"
    store.finish(job.id, FAILED, False, 3)
    # Another one took the folder.
    other = store.add(new(word="y"))
    with pytest.raises(ConflictError, match=other.id):
        store.retry(job.id)
    store.claim(other.id, 9, 0)
    store.finish(other.id, DONE, False, 3)
    assert store.retry(job.id).started is None
    for ask in (store.cancel, store.retry):
        with pytest.raises(ConflictError, match="done"):
            ask(other.id)


def test_a_job_that_is_put_off_waits_whatever_the_clock_does(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    job = running(store)
    put_off = store.wait(job.id, "memory: 2 GB", 30)
    assert (put_off.status, put_off.attempts, put_off.waiting_for) == ("queued", 0, "memory: 2 GB")
    assert not is_due(put_off)
    now = time.time()
    for clock, due in ((now + 31, True), (now - 86_400, True), (now + 5, False)):
        monkeypatch.setattr(time, "time", lambda clock=clock: clock)
        assert is_due(put_off) == due, clock - now


def test_a_locked_database_is_told_in_time_and_changes_nothing(store: Store, tmp_path: Path) -> None:
    job = store.add(new())
    with sqlite3.connect(tmp_path / "jobs.sqlite", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        for change in (lambda: store.add(new("b")), lambda: store.cancel(job.id), lambda: store.beat(job.id), store.pause_all):
            with pytest.raises(StoreError, match="locked"):
                change()
        assert time.monotonic() - began < 4
        # Readers do not wait for a writer.
        assert store.get(job.id) == job
        other.execute("ROLLBACK")
    assert [found.id for found in store.jobs()] == [job.id]
    assert store.cancel(job.id).status == "cancelled"


def test_a_file_of_another_version_and_one_that_is_none_are_told(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA user_version = 7")
    with pytest.raises(StoreError, match=r"jobs.sqlite: written by a later version"):
        Store(path, 0.1).prepare()
    path.write_bytes(b"no database at all " * 100)
    with pytest.raises(StoreError, match=r"jobs.sqlite: .*not a database"):
        Store(path, 0.1).prepare()


def test_whatever_happens_none_is_lost_and_what_runs_may_run(store: Store) -> None:
    """A thousand steps of servers, supervisors and users, in any order."""
    draw = random.Random(7)
    made: dict[str, Job] = {}
    for _ in range(1_000):
        ids = list(made)
        job_id = draw.choice(ids) if ids else ""
        step = draw.choice(["add", "claim", "claim", "finish", "kill", "cancel", "retry", "pause", "wait"] if ids else ["add"])
        held = bool(ids) and store.get(job_id).status in RUNNING
        with suppress(ConflictError):
            match step:
                case "add":
                    job = store.add(new(str(draw.randrange(6)), draw.choice(KINDS)))
                    made[job.id] = job
                case "claim":
                    store.claim(job_id, 3, 0)
                case "finish" if held:
                    store.finish(job_id, draw.choice([DONE, KILLED, FAILED]), draw.random() < 0.2, 3)
                case "kill" if held:
                    store.put_back(job_id, 3, "killed")
                case "wait" if held:
                    store.wait(job_id, "room", 1)
                case "cancel":
                    store.cancel(job_id)
                case "retry":
                    store.retry(job_id)
                case "pause" if draw.random() < 0.1:
                    store.pause_all()
        under_way = [job for job in store.active() if job.status in RUNNING]
        assert len(under_way) <= 3
        assert sum(job.kind in ALONE for job in under_way) <= 1
        folders = [job.folder for job in store.active()]
        assert len(folders) == len(set(folders))
    found = store.jobs(limit=10_000)
    assert {job.id for job in found} == set(made)
    assert all(0 <= job.attempts <= 3 for job in found)
    assert all((job.ended is not None) == job.is_over for job in found)
    assert {job.status for job in found} >= {"done", "cancelled"}
