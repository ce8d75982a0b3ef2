"""Connections: how many there may be, and how long a client may take over what it sends and is sent."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from luthier.serve.door.errors import RequestError, busy
from luthier.serve.door.rates import client_of

# The request line and the headers, all together.
HEAD_BYTES = 16 << 10
# Headers of which one counts: of two of them one would be believed here, and the other by whoever stands before this server.
_ONCE = (b"authorization", b"content-length", b"content-type", b"host", b"idempotency-key", b"origin", b"x-csrf-token")
# Around a header's name and value stand a colon, a blank and the end of a line; around the request line's parts its version too.
_AROUND_HEADER_BYTES, _AROUND_LINE_BYTES = 4, 14
# Linger: on, for no second.
_AT_ONCE = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Connections:
    """Makes a protocol for each connection, as uvicorn's `http` asks for one, and knows how many each client has."""

    most: int
    most_of_a_client: int
    seconds: float
    of_clients: Counter[str] = field(default_factory=Counter)

    def __call__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop | None = None
    ) -> PatientProtocol:
        """A protocol for one connection."""
        return PatientProtocol(self, config, server_state, app_state, _loop)


class _StrictConnection(h11.Connection):
    """Reads requests as `h11` does, and takes none whose head is too large or can be read in two ways."""

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next event; `h11.RemoteProtocolError` for such a request."""
        event = super().next_event()
        if not isinstance(event, h11.Request):
            return event
        # `h11` bounds a head while it waits for the rest; one that comes in one piece was never waited for.
        sizes = [len(name) + len(value) + _AROUND_HEADER_BYTES for name, value in event.headers]
        if len(event.method) + len(event.target) + _AROUND_LINE_BYTES + sum(sizes) > HEAD_BYTES:
            raise h11.RemoteProtocolError("the head is too large")
        names = Counter(name for name, _ in event.headers)
        if any(names[name] > 1 for name in _ONCE) or (names[b"content-length"] and names[b"transfer-encoding"]):
            # RFC 9112, section 6.3: both are what smuggles a request past a proxy.
            raise h11.RemoteProtocolError("the head contradicts itself")
        return event


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that waits for a client so long and no longer.

    The head of a request, and what nobody reads of its body, have come whole within `seconds`; of what is sent something is taken within
    them. (The bodies that are read are the gate's to wait for.) A connection too many is told so and closed.
    """

    def __init__(self, all_of_them: Connections, *given: Any) -> None:
        super().__init__(*given)
        self.conn = _StrictConnection(h11.SERVER, self.config.h11_max_incomplete_event_size or HEAD_BYTES)
        self._all, self._name = all_of_them, ""
        self._deadline: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Counts it."""
        super().connection_made(transport)
        self._name = client_of({"client": self.client})
        self._all.of_clients[self._name] += 1
        if self._all.of_clients.total() > self._all.most:
            self._refuse(busy("as many connections are open as may be"))
        elif self._all.of_clients[self._name] > self._all.most_of_a_client:
            self._refuse(RequestError(429, "as many connections are open from your address as may be", retry_after=1))
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Counts it no more."""
        super().connection_lost(exc)
        self._all.of_clients[self._name] -= 1
        if not self._all.of_clients[self._name]:
            del self._all.of_clients[self._name]
        self._stop_watching()
        if self._stuck is not None:
            self._stuck.cancel()

    def data_received(self, data: bytes) -> None:
        """Takes what has come; the time for a head does not begin anew with it."""
        if self.transport.is_closing():
            return
        # Between two requests a timer of uvicorn's runs: what comes then is the beginning of a head.
        begins = self.timeout_keep_alive_task is not None
        super().data_received(data)
        if begins:
            self._stop_watching()
        self._watch()

    def on_response_complete(self) -> None:
        """Waits for the next request, or for the end."""
        super().on_response_complete()
        self._watch()

    def timeout_keep_alive_handler(self) -> None:
        """Closes a connection that asks nothing more; it has time once more to take what it was sent."""
        super().timeout_keep_alive_handler()
        self._stop_watching()
        self._watch()

    def pause_writing(self) -> None:
        """The client takes nothing: it has so long."""
        super().pause_writing()
        self._stuck = self.loop.call_later(self._all.seconds, self._cut)

    def resume_writing(self) -> None:
        """It took something."""
        super().resume_writing()
        if self._stuck is not None:
            self._stuck.cancel()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is told so, in the form of all errors."""
        told = f"this is no HTTP request, or its head has more than {HEAD_BYTES:,} bytes, or two headers where one is meant"
        self._refuse(RequestError(400, told))

    def _watch(self) -> None:
        """Lets the time run while a client is waited for, or for the end of a connection that is being closed."""
        if self.conn.our_state not in (h11.IDLE, h11.DONE) and not self.transport.is_closing():
            self._stop_watching()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self._all.seconds, self._give_up)

    def _stop_watching(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            self._cut()
        elif self.conn.our_state is h11.DONE or self.timeout_keep_alive_task is not None:
            self.transport.close()
            self._watch()
        else:
            self._refuse(RequestError(408, "the head of a request came too slowly"))

    def _cut(self) -> None:
        """Ends it at once: the system would keep what was not taken for a client that may never take it."""
        connection = self.transport.get_extra_info("socket")
        if connection is not None and connection.fileno() >= 0:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()

    def _refuse(self, error: RequestError) -> None:
        """Says so where no request is being answered, and closes."""
        body = error.to_bytes()
        headers = ["content-type: application/json", f"content-length: {len(body)}", "connection: close"]
        headers += [f"{name.lower()}: {value}" for name, value in error.headers.items()]
        head = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\n" + "".join(f"{header}\r\n" for header in headers) + "\r\n"
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()
        self._watch()
