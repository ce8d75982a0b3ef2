"""Jobs: runs, data, evaluations and exports begun in the background, and how they stand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

from luthier.core.errors import UserError
from luthier.core.records import JsonObject
from luthier.serve.door.errors import RequestError, busy, responses, told_problems, unknown, wrong
from luthier.serve.door.events import DESCRIBED, MEDIA_TYPE, SILENCE, UNBUFFERED, event_line
from luthier.serve.door.nesting import of_some_depth
from luthier.serve.jobs.beginning import begin
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.records import Job, Kind, NewJob, Status
from luthier.serve.jobs.stream import JobEvent
from luthier.serve.jobs.submitted import Asked, Submissions, UnknownRunError

# A stream that has nothing to tell says so, or nobody would learn that the client has left.
_SILENCE_SECONDS = 15.0
# So long nothing may be told before the answer begins, for one that has nothing to tell has another status.
_FIRST_EVENT_SECONDS = 1.0
_MOST_LOG_BYTES = 4 << 20
_RETRY_AFTER_SECONDS = 30

Key = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$", description="One job for one key.")
]
JobId = Annotated[str, Path(max_length=64, description="The job's id.")]


class RunBody(BaseModel):
    """A run: a file that lies here, the text of one, or the one that is served; with another name and other values of keys."""

    model_config = ConfigDict(extra="forbid")
    run_file: str | None = Field(None, min_length=1, max_length=4_000, description="A run file in one of `serve.allow.folders`.")
    text: str | None = Field(None, min_length=1, description="A run file itself.")
    run_name: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]+$", max_length=200, description="Name of the run.")
    overrides: dict[str, Any] = Field({}, max_length=1_000, description='Values by key, dotted: `{"evaluate.shots": 2}`.')

    @field_validator("overrides")
    @classmethod
    def _has_some_depth(cls, overrides: dict[str, Any]) -> dict[str, Any]:
        return of_some_depth(overrides)

    @property
    def place(self) -> str:
        """The field that a run file's own problems lie in."""
        return "run_file" if self.text is None else "text"

    def asked(self) -> Asked:
        """What is asked for."""
        return Asked(self.run_file, self.text, self.run_name, self.overrides)


class NamedRunBody(BaseModel):
    """A run by its name, or the name of its folder."""

    model_config = ConfigDict(extra="forbid")
    run: str = Field(min_length=1, max_length=300)

    @property
    def place(self) -> str:
        """The field that names the run."""
        return "run"


class ListedJobBody(BaseModel):
    """A job as a list tells it: all but what it came to. Times are seconds since the epoch."""

    id: str
    kind: Kind
    status: Status
    title: str
    command: list[str]
    folder: str
    created: float
    started: float | None
    ended: float | None
    heartbeat: float | None
    attempts: int
    waiting_for: str | None
    exit_code: int | None
    error: str | None
    progress: dict[str, Any] | None


class JobBody(ListedJobBody):
    """A job as it stands, with what its command told at its end."""

    result: dict[str, Any] | None


class JobsBody(BaseModel):
    """Jobs, the newest first; `next` is what `before` takes for those that follow."""

    jobs: list[ListedJobBody]
    next: str | None


def make_router(jobs: Jobs, submissions: Submissions) -> APIRouter:
    """The routes of jobs."""
    router = APIRouter(tags=["Jobs"])
    _add_starts(router, jobs, submissions)
    _add_reads(router, jobs)

    @router.post("/jobs/{job_id}/cancel", response_model=JobBody, responses=responses(404, 409, 422, 503))
    async def cancel(job_id: JobId) -> JsonObject:
        """Ends a job that waits, and asks one that runs to stop where it can go on later."""
        return await _told(jobs, await jobs.cancel(job_id))

    @router.post("/jobs/{job_id}/retry", response_model=JobBody, responses=responses(404, 409, 422, 503))
    async def retry(job_id: JobId) -> JsonObject:
        """Queues a job once more that failed or was cancelled; it goes on with what it has done."""
        return await _told(jobs, await jobs.retry(job_id))

    return router


def _add_starts(router: APIRouter, jobs: Jobs, submissions: Submissions) -> None:
    starts: dict[str, Any] = {"status_code": 202, "response_model": JobBody, "responses": responses(409, 422, 503, 507)}
    again = {**starts, "responses": responses(404, 409, 422, 503, 507)}

    async def begun(route: str, body: RunBody | NamedRunBody, key: str | None, make: Callable[[], NewJob]) -> JsonObject:
        """The job of a request."""
        request = json.dumps([route, body.model_dump(mode="json")], sort_keys=True)
        with _of_body(body.place):
            job = await begin(jobs, make, request, key)
        return await _told(jobs, job)

    @router.post("/fine-tune/start", **starts)
    async def start(body: RunBody, idempotency_key: Key = None) -> JsonObject:
        """Begins a run, from its data to its report, or goes on with it."""
        return await begun("start", body, idempotency_key, lambda: submissions.run(body.asked()))

    @router.post("/fine-tune/generate-data", **starts)
    async def generate_data(body: RunBody, idempotency_key: Key = None) -> JsonObject:
        """Reads, makes, cleans and divides the rows of a run."""
        return await begun("data", body, idempotency_key, lambda: submissions.data(body.asked()))

    @router.post("/evaluate", **again)
    async def evaluate(body: NamedRunBody, idempotency_key: Key = None) -> JsonObject:
        """Measures what a run trained beside its base."""
        return await begun("evaluate", body, idempotency_key, lambda: submissions.again("evaluate", body.run))

    @router.post("/export", **again)
    async def export(body: NamedRunBody, idempotency_key: Key = None) -> JsonObject:
        """Writes what a run's `export` names, and the model card."""
        return await begun("export", body, idempotency_key, lambda: submissions.again("export", body.run))


