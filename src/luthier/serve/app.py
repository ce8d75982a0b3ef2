"""The application: its parts put together, its errors in one form."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException

from luthier.config.serve_section import ServeSection
from luthier.core.errors import LuthierError
from luthier.serve.api import health
from luthier.serve.asking.answers import Answers
from luthier.serve.asking.catalogue import Catalogue
from luthier.serve.asking.remote import RemoteModels
from luthier.serve.door.asgi import App
from luthier.serve.door.entry import Entry
from luthier.serve.door.errors import RequestError
from luthier.serve.door.gate import Gate
from luthier.serve.door.session import Sessions
from luthier.serve.engine.client import EngineClient
from luthier.serve.openai import routes
from luthier.serve.pages.site import SiteParts, make_site
from luthier.serve.root import ServeRoot

_LOG = logging.getLogger("luthier.serve")
_STATUS_KINDS = {404: "not_found_error", 405: "invalid_request_error"}


@dataclass(frozen=True, slots=True)
class Parts:
    """What an application is made of.

    `runs` are the folders in which run folders lie; `hosts` are the names that it answers to, all of them where there is none.
    """

    catalogue: Catalogue
    token: str
    settings: ServeSection
    root: ServeRoot
    runs: tuple[Path, ...] = ()
    hosts: frozenset[str] = frozenset()


def make_app(parts: Parts) -> App:
    """The application; its engine starts and ends with it."""
    limits = parts.settings.limits
    engine, remote = EngineClient({"rows": limits.rows, "positions": limits.positions}, _say_end), RemoteModels()
    answers = Answers(parts.catalogue, engine, remote, limits)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        engine.start()
        try:
            yield
        finally:
            await engine.stop()
            await remote.close()

    app = FastAPI(title="Luthier", version=metadata.version("luthier"), lifespan=life, docs_url=None, redoc_url=None)
    app.include_router(routes.make_router(answers))
    app.include_router(health.make_router(engine))
    sessions = Sessions(parts.settings.session_seconds)
    app.mount("/ui", make_site(SiteParts(parts.token, sessions, parts.runs)))
    app.add_route("/", lambda request: RedirectResponse("/ui/", 303), include_in_schema=False)
    app.add_exception_handler(RequestError, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(LuthierError, _luthier)
    app.add_exception_handler(HTTPException, _http)
    return Gate(app, Entry(parts.token, sessions), parts.hosts, limits.body_bytes)


def _say_end(words: str) -> None:
    """Tells whoever runs the server that the engine has ended, and with which words."""
    _LOG.error("the engine's process has ended and is started again; its last words:\n%s", words or "(none)")


async def _told(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestError)
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return JSONResponse(error.to_json(), error.status, headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """422, with the first field that is wrong; what was sent is not repeated."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        told = RequestError(422, f"the body is no JSON, from character {first['loc'][-1]} on", "invalid_request_error")
        return JSONResponse(told.to_json(), 422)
    field = ".".join(str(part) for part in first["loc"][1:])
    told = RequestError(422, f"{field}: {first['msg']}" if field else str(first["msg"]), "invalid_request_error", field or None)
    return JSONResponse(told.to_json(), 422)


async def _luthier(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse(RequestError(503, str(error), "server_error").to_json(), 503)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    kind = _STATUS_KINDS.get(error.status_code, "invalid_request_error")
    return JSONResponse(RequestError(error.status_code, str(error.detail), kind).to_json(), error.status_code, error.headers)
