"""What a body may hold: every field acts or is refused by its name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from luthier.core.records import Message, ToolCall
from luthier.serve.door.nesting import MOST_DEPTH
from luthier.serve.openai.bodies import MOST_PARTS, MOST_TEXT_CHARACTERS, ChatBody, CompletionBody

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def where(body: dict[str, Any], kind: type[ChatBody] | type[CompletionBody] = ChatBody) -> str:
    with pytest.raises(ValidationError) as raised:
        kind.model_validate(body)
    return ".".join(map(str, raised.value.errors()[0]["loc"]))


def test_turns_become_messages() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "read", "arguments": '{"path": "a"}'}}
    turns = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "x", "tool_call_id": "c1"},
    ]
    body = ChatBody.model_validate({**CHAT, "messages": turns})
    assert [turn.to_message() for turn in body.messages] == [
        Message("system", "Be brief."),
        Message("user", "ab"),
        Message("assistant", "", (ToolCall("read", {"path": "a"}, "c1"),)),
        Message("tool", "x", tool_call_id="c1"),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("best_of", 2),
        ("frequency_penalty", 0.5),
        ("presence_penalty", -1),
        ("logit_bias", {"50256": -100}),
        ("response_format", {"type": "json_object"}),
        ("tool_choice", "required"),
        ("temperature", 2.1),
        ("temperature", "0"),
        ("temperature", True),
        ("top_p", 0),
        ("n", 9),
        ("n", 1.5),
        ("seed", "1"),
        ("stop", [""]),
        ("stop", ["a", "b", "c", "d", "e"]),
        ("max_tokens", 0),
        ("top_logprobs", 21),
        ("store", True),
        ("parallel_tool_calls", False),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(field: str, value: object) -> None:
    assert where({**CHAT, field: value}).split(".")[0] == field


@pytest.mark.parametrize("field", ["frequency_penalty", "presence_penalty", "temperature"])
@pytest.mark.parametrize("value", [0, 0.0])
def test_zero_is_zero_in_both_ways_of_writing(field: str, value: float) -> None:
    assert getattr(ChatBody.model_validate({**CHAT, field: value}), field) == 0


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "user"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
        {"role": "user", "content": "x", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "[1]"}}]},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{"}}]},
        {"role": "king", "content": "x"},
    ],
)
def test_a_turn_that_says_nothing_known_is_refused(turn: dict[str, Any]) -> None:
    assert where({**CHAT, "messages": [turn]}).startswith("messages.0")


def test_options_go_with_what_they_change() -> None:
    assert where({**CHAT, "top_logprobs": 2}) == "top_logprobs"
    assert where({**CHAT, "stream_options": {"include_usage": True}}) == "stream_options"
    ChatBody.model_validate({**CHAT, "stream": True, "stream_options": {"include_usage": True}, "logprobs": True, "top_logprobs": 2})
    assert ChatBody.model_validate({**CHAT, "max_tokens": 3, "max_completion_tokens": 5}).most_tokens == 5
    assert ChatBody.model_validate({**CHAT, "stop": "x"}).stops == ("x",)
    assert CompletionBody.model_validate({"model": "m", "prompt": "x"}).prompts == ["x"]
    assert where({"model": "m", "prompt": [1, 2]}, CompletionBody).startswith("prompt")
    assert where({"model": "m", "prompt": "x", "echo": True}, CompletionBody) == "echo"


def test_why_tokens_are_not_weighed_is_told() -> None:
    with pytest.raises(ValidationError, match="tokens are not weighed here: leave it out"):
        ChatBody.model_validate({**CHAT, "logit_bias": {"50256": -100}})
    assert ChatBody.model_validate({**CHAT, "logit_bias": {}}).logit_bias == {}


def test_texts_have_a_length_together() -> None:
    half = {"role": "user", "content": "x" * (MOST_TEXT_CHARACTERS // 2)}
    assert ChatBody.model_validate({**CHAT, "messages": [half, half]}).messages
    parts = {"role": "user", "content": [{"type": "text", "text": "x"}]}
    assert where({**CHAT, "messages": [half, half, parts]}) == "messages"
    assert where({**CHAT, "messages": [{**parts, "content": parts["content"] * (MOST_PARTS + 1)}]}).startswith("messages.0.content")
    assert where({"model": "m", "prompt": [half["content"], half["content"], "x"]}, CompletionBody) == "prompt"


def nested(depth: int) -> dict[str, Any]:
    value: Any = "x"
    for number in range(depth):
        value = [value] if number % 2 else {"a": value}
    return {"a": value}


def test_lists_and_objects_lie_so_deep_in_each_other_and_no_deeper() -> None:
    def tool(depth: int) -> dict[str, Any]:
        return {**CHAT, "tools": [{"type": "function", "function": {"name": "f", "parameters": nested(depth - 1)}}]}

    def call(depth: int) -> dict[str, Any]:
        function = {"name": "f", "arguments": json.dumps(nested(depth - 1))}
        return {**CHAT, "messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": function}]}]}

    assert ChatBody.model_validate(tool(MOST_DEPTH)).tools
    assert ChatBody.model_validate(call(MOST_DEPTH)).messages
    for depth in (MOST_DEPTH + 1, 300):
        assert where(tool(depth)) == "tools.0.function.parameters"
        assert where(call(depth)) == "messages.0.tool_calls.0.function.arguments"


def test_who_names_no_model_means_the_default_one() -> None:
    assert ChatBody.model_validate({"messages": CHAT["messages"]}).model is None
    assert CompletionBody.model_validate({"prompt": "x", "model": None}).model is None
