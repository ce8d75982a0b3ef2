"""An answer in OpenAI's words: whole, or piece by piece."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from luthier.core.protocols import DoneEvent, TokenEvent, TokenLogprob
from luthier.core.records import JsonObject
from luthier.serve.asking.screen import verdict_of
from luthier.serve.openai.calls import Called, CallReader


@dataclass(slots=True)
class Head:
    """What every piece of one answer repeats."""

    model: str
    object: str
    prefix: str
    id: str = ""
    created: int = field(default_factory=lambda: int(time.time()))

    def __post_init__(self) -> None:
        self.id = f"{self.prefix}-{secrets.token_hex(12)}"

    def to_json(self, choices: list[JsonObject], usage: JsonObject | None = None, object_name: str = "") -> JsonObject:
        """A body with `choices`; `usage` where it is known."""
        found: JsonObject = {"id": self.id, "object": object_name or self.object, "created": self.created, "model": self.model}
        return {**found, "choices": choices, "system_fingerprint": None, **({} if usage is None else {"usage": usage})}


@dataclass(slots=True)
class ChatChoice:
    """One of the answers to a chat request, as it comes."""

    index: int
    reads_calls: bool
    words: str = ""
    calls: list[JsonObject] = field(default_factory=list)
    logprobs: list[JsonObject] = field(default_factory=list)
    finish_reason: str | None = None
    # `guard` with the verdict, where answers are judged.
    verdict: JsonObject = field(default_factory=dict)
    _reader: CallReader = field(default_factory=CallReader)

    def take(self, event: TokenEvent) -> list[JsonObject]:
        """The deltas of one piece of text."""
        told = list(map(logprob_json, event.logprobs))
        self.logprobs += told
        return self._deltas(self._reader.take(event.text) if self.reads_calls else [event.text], told)

    def end(self, done: DoneEvent) -> list[JsonObject]:
        """The deltas that were held back; from now on `finish_reason` is known."""
        deltas = self._deltas(self._reader.end() if self.reads_calls else [], [])
        self.finish_reason = "tool_calls" if self.calls and done.finish_reason == "stop" else done.finish_reason
        self.verdict = verdict_of(done)
        return deltas

    def _deltas(self, found: Iterable[str | Called], told: list[JsonObject]) -> list[JsonObject]:
        deltas: list[JsonObject] = []
        for one in found:
            if isinstance(one, str):
                if one:
                    self.words += one
                    deltas.append({"content": one})
                continue
            call = {"id": f"call_{secrets.token_hex(8)}", "type": "function", "function": {"name": one.name, "arguments": one.arguments}}
            deltas.append({"tool_calls": [{"index": len(self.calls), **call}]})
            self.calls.append(call)
        if told:
            # They belong to the tokens, which may be held back; they go with what is told next.
            deltas = deltas or [{"content": ""}]
            deltas[0]["logprobs"] = told
        return deltas

    def to_json(self, wants_logprobs: bool) -> JsonObject:
        """The whole choice."""
        # Between words and calls models write a line break, which is part of neither.
        words = self.words.rstrip("\n") if self.calls else self.words
        message: JsonObject = {"role": "assistant", "content": None if self.calls and not words else words, "refusal": None}
        if self.calls:
            message["tool_calls"] = self.calls
        logprobs = {"content": self.logprobs, "refusal": None} if wants_logprobs else None
        return {"index": self.index, "message": message, "logprobs": logprobs, "finish_reason": self.finish_reason, **self.verdict}

    def last_piece(self) -> JsonObject:
        """The choice of the piece behind the last delta: how the answer ended, and its verdict."""
        return {**self.piece({}), "finish_reason": self.finish_reason, **self.verdict}

    def piece(self, delta: JsonObject) -> JsonObject:
        """A delta as a piece's choice."""
        told = delta.pop("logprobs", None)
        logprobs = {"content": told, "refusal": None} if told is not None else None
        return {"index": self.index, "delta": delta, "logprobs": logprobs, "finish_reason": None}


def logprob_json(told: TokenLogprob) -> JsonObject:
    """A token's log-probability; `bytes` where the token is whole characters."""
    likely = [{"token": one.text, "logprob": one.nats, "bytes": _bytes(one.text)} for one in told.likely]
    return {"token": told.text, "logprob": told.nats, "bytes": _bytes(told.text), "top_logprobs": likely}


def completion_logprobs(told: Iterable[TokenLogprob], start: int) -> JsonObject:
    """The same in the older form of `/v1/completions`; `start` is where the first token begins in the text."""
    found: JsonObject = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for one in told:
        found["tokens"].append(one.text)
        found["token_logprobs"].append(one.nats)
        found["top_logprobs"].append({other.text: other.nats for other in one.likely})
        found["text_offset"].append(start)
        start += len(one.text)
    return found


def _bytes(text: str) -> list[int] | None:
    return None if "\ufffd" in text else list(text.encode())


def usage(done: Iterable[DoneEvent], prompts: int | None = None) -> JsonObject:
    """The token counts of several answers; of `n` answers to one prompt it counts once (`prompts`)."""
    ends = list(done)
    asked = sum(end.prompt_tokens for end in ends[:prompts])
    said = sum(end.completion_tokens for end in ends)
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
