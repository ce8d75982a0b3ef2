"""The client of remote endpoints against one that misbehaves in every way it can."""

from __future__ import annotations

import json
import logging
import re
import time
from typing import Any

import pytest

from fake_endpoint import completion, cut, drip, echo, flood, say, serve
from luthier.config.schema import EndpointSection, PriceSection
from luthier.core.errors import EndpointError, ModelError
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationRequest, Generator, Scored, TokenEvent
from luthier.core.records import Message, ToolCall
from luthier.evaluate.kinds.texts import Texts
from luthier.evaluate.rows.suite import SuiteRow
from luthier.model import remote
from luthier.model.remote import RemoteGenerator, Waits, open_remote

KEY = "sk-test-0123456789abcdef"
SOON = Waits(first=0.01, longest=0.02, longest_asked=0.05)


def ask(id: str = "a", text: str = "hello", **fields: Any) -> GenerationRequest:
    return GenerationRequest(id, (Message("user", text),), **fields)


def generator(url: str, key: str | None = None, **fields: Any) -> RemoteGenerator:
    fields = {"retries": 2, "timeout_seconds": 5, **fields}
    return RemoteGenerator("big", EndpointSection(base_url=url, model="m", **fields), key, SOON)


def only(events: Any) -> Any:
    """The one event that ends a request."""
    (event,) = [event for event in events if not isinstance(event, TokenEvent)]
    return event


def answer_of(answer: Any, **fields: Any) -> Any:
    with serve(answer) as endpoint:
        return only(generator(endpoint.url, **fields).generate([ask()]))


def test_answers_come_with_their_counts() -> None:
    with serve() as endpoint:
        asked = generator(endpoint.url)
        assert isinstance(asked, Generator)
        assert asked.names() == ("big",)
        events = list(asked.generate([ask("a", "one"), ask("b", "two")]))
        done = {event.id: event for event in events if isinstance(event, DoneEvent)}
        assert done["a"] == DoneEvent("a", "one", "stop", 7, 3)
        assert done["b"].text == "two"
        assert [event.text for event in events if isinstance(event, TokenEvent) and event.id == "b"] == ["two"]
        assert (asked.spent.replies, asked.spent.prompt_tokens, asked.spent.completion_tokens) == (2, 14, 6)
        assert asked.spent.cost(PriceSection(input=1e6, output=2e6)) == 14 + 12
        assert asked.spent.cost(None) is None


def test_no_request_sends_nothing() -> None:
    with serve() as endpoint:
        assert list(generator(endpoint.url).generate([])) == []
        assert endpoint.bodies == []


def test_requests_under_way_are_bounded() -> None:
    def slow(handler: Any, body: Any, number: int) -> None:
        time.sleep(0.05)
        echo(handler, body, number)

    with serve(slow) as endpoint:
        events = list(generator(endpoint.url, concurrency=3).generate([ask(str(number)) for number in range(12)]))
        assert sum(isinstance(event, DoneEvent) for event in events) == 12
        assert endpoint.busiest == 3


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_another_try_brings_the_answer(status: int) -> None:
    def twice_busy(handler: Any, body: Any, number: int) -> None:
        if number < 3:
            say(handler, status, b'{"error": {"message": "busy"}}')
        else:
            echo(handler, body, number)

    with serve(twice_busy) as endpoint:
        asked = generator(endpoint.url)
        assert only(asked.generate([ask()])).text == "hello"
        assert len(endpoint.bodies) == 3
        assert asked.spent.retries == 2


@pytest.mark.parametrize(("answer", "word"), [(cut, "the connection failed"), (lambda *_: None, "the connection failed")])
def test_a_cut_connection_is_tried_again_and_then_told(answer: Any, word: str) -> None:
    with serve(answer) as endpoint:
        event = only(generator(endpoint.url).generate([ask()]))
        assert isinstance(event, ErrorEvent)
        assert word in event.message
        assert len(endpoint.bodies) == 3


def test_tries_are_bounded() -> None:
    with serve(lambda handler, *_: say(handler, 503, b"upstream <down>", "text/html")) as endpoint:
        event = only(generator(endpoint.url).generate([ask()]))
        assert event == ErrorEvent("a", "big: status 503, upstream <down>")
        assert len(endpoint.bodies) == 3


@pytest.mark.alone
def test_the_endpoint_says_how_long_to_wait() -> None:
    def later(handler: Any, body: Any, number: int) -> None:
        if number == 1:
            say(handler, 429, b"{}", Retry_After="1")
        else:
            echo(handler, body, number)

    with serve(later) as endpoint:
        section = EndpointSection(base_url=endpoint.url, model="m")
        started = time.monotonic()
        event = only(RemoteGenerator("big", section, waits=Waits(first=0.0, longest_asked=0.4)).generate([ask()]))
        assert event.text == "hello"
        assert 0.4 <= time.monotonic() - started < 3  # What it asks for, up to the longest that is granted.


