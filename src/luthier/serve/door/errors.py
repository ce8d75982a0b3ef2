"""What goes wrong in a request, with its HTTP status and OpenAI's type of it; and which of it a route declares."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

from pydantic import BaseModel

from luthier.core.errors import Problem
from luthier.core.records import JsonObject
from luthier.serve.door.asgi import Send
from luthier.serve.door.redact import SETTLED_CHARACTERS, redacted

# OpenAI's types of errors, and what each status means here.
_KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 409: "conflict_error", 429: "rate_limit_error"}
_KINDS |= {500: "server_error", 502: "upstream_error", 503: "overloaded_error", 504: "timeout_error", 507: "server_error"}
_MEANINGS = {
    400: "No HTTP, or a head that is too large or contradicts itself.",
    401: "No token, or a wrong one.",
    403: "It may not be done from here.",
    404: "What is named is not there.",
    408: "The body came too slowly.",
    409: "It does not go with what is there already.",
    413: "The body is too large.",
    415: "The body is of a kind that is not understood.",
    421: "The server is not called what the request's `Host` says.",
    422: "The request cannot be answered as it is; `param` is the field that is wrong.",
    429: "Too many requests; `Retry-After` are the seconds to wait.",
    499: "The client has left.",
    500: "Something is wrong in the server; its log tells more.",
    502: "A remote model answered with an error.",
    503: "Not now; `Retry-After` are the seconds to wait, where they are known.",
    504: "The answer took too long.",
    507: "There is no room for it.",
}
# What the door answers, whichever route is asked.
OF_THE_DOOR = (400, 401, 408, 413, 421, 429)
# Longer texts are cut: looking for secrets takes a millisecond for a thousand characters, in which nobody else is served.
_MOST_CHARACTERS = 8_000
# A run file of a megabyte can have forty thousand.
MOST_PROBLEMS = 20


class ErrorDetail(BaseModel):
    """What went wrong. `param` is the field that it lies in."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """The body of every answer that is an error."""

    error: ErrorDetail


class RequestError(Exception):
    """An error that the client is told. `param` is the field it lies in; `retry_after` are seconds after which asking again may help.

    A name that the client sent may be repeated in it, and may be a secret that was pasted into the wrong field: it becomes a mark. It
    may be as long as a body, too: what is told of it is cut.
    """

    def __init__(self, status: int, message: str, kind: str = "", param: str | None = None, retry_after: int | None = None) -> None:
        message, param = _tellable(message), None if param is None else _tellable(param)
        super().__init__(message)
        self.kind = kind or _KINDS.get(status, "invalid_request_error")
        self.status, self.message, self.param, self.retry_after = status, message, param, retry_after

    def to_json(self) -> JsonObject:
        """The body in OpenAI's form."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": None}}

    def to_bytes(self) -> bytes:
        """The same as it is sent. Halves of characters, which a request may hold, become question marks: not every client reads them."""
        return json.dumps(self.to_json(), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

    @property
    def headers(self) -> dict[str, str]:
        """The headers that go with it."""
        found = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return found | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})


def told_problems(problems: Sequence[Problem]) -> str:
    """What is wrong with something that a client sent: the first problems in full, of the others how many there are."""
    told = [problem.text() for problem in islice(problems, MOST_PROBLEMS)]
    more = len(problems) - len(told)
    return "\n".join([*told, f"and {more:,} more"] if more else told)


def _tellable(text: str) -> str:
    """`text` without secrets, cut to what is told. Of a secret at the cut enough is looked at to know it."""
    if len(text) <= _MOST_CHARACTERS:
        return redacted(text)
    return f"{redacted(text[: _MOST_CHARACTERS + SETTLED_CHARACTERS])[:_MOST_CHARACTERS]}…"


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors that a route may answer with, for FastAPI's `responses=`. Those of the door need no word: every route has them."""
    return {status: {"description": _MEANINGS[status], "model": ErrorBody} for status in sorted(statuses)}


def meaning(status: int) -> str:
    """What a status says, in a sentence."""
    return _MEANINGS[status]


def wrong(message: str, param: str | None = None) -> RequestError:
    """422: the body cannot be answered as it is."""
    return RequestError(422, message, param=param)


def unknown(message: str, param: str | None = None) -> RequestError:
    """404: what is named is not there."""
    return RequestError(404, message, param=param)


def busy(message: str, retry_after: int = 1) -> RequestError:
    """503: not now."""
    return RequestError(503, message, retry_after=retry_after)


async def say(send: Send, error: RequestError) -> None:
    """Answers with `error` by itself, where no framework is at work."""
    body = error.to_bytes()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
