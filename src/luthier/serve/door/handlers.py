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

from luthier.core.errors import LuthierError
from luthier.serve.door.asgi import App, Message, Receive, Send
from luthier.serve.door.entry import OPEN_PATHS
from luthier.serve.door.errors import RequestError, meaning, say
from luthier.serve.door.figures import REQUEST_ID, route_of

_LOG = logging.getLogger("luthier.serve")
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
                for operation in operations.values():
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
        declared["content"] = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
        if declared["description"] == "Validation Error":
            declared["description"] = meaning(422)


def add_handlers(app: FastAPI) -> None:
    """Errors of `app` become answers in OpenAI's form."""
    app.add_exception_handler(RequestError, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(LuthierError, _luthier)
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
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return answer(RequestError(422, f"the body is no JSON, from character {first['loc'][-1]} on"))
    field = ".".join(str(part) for part in first["loc"][1:])
    told = str(first["msg"]).removeprefix("Value error, ")
    return answer(RequestError(422, f"{field}: {told}" if field else told, param=field or None))


async def _luthier(request: Request, error: Exception) -> Response:
    return answer(RequestError(503, str(error), "server_error"))


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
