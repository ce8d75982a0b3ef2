"""Streams of events: what waits goes out together, and an error comes behind what was told before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from luthier.serve.door.errors import busy
from luthier.serve.door.streams import joined


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
