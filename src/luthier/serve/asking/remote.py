"""Remote models behind OpenAI-compatible endpoints, answered as a stream."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping

import httpx2

from luthier.config.schema import EndpointSection
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest, LikelyToken, TokenEvent, TokenLogprob
from luthier.core.records import JsonObject
from luthier.model.remote import read_key
from luthier.model.wire import LONGEST_ANSWER_CHARACTERS, chat_body, reason_in, usage_of, whole

_LONGEST_LINE = 1 << 22
_END = "[DONE]"
_CUT = ("length", "max_tokens")


class RemoteModels:
    """The endpoints of a server, asked over one pool of connections."""

    def __init__(self) -> None:
        self._client = httpx2.AsyncClient(timeout=None, follow_redirects=False)

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def ask(self, name: str, endpoint: EndpointSection, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        """The events of one request; an endpoint that refuses it, or breaks off, is an `ErrorEvent`. Closing the iterator hangs up.

        `ModelError` where the endpoint's key is not set.
        """
        key = read_key(name, endpoint)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        limit_key = "max_tokens" if endpoint.limit_key == "auto" else endpoint.limit_key
        body = {**chat_body(request, endpoint.model, limit_key), "stream": True, "stream_options": {"include_usage": True}}
        address = endpoint.base_url.rstrip("/") + "/chat/completions"
        answer = _Answer(request.id)
        try:
            async with self._client.stream("POST", address, json=body, headers=headers, timeout=endpoint.timeout_seconds) as response:
                if response.status_code != 200:
                    told = await response.aread()
                    said = _reason(told[:_LONGEST_LINE])
                    yield ErrorEvent(request.id, f"{name} answers {response.status_code}: {_without(said, key)}")
                    return
                async for line in response.aiter_lines():
                    if not line.startswith("data:"):
                        continue
                    data = line[len("data:") :].strip()
                    if data == _END:
                        break
                    for event in answer.take(json.loads(data)):
                        yield event
        except (httpx2.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            yield ErrorEvent(request.id, f"{name} broke off: {_without(str(error) or type(error).__name__, key)}")
            return
        for last in answer.end():
            yield last


class _Answer:
    """An answer as its pieces come."""

    def __init__(self, request_id: str) -> None:
        self._id = request_id
        self._text = ""
        self._reason = "stop"
        self._usage = (0, 0)
        self._calls: dict[int, dict[str, str]] = {}

    def take(self, piece: JsonObject) -> list[TokenEvent]:
        """What one piece adds."""
        if piece.get("usage"):
            self._usage = usage_of(piece)
        if not piece.get("choices"):
            return []
        choice = piece["choices"][0]
        if choice.get("finish_reason"):
            self._reason = "length" if choice["finish_reason"] in _CUT else "stop"
        delta = choice.get("delta") or {}
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            own = self._calls.setdefault(int(call.get("index", 0)), {"name": "", "arguments": ""})
            own["name"] += function.get("name") or ""
            own["arguments"] += function.get("arguments") or ""
        text = whole(delta.get("content") or "")[: LONGEST_ANSWER_CHARACTERS - len(self._text)]
        told = tuple(map(_logprob, (choice.get("logprobs") or {}).get("content") or ()))
        self._text += text
        return [TokenEvent(self._id, text, told)] if text or told else []

    def end(self) -> list[GenerationEvent]:
        """The end of the answer; calls of tools follow the text, each as ChatML models write them."""
        calls = "\n".join(_written(call) for _, call in sorted(self._calls.items()))
        rest = "\n" + calls if calls and self._text else calls
        done = DoneEvent(self._id, self._text + rest, self._reason, *self._usage)
        return [TokenEvent(self._id, rest), done] if rest else [done]


def _written(call: Mapping[str, str]) -> str:
    told = json.dumps({"name": call["name"], "arguments": _arguments(call["arguments"])}, ensure_ascii=False)
    return f"<tool_call>\n{told}\n</tool_call>"


def _arguments(text: str) -> object:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def _logprob(told: JsonObject) -> TokenLogprob:
    likely = tuple(LikelyToken(str(one["token"]), float(one["logprob"])) for one in told.get("top_logprobs") or ())
    return TokenLogprob(str(told["token"]), float(told["logprob"]), likely)


def _reason(told: bytes) -> str:
    try:
        return reason_in(json.loads(told))
    except ValueError:
        return reason_in(told.decode("utf-8", "replace"))


def _without(text: str, key: str | None) -> str:
    return text.replace(key, "...") if key else text
