"""Jobs begun, watched, stopped and found again; their commands are lines of Python."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from job_parts import PATIENCE_SECONDS, at_work, line, there, until
from luthier.core.events import EventLog
from luthier.core.records import JsonObject
from luthier.serve.door.errors import RequestError
from luthier.serve.jobs import locks, queue
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.records import Job, NewJob
from luthier.serve.jobs.store import Store
from luthier.serve.jobs.stream import JobEvent

SLEEP = "import time; time.sleep(600)"
# Says that it is there, and ends well when it is asked to stop, or goes on to its end once `go` is there.
STEADY = """
import os, sys, time
from pathlib import Path
folder = Path(sys.argv[1]); folder.mkdir(exist_ok=True)
with (folder / "begun").open("a") as file: file.write(f"{os.getpid()}\\n")
try:
    while not (folder / "go").exists(): time.sleep(0.02)
except KeyboardInterrupt:
    (folder / "stopped").write_text("yes"); sys.exit(1)
"""


def steady(folder: Path) -> NewJob:
    return NewJob("data", "steady", ("-c", STEADY, str(folder)), str(folder))


def test_a_job_runs_and_tells_how_it_ended(tmp_path: Path) -> None:
    async def use(jobs: Jobs) -> tuple[Job, Job, bytes]:
        good = await jobs.start(line("import sys; print('{\"a\": 1}'); sys.stderr.write('hello\\n')", tmp_path / "a"))
        bad = await jobs.start(line("raise SystemExit('no luck')", tmp_path / "b"))
        ended = await until(jobs, good.id, "done"), await until(jobs, bad.id, "failed")
        return (*ended, await jobs.log_tail(good.id, 10_000))

    good, bad, log = at_work(tmp_path / "root", use)
    assert (good.exit_code, good.result, good.attempts) == (0, {"a": 1}, 1)
    assert good.created <= (good.started or 0) <= (good.ended or 0)
    assert (bad.exit_code, bad.error) == (1, "no luck")
    assert [text.partition("] ")[2].split(":")[0] or text for text in log.decode().splitlines()] == [
        "begun, attempt 1", "hello", "done, exit code 0",
    ]  # fmt: skip


def test_those_that_need_the_machine_alone_run_one_after_the_other_and_others_beside_them(tmp_path: Path) -> None:
    code = 'import time; print(\'{{"from": %r, "to": %r}}\' % (time.time(), time.sleep(0.3) or time.time()))'

    async def use(jobs: Jobs) -> list[Job]:
        kinds = ("evaluate", "evaluate", "data", "ingest", "evaluate")
        started = [
            await jobs.start(line(code.replace("{{", "{").replace("}}", "}"), tmp_path / str(number), kind))
            for number, kind in enumerate(kinds)
        ]
        while not (waiting := await jobs.get(started[1].id)).waiting_for and not waiting.is_over:
            await asyncio.sleep(0.01)
        assert started[0].id in (waiting.waiting_for or "")
        return [await until(jobs, job.id, "done") for job in started]

    done = at_work(tmp_path / "root", use, at_once=3)
    alone = sorted((job.result["from"], job.result["to"]) for job in done if job.kind == "evaluate" and job.result)
    assert all(one[1] <= other[0] for one, other in pairwise(alone))
    assert [job.id for job in sorted(done, key=lambda job: job.started or 0) if job.kind == "evaluate"] == [
        job.id for job in done if job.kind == "evaluate"
    ]


def test_a_cancelled_job_ends_as_its_command_likes_and_one_that_does_not_is_killed(tmp_path: Path) -> None:
    async def use(jobs: Jobs) -> tuple[Job, Job]:
        willing = await jobs.start(steady(tmp_path / "willing"))
        deaf = "import signal, time; signal.signal(2, signal.SIG_IGN); open('begun', 'w').write('x'); time.sleep(600)"
        unwilling = await jobs.start(NewJob("ingest", "deaf", ("-c", deaf), str(tmp_path), str(tmp_path)))
        await there(tmp_path / "willing" / "begun")
        await there(tmp_path / "begun")
        assert (await jobs.cancel(willing.id)).status == "stopping"
        await jobs.cancel(unwilling.id)
        return await until(jobs, willing.id, "cancelled"), await until(jobs, unwilling.id, "cancelled")

    willing, unwilling = at_work(tmp_path / "root", use, stop_seconds=1)
    assert (tmp_path / "willing" / "stopped").is_file()
    assert (willing.exit_code, unwilling.exit_code) == (1, -9)


def test_a_server_that_stops_leaves_its_jobs_in_the_queue_and_the_next_one_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "steady"

    async def begin(jobs: Jobs) -> str:
        job = await jobs.start(steady(folder))
        await there(folder / "begun")
        return job.id

    async def look(jobs: Jobs) -> Job:
        (folder / "go").touch()
        return await until(jobs, job_id, "done")

    job_id = at_work(tmp_path / "root", begin)
    assert (folder / "stopped").is_file()
    with sqlite3.connect(tmp_path / "root" / "jobs.sqlite") as base:
        assert base.execute("SELECT status, attempts, stop FROM jobs").fetchall() == [("queued", 0, "")]
    job = at_work(tmp_path / "root", look)
    assert job.attempts == 1
    assert len((folder / "begun").read_text().split()) == 2


def test_a_job_that_outlives_its_server_is_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "steady"

    async def begin(jobs: Jobs) -> str:
        job = await jobs.start(steady(folder))
        await there(folder / "begun")
        return job.id

    async def look(jobs: Jobs) -> Job:
        await asyncio.sleep(1)
        assert (await jobs.get(job_id)).status == "running"
        (folder / "go").touch()
        return await until(jobs, job_id, "done")

    job_id = at_work(tmp_path / "root", begin, outlive_server=True)
    assert not (folder / "stopped").exists()
    assert at_work(tmp_path / "root", look).attempts == 1
    assert len((folder / "begun").read_text().split()) == 1


@pytest.mark.parametrize("whom", ["supervisor", "worker", "both"])
def test_whose_process_is_killed_runs_again_and_never_twice_at_once(tmp_path: Path, whom: str) -> None:
    folder = tmp_path / "steady"

    async def use(jobs: Jobs) -> Job:
        job = await jobs.start(steady(folder))
        worker = int(await there(folder / "begun"))
        supervisor = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
        for pid in {"supervisor": (supervisor,), "worker": (worker,), "both": (supervisor, worker)}[whom]:
            os.kill(pid, signal.SIGKILL)
        while len((folder / "begun").read_text().split()) < 2:
            assert (await jobs.get(job.id)).status in ("queued", "running")
            await asyncio.sleep(0.02)
        # The first one is gone before the second begins.
        assert not Path(f"/proc/{worker}").exists() or "Z" in Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0]
        (folder / "go").touch()
        return await until(jobs, job.id, "done")

    assert at_work(tmp_path / "root", use).attempts == 2


def test_a_command_that_is_killed_each_time_fails_in_the_end(tmp_path: Path) -> None:
    async def use(jobs: Jobs) -> Job:
        job = await jobs.start(line("import os; os.kill(os.getpid(), 9)", tmp_path / "a"))
        failed = await until(jobs, job.id, "failed")
        again = await jobs.retry(job.id)
        assert (again.status, again.attempts) == ("queued", 0)
        await until(jobs, job.id, "failed")
        return failed

    failed = at_work(tmp_path / "root", use, attempts=2)
    assert (failed.attempts, failed.error) == (2, "its process was ended by SIGKILL")


def test_a_supervisor_that_is_killed_each_time_does_not_run_for_ever(tmp_path: Path) -> None:
    async def use(jobs: Jobs) -> Job:
        job = await jobs.start(line("import os, time; os.kill(os.getppid(), 9); time.sleep(600)", tmp_path / "a"))
        return await until(jobs, job.id, "failed")

    failed = at_work(tmp_path / "root", use, attempts=2)
    assert failed.error == "its process was killed; it was begun 2 times and got no further, as often as `serve.jobs.attempts` allows"


def test_one_that_gets_further_each_time_goes_on_to_its_end(tmp_path: Path) -> None:
    code = """
