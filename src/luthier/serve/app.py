"""The application: its parts put together, its errors in one form."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from prometheus_client import CollectorRegistry

from luthier.config.serve_section import ServeLimits, ServeSection
from luthier.core.records import JsonObject
from luthier.serve.api import health, ingest, metrics
from luthier.serve.api import jobs as job_routes
from luthier.serve.api import models as model_routes
from luthier.serve.api import query as query_routes
from luthier.serve.api.health import Health
from luthier.serve.api.metrics import ServerFigures
from luthier.serve.asking.catalogue import Catalogue
from luthier.serve.asking.query import Queries
from luthier.serve.asking.remote import RemoteModels
from luthier.serve.asking.screen import ScreenedAnswers, get_ready
from luthier.serve.door.asgi import App
from luthier.serve.door.entry import OPEN_PATHS, Entry
from luthier.serve.door.errors import OF_THE_DOOR, responses
from luthier.serve.door.figures import RequestFigures, Watched
from luthier.serve.door.gate import Gate
from luthier.serve.door.handlers import Caught, DescribedApp, add_handlers
from luthier.serve.door.hosts import Hosts
from luthier.serve.door.policy import PAGES, Guarded
from luthier.serve.door.rates import ClientRates, TotalRate
from luthier.serve.door.session import SIGN_IN, Sessions
from luthier.serve.engine.choice import is_from_hub
from luthier.serve.engine.client import EngineClient
from luthier.serve.ingest.asked import Asking
from luthier.serve.ingest.library import Library
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.submitted import Submissions
from luthier.serve.openai import routes
from luthier.serve.pages.site import SiteParts, make_site
from luthier.serve.pages.sources.routes import UPLOAD_PATH
from luthier.serve.state.root import ServeRoot

_LOG = logging.getLogger("luthier.serve")
_SIGN_IN_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class Parts:
    """What an application is made of. `runs` are the folders in which run folders lie; `engine` says which engine answers."""

    catalogue: Catalogue
    token: str
    settings: ServeSection
    root: ServeRoot
    jobs: Jobs
    submissions: Submissions
    hosts: Hosts
    runs: tuple[Path, ...] = ()
    engine: JsonObject = field(default_factory=dict)


def make_app(parts: Parts) -> App:
    """The application; its engine starts and ends with it."""
    limits = parts.settings.limits
    registry = CollectorRegistry()
    may_fetch = is_from_hub([parts.catalogue.base.base, *parts.settings.models.values()])
    engine, remote = EngineClient(_engine_limits(limits), _say_end, parts.engine, may_fetch), RemoteModels()
    answers = ScreenedAnswers(parts.catalogue, engine, remote, limits, mode=parts.settings.guard)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        engine.start()
        await asyncio.to_thread(get_ready)
        try:
            async with parts.jobs.at_work():
                yield
        finally:
            await engine.stop()
            await remote.stop()

    app = DescribedApp(
        title="Luthier",
        version=metadata.version("luthier"),
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=responses(*OF_THE_DOOR),
    )
    app.include_router(routes.make_router(answers))
    sources = Library(parts.root)
    queries = Queries(answers, sources)
    app.include_router(query_routes.make_router(queries))
    app.include_router(model_routes.make_router(answers, engine, parts.settings))
    checks = {"database": parts.jobs.check, "queue": parts.jobs.check_queue}
    app.include_router(health.make_router(Health(engine, parts.root.path, checks)))
    figures = ServerFigures(engine, answers, parts.root.path, parts.jobs.counts)
    app.include_router(metrics.make_router(registry, figures))
    app.include_router(job_routes.make_router(parts.jobs, parts.submissions))
    asking = Asking(parts.root, parts.settings.allow, limits)
    parts.jobs.add_chore(lambda store: asking.tidy(store.statuses("ingest")))
    app.include_router(ingest.make_router(parts.jobs, asking, sources))
    sessions = Sessions(parts.settings.session_seconds)
    site = SiteParts(parts.token, sessions, parts.runs, parts.jobs, parts.submissions, asking, sources, queries, parts.catalogue)
    app.mount(PAGES, make_site(site))
    for path in ("/", PAGES):
        app.add_route(path, lambda request: RedirectResponse(f"{PAGES}/", 303), include_in_schema=False)
    add_handlers(app)
    together = TotalRate(app, limits.requests_per_second, OPEN_PATHS)
    # Who has not signed in sends a token and the way back, and nothing long.
    bodies = {ingest.UPLOAD_PATH: limits.upload_bytes, UPLOAD_PATH: limits.upload_bytes, SIGN_IN: _SIGN_IN_BYTES}
    gate = Gate(together, Entry(parts.token, sessions), parts.hosts, limits.body_bytes, limits.client_seconds, bodies)
    rates = ClientRates(gate, limits.client_requests_per_second, limits.wrong_tokens_per_minute)
    return Watched(Guarded(Caught(rates)), RequestFigures(registry))


def _engine_limits(limits: ServeLimits) -> dict[str, float]:
    return {"rows": limits.rows, "positions": limits.positions, "wait_seconds": limits.queue_seconds}


def _say_end(words: str) -> None:
    """Tells whoever runs the server that the engine has ended, and with which words."""
    _LOG.error("the engine's process has ended and is started again; its last words:\n%s", words or "(none)")
