"""What counts as equal, and what does not."""

from __future__ import annotations

import pytest

from luthier.core.records import Message, ToolCall
from luthier.data.rows.digests import ROW_BYTES, canonical, digest_of, id_of, numbered
from luthier.data.rows.fields import BadRow, Fields

ASK = Message("user", "q")
SAY = Message("assistant", "a")


def keys(*messages: Message, template: str = "", tools: tuple = ()):  # type: ignore[no-untyped-def,type-arg]
    return digest_of(Fields(messages, tools), template)


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
    found = {name: id_of(row) for name, row in DIFFERENT.items()} | {"plain": id_of(keys(ASK, SAY))}
    assert len(set(found.values())) == len(found)
    assert all(len(row_id) == 16 for row_id in found.values())
    assert len(keys(ASK, SAY)) == ROW_BYTES


def test_the_id_is_fixed() -> None:
    assert id_of(keys(ASK, SAY)) == "f9a6f0ca8dee60ee"


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


def test_further_equal_rows_are_numbered() -> None:
    assert [numbered("id", times) for times in (1, 2, 3)] == ["id", "id-2", "id-3"]
