"""Streams of events: what waits goes out together, and an error comes behind what was told before it; work ends with its client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest
from fastapi import Request

from luthier.core.records import JsonObject
from luthier.serve.door.asgi import Message
from luthier.serve.door.errors import busy
from luthier.serve.door.streams import GONE, joined, streamed, unless_gone


class Pieces:
    """Numbers as text, each after so many rounds of the loop; it may break off."""

    def __init__(self, count: int, rounds: int = 0, breaks: bool = False) -> None:
        self.count, self.rounds, self.breaks, self.is_closed, self.told = count, rounds, breaks, False, 0

    async def run(self) -> AsyncGenerator[bytes]:
        try:
            for number in range(self.count):
                for _ in range(self.rounds):
                    await asyncio.sleep(0)
                self.told += 1
                yield f"{number} ".encode()
            if self.breaks:
                raise busy("the engine has ended")
        finally:
            self.is_closed = True


WHOLE = b"".join(f"{number} ".encode() for number in range(50))


async def collected(pieces: Pieces, rounds: int = 0) -> list[bytes]:
    found = []
    async for piece in joined(pieces.run()):
        found.append(piece)
        for _ in range(rounds):
            await asyncio.sleep(0)
    return found


@pytest.mark.parametrize(("between", "reading"), [(0, 0), (1, 0), (1, 20), (3, 7)])
def test_the_same_bytes_in_fewer_pieces_where_the_reader_is_slow(between: int, reading: int) -> None:
    pieces = Pieces(50, between)
    found = asyncio.run(asyncio.wait_for(collected(pieces, reading), 10))
    assert b"".join(found) == WHOLE
    assert pieces.is_closed
    assert len(found) <= (50 if reading <= between else 30)


def test_an_error_comes_behind_what_was_told_before_it() -> None:
    found: list[bytes] = []

    async def run() -> None:
        async for piece in joined(Pieces(50, breaks=True).run()):
            found.append(piece)

    with pytest.raises(Exception, match="the engine has ended"):
        asyncio.run(asyncio.wait_for(run(), 10))
    assert b"".join(found) == WHOLE


def test_who_leaves_ends_what_is_made_for_him() -> None:
    pieces = Pieces(10_000, rounds=1)

    async def run() -> None:
        found = joined(pieces.run())
        await anext(found)
        await found.aclose()

    asyncio.run(asyncio.wait_for(run(), 10))
    assert pieces.is_closed
    assert pieces.told < 100


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
