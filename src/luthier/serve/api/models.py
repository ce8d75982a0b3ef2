"""`/models/info`: all that is known of the models that can be asked, and of the engine that holds them."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from luthier.config.serve_section import ServeSection
from luthier.core.records import JsonObject
from luthier.serve.asking.answers import Answers
from luthier.serve.asking.known import known_models
from luthier.serve.engine.client import EngineClient


class StateBody(BaseModel):
    """Whether a model is loaded, and then how much it holds, in which numbers, and where."""

    loaded: bool
    positions: int | None = None
    dtype: str | None = None
    device: str | None = None


class ContextBody(BaseModel):
    """The form in which a model was trained with pieces of sources."""

    pieces: int
    characters: int


class ModelBody(BaseModel):
    """One model. `scores` are those of its run by suite and metric, `gate` the bounds that were set, `endpoint` a remote one's address."""

    name: str
    kind: Literal["base", "run", "model", "remote"]
    base: str
    made: int | None = Field(description="Seconds since the epoch.")
    state: StateBody
    context: ContextBody | None
    guard: dict[str, str] = Field(description="The policy: what is done about a level or class.")
    run: str | None = Field(description="The folder of its run.")
    scores: dict[str, dict[str, float | None]]
    gate: list[dict[str, Any]]
    endpoint: str | None


class EngineBody(BaseModel):
    """The engine's process: its number, whether it lives, how often it was started again, and what it has to do."""

    pid: int | None
    alive: bool
    restarts: int
    running: int
    waiting: int


class ModelsBody(BaseModel):
    """Every model. `base` and `fine_tuned` are the names of the served run's two."""

    default: str
    base: str
    fine_tuned: str | None
    guard: Literal["off", "warn", "block"]
    models: list[ModelBody]
    engine: EngineBody


def make_router(answers: Answers, engine: EngineClient, settings: ServeSection) -> APIRouter:
    """The route, told of `answers` and of the `engine` that it asks."""
    router = APIRouter(tags=["Models"])

    @router.get("/models/info", response_model=ModelsBody)
    async def info() -> JsonObject:
        """Every model that can be asked, with its state, scores and policy."""
        known = await asyncio.to_thread(known_models, answers.catalogue, engine.opened)
        beat = engine.beat.state
        told: JsonObject = {
            "pid": engine.pid,
            "alive": engine.pid is not None and engine.beat.is_fresh,
            "restarts": engine.restarts,
            "running": int(beat.get("running", 0)),
            "waiting": int(beat.get("waiting", 0)),
        }
        return {**known, "guard": settings.guard, "engine": told}

    return router
