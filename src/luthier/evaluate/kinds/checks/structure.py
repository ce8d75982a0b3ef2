"""JSON and tool calls in an answer, found and compared as values: in bounded time, and without an exception on any text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from luthier.core.records import JsonObject, JsonValue, ToolCall
from luthier.evaluate.instruments.markdown import blocks

# Beyond these an answer is no call, and reading it would cost time without end.
MAX_CHARACTERS = 1 << 18
MAX_DEPTH = 100
_MAX_TRIES = 200

_START = re.compile(r"[\[{]")
_DECODER = json.JSONDecoder()


class NoJson(Exception):
    """The answer holds no JSON value where one is looked for."""


def json_in(text: str) -> JsonValue:
    """The JSON value that the answer is, or that its first fenced block holds; `NoJson` where neither is one."""
    block = next(blocks(text[:MAX_CHARACTERS]), None)
    for part in (text, *([block.body] if block else ())):
        if len(part) <= MAX_CHARACTERS:
            try:
                value = json.loads(part, parse_constant=_refuse)
            except (ValueError, RecursionError):
                continue
            if _is_flat_enough(value):
                return value
    raise NoJson("neither the answer nor its first block is JSON")


def calls_in(text: str) -> list[JsonObject]:
    """The tool calls in an answer, each as `{"name", "arguments"}`: JSON objects with a name and arguments, wherever they stand.

    Read are the flat form, OpenAI's nested one, a list of either, `parameters` for `arguments`, and arguments as JSON text; marks
    around them (`<tool_call>`, `[TOOL_CALLS]`, a fence) differ between model families and are passed over.
    """
    text = text[:MAX_CHARACTERS]
    calls: list[JsonObject] = []
    position = 0
    for _ in range(_MAX_TRIES):
        start = _START.search(text, position)
        if start is None:
            break
        try:
            value, position = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            position = start.end()
            continue
        calls += [call for call in _calls_of(value) if _is_flat_enough(call)] if _is_flat_enough(value) else []
    return calls


def _calls_of(value: JsonValue) -> list[JsonObject]:
    if isinstance(value, list):
        return [call for item in value if isinstance(item, dict) for call in _calls_of(item)]
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("tool_calls"), list):
        return _calls_of(value["tool_calls"])
    function = value.get("function", value)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return []
    arguments = function.get("arguments", function.get("parameters", {}))
    try:
        call = ToolCall.from_json({"name": function["name"], "arguments": arguments})
    except (ValueError, TypeError, RecursionError):
        return []
    return [{"name": call.name, "arguments": call.arguments}]


def same_calls(found: Sequence[JsonObject], expected: Sequence[JsonObject]) -> bool:
    """Whether both make the same calls, in any order: equal names, and arguments equal as JSON (1 is 1.0, but not true)."""
    missing = [{"name": call["name"], "arguments": call.get("arguments", {})} for call in expected]
    for call in found:
        index = next((index for index, other in enumerate(missing) if same_json(call, other)), None)
        if index is None:
            return False
        del missing[index]
    return not missing


def same_json(one: JsonValue, other: JsonValue) -> bool:
    """Whether two JSON values are equal: objects whatever the order of their keys, numbers by value, true and 1 apart."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    return type(one) is type(other) and bool(one == other)


def _is_flat_enough(value: JsonValue) -> bool:
    """Whether a value is nested at most `MAX_DEPTH` deep: what is deeper no other part of Luthier could write or compare."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item) if isinstance(inner, dict | list)]
        if not level:
            return True
    return False


def _refuse(name: str) -> JsonValue:
    raise ValueError(f"{name} is no JSON")
