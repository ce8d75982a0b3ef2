"""Token buckets, and who is told to wait."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import pytest

from luthier.serve.door.asgi import Message, Receive, Send
from luthier.serve.door.entry import Entry
from luthier.serve.door.gate import Gate
from luthier.serve.door.hosts import hosts_of
from luthier.serve.door.rates import Buckets, ClientRates, TotalRate, client_of
from luthier.serve.door.session import Sessions


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Door:
    """An application behind the gate, which knows one token, and that behind rates."""

    clock: Clock = field(default_factory=Clock)
    asked: int = 0

    def __post_init__(self) -> None:
        self.gate = Gate(self._app, Entry("right", Sessions(60)), hosts_of("127.0.0.1", []), 1_000)
        self.rates = ClientRates(self._passed, 5.0, 3, self.clock)

    async def _passed(self, scope: Message, receive: Receive, send: Send) -> None:
        self.asked += 1
        await self.gate(scope, receive, send)

    async def _app(self, scope: Message, receive: Receive, send: Send) -> None:
        status = 404 if scope["path"] == "/nothing" else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    def ask(self, token: bytes | None = b"right", client: str = "192.0.2.1", path: str = "/v1/models") -> tuple[int, dict[bytes, bytes]]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), *([] if token is None else [(b"authorization", b"Bearer " + token)])]
        scope = {"type": "http", "method": "GET", "path": path, "client": (client, 1), "headers": headers}
        asyncio.run(self.rates(scope, None, send))  # type: ignore[arg-type]
        assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
        if sent[0]["status"] == 429:
            assert json.loads(sent[1]["body"])["error"]["type"] == "rate_limit_error"
        return sent[0]["status"], dict(sent[0]["headers"])


def test_a_bucket_fills_up_again() -> None:
    clock = Clock()
    buckets = Buckets(2, 0.5, clock)
    assert [buckets.take("a") for _ in range(3)] == [0.0, 0.0, 2.0]
    assert buckets.take("b") == 0.0
    clock.now += 1.5
    assert buckets.take("a") == pytest.approx(0.5)
    clock.now += 0.5
    assert buckets.wait_seconds("a") == 0.0
    assert buckets.take("a") == 0.0
    clock.now += 1_000
    assert [buckets.take("a") for _ in range(3)] == [0.0, 0.0, 2.0]


def test_only_so_many_clients_are_remembered() -> None:
    buckets = Buckets(1, 1, Clock(), most=3)
    for number in range(10):
        assert buckets.take(number) == 0.0
    assert len(buckets) == 3
    assert buckets.take(9) > 0.0


def test_a_client_that_asks_too_often_waits_and_others_do_not() -> None:
    door = Door()
    assert [door.ask()[0] for _ in range(12)] == [200] * 10 + [429] * 2
    assert door.ask()[1][b"retry-after"] == b"1"
    assert door.ask(client="192.0.2.2")[0] == 200
    door.clock.now += 1
    assert [door.ask()[0] for _ in range(6)] == [200] * 5 + [429]


def test_one_that_tries_tokens_is_no_longer_listened_to() -> None:
    door = Door()
    assert [door.ask(b"wrong")[0] for _ in range(3)] == [401] * 3
    asked = door.asked
    # Not even the right one: it might have been guessed.
    for token in (b"wrong", b"right", None):
        status, headers = door.ask(token)
        assert (status, headers[b"retry-after"]) == (429, b"20")
    assert door.asked == asked
    assert door.ask(client="192.0.2.2")[0] == 200
    door.clock.now += 20
    assert door.ask(b"wrong")[0] == 401
    assert door.ask()[0] == 429
    door.clock.now += 20
    assert door.ask()[0] == 200


@pytest.mark.parametrize("client", ["127.0.0.1", "::1", "192.0.2.7"])
def test_a_flood_of_wrong_tokens_does_not_shut_the_owner_out(client: str) -> None:
    door = Door()
    door.ask(client=client)
    told = []
    for _ in range(9):
        told.append(door.ask(b"wrong", client)[0])
        door.clock.now += 0.2
    assert told == [401] * 3 + [429] * 6
    assert door.ask(client=client)[0] == 200
    # Whoever was here yesterday is a stranger tomorrow.
    door.clock.now += 2 * 86_400
    assert [door.ask(b"wrong", client)[0] for _ in range(4)] == [401] * 3 + [429]
    assert door.ask(client=client)[0] == (429 if client == "192.0.2.7" else 200)


def test_asking_without_a_token_is_no_try() -> None:
    door = Door()
    for _ in range(5):
        assert door.ask(None)[0] == 401
        door.clock.now += 1
    assert door.ask(None, path="/health/live")[0] == 200
    assert door.ask()[0] == 200


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/ui/sign-in", "/ui/static/pages.css", "/"])
def test_what_needs_no_token_makes_nobody_known(path: str) -> None:
    door = Door()
    assert door.ask(b"wrong", path=path)[0] == 200
    assert [door.ask(b"wrong")[0] for _ in range(3)] == [401] * 3
    assert door.ask()[0] == 429


def test_the_right_token_makes_one_known_whatever_the_answer_is() -> None:
    door = Door()
    assert door.ask(path="/nothing")[0] == 404
    assert [door.ask(b"wrong")[0] for _ in range(4)] == [401] * 3 + [429]
    assert door.ask()[0] == 200


def test_all_clients_together() -> None:
    clock = Clock()
    asked: list[str] = []

    async def app(scope: Message, receive: object, send: object) -> None:
        asked.append(scope["path"])

    async def ask() -> list[int]:
        rate = TotalRate(app, 1.0, frozenset({"/health/live"}), clock)
        refused: list[Message] = []

        async def send(message: Message) -> None:
            refused.append(message)

        for path in ("/", "/", "/health/live", "/", "/health/live"):
            await rate({"type": "http", "path": path}, None, send)  # type: ignore[arg-type]
        return [message["status"] for message in refused if "status" in message]

    assert asyncio.run(ask()) == [429]
    assert asked == ["/", "/", "/health/live", "/health/live"]


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "this machine"),
        ("::1", "this machine"),
        ("", ""),
    ],
)
def test_a_client_is_its_address(address: str, client: str) -> None:
    assert client_of({"client": (address, 1)}) == client
    assert client_of({"client": None}) == ""
