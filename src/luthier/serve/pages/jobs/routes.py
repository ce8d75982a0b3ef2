"""The pages of jobs: the list, and one with its log as it grows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from luthier.serve.door.policy import PAGES
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.records import KINDS, RUNNING, STATUSES, Job, Kind
from luthier.serve.pages.frame.page import link, page
from luthier.serve.pages.jobs.showing import Shown, show
from luthier.serve.pages.runs.library import RunLibrary

Word = TypeVar("Word", bound=str)
_ROWS_OF_A_PAGE = 50
_LOG_BYTES = 64 << 10
# What they do, rather than what they are called in the API.
KIND_WORDS: dict[Kind, str] = {"ingest": "take in", "data": "make data", "train": "train", "evaluate": "evaluate", "export": "export"}


@dataclass(frozen=True, slots=True)
class JobPages:
    """The pages of `jobs`; `library` knows the runs that some of them make."""

    jobs: Jobs
    library: RunLibrary

    def routes(self) -> list[Route]:
        """Their routes."""
        return [
            Route("/jobs", self.show_all),
            Route("/jobs/{job_id}", self.show_one),
            Route("/jobs/{job_id}/cancel", self.cancel, methods=["POST"]),
            Route("/jobs/{job_id}/retry", self.retry, methods=["POST"]),
        ]

    async def show_all(self, request: Request) -> Response:
        """The jobs, the newest first, narrowed by what they do and how they stand."""
        query = request.query_params
        kind, status = _one_of(query.get("kind", ""), KINDS), _one_of(query.get("status", ""), STATUSES)
        found = await self.jobs.list(kind, status, _ROWS_OF_A_PAGE + 1, query.get("before") or None)
        told = [await self._shown(job) for job in found[:_ROWS_OF_A_PAGE]]
        counts = await self.jobs.counts()
        running, waiting = (sum(number for (_, at), number in counts.items() if at in those) for those in (RUNNING, ("queued",)))
        more = link(f"{PAGES}/jobs", kind=kind, status=status, before=told[-1].job.id) if len(found) > _ROWS_OF_A_PAGE else ""
        return page(
            request,
            "jobs.html",
            jobs=told,
            total=sum(counts.values()),
            kind=kind or "",
            state=status or "",
            kinds=[("", "all"), *KIND_WORDS.items()],
            states=[("", "all"), *((name, name) for name in STATUSES)],
            words=KIND_WORDS,
            said=f"{running} running, {waiting} waiting",
            is_live=running + waiting > 0,
            more=more,
            is_first="before" not in query,
        )

    async def show_one(self, request: Request) -> Response:
        """One job: how far it is, why it waits, what it has written, what can be done about it."""
        job = await self.jobs.get(request.path_params["job_id"])
        told = await self._shown(job)
        log = (await self.jobs.log_tail(job.id, _LOG_BYTES)).decode("utf-8", "replace")
        run = await asyncio.to_thread(self.library.key_of, Path(job.directory, job.folder))
        return page(request, "job.html", one=told, job=job, log=log, run=run, source=_source_of(job), words=KIND_WORDS)

    async def cancel(self, request: Request) -> Response:
        """Ends the job, and shows how it stands then."""
        return _shown_at(await self.jobs.cancel(request.path_params["job_id"]))

    async def retry(self, request: Request) -> Response:
        """Queues the job once more, and shows how it stands then."""
        return _shown_at(await self.jobs.retry(request.path_params["job_id"]))

    async def _shown(self, job: Job) -> Shown:
        return await asyncio.to_thread(show, job, None if job.is_over else await self.jobs.progress(job))


def _one_of(word: str, known: tuple[Word, ...]) -> Word | None:
    """`word` where it is a known one; a filter that is none narrows nothing."""
    return next((one for one in known if one == word), None)


def job_address(job_id: str) -> str:
    """Where the page of a job is."""
    return f"{PAGES}/jobs/{job_id}"


def _shown_at(job: Job) -> Response:
    return RedirectResponse(job_address(job.id), 303)


def _source_of(job: Job) -> str:
    """The name of the source that an ingest takes in: that of its folder."""
    return Path(job.folder).name if job.kind == "ingest" else ""
