"""`/health`: whether the server runs, and whether it can answer."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from luthier.core.records import JsonObject
from luthier.serve.engine.client import EngineClient


def make_router(engine: EngineClient) -> APIRouter:
    """The routes, which need no token and tell nothing but that."""
    router = APIRouter(prefix="/health", tags=["Health"])

    @router.get("/live")
    async def live() -> JsonObject:
        """200 while the server runs."""
        return {"status": "live"}

    @router.get("/ready", responses={503: {"description": "The engine has said nothing lately."}})
    async def ready() -> JSONResponse:
        """200 while the engine has said lately that it lives and its loop comes round; 503 otherwise."""
        is_ready = engine.pid is not None and engine.beat.is_fresh
        return JSONResponse({"status": "ready" if is_ready else "not ready"}, 200 if is_ready else 503)

    return router
