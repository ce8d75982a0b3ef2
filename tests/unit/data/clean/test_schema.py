from __future__ import annotations

import pytest

from cleaning_parts import calling, raw, row, says, turns
from luthier.core.records import INPUT_ROLE, TEXT_ROLE, Message, ToolCall
from luthier.data.clean.records import Row
from luthier.data.clean.schema import broken_characters, control_characters, role_order, tool_call, tool_result

CALLS = Message("assistant", "", tool_calls=(ToolCall("f", {}, "a"), ToolCall("g", {}, "b")))
NAMELESS = Message("assistant", "", tool_calls=(ToolCall("f", {}),))


def result(identity: str | None) -> Message:
    return Message("tool", "1", tool_call_id=identity)


@pytest.mark.parametrize(
    "kept",
    [
        row(),
        raw("def f(): ..."),
        turns(("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")),
        turns(("user", "a"), (INPUT_ROLE, "b"), ("assistant", "c")),
        turns(("user", "a"), ("user", "and b"), ("assistant", "c")),
        calling({"key": "value"}),
        turns(("user", "a"), CALLS, result("b"), result("a"), ("assistant", "c")),
    ],
)
def test_turns_in_order_stay(kept: Row) -> None:
    assert says(role_order, kept) is None
    assert says(tool_result, kept) is None


@pytest.mark.parametrize(
    "dropped",
    [
        turns(("assistant", "b")),
        turns(("system", "s"), ("assistant", "b")),
        turns(("user", "a")),
        turns(("user", "a"), ("assistant", "b"), ("assistant", "c")),
        turns(("user", "a"), ("assistant", "b"), ("system", "s"), ("user", "c"), ("assistant", "d")),
        turns(("tool", "1"), ("user", "a"), ("assistant", "b")),
        turns(("user", "a"), ("observer", "hm"), ("assistant", "b")),
        turns((TEXT_ROLE, "a"), ("user", "b")),
        turns(),
    ],
)
def test_turns_out_of_order_go(dropped: Row) -> None:
    assert says(role_order, dropped) is not None


@pytest.mark.parametrize(
    "dropped",
    [
        turns(("user", "a"), CALLS, result("c")),
        turns(("user", "a"), CALLS, result("a"), result("a")),
        turns(("user", "a"), NAMELESS, result(None), result(None)),
        turns(("user", "a"), ("assistant", "b"), result("a")),
        turns(("user", "a"), CALLS, ("assistant", "c"), result("a")),
    ],
)
def test_results_without_a_call_go(dropped: Row) -> None:
    assert says(tool_result, dropped) is not None


def test_results_without_ids_come_in_the_order_of_their_calls() -> None:
    assert says(tool_result, turns(("user", "a"), NAMELESS, result(None), ("assistant", "c"))) is None


@pytest.mark.parametrize("text", ["a\x1b[31mred", "a\0b", "bell\x07", "\x7f", "\x9b1m"])
def test_control_characters_go(text: str) -> None:
    assert says(control_characters, row(answer=text)) is not None
    assert says(control_characters, row(request=text)) is not None


@pytest.mark.parametrize("text", ["a\tb\r\nc", "old\x0csource", "é ü \x85 line"])
def test_white_space_stays(text: str) -> None:
    assert says(control_characters, row(answer=text)) is None


@pytest.mark.parametrize(
    "text", ["caf\ufffd", "\ue0b0 main", "\U000f0001", "\uffff", "hid\U000e0041den", "if a: # \u202e }", "x\u2066y\u2069", "\u202ax"]
)
def test_broken_characters_go_and_are_named_by_code_alone(text: str) -> None:
    detail = says(broken_characters, row(answer=text))
    assert detail is not None
    assert detail.startswith("turn 2 holds U+")
    assert detail.isascii()


@pytest.mark.parametrize(
    "text", ["café", "日本語", "😀👩‍👩‍👧", "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "\u200d"]
)
def test_whole_characters_stay(text: str) -> None:
    assert says(broken_characters, row(answer=text)) is None


def test_reasoning_is_looked_at() -> None:
    assert says(control_characters, turns(("user", "a"), Message("assistant", "b", reasoning="\x1b"))) is not None


def tool(schema: object, name: str = "lookup") -> dict[str, object]:
    return {"type": "function", "function": {"name": name, "parameters": schema}}


ONE = {"type": "object", "properties": {"key": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "arguments", "is_kept"),
    [
        (ONE, {"key": "a"}, True),
        (ONE, {}, True),
        (ONE, {"key": "a", "force": True}, False),
        ({**ONE, "additionalProperties": False}, {"other": 1}, False),
        ({**ONE, "additionalProperties": True}, {"other": 1}, True),
        ({**ONE, "additionalProperties": {"type": "string"}}, {"other": "a"}, True),
        ({"type": "object", "additionalProperties": False}, {"other": 1}, False),
        ({"type": "object", "properties": {}}, {"other": 1}, False),
        ({"type": "object"}, {"other": 1}, True),
        ({"anyOf": [ONE], "properties": {}}, {"key": "a"}, True),
        (None, {"other": 1}, True),
    ],
)
def test_arguments_that_a_tool_does_not_declare(schema: object, arguments: dict[str, object], is_kept: bool) -> None:
    assert (says(tool_call, calling(arguments, tools=(tool(schema),))) is None) is is_kept


def test_tools_that_a_row_does_not_declare() -> None:
    assert says(tool_call, calling({"key": "a"}, tools=(tool(ONE, "other"),))) is not None
    assert says(tool_call, calling({"key": "a"}, tools=(tool(ONE, "other"), tool(ONE)))) is None
    assert says(tool_call, calling({"key": "a"})) is None
