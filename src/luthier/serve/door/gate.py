"""What every request passes first: its size, its host, its token."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from starlette.exceptions import HTTPException

from luthier.serve.door.asgi import App, Message, Receive, Send
from luthier.serve.door.errors import RequestError, say
from luthier.serve.door.hosts import Hosts
from luthier.serve.door.token import is_token

# A body has `slow_seconds` and the time that it takes at this rate.
SLOWEST_BYTES_PER_SECOND = 16 << 10
# Asked by those that watch the server, and telling nothing of what it holds.
OPEN_PATHS = frozenset({"/health/live", "/health/ready"})


@dataclass(frozen=True, slots=True)
class Gate:
    """The door of `app`: 401 without `token`, 421 where another host is asked for, 413 for a body over `body_bytes`, 408 for a slow one."""

    app: App
    token: str
    hosts: Hosts
    body_bytes: int
    slow_seconds: float = 20.0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refusal(scope["path"], headers)
        if refused is not None:
            await say(send, refused)
            return
        await self.app(scope, self._counted(receive), send)

    def _refusal(self, path: str, headers: dict[bytes, str]) -> RequestError | None:
        if not self.hosts.is_one(host := headers.get(b"host", "")):
            message = f"this server is not called `{host[:100]}`; names that it is to answer to stand in `serve.allow.names`"
            return RequestError(421, message)
        length = headers.get(b"content-length", "0")
        if not length.isdecimal() or int(length) > self.body_bytes:
            return RequestError(413, f"a body has at most {self.body_bytes:,} bytes here")
        if path in OPEN_PATHS:
            return None
        kind, _, given = headers.get(b"authorization", "").partition(" ")
        if kind.lower() != "bearer" or not is_token(given.strip(), self.token):
            return RequestError(401, "a token is asked: `Authorization: Bearer TOKEN`")
        return None

    def _counted(self, receive: Receive) -> Receive:
        """A body without a length in its head is counted as it comes; one that comes too slowly is no longer waited for."""
        seen, began, is_whole = 0, time.monotonic(), False

        async def counted() -> Message:
            nonlocal seen, is_whole
            if is_whole:
                return await receive()
            try:
                async with asyncio.timeout(began + self.slow_seconds + seen / SLOWEST_BYTES_PER_SECOND - time.monotonic()):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "the body came too slowly", {"Connection": "close"}) from None
            seen += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if seen > self.body_bytes:
                raise HTTPException(413, f"a body has at most {self.body_bytes:,} bytes here", {"Connection": "close"})
            return message

        return counted
