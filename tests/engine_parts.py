"""An engine process as the server has one, while a coroutine asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from luthier.core.protocols import GenerationEvent, GenerationRequest
from luthier.core.records import JsonObject
from luthier.serve.engine.client import EngineClient


def with_engine(
    work: Callable[[EngineClient], Awaitable[None]],
    limits: Mapping[str, float],
    engine: JsonObject | None = None,
    on_end: Callable[[str], None] = lambda words: None,
    seconds: float = 180,
) -> None:
    """Starts an engine, lets `work` ask it for so long at most, and ends it."""

    async def run() -> None:
        client = EngineClient(limits, on_end, engine)
        client.start()
        try:
            await asyncio.wait_for(work(client), seconds)
        finally:
            await client.stop()
        assert client.pid is None

    asyncio.run(run())


async def all_of(engine: EngineClient, request: GenerationRequest) -> list[GenerationEvent]:
    """The events of a request, to its end."""
    return [event async for event in engine.ask(request)]
