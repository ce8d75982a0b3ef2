"""What every request passes first: its size, its host, its token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException

from luthier.serve.door.errors import RequestError
from luthier.serve.door.token import is_token

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
# Asked by those that watch the server, and telling nothing of what it holds.
OPEN_PATHS = frozenset({"/health/live", "/health/ready"})


@dataclass(frozen=True, slots=True)
class Gate:
    """The door of `app`: a request without `token` is 401, one to a host of another name 421, a body over `body_bytes` 413.

    `hosts` are the names that a browser may have asked for: a page elsewhere whose name was pointed at this machine has another one.
    """

    app: App
    token: str
    hosts: frozenset[str]
    body_bytes: int

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
        host = _host(headers.get(b"host", ""))
        if self.hosts and host not in self.hosts:
            return RequestError(421, f"this server is not called `{host[:100]}`")
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
        """A body without a length in its head is counted as it comes."""
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.body_bytes:
                raise HTTPException(413, f"a body has at most {self.body_bytes:,} bytes here")
            return message

        return counted


def _host(written: str) -> str:
    """The name in a `Host` header, without its port."""
    if written.startswith("["):
        return written[1:].partition("]")[0].lower()
    return written.partition(":")[0].lower()


async def say(send: Send, error: RequestError) -> None:
    """Answers with `error`."""
    body = error.to_bytes()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
