"""Answers that take long: whole or as a stream of events, and cancelled where the client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Coroutine, Sequence
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from luthier.core.records import JsonObject
from luthier.serve.door.errors import RequestError
from luthier.serve.door.events import DESCRIBED, MEDIA_TYPE, UNBUFFERED, event_line

GONE = 499
# What a route declares whose answer may be a stream too, for FastAPI's `responses=`.
STREAMED: dict[int | str, dict[str, Any]] = {200: {"content": DESCRIBED}}
_Result = TypeVar("_Result")


class _GoneError(Exception):
    """The client has hung up."""


async def streamed(request: Request, pieces: AsyncGenerator[bytes]) -> Response:
    """A stream that begins once the first piece is there: what is refused before it has its own status."""
    try:
        first = await _while_there(request, anext(pieces))
    except _GoneError:
        await pieces.aclose()
        return Response(status_code=GONE)

    async def rest() -> AsyncIterator[bytes]:
        yield first
        try:
            async with aclosing(joined(pieces)) as found:
                async for piece in found:
                    yield piece
        except RequestError as error:
            yield event_line(error.to_json())

    return StreamingResponse(rest(), media_type=MEDIA_TYPE, headers=UNBUFFERED)


async def joined(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The same bytes; what comes while a piece is being sent goes out as one. Whoever reads slowly holds up nobody but himself."""
    waiting: list[bytes] = []
    comes = asyncio.Event()

    async def take() -> None:
        try:
            async for piece in pieces:
                waiting.append(piece)
                comes.set()
        finally:
            comes.set()

    task = asyncio.create_task(take())
    try:
        while not task.done() or waiting:
            await comes.wait()
            comes.clear()
            if waiting:
                found = b"".join(waiting)
                waiting.clear()
                yield found
        # What broke off is told behind what came before.
        task.result()
    finally:
        await cancelled([task])
        await pieces.aclose()


async def unless_gone(request: Request, work: Coroutine[Any, Any, JsonObject]) -> Response:
    """The result of `work`, which is cancelled when the client hangs up."""
    try:
        return JSONResponse(await _while_there(request, work))
    except _GoneError:
        return Response(status_code=GONE)


async def cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels `tasks`, and waits for their ends."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task


async def _while_there(request: Request, work: Awaitable[_Result]) -> _Result:
    async def awaited() -> _Result:
        return await work

    task, leaving = asyncio.create_task(awaited()), asyncio.create_task(_left(request))
    try:
        await asyncio.wait([task, leaving], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise _GoneError
        return task.result()
    finally:
        await cancelled([task, leaving])


async def _left(request: Request) -> None:
    """Returns when the client hangs up. The body has been read: nothing else comes."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
