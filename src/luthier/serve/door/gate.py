"""What every request passes first: its host, its size, and whether it may come in."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException

from luthier.serve.door.asgi import App, Message, Receive, Send
from luthier.serve.door.entry import Elsewhere, Entry
from luthier.serve.door.errors import RequestError
from luthier.serve.door.policy import guarded, is_page, refusal_page


@dataclass(frozen=True, slots=True)
class Gate:
    """The door of `app`: who `entry` does not admit gets 401 or 403, a request to a host of another name 421, a body over `body_bytes` 413.

    `hosts` are the names that a browser may have asked for: a page elsewhere whose name was pointed at this machine has another one.
    """

    app: App
    entry: Entry
    hosts: frozenset[str]
    body_bytes: int

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = guarded(scope["path"], send)
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        admitted = self._refusal(headers) or await self._admitted(scope, headers, self._counted(receive))
        if isinstance(admitted, RequestError):
            await (_show if is_page(scope["path"]) else say)(send, admitted)
        elif isinstance(admitted, Elsewhere):
            headers_back = [(b"location", admitted.location.encode("latin-1")), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 303, "headers": headers_back})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self.app(scope, admitted, send)

    async def _admitted(self, scope: Message, headers: dict[bytes, str], receive: Receive) -> Receive | RequestError | Elsewhere:
        try:
            return await self.entry.admit(scope, headers, receive)
        except HTTPException as error:  # A body is read for its form's field, and was too large.
            return RequestError(error.status_code, str(error.detail))

    def _refusal(self, headers: dict[bytes, str]) -> RequestError | None:
        host = _host(headers.get(b"host", ""))
        if self.hosts and host not in self.hosts:
            return RequestError(421, f"this server is not called `{host[:100]}`")
        length = headers.get(b"content-length", "0")
        if not length.isdecimal() or int(length) > self.body_bytes:
            return RequestError(413, f"a body has at most {self.body_bytes:,} bytes here")
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
    await _send(send, error, b"application/json", error.to_bytes())


async def _show(send: Send, error: RequestError) -> None:
    """The same for a person who asked for a page."""
    await _send(send, error, b"text/html; charset=utf-8", refusal_page(error.message).encode("utf-8", "replace"))


async def _send(send: Send, error: RequestError, media_type: bytes, body: bytes) -> None:
    headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
