"""Whatever goes wrong becomes an answer in OpenAI's form, without anything of the inside."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Annotated, Literal

import pytest
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.testclient import TestClient

from luthier.core.errors import LuthierError
from luthier.serve.door import handlers
from luthier.serve.door.errors import responses, unknown
from luthier.serve.door.handlers import Caught, DescribedApp, add_handlers
from luthier.serve.door.logs import LineFormatter

SECRET = "the inside, with ghp_0123456789"


class Part(BaseModel):
    type: Literal["text"]


class Body(BaseModel):
    number: int
    stop: Annotated[str, Field(min_length=1)] | Annotated[list[Part], Field(max_length=2)] | None = None


def make_app() -> FastAPI:
    app = DescribedApp(redirect_slashes=False)
    add_handlers(app)

    @app.post("/numbers", responses=responses(404))
    async def numbers(body: Body) -> dict[str, int]:
        if body.number == 1:
            raise unknown("no such number", "number")
        if body.number == 2:
            raise LuthierError(SECRET)
        if body.number == 3:
            raise ValueError(SECRET)
        return {"number": body.number}

    @app.get("/both/{name}")
    async def one(name: str) -> None: ...

    @app.delete("/both/{name}")
    async def other(name: str) -> None: ...

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def pieces():  # type: ignore[no-untyped-def]
            yield b"one"
            raise ValueError(SECRET)

        return StreamingResponse(pieces())

    return app


@pytest.fixture
def client() -> TestClient:
    # The app is asked as uvicorn asks it: nothing may be raised to it.
    return TestClient(Caught(make_app()), base_url="http://127.0.0.1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sent", "status", "param", "words"),
    [
        (b'{"number": 1}', 404, "number", "no such number"),
        (b'{"number": 2}', 500, None, "its log tells more"),
        (b'{"number": 3}', 500, None, "its log tells more"),
        (b'{"number": "x"}', 422, "number", "valid integer"),
        (b"{broken", 422, None, "no JSON, from character 1 on"),
        (b'{"number": \xff}', 422, None, "cannot be read as JSON"),
        (b"[" * 100_000, 422, None, "cannot be read as JSON"),
        (b'{"number": ' + b"9" * 5_000 + b"}", 422, None, "cannot be read as JSON"),
        (b"[]", 422, None, "valid dictionary"),
        (b"{}", 422, "number", "required"),
        (b'{"number": 4, "stop": ""}', 422, "stop", "at least 1 character"),
        (b'{"number": 4, "stop": 5}', 422, "stop", "valid string"),
        (b'{"number": 4, "stop": [{"type": "text"}, {"type": "image"}]}', 422, "stop.1.type", "'text'"),
        (b'{"number": 4, "stop": [{"type": "text"}, {}]}', 422, "stop.1.type", "required"),
    ],
)
def test_errors_are_told(client: TestClient, sent: bytes, status: int, param: str | None, words: str) -> None:
    told = client.post("/numbers", content=sent, headers={"Content-Type": "application/json"})
    assert told.status_code == status
    error = told.json()["error"]
    assert (error["param"], error["code"]) == (param, None)
    assert words in error["message"]
    assert told.headers["content-type"] == "application/json"


def test_of_very_many_errors_few_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[object] = []
    monkeypatch.setattr(handlers, "_sent_place", lambda error, body: looked_at.append(error) or ["k0"])
    fields = [{"type": "extra_forbidden", "loc": ("body", f"k{number}"), "msg": "not permitted"} for number in range(100_000)]
    told = asyncio.run(handlers._invalid(None, RequestValidationError(fields, body={})))  # type: ignore[arg-type]
    assert b"k0: not permitted" in bytes(told.body)
    assert 0 < len(looked_at) < 1_000


def test_a_body_that_is_sent_as_something_else_is_told_the_header(client: TestClient) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain"):
        told = client.post("/numbers", content=b'{"number": 4}', headers={"Content-Type": kind})
        assert (told.status_code, told.json()["error"]["param"]) == (422, None)
        assert "`Content-Type: application/json`" in told.json()["error"]["message"]


def test_errors_of_the_framework_are_told_in_the_same_form(client: TestClient) -> None:
    for method, path, status in (("GET", "/none", 404), ("GET", "/numbers", 405), ("POST", "/numbers/", 404)):
        told = client.request(method, path)
        assert (told.status_code, set(told.json()["error"])) == (status, {"message", "type", "param", "code"})
    assert client.get("/numbers").headers["allow"] == "POST"
    assert client.put("/both/1").headers["allow"] == "DELETE, GET"


@pytest.mark.parametrize(("number", "kind"), [(2, "luthier.core.errors.LuthierError"), (3, "builtins.ValueError")])
def test_what_nobody_expected_is_logged_with_its_place_and_without_its_words(
    client: TestClient, caplog: pytest.LogCaptureFixture, number: int, kind: str
) -> None:
    with caplog.at_level(logging.ERROR, "luthier.serve"):
        told = client.post("/numbers", json={"number": number})
    (line,) = map(LineFormatter().format, caplog.records)
    assert SECRET not in told.text + line
    assert kind in line
    assert "test_handlers.py" in line
    assert "POST /numbers went wrong" in line


def test_an_answer_that_breaks_off_is_logged(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "luthier.serve"):
        assert client.get("/stream").content == b"one"
    (line,) = map(LineFormatter().format, caplog.records)
    assert "GET /stream went wrong" in line
    assert SECRET not in line


def test_the_description_tells_the_form_that_errors_have() -> None:
    app = make_app()
    told = json.dumps(app.openapi())
    assert "HTTPValidationError" not in told
    assert app.openapi() is app.openapi()
    declared = app.openapi()["paths"]["/numbers"]["post"]["responses"]
    assert {status: one["content"]["application/json"]["schema"]["$ref"] for status, one in declared.items() if status != "200"} == {
        "403": "#/components/schemas/ErrorBody",
        "404": "#/components/schemas/ErrorBody",
        "422": "#/components/schemas/ErrorBody",
    }
    # A session without its CSRF token may do what changes nothing.
    paths = app.openapi()["paths"]
    assert "403" in paths["/both/{name}"]["delete"]["responses"]
    assert "403" not in paths["/both/{name}"]["get"]["responses"]
