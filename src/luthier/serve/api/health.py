"""`/health`: whether the server runs, and whether it can answer."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from luthier.serve.door.errors import RequestError
from luthier.serve.engine.client import EngineClient

# With less than this the database and the logs cannot be written for long.
_LEAST_FREE_BYTES = 64 << 20
# Anyone may ask: what costs something is looked at no more often.
_FRESH_SECONDS = 1.0
# What takes longer than this to answer is not well.
_CHECK_SECONDS = 2.0
WELL = "well"
# Raises `RequestError` where a part cannot be asked now.
Check = Callable[[], Awaitable[None]]


class Live(BaseModel):
    """The answer of `/health/live`."""

    status: Literal["live"]


class Ready(BaseModel):
    """The answer of `/health/ready`: each part with `well`, or what is wrong with it."""

    status: Literal["ready", "not ready"]
    parts: dict[str, str]


class Health:
    """What is well and what is not. A part's words tell nothing of what the server holds."""

    def __init__(self, engine: EngineClient, root: Path, checks: Mapping[str, Check]) -> None:
        self._engine, self._root, self._checks = engine, root, dict(checks)
        self._told: dict[str, str] = {}
        self._at = 0.0
        self._looking = asyncio.Lock()

    async def parts(self) -> dict[str, str]:
        """Each part by its name."""
        async with self._looking:
            if time.monotonic() - self._at > _FRESH_SECONDS:
                self._told = dict(await asyncio.gather(*(_looked_at(name, check) for name, check in self._checks.items())))
                self._at = time.monotonic()
        return {"engine": engine_check(self._engine), "disk": disk_check(self._root), **self._told}


async def _looked_at(name: str, check: Check) -> tuple[str, str]:
    try:
        await asyncio.wait_for(check(), _CHECK_SECONDS)
    except (TimeoutError, RequestError):
        return name, "does not answer"
    return name, WELL


def engine_check(engine: EngineClient) -> str:
    """Whether the engine can be asked."""
    if engine.pid is None:
        return "is being started"
    if not engine.beat.at:
        return "has said nothing yet"
    return WELL if engine.beat.is_fresh else "has said nothing lately"


def disk_check(root: Path) -> str:
    """Whether something can still be written in the server's folder."""
    try:
        free = shutil.disk_usage(root).free
    except OSError:
        return "is gone"
    return WELL if free >= _LEAST_FREE_BYTES else "is full"


def make_router(health: Health) -> APIRouter:
    """The routes, which need no token and tell nothing but that."""
    router = APIRouter(prefix="/health", tags=["Health"])

    @router.get("/live")
    async def live() -> Live:
        """200 while the server runs."""
        return Live(status="live")

    @router.get("/ready", responses={200: {"model": Ready}, 503: {"model": Ready, "description": "A part is not well."}})
    async def ready() -> JSONResponse:
        """200 while the engine has said lately that it lives and its loop comes round, and the other parts are well; 503 otherwise."""
        parts = await health.parts()
        is_ready = all(word == WELL for word in parts.values())
        return JSONResponse({"status": "ready" if is_ready else "not ready", "parts": parts}, 200 if is_ready else 503)

    return router