def test_a_limit_that_says_when_it_ends_is_waited_out_up_to_a_bound() -> None:
    def limited(handler: Any, body: Any, number: int) -> None:
        if number <= 6:
            say(handler, 429, b"{}", Retry_After="1")
        else:
            echo(handler, body, number)

    for longest, count in ((1.0, 7), (0.1, 4)):
        with serve(limited) as endpoint:
            section = EndpointSection(base_url=endpoint.url, model="m", retries=1)
            waits = Waits(first=0.0, longest_asked=0.05, longest_put_off=longest)
            event = only(RemoteGenerator("big", section, waits=waits).generate([ask()]))
            # Two waits fit below the lower bound; behind them two tries are left.
            assert isinstance(event, ErrorEvent) == (count == 4)
            assert len(endpoint.bodies) == count


def test_waits_double_up_to_a_bound() -> None:
    waits = Waits(first=1, longest=8)
    found = [waits.before(attempt, None, "a") for attempt in range(1, 8)]
    assert all(half <= wait <= 2 * half for half, wait in zip([0.5, 1, 2, 4, 4, 4, 4], found, strict=True))
    assert waits.before(1, None, "a") != waits.before(1, None, "b")
    assert waits.before(1, 1e9, "a") == 60
    assert waits.before(1, -3, "a") == 0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 2 ", 2.0),
        (None, None),
        ("soon", None),
        ("-1", None),
        ("²", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", -1e9),
        ("Thu, 01 Jan 1970 00:00:00 +99999999999999999999", None),
        ("Thu, 01 Jan 99999999999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str | None, seconds: float | None) -> None:
    found = remote.asked_seconds(value)
    assert found == seconds if seconds is None or seconds >= 0 else found is not None and found < seconds


@pytest.mark.parametrize("answer", [drip, lambda *_: time.sleep(2)])
@pytest.mark.alone
def test_a_reply_is_whole_in_time_or_cut(answer: Any) -> None:
    started = time.monotonic()
    event = answer_of(answer, timeout_seconds=0.3, retries=0)
    assert isinstance(event, ErrorEvent)
    assert "no complete reply in 0.3 s" in event.message
    assert time.monotonic() - started < 1.5


def test_a_reply_without_end_is_cut_by_size() -> None:
    event = answer_of(flood, timeout_seconds=30)
    assert event == ErrorEvent("a", "big: the reply is larger than 16 MiB")


def test_an_answer_of_megabytes_is_cut() -> None:
    event = answer_of(lambda handler, *_: say(handler, 200, completion("x" * 3_000_000)))
    assert isinstance(event, DoneEvent)
    assert len(event.text) == 200_000
    assert event.finish_reason == "length"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"{", "the reply is no JSON"),
        (b"", "the reply is no JSON (0 bytes)"),
        (b"[" * 200_000, "the reply is no JSON"),
        (b"<html>sign in</html>", "content type text/html"),
        (b"\xff\xfe{}", "not UTF-8 (byte 0)"),
        (b"[1]", "no JSON object but a list"),
        (b"{}", "no choices"),
        (b'{"choices": []}', "no choices"),
        (b'{"choices": {"0": 1}}', "no choices"),
        (b'{"choices": [7]}', "no message"),
        (b'{"choices": [{"message": {}}]}', "no content"),
        (b'{"choices": [{"message": {"content": 7}}]}', "no content"),
        (b'{"choices": [{"message": {"tool_calls": [{}]}}]}', "a tool call without a name"),
        (b'{"error": {"message": "out of\\u001b[31m memory"}}', "the reply is an error: out of [31m memory"),
    ],
)
def test_a_broken_reply_is_told_and_not_tried_again(content: bytes, word: str) -> None:
    with serve(lambda handler, *_: say(handler, 200, content, "text/html")) as endpoint:
        event = only(generator(endpoint.url).generate([ask()]))
        assert isinstance(event, ErrorEvent)
        assert word in event.message
        assert len(event.message) < 400
        assert len(endpoint.bodies) == 1