def _add_reads(router: APIRouter, jobs: Jobs) -> None:
    @router.get("/jobs", response_model=JobsBody, responses=responses(404, 422, 503))
    async def listed(
        kind: Kind | None = None,
        status: Status | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        before: Annotated[str | None, Query(max_length=64)] = None,
    ) -> JsonObject:
        """The jobs, the newest first; how far one is is told of those that have not ended, what one came to by its own route."""
        try:
            found = await jobs.list(kind, status, limit, before)
        except RequestError as error:
            # It is this parameter that names a job here.
            error.param = "before" if error.param == "job_id" else error.param
            raise
        told = [await _told(jobs, job) for job in found]
        return {"jobs": told, "next": found[-1].id if len(found) == limit else None}

    @router.get("/ingest/status/{job_id}", response_model=JobBody, responses=responses(404, 422, 503))
    @router.get("/jobs/{job_id}", response_model=JobBody, responses=responses(404, 422, 503))
    async def get(job_id: JobId) -> JsonObject:
        """A job of any kind, with how far it is."""
        return await _told(jobs, await jobs.get(job_id))

    @router.get(
        "/jobs/{job_id}/events",
        response_class=StreamingResponse,
        responses={
            200: {"description": "Events as they come, up to the end of the job.", "content": DESCRIBED},
            204: {"description": "The job has ended, and everything was told."},
            **responses(404, 422, 503),
        },
    )
    async def events(job_id: JobId, last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=64)] = None) -> Response:
        """The job's status (`event: status`) and the lines of its event stream (`event: event`), as server-sent events."""
        found = jobs.events(job_id, last_event_id)
        coming = asyncio.ensure_future(anext(found, None))
        done, _ = await asyncio.wait([coming], timeout=_FIRST_EVENT_SECONDS)
        if done and coming.result() is None:
            if not (await jobs.get(job_id)).is_over:
                raise busy("the server is being stopped; the job is not over", _RETRY_AFTER_SECONDS)
            return Response(status_code=204)
        return StreamingResponse(_sent(found, coming), media_type=MEDIA_TYPE, headers=UNBUFFERED)

    @router.get("/jobs/{job_id}/log", response_class=PlainTextResponse, responses=responses(404, 422, 503))
    async def log(job_id: JobId, most_bytes: Annotated[int, Query(alias="bytes", ge=1, le=_MOST_LOG_BYTES)] = 64 << 10) -> Response:
        """The end of what the job has written."""
        return PlainTextResponse(await jobs.log_tail(job_id, most_bytes))


async def _told(jobs: Jobs, job: Job) -> JsonObject:
    return await _said(job, await jobs.progress(job))


async def _said(job: Job, progress: JsonObject | None = None) -> JsonObject:
    """The job; its command may be long and is looked through for secrets, for which others do not wait."""
    return await asyncio.to_thread(job.to_json, progress)


@contextmanager
def _of_body(place: str) -> Iterator[None]:
    """What is wrong with a run file: `param` is the key or the field, `place` where it lies in a file."""
    try:
        yield
    except UnknownRunError as error:
        raise unknown(str(error), place) from error
    except UserError as error:
        raise wrong(told_problems(error.problems), _param(error.problems[0].where, place)) from error


def _param(where: str, place: str) -> str:
    """The field of the body that a problem lies in; `place` where it lies in a file."""
    if where.startswith("--set "):
        key = where.removeprefix("--set ")
        return key if key in RunBody.model_fields else f"overrides.{key}"
    return where if where in {*RunBody.model_fields, *NamedRunBody.model_fields} or where.startswith("overrides.") else place


async def _sent(events: AsyncIterator[JobEvent], coming: asyncio.Future[JobEvent | None]) -> AsyncIterator[bytes]:
    """Events in the form of the standard, `coming` the first; in silence a comment."""
    try:
        while True:
            done, _ = await asyncio.wait([coming], timeout=_SILENCE_SECONDS)
            if not done:
                yield SILENCE
                continue
            try:
                event = coming.result()
            except RequestError as error:
                yield event_line(error.to_bytes().decode(), "error")
                return
            if event is None:
                return
            yield event_line(event.data, event.name, event.id)
            coming = asyncio.ensure_future(anext(events, None))
    finally:
        coming.cancel()
