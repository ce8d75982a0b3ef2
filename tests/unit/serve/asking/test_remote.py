"""Remote models over a local server that speaks OpenAI's protocol: pieces as they come, tries, refusals in words, no key in them."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from fake_endpoint import Answer, Endpoint, Handler, completion, cut, flood, piece, say, serve, stream
from luthier.config.schema import EndpointSection
from luthier.core.protocols import DoneEvent, GenerationEvent, GenerationRequest, LikelyToken, TokenEvent, TokenLogprob
from luthier.core.records import Message
from luthier.model.remote import Waits
from luthier.serve.asking.remote import RemoteModels
from luthier.serve.door.errors import RequestError

KEY = "sk-a-key-that-nobody-may-see"
REQUEST = GenerationRequest("1", (Message("user", "hi"),), "big", stop=("END",), top_logprobs=1)
PLAIN = GenerationRequest("1", (Message("user", "hi"),), "big", temperature=1.0, seed=None)
SOON = Waits(first=0.01, longest=0.02, longest_asked=0.3, longest_put_off=0.5)
LIKELY = {"token": "lo", "logprob": -0.5}
HELLO = [piece({"role": "assistant", "content": "Hello"}), piece({}, "stop")]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIG_KEY", KEY)


async def collected(models: RemoteModels, request: GenerationRequest) -> list[GenerationEvent]:
    return [event async for event in models.ask(request)]


def asked(url: str, request: GenerationRequest = REQUEST, **fields: Any) -> list[GenerationEvent]:
    async def run() -> list[GenerationEvent]:
        models = RemoteModels(SOON)
        try:
            fields.setdefault("retries", 2)
            await models.open("big", EndpointSection(base_url=url, model="m", api_key_env="BIG_KEY", **fields))
            return await collected(models, request)
        finally:
            await models.stop()

    return asyncio.run(run())


def answers(answer: Answer, request: GenerationRequest = REQUEST, **fields: Any) -> tuple[list[GenerationEvent], Endpoint]:
    with serve(answer) as endpoint:
        return asked(endpoint.url, request, **fields), endpoint


def refusal(answer: Answer, request: GenerationRequest = REQUEST, **fields: Any) -> tuple[RequestError, Endpoint]:
    with serve(answer) as endpoint, pytest.raises(RequestError) as raised:
        asked(endpoint.url, request, **fields)
    assert KEY not in raised.value.message
    return raised.value, endpoint


def hello(handler: Handler, body: dict[str, Any], number: int) -> None:
    stream(handler, *HELLO)


def failing(status: int, times: int, **headers: str) -> Answer:
    """Answers so often with `status`, and then as asked."""

    def answer(handler: Handler, body: dict[str, Any], number: int) -> None:
        if number <= times:
            say(handler, status, json.dumps({"error": {"message": f"not now, {KEY}"}}).encode(), **headers)
        else:
            stream(handler, *HELLO)

    return answer


def test_an_answer_comes_in_pieces() -> None:
    def answer(handler: Handler, body: dict[str, Any], number: int) -> None:
        logprobs = {"content": [{**LIKELY, "top_logprobs": [LIKELY]}]}
        usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
        stream(handler, piece({"content": ""}), piece({"content": "Hel"}), piece({"content": "lo"}, "stop", logprobs=logprobs), usage)

    events, endpoint = answers(answer)
    told = TokenLogprob("lo", -0.5, (LikelyToken("lo", -0.5),))
    assert events == [TokenEvent("1", "Hel"), TokenEvent("1", "lo", (told,)), DoneEvent("1", "Hello", "stop", 3, 2)]
    (body,) = endpoint.bodies
    assert endpoint.keys == [f"Bearer {KEY}"]
    assert (body["stop"], body["logprobs"], body["top_logprobs"], body["stream"]) == (["END"], True, 1, True)
    assert "seed" not in body


def test_a_seed_is_sent_where_one_was_asked_for() -> None:
    _, drawn = answers(hello, PLAIN)
    _, seeded = answers(hello, replace(PLAIN, seed=7))
    assert ("seed" in drawn.bodies[0], seeded.bodies[0]["seed"]) == (False, 7)


REASONS = {"stop": "stop", "MAX_TOKENS": "length", "content_filter": "content_filter", "other": "stop"}


@pytest.mark.parametrize(("told", "ours"), REASONS.items())
def test_reasons_to_end(told: str, ours: str) -> None:
    events, _ = answers(lambda handler, body, number: stream(handler, piece({"content": "a"}, told)))
    assert events[-1] == DoneEvent("1", "a", ours, 0, 0)


def test_calls_are_told_as_models_write_them() -> None:
    def numbered(handler: Handler, body: dict[str, Any], number: int) -> None:
        first = {"index": 0, "id": "c", "function": {"name": "read", "arguments": '{"pa'}}
        second = {"index": 0, "function": {"arguments": 'th": "a"}'}}
        stream(handler, piece({"content": "I look."}), piece({"tool_calls": [first]}), piece({"tool_calls": [second]}, "tool_calls"))

    *words, done = answers(numbered)[0]
    assert isinstance(done, DoneEvent)
    assert "".join(event.text for event in words if isinstance(event, TokenEvent)) == done.text
    assert done.text == 'I look.\n<tool_call>\n{"name": "read", "arguments": {"path": "a"}}\n</tool_call>'
    assert done.finish_reason == "stop"

    def unnumbered(handler: Handler, body: dict[str, Any], number: int) -> None:
        calls = [{"function": {"name": name, "arguments": "{}"}} for name in ("a", "b", "c")]
        stream(handler, piece({"tool_calls": calls[:2]}), piece({"tool_calls": calls[2:]}, "stop"))

    done = answers(unnumbered)[0][-1]
    assert isinstance(done, DoneEvent)
    assert [json.loads(line)["name"] for line in done.text.splitlines() if line.startswith("{")] == ["a", "b", "c"]


def test_an_endpoint_that_streams_nothing_answers_all_the_same() -> None:
    events, _ = answers(lambda handler, body, number: say(handler, 200, completion("whole", "length")))
    assert events == [TokenEvent("1", "whole"), DoneEvent("1", "whole", "length", 7, 3)]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again(status: int) -> None:
    events, endpoint = answers(failing(status, 2, Retry_After="0.01"))
    assert events[-1] == DoneEvent("1", "Hello", "stop", 0, 0)
    assert len(endpoint.bodies) == 3
    error, endpoint = refusal(failing(status, 3))
    assert (error.status, len(endpoint.bodies)) == (502 if status == 500 else 503, 3)
    assert f"`big` answers {status}: not now, [key]" in error.message
    assert error.retry_after == (None if status == 500 else 5)


def test_who_is_put_off_for_long_is_told_so_at_once() -> None:
    started = time.monotonic()
    error, endpoint = refusal(failing(429, 9, Retry_After="40"))
    assert (error.status, error.retry_after, len(endpoint.bodies)) == (503, 40, 1)
    assert time.monotonic() - started < 5


def test_a_broken_connection_is_tried_again_and_a_broken_answer_is_not() -> None:
    def silent(handler: Handler, body: dict[str, Any], number: int) -> None:
        cut(handler, body, number) if number == 1 else stream(handler, *HELLO)

    events, endpoint = answers(silent)
    assert (events[-1], len(endpoint.bodies)) == (DoneEvent("1", "Hello", "stop", 0, 0), 2)
    error, endpoint = refusal(lambda handler, body, number: stream(handler, HELLO[0], end=False))
    assert (error.status, len(endpoint.bodies)) == (502, 1)
    assert error.message == "`big` broke off: the answer has no end"


@pytest.mark.parametrize(
    ("said", "words"),
    [("{no json", "no JSON"), ({"error": {"message": f"overloaded {KEY}"}}, "overloaded [key]"), ([], "no JSON object")],
)
def test_a_piece_that_is_none_ends_the_answer(said: object, words: str) -> None:
    error, _ = refusal(lambda handler, body, number: stream(handler, HELLO[0], said))
    assert (error.status, words in error.message) == (502, True)


def gemini(*unknown: str) -> Answer:
    """Refuses what it does not know as Gemini does: in a list, by names."""

    def answer(handler: Handler, body: dict[str, Any], number: int) -> None:
        told = "\n".join(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.' for name in unknown if name in body)
        if told:
            say(handler, 400, json.dumps([{"error": {"code": 400, "message": told, "status": "INVALID_ARGUMENT"}}]).encode())
        else:
            stream(handler, *HELLO)

    return answer


def test_a_field_that_an_endpoint_does_not_know_is_told_by_its_name() -> None:
    error, _ = refusal(gemini("seed"), replace(PLAIN, seed=7))
    assert (error.status, error.param) == (422, "seed")
    assert 'Unknown name "seed"' in error.message
    error, _ = refusal(lambda h, b, n: say(h, 400, json.dumps({"error": {"message": "no", "param": "top_p"}}).encode()), PLAIN)
    assert (error.status, error.param) == (422, "top_p")
    error, _ = refusal(gemini("max_tokens"), PLAIN)
    assert error.param == "max_tokens"


def test_what_nobody_asked_for_is_left_out_where_it_is_not_known_and_that_is_kept_in_mind() -> None:
    async def twice(url: str) -> list[list[GenerationEvent]]:
        models = RemoteModels(SOON)
        await models.open("big", EndpointSection(base_url=url, model="m", retries=0))
        found = [await collected(models, PLAIN) for _ in range(2)]
        await models.stop()
        return found

    with serve(gemini("stream_options")) as endpoint:
        first, second = asyncio.run(twice(endpoint.url))
    assert first == second == [TokenEvent("1", "Hello"), DoneEvent("1", "Hello", "stop", 0, 0)]
    assert ["stream_options" in body for body in endpoint.bodies] == [True, False, False]


def test_the_other_key_for_the_longest_answer_is_used_where_it_is_asked_for() -> None:
    def answer(handler: Handler, body: dict[str, Any], number: int) -> None:
        if "max_tokens" in body:
            told = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            say(handler, 400, json.dumps({"error": {"message": told, "param": "max_tokens"}}).encode())
        else:
            stream(handler, *HELLO)

    events, endpoint = answers(answer, PLAIN, retries=0)
    assert events[-1] == DoneEvent("1", "Hello", "stop", 0, 0)
    assert endpoint.bodies[-1]["max_completion_tokens"] == PLAIN.max_new_tokens


@pytest.mark.parametrize(
    ("status", "ours", "words"),
    [(401, 502, "mend the key in BIG_KEY"), (404, 502, "no such model"), (302, 502, "not followed"), (400, 422, "no such model")],
)
def test_what_goes_wrong_is_told_without_the_key(status: int, ours: int, words: str) -> None:
    def answer(handler: Handler, body: dict[str, Any], number: int) -> None:
        say(handler, status, json.dumps({"error": {"message": f"no such model, {KEY}"}}).encode(), Location="http://127.0.0.1:9/")

    error, endpoint = refusal(answer)
    assert (error.status, len(endpoint.bodies)) == (ours, 1)
    assert words in error.message


def test_an_endpoint_that_takes_too_long_or_says_too_much() -> None:
    error, _ = refusal(lambda handler, body, number: stream(handler, *[piece({"content": "a"})] * 99, seconds=0.05), timeout_seconds=0.3)
    assert error.status == 504
    error, _ = refusal(flood)
    assert (error.status, "larger than" in error.message) == (502, True)


def test_all_tries_have_the_time_of_one() -> None:
    def slow(handler: Handler, body: dict[str, Any], number: int) -> None:
        time.sleep(0.2)
        say(handler, 500, b"{}")

    began = time.monotonic()
    error, endpoint = refusal(slow, timeout_seconds=0.5, retries=9)
    assert error.status in (502, 504)
    assert time.monotonic() - began < 1.5
    assert 2 <= len(endpoint.bodies) <= 3
    # One that says nothing is not asked once more when its time is over.
    error, endpoint = refusal(lambda handler, body, number: time.sleep(0.6), timeout_seconds=0.3, retries=9)
    assert (error.status, len(endpoint.bodies)) == (504, 1)


def test_an_endpoint_that_is_not_there_and_a_key_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match="cannot be reached"):
        asked("http://127.0.0.1:9/v1")
    monkeypatch.delenv("BIG_KEY")
    with pytest.raises(RequestError, match="BIG_KEY is not set"):
        asked("http://127.0.0.1:9/v1")


def test_so_many_are_asked_at_once_as_the_endpoint_takes() -> None:
    async def several(url: str) -> None:
        models = RemoteModels(SOON)
        await models.open("big", EndpointSection(base_url=url, model="m", concurrency=2))
        await asyncio.gather(*(collected(models, replace(PLAIN, id=str(number))) for number in range(6)))
        await models.stop()

    with serve(lambda handler, body, number: stream(handler, *HELLO, seconds=0.05)) as endpoint:
        asyncio.run(several(endpoint.url))
    assert (len(endpoint.bodies), endpoint.busiest) == (6, 2)
