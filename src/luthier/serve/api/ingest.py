"""Sources: taken in from a folder, a repository or an upload, listed, deleted, and searched."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path as FilePath
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from luthier.core.errors import DataError
from luthier.core.records import JsonObject
from luthier.serve.api.jobs import JobBody, Key
from luthier.serve.door.errors import RequestError, responses, wrong
from luthier.serve.ingest.asked import Asking, Wanted
from luthier.serve.ingest.library import MOST_NAME_CHARACTERS, Library, SourceInUseError, UnknownSourceError
from luthier.serve.ingest.receiving import FILES, Received, Receiver
from luthier.serve.ingest.records import SENT, Source
from luthier.serve.ingest.uploads import discard
from luthier.serve.jobs.beginning import begin, kept
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.records import Job, NewJob

UPLOAD_PATH = "/ingest/upload"
_MOST_PLACE = 4_000
T = TypeVar("T")
_NAME = "Name of the source; the last part of its place where none is given."
Name = Annotated[str, Path(max_length=MOST_NAME_CHARACTERS, description="The source's name.")]


class IngestBody(BaseModel):
    """A source: a folder of this machine, or a repository at a URL."""

    model_config = ConfigDict(extra="forbid")
    folder: str | None = Field(None, min_length=1, max_length=_MOST_PLACE, description="A folder in one of `serve.allow.folders`.")
    repo: str | None = Field(None, min_length=1, max_length=_MOST_PLACE, description="URL of a repository, of one of `serve.allow.hosts`.")
    commit: str | None = Field(None, min_length=1, max_length=200, description="Commit, branch or tag; the HEAD without one.")
    name: str | None = Field(None, min_length=1, max_length=MOST_NAME_CHARACTERS, description=_NAME)


class SourcesBody(BaseModel):
    """The sources, by name. `unreadable` names those of another version of Luthier, to be taken in again or deleted."""

    sources: list[Source]
    unreadable: list[str]


class FoundBody(BaseModel):
    """A piece: `lines` (first and last) of `path` in `source` at `commit`. `score` is higher for what fits better."""

    source: str
    path: str
    lines: tuple[int, int]
    commit: str | None
    name: str
    kind: str
    language: str
    score: float
    text: str


class SearchBody(BaseModel):
    """What was found, the best first."""

    q: str
    found: list[FoundBody]
    milliseconds: float


class DeletedBody(BaseModel):
    """What was deleted."""

    deleted: str


def make_router(jobs: Jobs, asking: Asking, library: Library) -> APIRouter:
    """The routes of sources."""
    router = APIRouter(tags=["Sources"])
    _add_ingest(router, jobs, asking)
    _add_sources(router, library)

    @router.get("/search", response_model=SearchBody, responses=responses(404, 422))
    async def search(
        q: Annotated[str, Query(min_length=1, max_length=4_000, description="A question, or words.")],
        source: Annotated[list[str] | None, Query(max_length=100, description="Sources to search; all where none is named.")] = None,
        limit: Annotated[int, Query(ge=1, le=50)] = 5,
    ) -> JsonObject:
        """Finds the pieces of the sources that fit a question best, with the place of each."""
        began = time.perf_counter()
        found = await asked(lambda: library.search(q, source, limit))
        milliseconds = round((time.perf_counter() - began) * 1_000, 2)
        return {"q": q, "found": [asdict(one) for one in found], "milliseconds": milliseconds}

    return router


def _add_ingest(router: APIRouter, jobs: Jobs, asking: Asking) -> None:
    async def told(job: Job) -> JsonObject:
        return await asyncio.to_thread(job.to_json, await jobs.progress(job))

    @router.post("/ingest", status_code=202, response_model=JobBody, responses=responses(409, 422, 503, 507))
    async def ingest(body: IngestBody, idempotency_key: Key = None) -> JsonObject:
        """Takes in a folder or a repository, or what changed in it since the last time. The job tells how far it is."""
        request = json.dumps(["ingest", body.model_dump(mode="json")], sort_keys=True)
        if (body.folder is None) == (body.repo is None):
            raise wrong("give a `folder` or a `repo`, one of the two", "folder")
        if body.folder is not None:
            folder = body.folder
            return await told(await begun(jobs, lambda: asking.folder(folder, body.name, body.commit), request, idempotency_key))
        url = body.repo or ""
        return await told(await begun(jobs, lambda: asking.repository(url, body.name, body.commit), request, idempotency_key))

    @router.post(UPLOAD_PATH, status_code=202, response_model=JobBody, openapi_extra=_UPLOAD, responses=responses(409, 422, 503, 507))
    async def upload(request: Request, idempotency_key: Key = None) -> JsonObject:
        """Takes in files that are sent: single ones, or archives (zip, tar, tar.gz). They are deleted when they were taken in."""
        return await told(await upload_begun(request, jobs, asking, idempotency_key))


async def begun(jobs: Jobs, make: Callable[[], Wanted], request: str = "", key: str | None = None) -> Job:
    """The job that takes in what was asked; 422 with the field that is wrong."""

    def new() -> NewJob:
        wanted = make()
        return NewJob("ingest", wanted.title, wanted.command, str(wanted.folder))

    with _of_fields():
        return await begin(jobs, new, request, key)


async def upload_begun(request: Request, jobs: Jobs, asking: Asking, key: str | None = None, passed_over: tuple[str, ...] = ()) -> Job:
    """The job that takes in the files of a body as they came; nothing is left of one that comes to nothing. As `received`."""
    folder = await checked(asking.uploads.new)
    is_taken = False
    try:
        came = await received(request, folder, passed_over)
        job = await begun(jobs, lambda: asking.upload(folder, came), json.dumps(["upload", came.digest]) if key is not None else "", key)
        is_taken = str(folder.resolve()) in job.command[-1]
        return job
    finally:
        if not is_taken:  # It broke off, was refused, or is the second copy of one that is known by its key.
            await asyncio.to_thread(discard, folder)


async def received(request: Request, folder: FilePath, passed_over: tuple[str, ...] = ()) -> Received:
    """What a body of files holds, written below `folder` as it comes; fields that are `passed_over` may stand in it."""
    receiver = await checked(lambda: Receiver(request.headers.get("content-type", ""), folder / SENT, passed_over))
    try:
        async for chunk in request.stream():
            if chunk:
                await checked(lambda chunk=chunk: receiver.write(chunk))  # type: ignore[misc]
        return await checked(receiver.finished)
    finally:
        receiver.close()


def _add_sources(router: APIRouter, library: Library) -> None:
    @router.get("/sources", response_model=SourcesBody)
    async def sources() -> JsonObject:
        """The sources that were taken in."""
        return {"sources": [source.to_json() for source in await asked(library.all)], "unreadable": await asked(library.unreadable)}

    @router.get("/sources/{name}", response_model=Source, responses=responses(404, 422))
    async def source(name: Name) -> JsonObject:
        """A source, and what was left out of it."""
        return (await asked(lambda: library.get(name))).to_json()

    @router.delete("/sources/{name}", response_model=DeletedBody, responses=responses(404, 409, 422))
    async def delete(name: Name) -> JsonObject:
        """Deletes a source with all that is known of it."""
        await asked(lambda: library.remove(name))
        return {"deleted": name}


async def asked(question: Callable[[], T]) -> T:
    """What the library answers, in a thread: other requests do not wait for it."""
    try:
        return await asyncio.to_thread(question)
    except UnknownSourceError as error:
        raise RequestError(404, str(error), param="source") from error
    except SourceInUseError as error:
        raise RequestError(409, str(error)) from error


async def checked(make: Callable[[], T]) -> T:
    """What `make` makes, in a thread; what is wrong with the request is 422 with its field, a full disk 507."""
    with _of_fields(), kept():
        return await asyncio.to_thread(make)


@contextmanager
def _of_fields() -> Iterator[None]:
    try:
        yield
    except DataError as error:
        problem = error.problems[0]
        raise wrong(replace(problem, where="").text(), problem.where or None) from error


_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FILES],
                    "properties": {
                        FILES: {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "Files, each with a file name (a path below the source's root), or archives of files.",
                        },
                        "name": {"type": "string", "maxLength": MOST_NAME_CHARACTERS, "description": _NAME},
                    },
                }
            }
        },
    }
}
