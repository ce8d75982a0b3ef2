"""How an error becomes an answer, wherever it was raised; what nobody expected is logged, and nothing of it told."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from luthier.serve.door import csrf
from luthier.serve.door.asgi import App, Message, Receive, Send
from luthier.serve.door.entry import OPEN_PATHS
from luthier.serve.door.errors import RequestError, meaning, say
from luthier.serve.door.figures import REQUEST_ID, route_of

_LOG = logging.getLogger("luthier.serve")
_ERROR = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}}
# Of the errors of one body; one of unknown fields alone can have a hundred thousand.
_MOST_LOOKED_AT = 200
_UNEXPECTED = RequestError(500, "something went wrong in the server; its log tells more")


class DescribedApp(FastAPI):
    """An application whose description tells the errors that it really answers with, and that it asks for a token.

    FastAPI writes its own form of 422 into each route, and knows nothing of what stands before it.
    """

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if not self.openapi_schema:
            told = super().openapi()
            schemas = told.setdefault("components", {}).setdefault("schemas", {})
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            told["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            told["security"] = [{"token": []}]
            for path, operations in told["paths"].items():
                for method, operation in operations.items():
                    if method.upper() not in csrf.SAFE_METHODS:
                        # A browser's session changes nothing without its CSRF token.
                        operation["responses"].setdefault("403", {"description": meaning(403), **_ERROR})
                    for declared in operation["responses"].values():
                        _in_own_form(declared)
                    if path in OPEN_PATHS:
                        operation["security"] = []
                        operation["responses"].pop("401", None)
        return super().openapi()


def _in_own_form(declared: dict[str, Any]) -> None:
    """An error is told as JSON by every route, whatever its other answers are."""
    contents = list(declared.get("content", {}).values())
    if contents and any(name in str(contents[0]) for name in ("ErrorBody", "HTTPValidationError")):
        declared |= _ERROR
        if declared["description"] == "Validation Error":
            declared["description"] = meaning(422)


def add_handlers(app: FastAPI) -> None:
    """Errors of `app` become answers in OpenAI's form.

    Luthier's own errors are told where they are meant, as a `RequestError`; one that comes so far was not, and may tell a path.
    """
    app.add_exception_handler(RequestError, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def answer(error: RequestError) -> Response:
    """`error` as an answer."""
    return Response(error.to_bytes(), error.status, error.headers, "application/json")


@dataclass(frozen=True, slots=True)
class Caught:
    """The outermost layer: what `app` raises is logged, and the client told 500, or hung up on where its answer has begun."""

    app: App

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except ClientDisconnect:
            pass
        except Exception as error:  # noqa: BLE001  Whatever it is, it is logged here, and must not reach the client.
            told = {"request": scope.get(REQUEST_ID), "method": scope["method"], "route": route_of(scope)}
            _LOG.error("%(method)s %(route)s went wrong", told, exc_info=error, extra={"told": told})
            if not has_begun:
                await say(send, _UNEXPECTED)


async def _unexpected(request: Request, error: Exception) -> Response:
    """The framework raises it again behind the answer, and `Caught` logs it."""
    return answer(_UNEXPECTED)


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return answer(error)


async def _invalid(request: Request, error: Exception) -> Response:
    """422, with the first field that is wrong; what was sent is not repeated."""
    assert isinstance(error, RequestValidationError)
    errors = error.errors()[:_MOST_LOOKED_AT]
    first = errors[0]
    if first["type"] == "json_invalid":
        return answer(RequestError(422, f"the body is no JSON, from character {first['loc'][-1]} on"))
    if first["loc"] == ("body",) and isinstance(error.body, bytes):
        # Where the header says something else the framework reads nothing.
        return answer(RequestError(422, "the body is not read as JSON: send it with the header `Content-Type: application/json`"))
    places = [_sent_place(one, error.body) for one in errors]
    # Where one of several kinds may stand, each says why it is none of it: the one that came furthest knows best.
    number = max((n for n, place in enumerate(places) if place[: len(places[0])] == places[0]), key=lambda n: (len(places[n]), -n))
    field = ".".join(places[number])
    told = str(errors[number]["msg"]).removeprefix("Value error, ")
    return answer(RequestError(422, f"{field}: {told}" if field else told, param=field or None))


def _sent_place(error: Any, body: Any) -> list[str]:
    """Where an error lies in what was sent: without the names of the kinds that a value might have had, which are the validator's own."""
    origin, *parts = error["loc"]
    if origin != "body":
        return [str(part) for part in parts]
    place: list[str] = []
    value = body
    for number, part in enumerate(parts):
        is_there = part in value if isinstance(value, dict) else isinstance(value, list) and isinstance(part, int) and part < len(value)
        if is_there:
            value = value[part]
        elif not (error["type"] == "missing" and number == len(parts) - 1):
            continue
        place.append(str(part))
    return place


async def _http(request: Request, error: Exception) -> Response:
    """Errors of the framework; 400 is its word for a body that it could not read at all."""
    assert isinstance(error, HTTPException)
    if error.status_code == 400:
        return answer(RequestError(422, "the body cannot be read as JSON"))
    told = answer(RequestError(error.status_code, str(error.detail)))
    told.headers.update(error.headers or {})
    if error.status_code == 405 and isinstance(request.app, DescribedApp):
        # The framework names the methods of one of the routes that have this path.
        methods = request.app.openapi()["paths"].get(route_of(request.scope), {})
        if methods:
            told.headers["Allow"] = ", ".join(sorted(method.upper() for method in methods))
    return told