@pytest.mark.parametrize(
    ("content", "text", "reason"),
    [
        (completion("ls", "length"), "ls", "length"),
        (completion(None, "length"), "", "length"),
        (completion(None, "content_filter"), "", "stop"),
        (completion(None, refusal="I will not"), "I will not", "stop"),
        (completion([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), "ab", "stop"),  # type: ignore[arg-type]
        (completion("half \ud800 a character"), "half \ufffd a character", "stop"),
        (completion("a whole one \U0001f600"), "a whole one \U0001f600", "stop"),
        (
            completion(None, "tool_calls", tool_calls=[{"function": {"name": "f", "arguments": '{"x": 1}'}}]),
            '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>',
            "stop",
        ),
        (
            completion("so:", "tool_calls", tool_calls=[{"function": {"name": "f", "arguments": "{oops"}}]),
            'so:\n<tool_call>\n{"name": "f", "arguments": "{oops"}\n</tool_call>',
            "stop",
        ),
    ],
)
def test_forms_of_an_answer(content: bytes, text: str, reason: str) -> None:
    event = answer_of(lambda handler, *_: say(handler, 200, content))
    assert (event.text, event.finish_reason) == (text, reason)


def test_missing_counts_are_zero() -> None:
    reply = json.dumps({"choices": [{"message": {"content": "ls"}}], "usage": {"prompt_tokens": "7", "completion_tokens": -1}}).encode()
    assert answer_of(lambda handler, *_: say(handler, 200, reply)) == DoneEvent("a", "ls", "stop", 0, 0)


def test_a_bad_request_is_told_with_the_endpoints_word() -> None:
    said = b'{"error": {"message": "too many tokens"}}'
    assert answer_of(lambda handler, *_: say(handler, 400, said)) == ErrorEvent("a", "big: status 400, too many tokens")


def test_the_limits_key_follows_the_endpoint() -> None:
    def newer(handler: Any, body: Any, number: int) -> None:
        if "max_tokens" in body:
            say(handler, 400, b'{"error": {"message": "Unsupported parameter: use \'max_completion_tokens\'"}}')
        else:
            echo(handler, body, number)

    with serve(newer) as endpoint:
        asked = generator(endpoint.url, concurrency=1)
        events = list(asked.generate([ask("a", max_new_tokens=9), ask("b", max_new_tokens=9)]))
        assert sum(isinstance(event, DoneEvent) for event in events) == 2
        assert [body.get("max_tokens") for body in endpoint.bodies] == [9, None, None]
        assert endpoint.bodies[-1]["max_completion_tokens"] == 9
    assert isinstance(answer_of(newer, limit_key="max_tokens"), ErrorEvent)
    assert isinstance(answer_of(newer, limit_key="max_completion_tokens"), DoneEvent)


def test_what_is_sent() -> None:
    messages = (
        Message("system", "be brief"),
        Message("user", "sum it"),
        Message("input", "1 2"),
        Message("assistant", "", tool_calls=(_call("add", {"x": 1}), _call("add", {"x": 2}))),
        Message("tool", "1"),
        Message("tool", "2"),
        Message("user", "go"),
    )
    tool = {"type": "function", "function": {"name": "add"}}
    request = GenerationRequest("a", messages, tools=(tool,), max_new_tokens=5, temperature=0.5, top_p=0.9, seed=3)
    with serve() as endpoint:
        list(generator(endpoint.url + "/").generate([request, ask("b")]))
        body, plain = sorted(endpoint.bodies, key=lambda body: -len(body["messages"]))
        assert endpoint.paths == ["/v1/chat/completions"] * 2
        assert endpoint.keys == [None, None]
    assert (body["model"], body["max_tokens"], body["temperature"], body["top_p"], body["seed"]) == ("m", 5, 0.5, 0.9, 3)
    assert body["tools"] == [tool]
    assert body["messages"][1] == {"role": "user", "content": "sum it\n\n1 2"}
    calls = body["messages"][2]["tool_calls"]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [{"x": 1}, {"x": 2}]
    assert [message["tool_call_id"] for message in body["messages"][3:5]] == [call["id"] for call in calls] == ["call_1", "call_2"]
    assert plain == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 128,
        "temperature": 0.0,
        "stream": False,
    }


def _call(name: str, arguments: dict[str, Any]) -> ToolCall:
    return ToolCall(name, arguments)


@pytest.mark.parametrize(
    ("status", "word"), [(401, "mend the key in the environment variable BIG_KEY"), (403, "BIG_KEY"), (404, "no such address or model")]
)
def test_what_no_try_can_mend_ends_it_at_once(status: int, word: str) -> None:
    said = json.dumps({"error": {"message": f"bad key {KEY} given"}}).encode()
    with serve(lambda handler, *_: say(handler, status, said)) as endpoint:
        asked = generator(endpoint.url, KEY, api_key_env="BIG_KEY", concurrency=1)
        with pytest.raises(ModelError, match=word) as caught:
            list(asked.generate([ask(str(number)) for number in range(9)]))
        assert len(endpoint.bodies) == 1
    assert KEY not in str(caught.value)
    assert "[key]" in str(caught.value)


