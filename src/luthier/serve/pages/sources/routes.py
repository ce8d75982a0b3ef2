"""The pages of sources: what was taken in, ways to take more in, and search."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from luthier.report.shown import shown
from luthier.serve.api.ingest import asked, begun, upload_begun
from luthier.serve.door.csrf import FIELD
from luthier.serve.door.errors import RequestError
from luthier.serve.door.policy import PAGES
from luthier.serve.ingest.asked import Asking, Wanted
from luthier.serve.ingest.library import Library
from luthier.serve.ingest.records import Found, Source
from luthier.serve.jobs.queue import Jobs
from luthier.serve.pages.frame.page import form_fields, page
from luthier.serve.pages.jobs.routes import job_address

UPLOAD_PATH = f"{PAGES}/sources/upload"
_MOST_FOUND = 20
_LONGEST_QUESTION, _LONGEST_PIECE = 4_000, 4_000
# Fields of requests by the control that they are given in.
_CONTROLS = {"folder": "place", "repo": "place", "name": "name", "commit": "commit", "files": "files"}
_LABELS = {"place": "Folder or address", "name": "Name", "commit": "Commit, branch or tag", "files": "Files"}


@dataclass(frozen=True, slots=True)
class SourcePages:
    """The pages of the sources in `library`; `asking` turns what is asked into work for `jobs`."""

    jobs: Jobs
    asking: Asking
    library: Library

    def routes(self) -> list[Route]:
        """Their routes."""
        return [
            Route("/sources", self.show_all),
            Route("/sources/take", self.take, methods=["POST"]),
            Route(UPLOAD_PATH.removeprefix(PAGES), self.upload, methods=["POST"]),
            Route("/sources/{name}", self.show_one),
            Route("/sources/{name}/again", self.take_again, methods=["POST"]),
            Route("/sources/{name}/remove", self.remove, methods=["POST"]),
            Route("/search", self.search),
        ]

    async def show_all(self, request: Request) -> Response:
        """The sources, and the forms by which more are taken in."""
        return await self._listed(request)

    async def take(self, request: Request) -> Response:
        """Begins to take in a folder or a repository; the form again where something in it is wrong."""
        fields = await form_fields(request)
        place, name, commit = (fields.get(field, "").strip() for field in ("place", "name", "commit"))
        ask = self.asking.repository if "://" in place else self.asking.folder
        try:
            if not place:
                raise RequestError(422, "name a folder, or the address of a repository", param="folder")
            return await self._begun(lambda: ask(place, name or None, commit or None))
        except RequestError as error:
            return await self._listed(request, error, fields)

    async def upload(self, request: Request) -> Response:
        """Begins to take in files that were sent."""
        try:
            job = await upload_begun(request, self.jobs, self.asking, passed_over=(FIELD,))
            return RedirectResponse(job_address(job.id), 303)
        except RequestError as error:
            return await self._listed(request, error, {"form": "upload"})

    async def show_one(self, request: Request) -> Response:
        """What is known of one source."""
        source = await asked(lambda: self.library.get(request.path_params["name"]))
        return page(request, "source.html", one=source, is_upload=source.kind == "upload")

    async def take_again(self, request: Request) -> Response:
        """Takes in what has changed in a source since the last time."""
        source: Source = await asked(lambda: self.library.get(request.path_params["name"]))
        if source.kind == "upload":
            raise RequestError(409, "an upload is deleted once it was taken in: send it again under the same name")
        ask = self.asking.repository if source.kind == "repository" else self.asking.folder
        return await self._begun(lambda: ask(source.place, source.name, source.asked or None))

    async def remove(self, request: Request) -> Response:
        """Deletes a source, and shows those that are left."""
        await asked(lambda: self.library.remove(request.path_params["name"]))
        return RedirectResponse(f"{PAGES}/sources", 303)

    async def search(self, request: Request) -> Response:
        """What fits a question in the sources that are chosen, each piece with its place."""
        query = request.query_params
        text, chosen = query.get("q", "").strip()[:_LONGEST_QUESTION], query.getlist("source")
        sources = await asked(self.library.all)
        known = [source.name for source in sources if source.name in chosen]
        found: list[tuple[Found, str]] = []
        began = time.perf_counter()
        if text and sources:
            pieces = await asked(lambda: self.library.search(text, known or None, _MOST_FOUND))
            found = [(piece, shown(piece.text, _LONGEST_PIECE)) for piece in pieces]
        milliseconds = round((time.perf_counter() - began) * 1_000)
        return page(
            request, "search.html", text=text, sources=sources, chosen=known, found=found, most=_MOST_FOUND, milliseconds=milliseconds
        )

    async def _begun(self, make: Callable[[], Wanted]) -> Response:
        job = await begun(self.jobs, make)
        return RedirectResponse(job_address(job.id), 303)

    async def _listed(self, request: Request, error: RequestError | None = None, given: dict[str, str] | None = None) -> Response:
        """The page of all sources; with what is wrong in the form that was sent, and what was given in it."""
        given = given or {}
        form = given.get("form", "take")
        sources, unreadable = await asked(self.library.all), await asked(self.library.unreadable)
        field = _CONTROLS.get((error.param or "").partition(".")[0], "") if error is not None else ""
        prefix = "u-" if form == "upload" else ""
        wrong = {} if error is None else {prefix + field: error.message}
        told = [] if error is None else [(prefix + field if field else "", _LABELS.get(field, ""), error.message)]
        status = 200 if error is None else error.status
        return page(request, "sources.html", status, sources=sources, unreadable=unreadable, given=given, wrong=wrong, problems=told)
