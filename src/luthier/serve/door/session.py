"""Browsers that have signed in by the token: a session each, held in memory."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie

from luthier.core.events import monotonic_seconds

COOKIE = "luthier_session"
# Where a browser that has not signed in is sent; below it lies what a page needs before that.
SIGN_IN = "/ui/sign-in"
MOST_SESSIONS = 1_000


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
