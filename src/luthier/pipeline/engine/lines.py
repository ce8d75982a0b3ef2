"""What the engine's process and those that started it say to each other: one JSON object a line, each way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest, LikelyToken, TokenEvent, TokenLogprob
from luthier.core.records import JsonObject, Message

# A line of a request holds its whole text, one of an answer a piece of it.
LONGEST_LINE_BYTES = 64 << 20
# The engine says that it is alive at least this often.
BEAT_SECONDS = 1.0


def line(message: Mapping[str, Any]) -> bytes:
    """`message` as it is sent."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def request_to_json(request: GenerationRequest) -> JsonObject:
    """A request as `request_from_json` reads it."""
    # Not `asdict`, which copies every value inside: half a second for a tool with a schema of a mebibyte.
    told = {field.name: getattr(request, field.name) for field in fields(request)}
    return {**told, "messages": [message.to_json() for message in request.messages]}


def request_from_json(row: JsonObject) -> GenerationRequest:
    """The request that `request_to_json` wrote."""
    told = {**row, "messages": tuple(map(Message.from_json, row["messages"]))}
    return GenerationRequest(**{**told, "tools": tuple(row["tools"]), "stop": tuple(row["stop"])})


_KINDS: dict[str, type[GenerationEvent]] = {"token": TokenEvent, "done": DoneEvent, "error": ErrorEvent}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def event_to_json(event: GenerationEvent) -> JsonObject:
    """An event as `event_from_json` reads it."""
    return {"event": _NAMES[type(event)], **asdict(event)}


def event_from_json(row: JsonObject) -> GenerationEvent:
    """The event that `event_to_json` wrote."""
    told = {name: value for name, value in row.items() if name != "event"}
    if row["event"] == "token":
        told["logprobs"] = tuple(
            TokenLogprob(one["text"], one["nats"], tuple(LikelyToken(**other) for other in one["likely"])) for one in row["logprobs"]
        )
    return _KINDS[row["event"]](**told)
