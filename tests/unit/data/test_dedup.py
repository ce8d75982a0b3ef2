"""What counts as equal, and what does not."""

from __future__ import annotations

import pytest

from luthier.core.records import Message, ToolCall
from luthier.data.dedup import Meetings, canonical, keys_of, numbered, turn_keys
from luthier.data.rows import BadRow, Fields

ASK = Message("user", "q")
SAY = Message("assistant", "a")


def keys(*messages: Message, template: str = "", tools: tuple = ()):  # type: ignore[no-untyped-def,type-arg]
    return keys_of(Fields(messages, tools), template)


def test_white_space_around_and_composition_do_not_count() -> None:
    assert canonical("  cafe\u0301\n") == canonical("caf\u00e9") == "café"
    assert keys(Message("user", " q\n"), SAY) == keys(ASK, SAY)
    assert keys(Message("user", "cafe\u0301"), SAY) == keys(Message("user", "caf\u00e9"), SAY)


DIFFERENT = {
    "case": keys(Message("user", "Q"), SAY),
    "inner white space": keys(Message("user", "q  q"), SAY),
    "role": keys(Message("system", "q"), SAY),
    "further turn": keys(ASK, SAY, ASK, SAY),
    "template": keys(ASK, SAY, template="alpaca"),
    "tools": keys(ASK, SAY, tools=({"function": {"name": "f"}},)),
    "flag": keys(ASK, Message("assistant", "a", train=True)),
    "reasoning": keys(ASK, Message("assistant", "a", reasoning="r")),
    "call": keys(ASK, Message("assistant", "a", tool_calls=(ToolCall("f", {}),))),
    "call with id": keys(ASK, Message("assistant", "a", tool_calls=(ToolCall("f", {}, "1"),))),
    "turns that run together": keys(Message("user", "q\nassistant 1 a"), SAY),
}


def test_rows_that_differ_have_different_ids() -> None:
    found = {name: row.id for name, row in DIFFERENT.items()} | {"plain": keys(ASK, SAY).id}
    assert len(set(found.values())) == len(found)
    assert all(len(row_id) == 16 for row_id in found.values())


def test_the_id_is_fixed() -> None:
    assert keys(ASK, SAY).id == "f9a6f0ca8dee60ee"


def test_request_and_answer_are_the_turns_before_and_the_last_answer() -> None:
    request, answer = turn_keys([ASK, SAY])
    assert turn_keys([ASK, SAY, Message("user", "thanks")]) == (request, answer)
    assert turn_keys([ASK, SAY, ASK, SAY])[0] != request
    assert turn_keys([ASK, SAY, ASK, SAY])[1] == answer
    assert turn_keys([Message("system", "s"), ASK, SAY])[0] != request
    assert turn_keys([SAY]) == (None, answer)
    assert turn_keys([ASK]) == (None, None)
    assert turn_keys([Message("user", "q", train=False), Message("assistant", " a", train=True)]) == (request, answer)


def test_raw_text_is_an_answer_without_a_request() -> None:
    request, answer = turn_keys([Message("text", "abc", train=True)])
    assert request is None
    assert answer is not None
    pieces = [Message("text", "q", train=False), Message("text", "a", train=True), Message("text", "z", train=False)]
    assert turn_keys(pieces) == turn_keys(pieces[:2])


def test_calls_are_compared_without_their_ids() -> None:
    def calling(**call: object) -> Message:
        return Message("assistant", "", tool_calls=(ToolCall("f", {"b": 1, "a": [2]}, **call),))  # type: ignore[arg-type]

    assert turn_keys([ASK, calling(id="1")]) == turn_keys([ASK, calling(id="2")])
    other = Message("assistant", "", tool_calls=(ToolCall("f", {"a": [2], "b": 1}),))
    assert turn_keys([ASK, other]) == turn_keys([ASK, calling()])
    assert turn_keys([ASK, Message("assistant", "", tool_calls=(ToolCall("f", {"a": [2], "b": 2}),))]) != turn_keys([ASK, calling()])


BAD = {
    "half a pair": ((ASK, Message("assistant", "\ud800")), "invalid_unicode"),
    "infinite argument": ((ASK, Message("assistant", "", tool_calls=(ToolCall("f", {"x": float("inf")}),))), "not_a_number"),
    "bytes": ((ASK, Message("assistant", "", tool_calls=(ToolCall("f", {"x": b"1"}),))), "wrong_type"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_stored_is_a_bad_row(name: str) -> None:
    messages, reason = BAD[name]
    with pytest.raises(BadRow) as raised:
        keys(*messages)
    assert raised.value.reason == reason


def test_meetings_are_counted() -> None:
    meetings = Meetings()
    assert meetings.first(b"x") is None
    assert [meetings.meet(b"x", 0), meetings.meet(b"y", 1), meetings.meet(b"x", 2), meetings.meet(b"x", 3)] == [1, 1, 2, 3]
    assert meetings.first(b"x") == 0
    assert [numbered("id", times) for times in (1, 2, 3)] == ["id", "id-2", "id-3"]