import json, os, time
with open("events.jsonl", "a+") as file:
    file.seek(0)
    number = len(file.readlines()) + 1
    file.write(json.dumps({"event": "train.checkpoint", "step": number}) + "\\n")
if number < 5:
    os.kill(os.getpid() if number % 2 else os.getppid(), 9)
    time.sleep(600)
"""

    async def use(jobs: Jobs) -> Job:
        (tmp_path / "a").mkdir()
        job = await jobs.start(NewJob("data", "t", ("-c", code), str(tmp_path / "a"), str(tmp_path / "a")))
        while not (job := await jobs.get(job.id)).is_over:
            await asyncio.sleep(0.05)
        return job

    done = at_work(tmp_path / "root", use, attempts=1)
    assert (done.status, done.attempts) == ("done", 1)
    assert len((tmp_path / "a" / "events.jsonl").read_text().splitlines()) == 5


def test_events_come_as_they_happen_and_end_with_the_job(tmp_path: Path) -> None:
    code = (
        "import time; from pathlib import Path; from luthier.core.events import EventLog\n"
        f"log = EventLog(Path({str(tmp_path)!r}, 'events.jsonl'))\n"
        "for number in range(5): log.emit('note', message=str(number)); time.sleep(0.05)"
    )
    EventLog(tmp_path / "events.jsonl").emit("note", message="of an earlier job")

    async def use(jobs: Jobs) -> tuple[list[JobEvent], list[JobEvent]]:
        job = await jobs.start(line(code, tmp_path))
        whole = [event async for event in jobs.events(job.id)]
        return whole, [event async for event in jobs.events(job.id, whole[4].id)]

    whole, rest = at_work(tmp_path / "root", use)
    assert [event.data["message"] for event in whole if event.name == "event"] == ["0", "1", "2", "3", "4"]
    statuses = [event.data["status"] for event in whole if event.name == "status"]
    assert statuses[-1] == "done"
    assert statuses in (["queued", "running", "done"], ["queued", "done"])
    # Nothing is told twice and nothing left out; a status that is no more need not be told late.
    assert [placed(event) for event in rest if event.name == "event"] == [placed(event) for event in whole[5:] if event.name == "event"]
    assert placed(rest[-1]) == placed(whole[-1])
    places = [placed(event)[0] for event in whole if event.name == "event"]
    assert places == sorted(set(places))


def placed(event: JobEvent) -> tuple[int, JsonObject]:
    """An event with its place in the stream; the rest of its id is how often the status had changed when it was read."""
    return int(event.id.partition("-")[0]), event.data


def test_a_locked_database_delays_a_job_and_loses_none(tmp_path: Path) -> None:
    async def use(jobs: Jobs) -> tuple[Job, Job]:
        folder = tmp_path / "steady"
        job = await jobs.start(steady(folder))
        await there(folder / "begun")
        with sqlite3.connect(tmp_path / "root" / "jobs.sqlite", isolation_level=None, check_same_thread=False) as other:
            other.execute("BEGIN EXCLUSIVE")
            began = time.monotonic()
            with pytest.raises(RequestError) as raised:
                await jobs.start(line("pass", tmp_path / "b"))
            assert (raised.value.status, raised.value.retry_after) == (503, 2)
            assert time.monotonic() - began < 10
            # What is read is told all the same, and the job goes on to its end.
            assert (await jobs.get(job.id)).status == "running"
            (folder / "go").touch()
            await asyncio.sleep(2.5)
            assert (await jobs.get(job.id)).status == "running"
            other.execute("ROLLBACK")
        other.close()
        late = await jobs.start(line("pass", tmp_path / "b"))
        return await until(jobs, job.id, "done"), await until(jobs, late.id, "done")

    first, late = at_work(tmp_path / "root", use)
    assert (first.attempts, late.attempts) == (1, 1)


def test_what_a_request_is_told(tmp_path: Path) -> None:
    async def use(jobs: Jobs) -> None:
        job = await jobs.start(steady(tmp_path / "a"), "key")
        assert (await jobs.start(steady(tmp_path / "a"), "key")).id == job.id
        assert job.folder == str(tmp_path / "a")
        expected = {
            404: [jobs.get("none"), jobs.cancel("none"), jobs.retry("none"), jobs.log_tail("none", 5), jobs.list(before="none")],
            409: [jobs.start(line("pass", tmp_path / "a"))],
            422: [jobs.start(line("pass", tmp_path / "b"), "key"), jobs.known("key", "other")],
        }
        for status, asked in expected.items():
            for one in asked:
                with pytest.raises(RequestError) as raised:
                    await one
                assert raised.value.status == status
        (tmp_path / "a" / "go").parent.mkdir(exist_ok=True)
        (tmp_path / "a" / "go").touch()
        await until(jobs, job.id, "done")
        with pytest.raises(RequestError) as raised:
            await jobs.cancel(job.id)
        assert raised.value.status == 409

    at_work(tmp_path / "root", use)


def test_a_job_that_cannot_be_begun_is_tried_again_and_waits_meanwhile(tmp_path: Path) -> None:
    async def use(jobs: Jobs) -> Job:
        gone = tmp_path / "gone"
        job = await jobs.start(NewJob("data", "t", ("-c", "pass"), str(tmp_path), str(gone)))
        return await until(jobs, job.id, "failed")

    assert "cannot be started in" in (at_work(tmp_path / "root", use).error or "")


def test_a_process_that_ends_before_it_has_begun_its_job_is_told_and_tried_again(tmp_path: Path) -> None:
    async def use(jobs: Jobs) -> tuple[Job, Job]:
        log = tmp_path / "root" / "jobs"
        log.mkdir()
        # Where its lock would be stands a folder.
        job = await jobs.start(line("pass", tmp_path / "a"))
        folder = log / job.id
        folder.mkdir(exist_ok=True)
        (folder / "watch").mkdir()
        while (waiting := await jobs.get(job.id)).waiting_for is None and not waiting.is_over:
            await asyncio.sleep(0.02)
        (folder / "watch").rmdir()
        return waiting, await until(jobs, job.id, "done")

    waiting, done = at_work(tmp_path / "root", use)
    assert waiting.waiting_for is not None
    assert waiting.waiting_for.startswith("its process ended with 1 before it had begun: IsADirectoryError")
    assert (done.attempts, done.waiting_for) == (1, None)


def test_the_waiting_of_one_for_room_is_told_and_no_attempt(tmp_path: Path) -> None:
    """A plan that is told by a module of the same name: more memory than is free, and then less."""
    plan = {"memory": {"fits": False, "total_bytes": 20e9, "room_bytes": 4e9, "device_bytes": 80e9}}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    code = f"import sys; print(open({str(tmp_path / 'plan.json')!r}).read()) if sys.argv[1] == 'plan' else None"
    folder = tmp_path / "package" / "luthier"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "__main__.py").write_text(code)

    async def use(jobs: Jobs) -> tuple[Job, Job]:
        package = str(tmp_path / "package")
        job = await jobs.start(NewJob("train", "t", ("-m", "luthier", "train", "a.yaml", "--json"), str(tmp_path), package))
        while (waiting := await jobs.get(job.id)).waiting_for is None and not waiting.is_over:
            await asyncio.sleep(0.02)
        (tmp_path / "plan.json").write_text("{}")
        with sqlite3.connect(tmp_path / "root" / "jobs.sqlite") as base:
            base.execute("UPDATE jobs SET not_before = 0")
        return waiting, await until(jobs, job.id, "done")

    waiting, done = at_work(tmp_path / "root", use)
    assert (waiting.status, waiting.attempts, waiting.waiting_for) == ("queued", 0, "memory: 20.00 GB by the plan, 4.00 GB are free")
    assert (done.attempts, done.waiting_for) == (1, None)


def test_a_job_whose_folder_cannot_be_looked_into_holds_up_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def use(jobs: Jobs) -> tuple[Job, Job]:
        blocked = await jobs.start(steady(tmp_path / "blocked"))
        await there(tmp_path / "blocked" / "begun")
        folder = tmp_path / "root" / "jobs" / blocked.id
        folder.rename(tmp_path / "aside")
        # Neither a folder nor nothing: each look at it fails.
        folder.touch()
        other = await until(jobs, (await jobs.start(line("pass", tmp_path / "other"))).id, "done")
        folder.unlink()
        (tmp_path / "aside").rename(folder)
        (tmp_path / "blocked" / "go").touch()
        return other, await until(jobs, blocked.id, "done")

    other, blocked = at_work(tmp_path / "root", use)
    assert (other.attempts, blocked.attempts) == (1, 1)
    told = [record for record in caplog.records if "cannot be looked at" in record.getMessage()]
    assert [blocked.id in record.getMessage() for record in told] == [True]


def test_what_nobody_foresaw_does_not_end_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, failed = Store.active, list[int]()

    def active(self: Store) -> list[Job]:
        if not failed:
            failed.append(1)
            raise RuntimeError("nobody foresaw this")
        return real(self)

    async def use(jobs: Jobs) -> Job:
        return await until(jobs, (await jobs.start(line("pass", tmp_path / "a"))).id, "done")

    monkeypatch.setattr(Store, "active", active)
    assert at_work(tmp_path / "root", use).exit_code == 0
    assert "nobody foresaw this" in caplog.text


def test_whether_the_queue_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def is_looked_at(jobs: Jobs) -> bool:
        try:
            await jobs.check_queue()
        except RequestError:
            return False
        return True

    async def use(jobs: Jobs) -> Jobs:
        assert await is_looked_at(jobs)
        with monkeypatch.context() as late:
            late.setattr(queue, "_STUCK_SECONDS", -1.0)
            assert not await is_looked_at(jobs)
        return jobs

    ended = at_work(tmp_path / "root", use)
    # Its loop has ended with the server.
    assert not asyncio.run(is_looked_at(ended))


def test_the_queue_ends_though_a_job_is_told_of_in_the_same_moment(tmp_path: Path) -> None:
    async def use(jobs: Jobs) -> None:
        job = await jobs.start(line(SLEEP, tmp_path / "one"))
        await until(jobs, job.id, "running")
        await jobs.cancel(job.id)

    began = time.monotonic()
    at_work(tmp_path / "root", use, stop_seconds=10.0)
    # Else the loop that begins jobs would go on for ever.
    assert time.monotonic() - began < 60


def test_a_job_that_ended_long_ago_is_removed_with_its_folder_and_its_run_stays(tmp_path: Path) -> None:
    root = tmp_path / "root"

    async def use(jobs: Jobs) -> tuple[str, str, str]:
        folder = tmp_path / "run"
        folder.mkdir()
        old = await jobs.start(line("pass", folder))
        keyed = await jobs.start(line("pass", tmp_path / "other"), "a key")
        waiting = await jobs.start(steady(tmp_path / "steady"))
        await until(jobs, keyed.id, "done")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while old.id in {job.id for job in await jobs.list()}:
                await asyncio.sleep(0.05)
        # A key that came today names its job, and what runs is no job that ended.
        assert (await jobs.get(keyed.id)).status == "done"
        assert not (await jobs.get(waiting.id)).is_over
        (tmp_path / "steady" / "go").touch()
        return old.id, keyed.id, waiting.id

    # A day of which a tenth of a second is left.
    old, keyed, _ = at_work(root, use, keep_days=1e-6)
    assert not (root / "jobs" / old).exists()
    assert (root / "jobs" / keyed / "log").is_file()
    assert (tmp_path / "run").is_dir()


def test_jobs_are_kept_where_nothing_is_said(tmp_path: Path) -> None:
    chores: list[int] = []

    async def use(jobs: Jobs) -> None:
        job = await jobs.start(line("pass", tmp_path / "a"))
        await until(jobs, job.id, "done")
        jobs.add_chore(lambda store: chores.append(1))
        # A job that is cancelled has its chores done at once.
        other = await jobs.start(steady(tmp_path / "b"))
        await jobs.cancel(other.id)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not chores:
                await asyncio.sleep(0.02)
        assert (await jobs.get(job.id)).status == "done"

    at_work(tmp_path / "root", use)


def test_the_end_waits_for_the_look_under_way_and_stops_what_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that is slow to begin a job goes on while the server is told to stop."""
    begin, entered = Jobs._begin, threading.Event()

    def slowly(self: Jobs, job: Job) -> None:
        entered.set()
        time.sleep(1.0)
        begin(self, job)

    monkeypatch.setattr(Jobs, "_begin", slowly)

    async def use(jobs: Jobs) -> str:
        job = await jobs.start(steady(tmp_path / "steady"))
        await asyncio.to_thread(entered.wait, PATIENCE_SECONDS)
        return job.id

    job_id = at_work(tmp_path / "root", use)
    store = Store(tmp_path / "root" / "jobs.sqlite", 1.0)
    assert store.get(job_id).status == "queued"
    # Nobody is left who works on it.
    assert locks.is_free(tmp_path / "root" / "jobs" / job_id / "watch")
