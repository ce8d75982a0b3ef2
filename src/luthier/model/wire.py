"""What goes over the wire to an OpenAI-compatible endpoint and what is read of its replies. Pure: no network here.

The form is that of OpenAI's chat completions, `POST /chat/completions`; log-probabilities of a given answer come from the two
extensions that servers have for it, `prompt_logprobs` (vLLM) and `echo` (the older `POST /completions`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import suppress
from typing import TypeGuard

from luthier.core.protocols import DoneEvent, GenerationRequest
from luthier.core.records import JsonObject, JsonValue, Message, without_input_role

# No answer is kept beyond this length, whatever was sent: an endpoint that minds no limit must not fill the run folder.
LONGEST_ANSWER_CHARACTERS = 200_000
_LONGEST_REASON_CHARACTERS = 300
# Finish reasons that mean "cut"; every other one is an end that the model or the endpoint chose.
CUT = ("length", "max_tokens")


class BadReply(ValueError):
    """A reply that holds no answer; the message says what is wrong with it, in a few words."""


def chat_body(request: GenerationRequest, model: str, limit_key: str) -> JsonObject:
    """The body of a chat completion. A seed is carried where one counts alone, for some endpoints refuse any."""
    body: JsonObject = {
        "model": model,
        "messages": wire_messages(request.messages),
        limit_key: request.max_new_tokens,
        "temperature": request.temperature,
        "stream": False,
    }
    if request.temperature > 0:
        if request.seed is not None:
            body["seed"] = request.seed
        body["top_p"] = request.top_p
    if request.tools:
        body["tools"] = list(request.tools)
    if request.stop:
        body["stop"] = list(request.stop)
    if request.top_logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    return body


def wire_messages(messages: Sequence[Message]) -> list[JsonObject]:
    """The messages as the API takes them: arguments of calls as JSON text, every call with an id, results with the id of their call."""
    written: list[JsonObject] = []
    open_calls: list[str] = []
    count = 0
    for message in without_input_role(messages):
        row: JsonObject = {"role": message.role, "content": message.content}
        if message.name is not None:
            row["name"] = message.name
        if message.tool_calls:
            row["tool_calls"] = calls = []
            for call in message.tool_calls:
                count += 1
                call_id = call.id or f"call_{count}"
                open_calls.append(call_id)
                function = {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)}
                calls.append({"id": call_id, "type": "function", "function": function})
        if message.role == "tool":
            first = open_calls[0] if open_calls else "call_1"
            row["tool_call_id"] = call_id = message.tool_call_id or first
            open_calls = [other for other in open_calls if other != call_id]
        written.append(row)
    return written


def read_json(content: bytes) -> JsonObject:
    """The object in a reply's bytes; `BadReply` where there is none."""
    try:
        value = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadReply(f"the reply is not UTF-8 (byte {error.start})") from error
    except (ValueError, RecursionError) as error:
        raise BadReply(f"the reply is no JSON ({len(content):,} bytes)") from error
    if not isinstance(value, dict):
        raise BadReply(f"the reply is no JSON object but a {type(value).__name__}")
    return value


def completion_of(reply: JsonObject, request_id: str) -> DoneEvent:
    """The answer in a chat completion; `BadReply` where it holds none.

    Calls of tools follow the text, each as `<tool_call>{"name", "arguments"}</tool_call>`, the wording of ChatML models, so that all
    candidates are read alike. A refusal is an answer. Halves of characters become U+FFFD, for no file could hold them.
    """
    if reply.get("error"):
        raise BadReply(f"the reply is an error: {reason_in(reply)}")
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices:
        raise BadReply("the reply has no choices")
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise BadReply("the reply's first choice has no message")
    reason = choice.get("finish_reason")
    text = _text(message)
    if text is None:
        if reason not in (*CUT, "content_filter"):
            raise BadReply("the reply's message has no content")
        text = ""
    finish_reason = "length" if reason in CUT or len(text) > LONGEST_ANSWER_CHARACTERS else "stop"
    return DoneEvent(request_id, text[:LONGEST_ANSWER_CHARACTERS], finish_reason, *usage_of(reply))


def read_piece(piece: JsonObject, usage: tuple[int, int]) -> tuple[JsonObject | None, tuple[int, int]]:
    """The choice that a piece of a stream tells, None where it tells none, and the tokens: its own, or `usage` as it was known before.

    `BadReply` where the piece is an error.
    """
    if piece.get("error"):
        raise BadReply(reason_in(piece))
    choices = piece.get("choices")
    return choices[0] if choices else None, usage_of(piece) if piece.get("usage") else usage


def usage_of(reply: JsonObject) -> tuple[int, int]:
    """The tokens in and out that a reply counts; 0 for what it does not tell."""
    usage = reply.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return _count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens"))


