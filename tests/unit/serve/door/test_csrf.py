"""A request that changes something has to come from a page of this server."""

from __future__ import annotations

import asyncio

import pytest

from luthier.serve.door.asgi import Message, Receive
from luthier.serve.door.csrf import checked, is_from_here

TOKEN = "the-token-of-the-session"
FORM = {b"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
FILES = {b"content-type": "multipart/form-data; boundary=xyz"}


def receive_of(*parts: bytes) -> Receive:
    waiting = list(parts)

    async def receive() -> Message:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    return receive


def passed(headers: dict[bytes, str], *parts: bytes) -> bytes | None:
    """What the application reads of the body; None where it is not let through."""

    async def read() -> bytes | None:
        receive = await checked(headers, receive_of(*parts), TOKEN)
        if receive is None:
            return None
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        return body

    return asyncio.run(read())


def test_the_header_is_enough_and_is_held_to() -> None:
    assert passed({b"x-csrf-token": TOKEN}, b"{}") == b"{}"
    assert passed({b"x-csrf-token": "wrong", **FORM}, f"csrf_token={TOKEN}".encode()) is None
    assert passed({b"x-csrf-token": ""}, b"{}") is None


@pytest.mark.parametrize("cut", [1, 5, 30, 1_000])
def test_a_form_s_field_is_found_and_the_form_is_read_whole_afterwards(cut: int) -> None:
    body = f"name=a+b&csrf_token={TOKEN}&more=1".encode()
    assert passed(FORM, *(body[at : at + cut] for at in range(0, len(body), cut))) == body


@pytest.mark.parametrize("body", [b"", b"csrf_token=", b"csrf_token=wrong", b"csrf_token=the-token", b"csrf_token=%ff%fe", b"other=1"])
def test_a_form_without_it_is_refused(body: bytes) -> None:
    assert passed(FORM, body) is None


def multipart(token: str, name: str = "csrf_token") -> bytes:
    head = f'--xyz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{token}\r\n'
    return head.encode() + b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"x" * 9_000 + b"\r\n--xyz--\r\n"


@pytest.mark.parametrize("cut", [7, 100, 20_000])
def test_a_form_with_files_has_it_in_its_first_field(cut: int) -> None:
    body = multipart(TOKEN)
    assert passed(FILES, *(body[at : at + cut] for at in range(0, len(body), cut))) == body
    assert passed(FILES, multipart("wrong")) is None
    assert passed(FILES, multipart(TOKEN, "other")) is None


def test_of_a_long_form_only_the_beginning_is_looked_at_and_all_of_it_is_read_afterwards() -> None:
    parts = [f"csrf_token={TOKEN}&text=".encode(), *[b"x" * 65_536] * 40]
    assert passed(FORM, *parts) == b"".join(parts)
    assert passed(FORM, *parts[1:], f"&csrf_token={TOKEN}".encode()) is None


def test_any_other_body_needs_the_header() -> None:
    assert passed({b"content-type": "application/json"}, f'{{"csrf_token": "{TOKEN}"}}'.encode()) is None
    assert passed({b"content-type": "text/plain"}, f"csrf_token={TOKEN}".encode()) is None
    assert passed({}, b"") is None


def test_a_browser_tells_whose_page_sent_it() -> None:
    here = {b"host": "127.0.0.1:8000"}
    assert is_from_here(here)
    assert is_from_here({**here, b"origin": "http://127.0.0.1:8000", b"sec-fetch-site": "same-origin"})
    assert is_from_here({**here, b"sec-fetch-site": "none"})
    assert not is_from_here({**here, b"origin": "http://127.0.0.1:9000"})
    assert not is_from_here({**here, b"origin": "null"})
    assert not is_from_here({**here, b"sec-fetch-site": "same-site"})
    assert not is_from_here({**here, b"origin": "http://127.0.0.1:8000", b"sec-fetch-site": "cross-site"})
