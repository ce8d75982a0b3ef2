"""The pages of `luthier serve`, put together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from luthier.core.errors import LuthierError
from luthier.serve.asking.catalogue import Catalogue
from luthier.serve.asking.query import Queries
from luthier.serve.door.errors import RequestError
from luthier.serve.door.policy import PAGES
from luthier.serve.door.session import Sessions
from luthier.serve.ingest.asked import Asking
from luthier.serve.ingest.library import Library
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.submitted import Submissions
from luthier.serve.pages.frame.page import find_error
from luthier.serve.pages.frame.sign_in import SignIn
from luthier.serve.pages.frame.static import serve_static
from luthier.serve.pages.jobs.routes import JobPages
from luthier.serve.pages.playground.routes import Playground
from luthier.serve.pages.review.routes import ReviewPages
from luthier.serve.pages.runs.answers import AnswerPages
from luthier.serve.pages.runs.comparing import ComparePages
from luthier.serve.pages.runs.detail import DetailPages
from luthier.serve.pages.runs.files import FilePages
from luthier.serve.pages.runs.library import RunLibrary
from luthier.serve.pages.runs.listing import RunPages
from luthier.serve.pages.runs.reading import RunReader
from luthier.serve.pages.sources.routes import SourcePages
from luthier.serve.pages.starting.routes import StartPages


@dataclass(frozen=True, slots=True)
class SiteParts:
    """What the pages are made of: who may sign in, the folders in which run folders lie, jobs, sources, models."""

    token: str
    sessions: Sessions
    runs: tuple[Path, ...]
    jobs: Jobs
    submissions: Submissions
    asking: Asking
    sources: Library
    queries: Queries
    catalogue: Catalogue


def make_site(parts: SiteParts) -> Starlette:
    """The application below `/ui`."""
    library, reader = RunLibrary(parts.runs), RunReader()
    routes = [
        Route("/", _first),
        Route("/static/{name}", serve_static),
        *SignIn(parts.token, parts.sessions).routes(),
        *RunPages(library).routes(),
        *JobPages(parts.jobs, library).routes(),
        *ReviewPages(library).routes(),
        *StartPages(parts.jobs, parts.submissions, parts.sources).routes(),
        *Playground(parts.queries, parts.catalogue, parts.sources).routes(),
        *SourcePages(parts.jobs, parts.asking, parts.sources).routes(),
        *DetailPages(library, reader).routes(),
        *AnswerPages(library, reader).routes(),
        *FilePages(library).routes(),
        *ComparePages(library, reader).routes(),
    ]
    # What nobody expected is logged where it is raised again, behind this page.
    kinds = (RequestError, HTTPException, LuthierError, Exception)
    return Starlette(routes=routes, exception_handlers=dict.fromkeys(kinds, find_error))


async def _first(request: Request) -> Response:
    return RedirectResponse(f"{PAGES}/runs", 303)
