from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleaning_parts import calling, row, turns
from luthier.core.records import Detail, Message, ToolCall, TurnEnds
from luthier.data.clean.leaves import CollidingKeys, leaves, whole, with_texts

JSON = st.recursive(
    st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=8,
)
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "enum": ["x", 7_000_000]}}}


def test_every_text_is_there() -> None:
    call = ToolCall("tool-name", {"outer": {"inner": ["one", {"deep": "two"}]}, "number": 12345678, "small": 3}, "call-id")
    made = turns(
        ("system", "s"),
        ("user", "u"),
        Message("assistant", "c", tool_calls=(call,), reasoning="r"),
        Message("tool", "t", tool_call_id="call-id", name="n"),
        ("assistant", "a"),
        tools=(TOOL,),
    )
    found = [leaf.text for leaf in leaves(made)]
    for text in (
        "s",
        "u",
        "c",
        "r",
        "tool-name",
        "outer",
        "inner",
        "one",
        "deep",
        "two",
        "number",
        "12345678",
        "call-id",
        "t",
        "n",
        "a",
        "d",
    ):
        assert text in found
    assert "enum" in found
    assert "3" not in found


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_the_same_texts_make_the_same_row(arguments: dict[str, object]) -> None:
    made = calling(arguments, tools=(TOOL,))
    assert with_texts(made, [leaf.text for leaf in leaves(made)]) == made


def test_other_texts_stand_where_the_first_stood() -> None:
    made = calling({"a": "x", "b": ["y", 9_999_999]})
    changed = with_texts(made, [leaf.text.replace("x", "X").replace("9999999", "<CARD>") for leaf in leaves(made)])
    assert changed.fields.messages[1].tool_calls[0].arguments == {"a": "X", "b": ["y", "<CARD>"]}
    with pytest.raises(CollidingKeys):
        with_texts(made, [leaf.text.replace("a", "b") for leaf in leaves(made)])


def test_the_whole_has_keys_in_front_of_values_and_words_that_two_texts_share() -> None:
    assert whole(leaves(row("ask", "answer"))) == "ask\nanswer"
    assert 'password="hunter"' in whole(leaves(calling({"password": "hunter"})))
    assert "mysql -u root" in whole(leaves(calling({"argv": ["mysql", "-u", "root"]})))
    assert "AKIA1234ABCD5678EFGH" in whole(leaves(row("The key starts with AKIA1234", "ABCD5678EFGH is its end")))
    assert "AKIA1234ABCD5678EFGH" in whole(leaves(turns(("user", "It is AKIA12"), ("user", "34ABCD56"), ("assistant", "78EFGH"))))


def test_what_is_trained_stays_with_its_words_and_ends_stay_with_the_row() -> None:
    message = Message("assistant", "send it to ann@example.org now", train=True, details=(Detail(11, 25, False), Detail(27, 29, True)))
    made = turns(("user", "u"), message)
    made = replace(made, fields=replace(made.fields, ends=TurnEnds("last", "last")))
    changed = with_texts(made, ["u", "send it to <EMAIL> now"])
    assert changed.fields.messages[1].details == (Detail(11, 17, False), Detail(19, 21, True))
    assert changed.fields.ends == made.fields.ends
    assert with_texts(made, [leaf.text for leaf in leaves(made)]) == made
