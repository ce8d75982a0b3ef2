"""Requests that are let through in their order, and whole replies handed on."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from fake_endpoint import completion, drip, echo, say, serve
from luthier.config.schema import EndpointSection
from luthier.core.errors import ModelError
from luthier.core.protocols import ErrorEvent, GenerationRequest
from luthier.core.records import JsonObject, Message
from luthier.model.remote import RemoteGenerator, Waits

KEY = "sk-test-0123456789abcdef"


def requests(count: int) -> list[GenerationRequest]:
    return [GenerationRequest(str(number), (Message("user", f"text {number}"),)) for number in range(count)]


def generator(url: str, key: str | None = None, **fields: Any) -> RemoteGenerator:
    fields = {"retries": 0, "timeout_seconds": 5, **fields}
    return RemoteGenerator("big", EndpointSection(base_url=url, model="m", **fields), key, Waits(0.01, 0.02, 0.05))


def nothing(request: GenerationRequest, reply: JsonObject | ErrorEvent) -> None:
    pass


def test_whole_replies_are_settled_before_they_are_yielded() -> None:
    settled: list[str] = []
    with serve() as server:
        for request, reply in generator(server.url).replies(requests(3), lambda _: True, lambda request, _: settled.append(request.id)):
            assert request.id in settled
            assert not isinstance(reply, ErrorEvent)
            assert reply["id"] == "x"
            assert reply["choices"][0]["message"]["content"] == f"text {request.id}"
    assert sorted(settled) == ["0", "1", "2"]


def test_replies_are_settled_while_the_caller_sleeps() -> None:
    settled: list[str] = []
    with serve() as server:
        replies = generator(server.url, concurrency=2).replies(requests(6), lambda _: True, lambda request, _: settled.append(request.id))
        next(replies)
        until = time.monotonic() + 5
        while len(settled) < 6 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(settled) == 6
        replies.close()


def test_requests_are_admitted_in_their_order_and_wait_for_those_under_way() -> None:
    asked: list[str] = []
    under_way: set[str] = set()
    lock = threading.Lock()

    def admit(request: GenerationRequest) -> bool:
        with lock:
            asked.append(request.id)
            if len(under_way) == 2:
                return False
            under_way.add(request.id)
            return True

    def settle(request: GenerationRequest, reply: JsonObject | ErrorEvent) -> None:
        with lock:
            under_way.remove(request.id)

    def late(handler: Any, body: dict[str, Any], number: int) -> None:
        time.sleep(0.02 * (number % 3))
        echo(handler, body, number)

    with serve(late) as server:
        assert len(list(generator(server.url, concurrency=5).replies(requests(9), admit, settle))) == 9
        assert server.busiest == 2
    assert list(dict.fromkeys(asked)) == [str(number) for number in range(9)]
    assert asked == sorted(asked)


def test_what_is_not_admitted_is_passed_over_and_never_sent() -> None:
    """What stands behind it is asked for: a smaller request may be affordable where a large one is not."""
    with serve() as server:
        found = list(generator(server.url, concurrency=3).replies(requests(6), lambda request: request.id != "2", nothing))
        assert sorted(request.id for request, _ in found) == ["0", "1", "3", "4", "5"]
        assert sorted(body["messages"][0]["content"] for body in server.bodies) == [f"text {number}" for number in (0, 1, 3, 4, 5)]


def test_a_failed_request_is_settled_as_an_error() -> None:
    settled: list[JsonObject | ErrorEvent] = []
    with serve(drip) as server:
        replies = generator(server.url, timeout_seconds=0.1).replies(requests(1), lambda _: True, lambda _, reply: settled.append(reply))
        ((_, reply),) = list(replies)
    assert isinstance(reply, ErrorEvent)
    assert settled == [reply]


def test_an_error_of_the_one_who_settles_ends_it() -> None:
    def full(request: GenerationRequest, reply: JsonObject | ErrorEvent) -> None:
        raise OSError(28, "No space left on device")

    with serve() as server, pytest.raises(OSError, match="No space"):
        list(generator(server.url).replies(requests(2), lambda _: True, full))


def test_a_refused_key_ends_it() -> None:
    with serve(lambda handler, body, number: say(handler, 401, b"{}")) as server, pytest.raises(ModelError):
        list(generator(server.url).replies(requests(2), lambda _: True, nothing))


@pytest.mark.parametrize("key", [KEY, 'sk-"quoted\\and-more"'])
def test_no_reply_holds_the_key(key: str) -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in key)

    def tell(handler: Any, body: dict[str, Any], number: int) -> None:
        say(handler, 200, completion("KEY").replace(b"KEY", escaped.encode()))

    with serve(tell) as server:
        ((_, reply),) = list(generator(server.url, key).replies(requests(1), lambda _: True, nothing))
    assert not isinstance(reply, ErrorEvent)
    assert reply["choices"][0]["message"]["content"] == "[key]"


@pytest.mark.parametrize("odd", ['{"x": NaN}', '{"x": ' + "[" * 900 + "]" * 900 + "}"])
def test_a_reply_that_json_cannot_hold_is_an_error_or_whole(odd: str) -> None:
    with serve(lambda handler, body, number: say(handler, 200, odd.encode())) as server:
        ((_, reply),) = list(generator(server.url).replies(requests(1), lambda _: True, nothing))
    assert isinstance(reply, ErrorEvent) or json.loads(json.dumps(reply, allow_nan=False)) == reply
    assert isinstance(reply, ErrorEvent) or "NaN" not in odd
