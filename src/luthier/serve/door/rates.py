"""How often a client may ask, and all of them together; how often one may try tokens that are wrong."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from luthier.serve.door.asgi import App, Message, Receive, Send
from luthier.serve.door.entry import had_right_token
from luthier.serve.door.errors import RequestError
from luthier.serve.door.policy import refuse
from luthier.serve.door.session import SIGN_IN

# A client may ask as much at once as in so many seconds.
_BURST_SECONDS = 2.0
# Of more clients than these, those that asked longest ago are forgotten: their buckets would be full again, or are few.
_MOST_CLIENTS = 10_000
# Whoever came in with the right token is not shut out for others' wrong ones from the same address for so long.
_KNOWN_SECONDS = 86_400.0
# A network hands each of its machines as many addresses as this prefix has.
_IPV6_PREFIX = 64
_TOLD = "too many {}; come again in {:,} s"


class Buckets:
    """A token bucket for each key: `size` at once, and `per_second` in the long run."""

    def __init__(self, size: float, per_second: float, clock: Callable[[], float] = time.monotonic, most: int = _MOST_CLIENTS) -> None:
        self._size, self._per_second, self._clock, self._most = size, per_second, clock, most
        # What each key had left, and when; the one that was asked for longest ago first.
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def wait_seconds(self, key: Hashable) -> float:
        """After how long one more may be taken; 0 where it may be now."""
        return max(0.0, (1.0 - self._now(key)) / self._per_second)

    def take(self, key: Hashable) -> float:
        """Takes one, and gives 0; or takes none, and gives how long to wait."""
        left = self._now(key)
        if left < 1.0:
            return (1.0 - left) / self._per_second
        self._left[key] = (left - 1.0, self._clock())
        self._left.move_to_end(key)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return 0.0

    def _now(self, key: Hashable) -> float:
        left, at = self._left.get(key, (self._size, 0.0))
        return min(self._size, left + (self._clock() - at) * self._per_second)


class ClientRates:
    """Before `app`, which tells by 401 that a token was wrong: 429 for a client that asks too often, or tries too many tokens.

    A client that has tried too many is no longer listened to, unless it is this machine, or came in with the right token before: such a
    one is told 429 for wrong tokens, and let in with the right one, whatever others try from the same address.
    """

    def __init__(self, app: App, per_second: float, wrong_per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._clock = app, clock
        self._asked = Buckets(max(1.0, _BURST_SECONDS * per_second), per_second, clock)
        self._wrong = Buckets(wrong_per_minute, wrong_per_minute / 60.0, clock)
        self._known: OrderedDict[str, float] = OrderedDict()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = client_of(scope)
        if wait := self._asked.take(client):
            await refuse(scope["path"], send, too_many("requests", wait))
        elif (wait := self._wrong.wait_seconds(client)) and not self._is_known(client):
            await refuse(scope["path"], send, too_many("wrong tokens", wait))
        elif _tries(scope):
            await self._app(scope, receive, self._watched(client, scope, send))
        else:
            await self._app(scope, receive, send)

    def _watched(self, client: str, scope: Message, send: Send) -> Send:
        is_refused = False

        async def watched(message: Message) -> None:
            nonlocal is_refused
            if message["type"] == "http.response.start":
                if message["status"] == 401:
                    wait = self._wrong.take(client)
                    is_refused = wait > 0
                    if is_refused:
                        await refuse(scope["path"], send, too_many("wrong tokens", wait))
                elif had_right_token(scope):
                    self._note(client)
            if not is_refused:
                await send(message)

        return watched

    def _note(self, client: str) -> None:
        self._known[client] = self._clock()
        self._known.move_to_end(client)
        if len(self._known) > _MOST_CLIENTS:
            self._known.popitem(last=False)

    def _is_known(self, client: str) -> bool:
        return client == _THIS_MACHINE or self._clock() - self._known.get(client, -math.inf) < _KNOWN_SECONDS


class TotalRate:
    """Before `app`: 429 where all clients together ask too often. It stands behind the gate, for whoever is not let in takes nothing."""

    def __init__(self, app: App, per_second: float, free: frozenset[str], clock: Callable[[], float] = time.monotonic) -> None:
        """`free` are paths that are not counted, for they need no token."""
        self._app, self._free = app, free
        self._asked = Buckets(max(1.0, _BURST_SECONDS * per_second), per_second, clock)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] == "http" and scope["path"] not in self._free and (wait := self._asked.take(None)):
            await refuse(scope["path"], send, too_many("requests of all clients", wait))
            return
        await self._app(scope, receive, send)


_THIS_MACHINE = "this machine"


def client_of(scope: Message) -> str:
    """Whose request this is: its address, of IPv6 the network that it is in."""
    written = (scope.get("client") or ("",))[0]
    try:
        address = ipaddress.ip_address(written)
    except ValueError:
        return str(written)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return _THIS_MACHINE
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))


def _tries(scope: Message) -> bool:
    """Whether a request brings something that may be a wrong token: in its head, or in the form of signing in."""
    return (scope["method"] == "POST" and scope["path"] == SIGN_IN) or any(name == b"authorization" for name, _ in scope["headers"])


def too_many(what: str, wait_seconds: float) -> RequestError:
    """429, with whole seconds to wait."""
    seconds = max(1, math.ceil(wait_seconds))
    return RequestError(429, _TOLD.format(what, seconds), retry_after=seconds)
