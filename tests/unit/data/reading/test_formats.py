"""Every format: what it makes of good rows, and the reason and advice it gives for each kind of bad row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from luthier.config.row_sections import DatasetEntry
from luthier.core.records import Detail, Message, ToolCall, TurnEnds
from luthier.data.reading.formats import converter, suggestion
from luthier.data.rows.digests import digest_of
from luthier.data.rows.fields import BadRow, Fields

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
ASK = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}
ASKED = (Message("user", "q"), Message("assistant", "a"))


def convert(row: dict[str, Any], **entry: Any) -> Fields:
    return converter(DatasetEntry(path="rows.jsonl", **entry))(row)


def turns(*messages: dict[str, Any], **columns: Any) -> dict[str, Any]:
    return {"messages": list(messages), **columns}


def called(call: dict[str, Any]) -> dict[str, Any]:
    return turns(ASK, {"role": "assistant", "content": None, "tool_calls": [call]})


GOOD = {
    "alpaca": ({"type": "alpaca"}, {"instruction": "q", "input": "", "output": "a"}, ASKED),
    "alpaca without input column": ({"type": "alpaca"}, {"instruction": "q", "output": "a"}, ASKED),
    "alpaca null input": ({"type": "alpaca"}, {"instruction": "q", "input": None, "output": "a"}, ASKED),
    "alpaca with input": (
        {"type": "alpaca"},
        {"instruction": " q\n", "input": "i", "output": " a "},
        (Message("user", " q\n"), Message("input", "i"), Message("assistant", " a ")),
    ),
    "chat": ({}, turns(ASK, ANSWER), ASKED),
    "chat with system and more turns": (
        {},
        turns({"role": "system", "content": "s"}, ASK, ANSWER, ASK, ANSWER),
        (Message("system", "s"), *ASKED, *ASKED),
    ),
    "chat as JSON text": ({}, {"messages": json.dumps([ASK, ANSWER])}, ASKED),
    "chat with system column": ({}, turns(ASK, ANSWER, system="s"), (Message("system", "s"), *ASKED)),
    "chat whose system turn wins over the column": (
        {},
        turns({"role": "system", "content": "own"}, ASK, ANSWER, system="s"),
        (Message("system", "own"), *ASKED),
    ),
    "chat with a named system column": ({"field_system": "setup"}, turns(ASK, ANSWER, setup="s"), (Message("system", "s"), *ASKED)),
    "chat with text parts": ({}, turns({"role": "user", "content": [{"type": "text", "text": "q"}]}, ANSWER), ASKED),
    "chat with train flags": (
        {},
        turns(ASK, {**ANSWER, "train": False}, ASK, ANSWER),
        (Message("user", "q"), Message("assistant", "a", train=False), *ASKED),
    ),
    "chat with reasoning": (
        {},
        turns(ASK, {**ANSWER, "reasoning_content": "r"}),
        (Message("user", "q"), Message("assistant", "a", reasoning="r")),
    ),
    "sharegpt": ({}, {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}, ASKED),
    "sharegpt named": (
        {"field_messages": "talk", "message_property_mappings": {"role": "from", "content": "value"}},
        {"talk": [{"from": "user", "value": "q"}, {"from": "assistant", "value": "a"}]},
        ASKED,
    ),
    "roles": ({"roles": {"assistant": ["model"]}}, turns(ASK, {"role": "model", "content": "a"}), ASKED),
    "completion": ({"type": "completion"}, {"text": "abc"}, (Message("text", "abc", train=True),)),
    "completion with field": ({"type": "completion", "field": "body"}, {"body": "abc"}, (Message("text", "abc", train=True),)),
    "input_output": (
        {"type": "input_output"},
        {"segments": [{"label": False, "text": "q"}, {"label": True, "text": "a"}]},
        (Message("text", "q", train=False), Message("text", "a", train=True)),
    ),
    "prompt_completion": (
        {"type": "prompt_completion"},
        {"prompt": "q", "completion": "a"},
        (Message("user", "q", train=False), Message("assistant", "a", train=True)),
    ),
    "prompt_completion with turns": (
        {"type": "prompt_completion"},
        {"prompt": [{"role": "system", "content": "s"}, ASK, ANSWER, ASK], "completion": [ANSWER]},
        (
            Message("system", "s", train=False),
            Message("user", "q", train=False),
            Message("assistant", "a", train=False),
            Message("user", "q", train=False),
            Message("assistant", "a", train=True),
        ),
    ),
    "mapping": ({"type": {"field_instruction": "ask", "field_output": "say"}}, {"ask": "q", "say": "a"}, ASKED),
    "mapping with the usual input and system columns": (
        {"type": {}},
        {"system": "s", "instruction": "q", "input": "i", "output": "a"},
        (Message("system", "s"), Message("user", "q"), Message("input", "i"), Message("assistant", "a")),
    ),
    "mapping with a system prompt": (
        {"type": {"system_prompt": "s"}},
        {"instruction": "q", "output": "a"},
        (Message("system", "s"), *ASKED),
    ),
    "mapping whose empty system column wins": (
        {"type": {"system_prompt": "s"}},
        {"system": "", "instruction": "q", "output": "a"},
        (Message("system", ""), *ASKED),
    ),
    "mapping with an empty system column": ({"type": {}}, {"system": "", "instruction": "q", "output": "a"}, ASKED),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_rows(name: str) -> None:
    entry, row, expected = GOOD[name]
    assert convert(row, **entry).messages == expected


CALLS = {
    "flat": {"name": "weather", "arguments": {"city": "Bonn"}},
    "nested": {"type": "function", "function": {"name": "weather", "arguments": {"city": "Bonn"}}},
    "text arguments": {"function": {"name": "weather", "arguments": '{"city": "Bonn"}'}},
    "parameters": {"name": "weather", "parameters": {"city": "Bonn"}},
}


@pytest.mark.parametrize("name", CALLS)
def test_tool_calls_are_read_flat_and_nested(name: str) -> None:
    fields = convert(called(CALLS[name]))
    assert convert(turns(ASK, {"role": "assistant", "tool_calls": [CALLS[name]]})) == fields
    assert fields.messages[1] == Message("assistant", "", tool_calls=(ToolCall("weather", {"city": "Bonn"}),))


def test_a_whole_tool_conversation() -> None:
    row = turns(
        ASK,
        {"role": "assistant", "content": "", "tool_calls": json.dumps([{"id": "c1", "name": "weather", "arguments": ""}])},
        {"role": "tool", "content": "rain", "tool_call_id": "c1", "name": "weather"},
        ANSWER,
        tools=json.dumps([{"name": "weather", "parameters": {"type": "object"}}]),
    )
    fields = convert(row)
    assert fields.messages[1].tool_calls == (ToolCall("weather", {}, "c1"),)
    assert fields.messages[2] == Message("tool", "rain", tool_call_id="c1", name="weather")
    assert fields.tools == (WEATHER,)
    assert convert(turns(ASK, ANSWER, functions=[WEATHER]), field_tools="functions").tools == (WEATHER,)
    assert convert(turns(ASK, ANSWER, tools=[])).tools == ()
    legacy = convert(turns(ASK, {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{}"}}))
    assert legacy.messages[1].tool_calls == (ToolCall("weather", {}),)


BAD = {
    "alpaca: no output": ({"type": "alpaca"}, {"instruction": "q", "response": "a"}, "missing_column", "field_output: response"),
    "alpaca: other format": ({"type": "alpaca"}, turns(ASK, ANSWER), "missing_column", "write `type: chat_template`"),
    "alpaca: number": ({"type": "alpaca"}, {"instruction": "q", "output": 3}, "wrong_type", "text in `output`, found a number"),
    "alpaca: input list": ({"type": "alpaca"}, {"instruction": "q", "input": [], "output": "a"}, "wrong_type", "`input`, found a list"),
    "alpaca: null instruction": ({"type": "alpaca"}, {"instruction": None, "output": "a"}, "wrong_type", "found null"),
    "alpaca: blank output": ({"type": "alpaca"}, {"instruction": "q", "output": " \n"}, "empty_answer", "`output` is empty"),
    "alpaca: null output": ({"type": "alpaca"}, {"instruction": "q", "output": None}, "empty_answer", "`output` is null"),
    "alpaca: asks nothing": ({"type": "alpaca"}, {"instruction": " ", "output": "a"}, "empty_request", "asks nothing"),
    "chat: other format": ({}, {"instruction": "q", "output": "a"}, "missing_column", "write `type: alpaca`"),
    "chat: two columns": (
        {},
        {"question": "q", "answer": "a"},
        "missing_column",
        "found `question`, `answer`; write `type: {field_instruction: question, field_output: answer}`",
    ),
    "chat: other column": ({}, {"talk": [ASK, ANSWER]}, "missing_column", "field_messages: talk"),
    "chat: null": ({}, {"messages": None}, "missing_column", "found null"),
    "chat: number": ({}, {"messages": 3}, "wrong_type", "found a number"),
    "chat: broken JSON text": ({}, {"messages": "[{"}, "invalid_messages", "expected JSON in the text of `messages`"),
    "chat: no turn": ({}, turns(), "no_messages", "holds no turn"),
    "chat: turn is text": ({}, {"messages": ["q"]}, "wrong_type", "turn 1"),
    "chat: unknown role": (
        {},
        turns(ASK, {"role": "model", "content": "a"}),
        "unknown_role",
        "roles: {assistant: [assistant, gpt, model]}",
    ),
    "chat: role is a number": ({}, turns({"role": 1, "content": "q"}), "wrong_type", "text in `role`"),
    "chat: no role": (
        {},
        turns({"speaker": "user", "text": "q"}),
        "missing_field",
        "message_property_mappings: {role: speaker, content: text}",
    ),
    "chat: no content": ({}, turns({"role": "user"}), "missing_field", "expected `content`, found `role`"),
    "chat: null content": ({}, turns({"role": "user", "content": None}), "wrong_type", "found null"),
    "chat: content is an object": ({}, turns({"role": "user", "content": {}}), "wrong_type", "found an object"),
    "chat: image": ({}, turns({"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}), "unsupported_content", "image_url"),
    "chat: no answer": ({}, turns(ASK), "no_assistant_turn", "found only: user"),
    "chat: empty answer": ({}, turns(ASK, {"role": "assistant", "content": " "}), "empty_answer", "turn 2"),
    "chat: nothing trained": ({}, turns(ASK, {**ANSWER, "train": False}), "nothing_trained", "train: false"),
    "chat: train is text": ({}, turns(ASK, {**ANSWER, "train": "no"}), "wrong_type", "in `train`"),
    "chat: name is a number": ({}, turns({**ASK, "name": 3}, ANSWER), "wrong_type", "in `name`"),
    "chat: system column is a list": ({}, turns(ASK, ANSWER, system=["s"]), "wrong_type", "`system`"),
    "call: not a list": ({}, turns(ASK, {**ANSWER, "tool_calls": 3}), "bad_tool_call", "expected a list"),
    "call: no name": ({}, called({"arguments": {}}), "bad_tool_call", "turn 2, call 1: expected `name`"),
    "call: text": ({}, called("ls"), "bad_tool_call", "found text"),  # type: ignore[arg-type]
    "call: arguments are no JSON": ({}, called({"name": "f", "arguments": "{x"}), "bad_tool_call", "no JSON object"),
    "call: arguments are too deep": (
        {},
        called({"name": "f", "arguments": '{"a": ' + "[" * 500 + "]" * 500 + "}"}),
        "bad_tool_call",
        "nested in more than 500 levels",
    ),
    "call: arguments are a list": ({}, called({"name": "f", "arguments": "[1]"}), "bad_tool_call", "object of arguments, found a list"),
    "call: id is a number": ({}, called({"name": "f", "arguments": {}, "id": 3}), "bad_tool_call", "`id`"),
    "tools: text": ({}, turns(ASK, ANSWER, tools="weather"), "bad_tools", "expected JSON in the text of `tools`"),
    "tools: object": ({}, turns(ASK, ANSWER, tools={"name": "f"}), "bad_tools", "expected a list of tools"),
    "tools: no name": ({}, turns(ASK, ANSWER, tools=[{"description": "f"}]), "bad_tools", "tool 1"),
    "completion: no column": ({"type": "completion"}, {"body": "abc"}, "missing_column", "type: completion, field: body"),
    "completion: blank": ({"type": "completion"}, {"text": ""}, "empty_answer", "`text` is empty"),
    "input_output: no column": ({"type": "input_output"}, {"text": "abc"}, "missing_column", "write `type: completion`"),
    "input_output: text": ({"type": "input_output"}, {"segments": "abc"}, "wrong_type", "a list in `segments`"),
    "input_output: text segment": ({"type": "input_output"}, {"segments": ["abc"]}, "wrong_type", "segment 1"),
    "input_output: no label": ({"type": "input_output"}, {"segments": [{"text": "abc"}]}, "wrong_type", "found `text`"),
    "input_output: label is 1": ({"type": "input_output"}, {"segments": [{"text": "a", "label": 1}]}, "wrong_type", "a number and text"),
    "input_output: none": ({"type": "input_output"}, {"segments": [{"text": "", "label": True}]}, "nothing_trained", "label: true"),
    "prompt_completion: no column": ({"type": "prompt_completion"}, {"prompt": "q"}, "missing_column", "expected the column `completion`"),
    "prompt_completion: empty": ({"type": "prompt_completion"}, {"prompt": "q", "completion": ""}, "empty_answer", "empty"),
    "prompt_completion: asks nothing": ({"type": "prompt_completion"}, {"prompt": "", "completion": "a"}, "empty_request", "`prompt`"),
    "prompt_completion: number": ({"type": "prompt_completion"}, {"prompt": 3, "completion": "a"}, "wrong_type", "found a number"),
    "mapping: no column": ({"type": {"field_output": "say"}}, {"instruction": "q"}, "missing_column", "expected the column `say`"),
    "already tokenized": ({}, {"input_ids": [1], "labels": [1], "attention_mask": [1]}, "missing_column", "found `input_ids`"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_say_what_was_expected_and_found(name: str) -> None:
    entry, row, reason, said = BAD[name]
    with pytest.raises(BadRow) as raised:
        convert(row, **entry)
    assert raised.value.reason == reason
    assert said in raised.value.detail


SUGGESTIONS = [
    {"instruction": "q", "output": "a"},
    {"prompt": "q", "completion": "a"},
    {"text": "abc"},
    {"body": "abc"},
    {"segments": [{"label": True, "text": "a"}]},
    {"messages": [ASK, ANSWER]},
    {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]},
    {"talk": [ASK, ANSWER]},
    {"description": "q", "command": "a", "platform": "p", "tool": "t"},
    {"left": "q", "right": "a"},
]


@pytest.mark.parametrize("row", SUGGESTIONS, ids=" ".join)
def test_what_is_suggested_reads_the_row(row: dict[str, Any]) -> None:
    yaml = pytest.importorskip("yaml")
    written = suggestion(row)
    entry = yaml.safe_load(f"{{{written}}}")
    assert convert(row, **entry).messages


def test_nothing_is_suggested_where_nothing_is_plain() -> None:
    assert suggestion({"a": "x", "b": "y", "c": "z"}) == ""
    assert suggestion({"input_ids": [1], "text": "abc"}) == ""
    assert suggestion({}) == ""


TURNS = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "abc"}, {"from": "human", "value": "r"}, {"from": "gpt", "value": "d"}]


def flags(turns, **entry):
    """The flag of every turn as it is stored."""
    return [message.train for message in convert({"conversations": turns}, **entry).messages]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({}, [None, None, None, None]),
        ({"roles_to_train": ["assistant"]}, [None, None, None, None]),
        ({"roles_to_train": ["gpt", "human"]}, [True, None, True, None]),
        ({"roles_to_train": "user"}, [True, False, True, False]),
        # A written mapping replaces Axolotl's own.
        ({"roles": {"user": ["gpt"], "assistant": ["human"]}, "roles_to_train": ["human"]}, [None, None, None, None]),
        ({"roles": {"user": ["gpt"], "assistant": ["human"]}, "roles_to_train": ["user"]}, [False, True, False, True]),
    ],
)
def test_roles_to_train_are_roles_after_their_mapping(entry, expected):
    assert flags(TURNS, **entry) == expected


def test_a_weight_is_written_as_a_number_too():
    turns = [{**turn, "weight": number} for turn, number in zip(TURNS, (1, 0, 1.0, 0), strict=True)]
    assert flags(turns, message_field_training="weight") == [True, False, True, False]


def test_a_turn_says_more_than_its_stretches_and_these_more_than_its_role():
    part = [{"begin_offset": 1, "end_offset": 2, "train": True}]
    idle = [{"begin_offset": 1, "end_offset": 2, "train": False}]
    turns = [
        {**TURNS[0], "weight": True},
        {**TURNS[1], "weight": False, "parts": part},
        {**TURNS[2], "train": True},
        {**TURNS[1], "parts": []},
        {**TURNS[1], "weight": True, "parts": []},
        {**TURNS[1], "weight": None, "parts": idle},
    ]
    entry = {"message_field_training": "weight", "message_field_training_detail": "parts"}
    # As in Axolotl, `train` is no flag where another field is named, and an empty list of stretches trains nothing.
    assert flags(turns, **entry) == [True, False, None, False, True, True]
    messages = convert({"conversations": turns}, **entry).messages
    assert [message.details for message in messages] == [
        (),
        (Detail(1, 2, True),),
        (),
        (),
        (),
        (Detail(1, 2, False),),
    ]
    assert flags(turns) == [None, None, True, None, None, None]


@pytest.mark.parametrize(
    ("turn", "entry", "reason", "says"),
    [
        ({"weight": 2}, {"message_field_training": "weight"}, "wrong_type", "turn 2: expected true or false, or 1 or 0, in `weight`"),
        ({"weight": False}, {"message_field_training": "weight"}, "nothing_trained", "has `weight: false`"),
        ({}, {"roles_to_train": []}, "nothing_trained", "`roles_to_train` names nobody"),
        ({}, {"roles_to_train": ["system"]}, "nothing_trained", "`roles_to_train` names system"),
        ({"parts": "all"}, {"message_field_training_detail": "parts"}, "wrong_type", "a list in `parts`"),
        (
            {"parts": [{"begin_offset": 1, "end_offset": 3, "train": True}]},
            {"message_field_training_detail": "parts"},
            "detail_out_of_range",
            "turn 2: `parts` names 1 to 3; the text has the characters 0 to 2",
        ),
    ],
)
def test_what_cannot_be_trained_so_is_told(turn, entry, reason, says):
    with pytest.raises(BadRow) as error:
        convert({"conversations": [TURNS[0], {**TURNS[1], **turn}]}, **entry)
    assert error.value.reason == reason
    assert says in error.value.detail


@pytest.mark.parametrize(
    ("entry", "ends"),
    [
        ({}, None),
        ({"train_on_eos": "turn"}, None),
        ({"train_on_eos": "all"}, TurnEnds("all", "all")),
        ({"train_on_eot": "last"}, TurnEnds("turn", "last")),
        ({"train_on_eos": "none", "train_on_eot": "turn"}, TurnEnds("none", "turn")),
    ],
)
def test_ends_of_turns_travel_with_the_row(entry, ends):
    fields = convert({"conversations": TURNS}, **entry)
    assert fields.ends == ends
    assert (digest_of(fields, "") == digest_of(convert({"conversations": TURNS}), "")) is (ends is None)


def test_stretches_tell_rows_apart():
    part = {**TURNS[1], "parts": [{"begin_offset": 0, "end_offset": 0, "train": True}], "train": True}
    entry = {"message_field_training_detail": "parts"}
    one, other = (convert({"conversations": [TURNS[0], turn]}, **entry) for turn in (part, {**part, "parts": []}))
    assert one.messages[1].train is other.messages[1].train is True
    assert digest_of(one, "") != digest_of(other, "")
