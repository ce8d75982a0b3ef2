"""What every request passes first: its host, its size, and whether it may come in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.exceptions import HTTPException

from luthier.serve.door.asgi import App, Message, Receive, Send
from luthier.serve.door.entry import Elsewhere, Entry
from luthier.serve.door.errors import RequestError
from luthier.serve.door.hosts import Hosts
from luthier.serve.door.policy import refuse

# A body has `slow_seconds` and the time that it takes at this rate.
SLOWEST_BYTES_PER_SECOND = 16 << 10
# JSON is read in one piece that nothing can come between: a megabyte of text takes milliseconds, one of empty lists a third of a second.
MOST_OPENINGS = 50_000
_MOST_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Gate:
    """The door of `app`: 401 or 403 for whom `entry` does not admit, 421 where another host is asked for, 408 for a slow body.

    413 for a body over `body_bytes`, or with more lists and objects than can be read at once. `bodies` are paths whose bodies may have so
    many bytes instead, and are no JSON.
    """

    app: App
    entry: Entry
    hosts: Hosts
    body_bytes: int
    slow_seconds: float = 20.0
    bodies: Mapping[str, int] = field(default_factory=dict)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        most_bytes = self.bodies.get(scope["path"], self.body_bytes)
        admitted = self._refusal(headers, most_bytes) or await self._admitted(
            scope, headers, self._counted(receive, most_bytes, scope["path"] not in self.bodies)
        )
        if isinstance(admitted, RequestError):
            await refuse(scope["path"], send, admitted)
        elif isinstance(admitted, Elsewhere):
            headers_back = [(b"location", admitted.location.encode("latin-1")), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 303, "headers": headers_back})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self.app(scope, admitted, send)

    async def _admitted(self, scope: Message, headers: dict[bytes, str], receive: Receive) -> Receive | RequestError | Elsewhere:
        try:
            return await self.entry.admit(scope, headers, receive)
        except HTTPException as error:  # A body that is read for its form's field was too large, or too slow.
            return RequestError(error.status_code, str(error.detail))

    def _refusal(self, headers: dict[bytes, str], most_bytes: int) -> RequestError | None:
        if not self.hosts.is_one(host := headers.get(b"host", "")):
            message = f"this server is not called `{host[:100]}`; names that it is to answer to stand in `serve.allow.names`"
            return RequestError(421, message)
        length = headers.get(b"content-length", "0")
        # Python reads no number of thousands of digits.
        if not length.isdecimal() or len(length) > _MOST_DIGITS or int(length) > most_bytes:
            return RequestError(413, f"a body has at most {most_bytes:,} bytes here")
        return None

    def _counted(self, receive: Receive, most_bytes: int, may_be_json: bool) -> Receive:
        """A body without a length in its head is counted as it comes; one that comes too slowly is no longer waited for."""
        seen, openings, began, is_whole = 0, 0, time.monotonic(), False

        async def counted() -> Message:
            nonlocal seen, openings, is_whole
            if is_whole:
                return await receive()
            try:
                async with asyncio.timeout(began + self.slow_seconds + seen / SLOWEST_BYTES_PER_SECOND - time.monotonic()):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "the body came too slowly", {"Connection": "close"}) from None
            body = message.get("body", b"")
            seen += len(body)
            openings += body.count(b"[") + body.count(b"{")
            is_whole = not message.get("more_body", False)
            if seen > most_bytes:
                raise HTTPException(413, f"a body has at most {most_bytes:,} bytes here", {"Connection": "close"})
            if may_be_json and openings > MOST_OPENINGS:
                raise HTTPException(413, f"a body has at most {MOST_OPENINGS:,} `[` and `{{` here", {"Connection": "close"})
            return message

        return counted