def test_an_endpoint_that_is_down_ends_it() -> None:
    with serve() as endpoint:
        url = endpoint.url
    events: list[Any] = []
    with pytest.raises(EndpointError, match="8 requests in a row without an answer"):
        events.extend(generator(url, retries=0).generate([ask(str(number)) for number in range(100)]))
    assert 7 <= len(events) < 12  # Those under way when the eighth failed may still tell.
    assert all(isinstance(event, ErrorEvent) for event in events)


def test_failures_among_answers_do_not_end_it() -> None:
    def every_third_answers(handler: Any, body: Any, number: int) -> None:
        if number % 3:
            say(handler, 500, b"{}")
        else:
            echo(handler, body, number)

    with serve(every_third_answers) as endpoint:
        events = list(generator(endpoint.url, retries=0, concurrency=1).generate([ask(str(number)) for number in range(30)]))
    assert sum(isinstance(event, ErrorEvent) for event in events) == 20
    assert sum(isinstance(event, DoneEvent) for event in events) == 10


def test_redirects_are_not_followed_and_see_no_key() -> None:
    with serve() as other, serve(lambda handler, *_: say(handler, 307, b"", Location=f"{other.url}/x?{KEY}")) as endpoint:
        with pytest.raises(ModelError, match="redirects") as caught:
            list(generator(endpoint.url, KEY).generate([ask()]))
        assert other.bodies == []
        assert other.url in str(caught.value)
        assert KEY not in str(caught.value)


def test_the_key_is_sent_and_never_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    escaped = "".join(f"\\u{ord(character):04x}" for character in KEY)
    leaks = {
        "a": completion(f"your key is {KEY}"),
        "b": b'{"choices": [{"message": {"content": "' + escaped.encode() + b'"}}]}',
        "c": json.dumps({"error": {"message": "x" * 280 + KEY}}).encode(),
    }
    with serve(lambda handler, body, _: say(handler, 200, leaks[body["messages"][0]["content"]])) as endpoint:
        asked = generator(endpoint.url, KEY)
        told = repr(list(asked.generate([ask(name, name) for name in leaks])))
        assert endpoint.keys == [f"Bearer {KEY}"] * 3
    for text in (told, repr(asked), caplog.text):
        assert KEY[:10] not in text
    assert told.count("[key]") >= 3


def test_the_key_comes_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    section = EndpointSection(base_url="http://127.0.0.1:9/v1", model="m", api_key_env="BIG_KEY")
    monkeypatch.delenv("BIG_KEY", raising=False)
    with pytest.raises(ModelError, match="BIG_KEY is not set"), open_remote("big", section):
        pass
    monkeypatch.setenv("BIG_KEY", "two words")
    with pytest.raises(ModelError) as caught, open_remote("big", section):
        pass
    assert "two words" not in str(caught.value)
    monkeypatch.setenv("BIG_KEY", f" {KEY}\n")
    with serve() as endpoint, open_remote("big", section.model_copy(update={"base_url": endpoint.url})) as asked:
        assert only(asked.generate([ask()])).text == "hello"
        assert endpoint.keys == [f"Bearer {KEY}"]


def test_a_short_word_in_place_of_a_key_stays_in_answers() -> None:
    with serve() as endpoint:
        assert only(generator(endpoint.url, "EMPTY").generate([ask("a", "the list is EMPTY")])).text == "the list is EMPTY"


@pytest.mark.alone
def test_closing_the_iterator_cancels_what_is_under_way() -> None:
    def first_then_wait(handler: Any, body: Any, number: int) -> None:
        if number > 1:
            time.sleep(3)
        echo(handler, body, number)

    with serve(first_then_wait) as endpoint:
        events = generator(endpoint.url, concurrency=1).generate([ask("a"), ask("b"), ask("c")])
        assert isinstance(next(events), TokenEvent)
        started = time.monotonic()
        events.close()
        assert time.monotonic() - started < 1
        assert len(endpoint.bodies) <= 2


