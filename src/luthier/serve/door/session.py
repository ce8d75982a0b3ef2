"""Browsers that have signed in by the token: a session each, held in memory; and how often one may give a wrong token."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from math import ceil

from luthier.core.events import monotonic_seconds

COOKIE = "luthier_session"
# Where a browser that has not signed in is sent; below it lies what a page needs before that.
SIGN_IN = "/ui/sign-in"
MOST_SESSIONS = 1_000
# So many wrong tokens from one address within so many seconds; then it waits until the first of them is so long ago.
MOST_ATTEMPTS = 5
ATTEMPTS_SECONDS = 60.0
_MOST_ADDRESSES = 10_000


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that has signed in. `csrf` goes with each request that changes something; `ends` is on the one clock for durations."""

    csrf: str
    ends: float


class Sessions:
    """The sessions of one server. A restart ends them all; where there are too many the oldest ends."""

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic_seconds) -> None:
        """Each lasts `seconds` from sign-in."""
        self.seconds = seconds
        self._clock = clock
        # By the hash of what the cookie holds: who sees this table cannot sign in with it.
        self._held: dict[bytes, Session] = {}

    def open(self) -> tuple[str, Session]:
        """A new session, with what its cookie holds."""
        self._drop_ended()
        while len(self._held) >= MOST_SESSIONS:
            del self._held[next(iter(self._held))]
        cookie = secrets.token_urlsafe(32)
        session = Session(secrets.token_urlsafe(32), self._clock() + self.seconds)
        self._held[_digest(cookie)] = session
        return cookie, session

    def find(self, cookie: str) -> Session | None:
        """The session whose cookie holds `cookie`; None where there is none, or none any more."""
        session = self._held.get(_digest(cookie))
        return session if session is not None and session.ends > self._clock() else None

    def close(self, cookie: str) -> None:
        """Ends a session."""
        self._held.pop(_digest(cookie), None)

    def _drop_ended(self) -> None:
        now = self._clock()
        for key in [key for key, session in self._held.items() if session.ends <= now]:
            del self._held[key]


class Attempts:
    """Wrong tokens at sign-in, by the address that they came from."""

    def __init__(self, clock: Callable[[], float] = monotonic_seconds) -> None:
        self._clock = clock
        self._wrong: dict[str, list[float]] = {}

    def wait_seconds(self, address: str) -> int:
        """How long `address` has to wait before it may try again; 0 where it may now."""
        lately = self._lately(address)
        return max(1, ceil(lately[-MOST_ATTEMPTS] + ATTEMPTS_SECONDS - self._clock())) if len(lately) >= MOST_ATTEMPTS else 0

    def note_wrong(self, address: str) -> None:
        """A wrong token came from `address`."""
        times = [*self._lately(address), self._clock()]
        self._wrong.pop(address, None)
        while len(self._wrong) >= _MOST_ADDRESSES:
            del self._wrong[next(iter(self._wrong))]
        self._wrong[address] = times[-MOST_ATTEMPTS:]

    def forget(self, address: str) -> None:
        """The right token came from `address`."""
        self._wrong.pop(address, None)

    def _lately(self, address: str) -> list[float]:
        since = self._clock() - ATTEMPTS_SECONDS
        return [time for time in self._wrong.get(address, ()) if time > since]


def session_cookie(header: str) -> str:
    """What the session's cookie holds, from a `Cookie` header; empty where there is none."""
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def set_cookie(value: str, seconds: float, is_https: bool) -> str:
    """The `Set-Cookie` header that gives a browser its session; an empty `value` takes it away."""
    parts = [f"{COOKIE}={value}", "Path=/", "HttpOnly", "SameSite=Strict", f"Max-Age={int(seconds) if value else 0}"]
    return "; ".join([*parts, "Secure"] if is_https else parts)


def _digest(cookie: str) -> bytes:
    return sha256(cookie.encode("utf-8", "replace")).digest()
