"""What the routes of jobs make of errors and of silence; the routes themselves are asked in tests/integration/test_serve_jobs.py."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from luthier.config.serve_section import ServeAllow, ServeJobs
from luthier.core.errors import ConfigError, ModelError, Problem
from luthier.serve.api import jobs as module
from luthier.serve.door.errors import RequestError, unknown
from luthier.serve.door.handlers import add_handlers
from luthier.serve.jobs.beginning import begin
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.records import Ending, Job, NewJob
from luthier.serve.jobs.store import Store
from luthier.serve.jobs.stream import JobEvent
from luthier.serve.jobs.submitted import Submissions, UnknownRunError
from luthier.serve.state.root import ServeRoot

FIRST = JobEvent("0-0", "status", {"status": "queued"})


@pytest.mark.parametrize(
    ("error", "status", "param"),
    [
        (ConfigError(Problem("wrong", "--set lora_r")), 422, "overrides.lora_r"),
        (ConfigError([Problem("wrong", "serve/run-files/a.yaml:7"), Problem("more")]), 422, "text"),
        (ConfigError(Problem("wrong", "--set run_name")), 422, "run_name"),
        (ConfigError(Problem("wrong", "overrides.output_dir")), 422, "overrides.output_dir"),
        (ConfigError(Problem("wrong", "run_file")), 422, "run_file"),
        (ConfigError(Problem("wrong", "nofile.yaml")), 422, "text"),
        (ConfigError(Problem("wrong")), 422, "text"),
        (UnknownRunError(Problem("no such run", "run")), 404, "text"),
        (ModelError(Problem("wrong", "run")), 422, "run"),
        (OSError(errno.ENOSPC, "No space left on device"), 507, None),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), 507, None),
        (OSError(errno.EIO, "Input/output error"), 503, None),
    ],
)
def test_what_is_wrong_with_a_run_is_told_at_its_key(error: Exception, status: int, param: str | None) -> None:
    def make() -> NewJob:
        raise error

    with pytest.raises(RequestError) as raised:
        begun(make, "text")
    assert (raised.value.status, raised.value.param) == (status, param)
    assert (raised.value.retry_after is not None) == (status == 503)


def test_of_a_run_file_with_forty_thousand_faults_the_first_are_told() -> None:
    problems = [Problem(f"unknown key `k{number}`", f"run.yaml:{number}") for number in range(40_000)]

    def make() -> NewJob:
        raise ConfigError(problems)

    with pytest.raises(RequestError) as raised:
        begun(make, "text")
    assert "unknown key `k19`" in raised.value.message
    assert "k20" not in raised.value.message
    assert raised.value.message.endswith("and 39,980 more")


class Begun:
    """Jobs that only take down what is begun; none was begun before."""

    def __init__(self) -> None:
        self.new: list[NewJob] = []

    async def known(self, key: str, request: str) -> Job | None:
        return None

    async def start(self, new: NewJob, key: str | None) -> Job:
        self.new.append(new)
        return Job("1", new.kind, "queued", new.title, new.command, new.folder, 0.0)


def begun(make: Callable[[], NewJob], place: str) -> list[NewJob]:
    jobs = Begun()
    with module._of_body(place):
        asyncio.run(begin(cast(Jobs, jobs), make, "what was asked", "key"))
    return jobs.new


def test_a_job_carries_what_was_asked_for() -> None:
    (new,) = begun(lambda: NewJob("data", "t", ("-c",), "f"), "run")
    assert new.request == "what was asked"


def sent(events: AsyncIterator[JobEvent], most: int = 10) -> list[bytes]:
    async def collect() -> list[bytes]:
        found = []
        first: asyncio.Future[JobEvent | None] = asyncio.get_running_loop().create_future()
        first.set_result(FIRST)
        async for piece in module._sent(events, first):
            found.append(piece)
            if len(found) == most:
                break
        return found

    return asyncio.run(collect())


def test_events_are_written_as_the_standard_has_them() -> None:
    async def events() -> AsyncIterator[JobEvent]:
        yield JobEvent("12-1", "event", {"event": "note", "message": "two\nlines, and ü"})

    assert sent(events()) == [
        b'id: 0-0\nevent: status\ndata: {"status": "queued"}\n\n',
        'id: 12-1\nevent: event\ndata: {"event": "note", "message": "two\\nlines, and ü"}\n\n'.encode(),
    ]


def test_in_silence_a_comment_is_sent_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENCE_SECONDS", 0.05)

    async def events() -> AsyncIterator[JobEvent]:
        await asyncio.sleep(0.2)
        yield JobEvent("1-1", "event", {"event": "late"})

    found = sent(events())
    assert found[1] == b": \n\n"
    assert found[-1] == b'id: 1-1\nevent: event\ndata: {"event": "late"}\n\n'


def test_an_error_on_the_way_ends_the_stream_with_its_words() -> None:
    async def events() -> AsyncIterator[JobEvent]:
        raise unknown("there is no job", "job_id")
        yield FIRST

    assert sent(events())[1].startswith(b'event: error\ndata: {"error":{"message":"there is no job"')


def test_who_leaves_ends_what_was_waited_for() -> None:
    ended = []

    async def events() -> AsyncIterator[JobEvent]:
        try:
            await asyncio.sleep(600)
            yield FIRST
        finally:
            ended.append(True)

    assert len(sent(events(), 1)) == 1
    assert ended == [] or ended == [True]


def test_a_list_leaves_out_what_each_job_came_to(tmp_path: Path) -> None:
    """An evaluation's scores are tens of thousands of characters."""
    jobs = Jobs(ServeRoot(tmp_path), ServeJobs())
    jobs.prepare()
    store = Store(ServeRoot(tmp_path).database, 1.0)
    job = store.add(NewJob("evaluate", "one", ("-c",), "runs/one"))
    assert store.claim(job.id, 1, 0) is not None
    store.finish(job.id, Ending(0, None, {"scores": "many"}), False, 3)
    app = FastAPI()
    app.include_router(module.make_router(jobs, Submissions(ServeRoot(tmp_path), ServeAllow(), None)))
    client = TestClient(app)
    (listed,) = client.get("/jobs").json()["jobs"]
    whole = client.get(f"/jobs/{job.id}").json()
    assert whole.pop("result") == {"scores": "many"}
    assert listed == whole


class NoJobs:
    async def list(self, kind: str | None, status: str | None, limit: int, before: str | None) -> list[Job]:
        raise unknown(f"there is no job `{before}`", "job_id")


def test_the_parameter_that_names_no_job_is_told() -> None:
    app = FastAPI()
    app.include_router(module.make_router(cast("Jobs", NoJobs()), cast("Submissions", None)))
    add_handlers(app)
    told = TestClient(app).get("/jobs", params={"before": "zzz"})
    assert (told.status_code, told.json()["error"]["param"]) == (404, "before")
