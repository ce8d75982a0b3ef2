from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cleaning_parts import raw, row, turns
from luthier.core.records import INPUT_ROLE
from luthier.data.clean.view import Block, split_code, view, without_inline_code


def test_prose_and_code_are_told_apart() -> None:
    found = split_code("One\n```Bash title=x\nls\n```\ntwo\n~~~\n```\n~~~\nthree")
    assert found.prose == "One\ntwo\nthree"
    assert found.blocks == (Block("bash", "ls"), Block("", "```"))
    assert not found.is_open


def test_a_block_that_is_never_closed_is_open() -> None:
    found = split_code("a\n- ```py\nx\n``` not the end\ny")
    assert (found.prose, found.is_open) == ("a", True)
    assert found.blocks == (Block("py", "x\n``` not the end\ny"),)


def test_inline_code_is_no_prose() -> None:
    assert without_inline_code("a `b` c ``d`e`` f `g") == "a   c   f `g"


def test_the_request_is_the_turn_in_front_with_its_input() -> None:
    assert view(turns(("user", "a"), ("assistant", "b"), ("user", "c"), (INPUT_ROLE, "d"), ("assistant", "e"))).request == "c\nd"
    assert view(row("q", "a")).answer == "a"
    assert view(raw("x")).is_raw
    assert not view(turns(("user", "a"))).is_raw


@given(st.text(alphabet="`~ab \n", max_size=60))
def test_nothing_is_lost_of_prose_without_fences(text: str) -> None:
    found = split_code(text)
    if not found.blocks:
        assert found.prose == text