def test_scores_come_from_prompt_log_probabilities() -> None:
    def vllm(handler: Any, body: Any, number: int) -> None:
        count = len(" ".join(message["content"] for message in body["messages"]).split())
        reply = {"choices": [], "usage": {"prompt_tokens": count}}
        if body.get("prompt_logprobs") == 0:
            assert body["continue_final_message"] is True
            reply["prompt_logprobs"] = [None] + [{"5": {"logprob": -0.5, "rank": 1}} for _ in range(count - 1)]
        say(handler, 200, json.dumps(reply).encode())

    with serve(vllm) as endpoint:
        rows = [((Message("user", "one two"),), "three"), ((Message("user", "one"),), "two three four")]
        assert generator(endpoint.url).score(rows, "big") == [Scored(-0.5, 1), Scored(-1.5, 3)]


def test_scores_of_text_come_from_echo() -> None:
    reply = json.dumps({"choices": [{"logprobs": {"token_logprobs": [None, -1.0, -2.0]}}]}).encode()
    with serve(lambda handler, *_: say(handler, 200, reply)) as endpoint:
        assert generator(endpoint.url).score([((), "some text here")], "big") == [Scored(-3.0, 2)]
        assert endpoint.paths == ["/v1/completions"]
        assert endpoint.bodies[0]["echo"] is True


class UsualServer:
    """A server that knows the usual roles alone and echoes a text by words, each with the blank before it, at -1 nat a letter."""

    def __init__(self, begin: str = "") -> None:
        self.begin = begin

    def __call__(self, handler: Any, body: Any, number: int) -> None:
        if any(message["role"] not in ("system", "user", "assistant", "tool") for message in body.get("messages", ())):
            say(handler, 400, b'{"error": {"message": "unknown role"}}')
            return
        words = re.findall(r"\s*\S+|\s+\Z", body["prompt"])
        tokens = [self.begin, *words] if self.begin else words
        offsets = [sum(map(len, tokens[:index])) for index in range(len(tokens))]
        values = [None, *(-float(len(word)) for word in tokens[1:])]
        told = {"tokens": tokens, "token_logprobs": values, "text_offset": offsets}
        say(handler, 200, json.dumps({"choices": [{"text": body["prompt"], "logprobs": told}], "usage": {"prompt_tokens": 5}}).encode())


@pytest.mark.parametrize("begin", ["", "<s>"])
def test_the_passages_of_a_text_are_scored_once_each(begin: str) -> None:
    text = " ".join(f"word{number}" for number in range(300))
    kind = Texts("perplexity")
    row = kind.row({"text": text}, "x")
    assert isinstance(row, SuiteRow)
    passages = kind.passages(row)
    assert len(passages) > 3
    with serve(UsualServer(begin)) as endpoint:
        scores = generator(endpoint.url, log_probabilities=True).score(passages, "big")
        assert set(endpoint.paths) == {"/v1/completions"}
    # Without a token in front of a text nobody says how likely its first one is.
    lost = 0 if begin else len("word0")
    assert sum(one.nats for one in scores) == -(len(text) - lost)
    assert sum(one.tokens for one in scores) == 300 - bool(lost)


def test_what_is_scored_and_what_is_no_answer_costs_too() -> None:
    with serve(UsualServer()) as endpoint:
        asked = generator(endpoint.url)
        asked.score([((Message("text", "one"),), " two"), ((Message("text", "one"),), " three")], "big")
        assert (asked.spent.replies, asked.spent.prompt_tokens) == (2, 10)
    with serve(lambda handler, *_: say(handler, 200, completion(None))) as endpoint:
        asked = generator(endpoint.url)
        assert isinstance(only(asked.generate([ask()])), ErrorEvent)
        assert (asked.spent.prompt_tokens, asked.spent.completion_tokens) == (7, 3)


def test_a_token_across_the_border_counts_for_the_text() -> None:
    with serve(UsualServer()) as endpoint:
        rows = [((Message("text", "one tw"),), "o three"), ((Message("text", "one two"),), " three")]
        assert generator(endpoint.url).score(rows, "big") == [Scored(-10.0, 2), Scored(-6.0, 1)]


def test_a_context_without_offsets_is_not_scored() -> None:
    reply = json.dumps({"choices": [{"logprobs": {"token_logprobs": [None, -1.0, -2.0]}}]}).encode()
    with serve(lambda handler, *_: say(handler, 200, reply)) as endpoint, pytest.raises(ModelError, match="text_offset"):
        generator(endpoint.url).score([((Message("text", "some text"),), " here")], "big")


@pytest.mark.parametrize("messages", [(), (Message("user", "hello"),)])
def test_an_endpoint_without_log_probabilities_says_so(messages: tuple[Message, ...]) -> None:
    with (
        serve(lambda handler, *_: say(handler, 200, completion("x"))) as endpoint,
        pytest.raises(ModelError, match="the endpoint gives no log-probabilities"),
    ):
        generator(endpoint.url).score([(messages, "a text")], "big")