def _text(message: JsonObject) -> str | None:
    """The message's text with its calls; None where it says nothing at all."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    pieces = [content] if isinstance(content, str) else []
    if not pieces and isinstance(message.get("refusal"), str):
        pieces = [message["refusal"]]
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        pieces.append(call_text(call))
    return whole("\n".join(piece for piece in pieces if piece)) if pieces else None


def call_text(call: JsonValue) -> str:
    """A call of a tool as ChatML models write it; `BadReply` where it has no name."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadReply("the reply holds a tool call without a name")
    arguments = function.get("arguments")
    # Arguments that are no JSON are judged as the model wrote them.
    with suppress(ValueError, RecursionError):
        arguments = json.loads(arguments) if isinstance(arguments, str) and arguments else arguments or {}
    told = json.dumps({"name": function["name"], "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{told}\n</tool_call>"


def whole(text: str) -> str:
    """`text` with U+FFFD in place of halves of characters (lone surrogates), which JSON can name and UTF-8 cannot hold."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _count(value: JsonValue) -> int:
    return value if type(value) is int and value >= 0 else 0


def reason_in(reply: JsonValue) -> str:
    """What an error reply says of itself, as one short line without control characters; empty where it says nothing."""
    if isinstance(reply, list) and reply:
        # Gemini tells its errors in a list.
        reply = reply[0]
    error = reply.get("error", reply) if isinstance(reply, dict) else reply
    said = error.get("message") or error.get("detail") or error.get("code") if isinstance(error, dict) else error
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False) if said else ""
    line = " ".join("".join(character if character.isprintable() else " " for character in whole(text)).split())
    return line[:_LONGEST_REASON_CHARACTERS]


def scored_chat_body(messages: Sequence[Message], answer: str, model: str, limit_key: str) -> JsonObject:
    """A request that continues `answer` by one token and asks for the log-probabilities of everything before it."""
    return {
        "model": model,
        "messages": [*wire_messages(messages), {"role": "assistant", "content": answer}],
        limit_key: 1,
        "temperature": 0.0,
        "stream": False,
        "add_generation_prompt": False,
        "continue_final_message": True,
        "prompt_logprobs": 0,
    }


def prompt_body(messages: Sequence[Message], model: str, limit_key: str) -> JsonObject:
    """A request whose `usage.prompt_tokens` is the number of tokens before the answer."""
    return {"model": model, "messages": wire_messages(messages), limit_key: 1, "temperature": 0.0, "stream": False}


def scored_text_body(text: str, model: str) -> JsonObject:
    """A request to `/completions` that sends `text` back with the log-probability of each of its tokens."""
    return {"model": model, "prompt": text, "max_tokens": 0, "echo": True, "logprobs": 1, "temperature": 0.0, "stream": False}


def prompt_tokens_of(reply: JsonObject) -> int:
    """The number of tokens of the prompt; `BadReply` where the reply does not tell it."""
    count, _ = usage_of(reply)
    if not count:
        raise BadReply("the reply does not tell the number of prompt tokens")
    return count


def chat_score(reply: JsonObject, prompt_tokens: int) -> tuple[float, int]:
    """Summed log-probability (nats) and count of the tokens behind the first `prompt_tokens`; `BadReply` where none are told.

    vLLM gives a list with None for the first token and, for each other, an object of token id to `{"logprob": ...}`.
    """
    told = reply.get("prompt_logprobs")
    if not isinstance(told, list):
        raise BadReply("no log-probabilities of a given answer (`prompt_logprobs`)")
    values = [_log_probability(entry) for entry in told[prompt_tokens:]]
    if not values:
        raise BadReply("the log-probabilities end before the answer")
    return sum(values), len(values)


def _log_probability(entry: JsonValue) -> float:
    # With `prompt_logprobs: 0` an entry holds the token that stands there and no other.
    first = next(iter(entry.values()), None) if isinstance(entry, dict) else None
    value = first.get("logprob") if isinstance(first, dict) else None
    if not _is_finite(value):
        raise BadReply("a token has no log-probability")
    return float(value)


def _is_finite(value: JsonValue) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def text_score(reply: JsonObject, context: str, text: str) -> tuple[float, int]:
    """The same for plain text: over the tokens that reach into `text`, which stands behind `context` in what was echoed.

    A token that begins in `context` and ends in `text` counts, so that no character goes unscored. The first token of all has no
    log-probability and does not count. Where a server's own first token (a begin of text) is echoed too, the offsets count its letters.
    """
    choices = reply.get("choices")
    told = choices[0].get("logprobs") if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None
    told = told if isinstance(told, dict) else {}
    values, offsets, words = (told.get(name) for name in ("token_logprobs", "text_offset", "tokens"))
    if not isinstance(values, list) or not all(_is_finite(value) for value in values[1:]):
        raise BadReply("no log-probabilities of a given text (`echo` with `logprobs`)")
    if not context:
        return float(sum(values[1:])), max(0, len(values) - 1)
    if not isinstance(offsets, list) or len(offsets) != len(values) or not all(type(offset) is int for offset in offsets):
        raise BadReply("the log-probabilities do not tell where a token begins (`text_offset`)")
    first = words[0] if isinstance(words, list) and words and isinstance(words[0], str) else ""
    start = len(context) + (0 if (context + text).startswith(first) else len(first))
    ends = [*offsets[1:], len(context + text) + start - len(context)]
    counted = [value for value, offset, end in zip(values[1:], offsets[1:], ends[1:], strict=True) if offset >= start or end > start]
    return float(sum(counted)), len(counted)
