"""What passes the gate, and what does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

import pytest
from starlette.exceptions import HTTPException

from luthier.serve.door.asgi import Message
from luthier.serve.door.entry import Entry
from luthier.serve.door.gate import Gate
from luthier.serve.door.hosts import hosts_of
from luthier.serve.door.session import Sessions

TOKEN = "a-token-of-some-length"
GOOD = [(b"host", b"127.0.0.1:8000"), (b"authorization", f"Bearer {TOKEN}".encode())]


def ask(
    headers: Iterable[tuple[bytes, bytes]], path: str = "/v1/models", body: list[bytes] | None = None, pause_seconds: float = 0.0
) -> tuple[int, object]:
    sent: list[Message] = []
    waiting = list(body or [b""])

    async def receive() -> Message:
        await asyncio.sleep(pause_seconds)
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    async def app(scope: Message, receive: object, send: object) -> None:
        while (await receive())["more_body"]:  # type: ignore[operator]
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"{}"})  # type: ignore[operator]

    gate = Gate(app, Entry(TOKEN, Sessions(60)), hosts_of("127.0.0.1", []), 100, 0.1, {"/upload": 200})
    asyncio.run(gate({"type": "http", "path": path, "headers": list(headers)}, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_a_request_with_the_token_passes() -> None:
    assert ask(GOOD) == (200, {})
    assert ask([(b"host", b"[::1]:8000"), GOOD[1]])[0] == 200
    assert ask([(b"host", b"localhost"), (b"authorization", f"bearer  {TOKEN} ".encode())])[0] == 200


@pytest.mark.parametrize("given", [None, b"", b"Bearer", b"Bearer wrong", f"Basic {TOKEN}".encode(), b"Bearer \xff\xfe", TOKEN.encode()])
def test_one_without_it_does_not(given: bytes | None) -> None:
    headers = GOOD[:1] + ([(b"authorization", given)] if given is not None else [])
    status, told = ask(headers)
    assert status == 401
    assert told["error"]["type"] == "authentication_error"  # type: ignore[index]
    assert ask(headers, "/health/live") == (200, {})


@pytest.mark.parametrize("host", [b"evil.example", b"127.0.0.1.evil.example", b"", b"localhost.evil.example:8000", b"[::2]:1"])
def test_a_page_elsewhere_that_was_pointed_here_is_refused(host: bytes) -> None:
    assert ask([(b"host", host), GOOD[1]])[0] == 421
    assert ask([(b"host", host)], "/health/live")[0] == 421


def test_a_large_body_is_refused_by_its_length_and_as_it_comes() -> None:
    assert ask([*GOOD, (b"content-length", b"100")], body=[b"x" * 100])[0] == 200
    assert ask([*GOOD, (b"content-length", b"200")], "/upload", body=[b"x" * 200])[0] == 200
    assert ask([*GOOD, (b"content-length", b"201")], "/upload")[0] == 413
    for length in (b"101", b"-1", b"1e3", b"x", b"9" * 5_000):
        assert ask([*GOOD, (b"content-length", length)])[0] == 413
    with pytest.raises(HTTPException) as raised:
        ask(GOOD, body=[b"x" * 60, b"x" * 60])
    assert raised.value.status_code == 413


def test_a_body_that_comes_too_slowly_is_no_longer_waited_for() -> None:
    assert ask(GOOD, body=[b"x"] * 3, pause_seconds=0.01)[0] == 200
    with pytest.raises(HTTPException) as raised:
        ask(GOOD, body=[b"x"] * 30, pause_seconds=0.01)
    assert raised.value.status_code == 408
