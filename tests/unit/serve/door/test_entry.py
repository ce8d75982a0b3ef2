"""Who is let in, by which door, and what every answer tells a browser."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable

import pytest

from luthier.serve.door.asgi import Message
from luthier.serve.door.entry import Entry, session_of
from luthier.serve.door.gate import Gate
from luthier.serve.door.hosts import hosts_of
from luthier.serve.door.policy import Guarded
from luthier.serve.door.session import COOKIE, Sessions

TOKEN = "a-token-of-some-length"
HOST = (b"host", b"127.0.0.1:8000")
FORM = (b"content-type", b"application/x-www-form-urlencoded")
Answer = tuple[int, dict[bytes, bytes], bytes]


class Door:
    """A gate with one session, and what got through it."""

    def __init__(self, body_bytes: int = 1_000) -> None:
        self.sessions = Sessions(60)
        self.cookie, self.session = self.sessions.open()
        self.seen: list[Message] = []
        self.body = b""
        self.gate = Guarded(Gate(self._app, Entry(TOKEN, self.sessions), hosts_of("127.0.0.1", []), body_bytes))

    async def _app(self, scope: Message, receive: object, send: object) -> None:
        self.seen.append(scope)
        self.body = (await receive())["body"]  # type: ignore[operator]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"max-age=5")]})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"{}"})  # type: ignore[operator]

    @property
    def signed_in(self) -> tuple[bytes, bytes]:
        return b"cookie", f"{COOKIE}={self.cookie}".encode()

    def ask(self, method: str, path: str, headers: Iterable[tuple[bytes, bytes]] = (), body: bytes = b"", query: bytes = b"") -> Answer:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": [HOST, *headers]}
        asyncio.run(self.gate(scope, receive, send))
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


def test_a_browser_without_a_session_is_shown_where_to_sign_in() -> None:
    door = Door()
    status, headers, _ = door.ask("GET", "/ui/runs/a b", query=b"q=1&page=2")
    assert status == 303
    assert headers[b"location"] == b"/ui/sign-in?next=/ui/runs/a%2520b%3Fq%3D1%26page%3D2"
    assert door.ask("POST", "/ui/runs")[1][b"location"] == b"/ui/sign-in?sent=1"
    assert door.ask("GET", "/v1/models")[0] == 401
    assert not door.seen


@pytest.mark.parametrize(
    ("referer", "way"),
    [
        (b"http://" + HOST[1] + b"/ui/new?way=text", b"&next=/ui/new%3Fway%3Dtext"),
        (b"http://elsewhere.example/ui/new", b""),
        (b"http://" + HOST[1] + b"/jobs", b""),
        (b"nonsense", b""),
        (b"http://[", b""),
    ],
)
def test_a_form_that_came_too_late_leads_back_to_its_page(referer: bytes, way: bytes) -> None:
    headers = Door().ask("POST", "/ui/jobs/1/cancel", [(b"referer", referer)])[1]
    assert headers[b"location"] == b"/ui/sign-in?sent=1" + way


@pytest.mark.parametrize("path", ["/", "/health/live", "/health/ready", "/ui/sign-in", "/ui/static/pages.css"])
def test_what_is_needed_before_that_is_open(path: str) -> None:
    assert Door().ask("GET", path)[0] == 200


@pytest.mark.parametrize("path", ["/ui", "/ui/", "/ui/runs", "/ui/staticx", "/ui/sign-out", "/jobs", "/openapi.json", "/health", "/uix"])
def test_nothing_else_is(path: str) -> None:
    assert Door().ask("GET", path)[0] in (303, 401)


def test_a_session_reads_everything_and_is_known_to_what_it_asks() -> None:
    door = Door()
    assert door.ask("GET", "/ui/runs", [door.signed_in])[0] == 200
    assert session_of(door.seen[-1]) is door.session
    assert door.ask("GET", "/v1/models", [door.signed_in])[0] == 200
    door.sessions.close(door.cookie)
    assert door.ask("GET", "/ui/runs", [door.signed_in])[0] == 303
    assert door.ask("GET", "/v1/models", [door.signed_in])[0] == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/ui/sign-out", "/jobs/1/cancel"])
def test_with_a_session_a_change_needs_its_csrf_token(method: str, path: str) -> None:
    door = Door()
    good = f"csrf_token={door.session.csrf}".encode()
    for body in (b"", b"csrf_token=wrong", f"csrf_token={Sessions(60).open()[1].csrf}".encode()):
        status, _, told = door.ask(method, path, [door.signed_in, FORM], body)
        assert status == 403
        assert b"csrf_token" in told
    assert not door.seen
    assert door.ask(method, path, [door.signed_in, FORM], good)[0] == 200
    assert door.body == good
    assert door.ask(method, path, [door.signed_in, (b"x-csrf-token", door.session.csrf.encode())], b"{}")[0] == 200


def test_a_page_of_another_site_cannot_send_it_for_one() -> None:
    door = Door()
    good = f"csrf_token={door.session.csrf}".encode()
    for header in (
        (b"origin", b"http://127.0.0.1:9000"),
        (b"origin", b"null"),
        (b"origin", b"http://["),
        (b"sec-fetch-site", b"same-site"),
    ):
        assert door.ask("POST", "/ui/sign-out", [door.signed_in, FORM, header], good)[0] == 403
        assert door.ask("POST", "/ui/sign-in", [FORM, header], b"token=x")[0] == 403
    assert not door.seen
    assert door.ask("POST", "/ui/sign-in", [FORM, (b"origin", b"http://127.0.0.1:8000")], b"token=x")[0] == 200


def test_a_token_that_is_given_is_held_to_whatever_cookie_comes_with_it() -> None:
    door = Door()
    assert door.ask("POST", "/v1/completions", [(b"authorization", f"Bearer {TOKEN}".encode())])[0] == 200
    assert session_of(door.seen[-1]) is None
    for wrong in (b"Bearer wrong", b"", b"Basic x"):
        assert door.ask("GET", "/v1/models", [(b"authorization", wrong), door.signed_in])[0] == 401


def test_a_form_that_is_too_large_is_refused_where_it_is_looked_into() -> None:
    door = Door(body_bytes=50)
    assert door.ask("POST", "/ui/sign-out", [door.signed_in, FORM], b"x" * 51)[0] == 413


def test_every_answer_says_what_a_browser_may_do_with_it() -> None:
    door = Door()
    for path, headers in (("/ui/runs", [door.signed_in]), ("/ui/runs", []), ("/ui/sign-in", []), ("/", [])):
        policy = door.ask("GET", path, headers)[1][b"content-security-policy"].decode()
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
    status, headers, _ = door.ask("GET", "/v1/models")
    assert status == 401
    assert headers[b"www-authenticate"] == b"Bearer"
    assert headers[b"content-security-policy"].endswith(b"sandbox")
    for name, value in ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin"), (b"cache-control", b"no-store")):
        assert headers[name] == value
    assert door.ask("GET", "/v1/models", [door.signed_in])[1][b"cache-control"] == b"max-age=5"


def test_a_person_is_told_on_a_page_and_a_program_in_json() -> None:
    door = Door()
    told = door.ask("POST", "/ui/sign-out", [door.signed_in])[2]
    assert b'<body class="pages">' in told
    assert b"This form does not belong to the session (field <code>csrf_token</code>" in told
    assert b"<script" not in door.ask("POST", "/ui/sign-out", [door.signed_in, (b"x-csrf-token", b"<script>")])[2]
    assert json.loads(door.ask("POST", "/jobs", [door.signed_in])[2])["error"]["type"] == "permission_error"
