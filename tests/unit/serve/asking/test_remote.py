"""Remote models over a local server that speaks OpenAI's protocol: pieces as they come, refusals in words, no key in them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from luthier.config.schema import EndpointSection
from luthier.core.errors import ModelError
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest, LikelyToken, TokenEvent, TokenLogprob
from luthier.core.records import Message
from luthier.serve.asking.remote import RemoteModels

KEY = "sk-a-key-that-nobody-may-see"
REQUEST = GenerationRequest("1", (Message("user", "hi"),), "big", stop=("END",), top_logprobs=1)


def piece(delta: dict[str, Any], **more: Any) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None, **more}]})


LIKELY = {"token": "lo", "logprob": -0.5}
ANSWERS: dict[str, list[str]] = {
    "words": [
        piece({"role": "assistant", "content": ""}),
        piece({"content": "Hel"}),
        piece({"content": "lo"}, logprobs={"content": [{**LIKELY, "top_logprobs": [LIKELY]}]}),
        piece({}, finish_reason="stop"),
        json.dumps({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
        "[DONE]",
    ],
    "calls": [
        piece({"content": "I look."}),
        piece({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "read", "arguments": '{"pa'}}]}),
        piece({"tool_calls": [{"index": 0, "function": {"arguments": 'th": "a"}'}}]}),
        piece({}, finish_reason="tool_calls"),
        "[DONE]",
    ],
    "cut": [piece({"content": "a"}, finish_reason="length"), "[DONE]"],
    "broken": [piece({"content": "a"}), "{no json"],
}


class Endpoint(BaseHTTPRequestHandler):
    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append({**body, "key": self.headers.get("Authorization")})
        answer = ANSWERS.get(body["model"])
        if answer is None:
            told = json.dumps({"error": {"message": f"no such model, {KEY}"}}).encode()
            self.send_response(404)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)
            return
        self.send_response(200)
        self.end_headers()
        for line in answer:
            self.wfile.write(f": a comment\ndata: {line}\n\n".encode())

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    Endpoint.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


def ask(address: str, model: str) -> list[GenerationEvent]:
    async def run() -> list[GenerationEvent]:
        models = RemoteModels()
        try:
            endpoint = EndpointSection(base_url=address, model=model, api_key_env="BIG_KEY")
            return [event async for event in models.ask("big", endpoint, REQUEST)]
        finally:
            await models.close()

    return asyncio.run(run())


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIG_KEY", KEY)


def test_an_answer_comes_in_pieces(address: str) -> None:
    told = TokenLogprob("lo", -0.5, (LikelyToken("lo", -0.5),))
    assert ask(address, "words") == [TokenEvent("1", "Hel"), TokenEvent("1", "lo", (told,)), DoneEvent("1", "Hello", "stop", 3, 2)]
    (asked,) = Endpoint.asked
    assert asked["key"] == f"Bearer {KEY}"
    assert (asked["stop"], asked["logprobs"], asked["top_logprobs"], asked["stream"]) == (["END"], True, 1, True)


def test_calls_are_told_as_models_write_them(address: str) -> None:
    *words, done = ask(address, "calls")
    assert isinstance(done, DoneEvent)
    assert "".join(event.text for event in words if isinstance(event, TokenEvent)) == done.text
    assert done.text == 'I look.\n<tool_call>\n{"name": "read", "arguments": {"path": "a"}}\n</tool_call>'
    *_, cut = ask(address, "cut")
    assert isinstance(cut, DoneEvent)
    assert cut.finish_reason == "length"


@pytest.mark.parametrize(("model", "words"), [("none", "404: no such model"), ("broken", "broke off")])
def test_what_goes_wrong_is_told_without_the_key(address: str, model: str, words: str) -> None:
    *_, error = ask(address, model)
    assert isinstance(error, ErrorEvent)
    assert words in error.message
    assert KEY not in error.message


def test_an_endpoint_that_is_not_there_and_a_key_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    (error,) = ask("http://127.0.0.1:9/v1", "words")
    assert isinstance(error, ErrorEvent)
    monkeypatch.delenv("BIG_KEY")
    with pytest.raises(ModelError, match="BIG_KEY is not set"):
        ask("http://127.0.0.1:9/v1", "words")
