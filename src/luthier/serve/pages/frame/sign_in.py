"""Signing in by the token, and signing out."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from luthier.serve.door import session
from luthier.serve.door.entry import note_right_token
from luthier.serve.door.policy import PAGES
from luthier.serve.door.session import Sessions
from luthier.serve.door.token import is_token
from luthier.serve.pages.frame.page import form_fields, page

_START = f"{PAGES}/"


@dataclass(frozen=True, slots=True)
class SignIn:
    """The form of signing in to `sessions` by `token`."""

    token: str
    sessions: Sessions

    def routes(self) -> list[Route]:
        """Its pages."""
        return [
            Route("/sign-in", self.show, methods=["GET"]),
            Route("/sign-in", self.enter, methods=["POST"]),
            Route("/sign-out", self.leave, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The form; who has signed in already goes on."""
        onward = _onward(request.query_params.get("next", ""))
        if self.sessions.find(_cookie(request)) is not None:
            return RedirectResponse(onward, 303)
        return page(request, "sign_in.html", onward=onward, error="", is_late=bool(request.query_params.get("sent")))

    async def enter(self, request: Request) -> Response:
        """A session where the token is right; else 401 with the form again, by which the door counts wrong ones."""
        fields = await form_fields(request)
        onward = _onward(fields.get("next", ""))
        if not is_token(fields.get("token", "").strip(), self.token):
            error = "This is not the server’s token. The command `luthier serve` says where it stands."
            return page(request, "sign_in.html", 401, onward=onward, error=error, is_late=False)
        note_right_token(request.scope)
        self.sessions.close(_cookie(request))
        cookie, _ = self.sessions.open()
        answer = RedirectResponse(onward, 303)
        answer.headers["set-cookie"] = session.set_cookie(cookie, self.sessions.seconds, _is_https(request))
        return answer

    async def leave(self, request: Request) -> Response:
        """The session's end."""
        self.sessions.close(_cookie(request))
        answer = RedirectResponse(session.SIGN_IN, 303)
        answer.headers["set-cookie"] = session.set_cookie("", 0, _is_https(request))
        return answer


def _cookie(request: Request) -> str:
    return session.session_cookie(request.headers.get("cookie", ""))


def _is_https(request: Request) -> bool:
    """Whether the browser speaks HTTPS, to a proxy before the server: a form's `Origin` is its own word."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")


def _onward(asked: str) -> str:
    """Where a browser goes once it has signed in: a page of this server, whatever was asked."""
    is_ours = asked.startswith(_START) and asked.isprintable() and asked.isascii() and "\\" not in asked and ".." not in asked
    return asked if is_ours and not asked.startswith(session.SIGN_IN) else _START
