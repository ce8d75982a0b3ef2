"""Work that ends with its client."""

from __future__ import annotations

import asyncio
import json

import pytest
from fastapi import Request

from luthier.core.records import JsonObject
from luthier.serve.door.asgi import Message
from luthier.serve.door.errors import busy
from luthier.serve.door.streams import GONE, streamed, unless_gone


def ask(work: str, leaves_after: float | None) -> tuple[int, bytes, list[str]]:
    """The status, the body, and what became of the work."""
    fate: list[str] = []

    async def receive() -> Message:
        await asyncio.sleep(1_000 if leaves_after is None else leaves_after)
        return {"type": "http.disconnect"}

    async def long(seconds: float) -> JsonObject:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            fate.append("cancelled")
            raise
        fate.append("done")
        return {"is": "done"}

    async def pieces():  # type: ignore[no-untyped-def]
        try:
            await long(0.01 if work == "quick stream" else 10)
            yield b"one"
            raise busy("no more")
        finally:
            fate.append("closed")

    async def run() -> tuple[int, bytes]:
        request = Request({"type": "http", "headers": []}, receive)
        if work.endswith("stream"):
            response = await streamed(request, pieces())
            told = b"".join([piece async for piece in response.body_iterator]) if hasattr(response, "body_iterator") else b""  # type: ignore[misc]
            return response.status_code, told
        response = await unless_gone(request, long(0.01 if work == "quick" else 10))
        return response.status_code, bytes(response.body)

    return *asyncio.run(asyncio.wait_for(run(), 5)), fate


def test_who_stays_is_answered() -> None:
    assert ask("quick", None) == (200, json.dumps({"is": "done"}, separators=(",", ":")).encode(), ["done"])
    status, told, fate = ask("quick stream", None)
    assert (status, fate) == (200, ["done", "closed"])
    assert told.startswith(b"one")
    assert b"no more" in told


@pytest.mark.parametrize("work", ["slow", "slow stream"])
def test_the_work_of_one_who_leaves_ends_at_once(work: str) -> None:
    status, _, fate = ask(work, 0.02)
    assert status == GONE
    assert fate[0] == "cancelled"


def test_an_error_is_raised_as_it_is() -> None:
    async def run() -> None:
        async def receive() -> Message:
            await asyncio.sleep(1_000)
            return {}

        async def fails() -> JsonObject:
            raise busy("not now")

        await unless_gone(Request({"type": "http", "headers": []}, receive), fails())

    with pytest.raises(Exception, match="not now"):
        asyncio.run(run())
