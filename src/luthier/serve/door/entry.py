"""Who comes in: a client with the token, or a browser that has signed in with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from luthier.serve.door import csrf, session
from luthier.serve.door.asgi import Message, Receive
from luthier.serve.door.errors import RequestError
from luthier.serve.door.hosts import address_of
from luthier.serve.door.policy import PAGES, is_page
from luthier.serve.door.session import Session, Sessions
from luthier.serve.door.token import is_token

# Asked by those that watch the server, and telling nothing of what it holds; and what a browser needs to sign in.
OPEN_PATHS = frozenset({"/health/live", "/health/ready", session.SIGN_IN, "/"})
STATIC = f"{PAGES}/static/"
_SESSION = "luthier.session"
_TOKEN_WAS_RIGHT = "luthier.token_was_right"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The browser is sent to another place."""

    location: str


@dataclass(frozen=True, slots=True)
class Entry:
    """Lets in whoever has `token`, or one of `sessions`."""

    token: str
    sessions: Sessions

    async def admit(self, scope: Message, headers: Mapping[bytes, str], receive: Receive) -> Receive | RequestError | Elsewhere:
        """What the application receives from; an error for whom is not let in; the way to sign in for a browser that asks for a page.

        A token that is given is held to, whatever cookie comes with it. With the cookie alone a request that changes something needs the
        session's CSRF token.
        """
        path, method = str(scope["path"]), str(scope.get("method", "GET"))
        cookie = session.session_cookie(headers.get(b"cookie", ""))
        found = self.sessions.find(cookie) if cookie else None
        if path in OPEN_PATHS or path.startswith(STATIC):
            # A page of another site has no business at the form of signing in.
            return receive if method in csrf.SAFE_METHODS or csrf.is_from_here(headers) else _foreign()
        if b"authorization" in headers:
            kind, _, given = headers[b"authorization"].partition(" ")
            if kind.lower() == "bearer" and is_token(given.strip(), self.token):
                note_right_token(scope)
                return receive
        elif found is not None:
            scope[_SESSION] = found
            if method in csrf.SAFE_METHODS:
                return receive
            if not csrf.is_from_here(headers):
                return _foreign()
            checked = await csrf.checked(headers, receive, found.csrf)
            return checked if checked is not None else _outdated()
        elif is_page(path):
            return Elsewhere(_sign_in(scope, method, headers))
        return RequestError(401, "a token is asked: `Authorization: Bearer TOKEN`")


def note_right_token(scope: Message) -> None:
    """Writes down in a request that its token was looked at, and is the right one."""
    scope[_TOKEN_WAS_RIGHT] = True


def had_right_token(scope: Message) -> bool:
    """Whether it was. An answer that is no error does not say so: at an open path no token is looked at."""
    return scope.get(_TOKEN_WAS_RIGHT) is True


def session_of(scope: Message) -> Session | None:
    """The session of a request that came in by one; None for a client with the token."""
    found = scope.get(_SESSION)
    return found if isinstance(found, Session) else None


def _sign_in(scope: Message, method: str, headers: Mapping[bytes, str]) -> str:
    """The way to sign in, and from there back to what was asked; where that was a form, to its page, and the sign-in tells of it."""
    if method not in csrf.SAFE_METHODS:
        origin = address_of(headers.get(b"referer", ""))
        is_ours = origin.netloc.lower() == headers.get(b"host", "").lower() and is_page(origin.path)
        page = f"{origin.path}?{origin.query}" if origin.query else origin.path
        return f"{session.SIGN_IN}?sent=1" + (f"&next={quote(page, safe='/')}" if is_ours else "")
    query = scope.get("query_string", b"").decode("latin-1")
    # The path is text already: it is written anew as it stands in an address.
    asked = quote(str(scope["path"]), safe="/") + (f"?{query}" if query else "")
    return f"{session.SIGN_IN}?next={quote(asked, safe='/')}"


def _foreign() -> RequestError:
    return RequestError(403, "a page of another site sent this; nothing was done")


def _outdated() -> RequestError:
    message = f"this form does not belong to the session (field `{csrf.FIELD}`, header `X-CSRF-Token`): open its page anew"
    return RequestError(403, message)
