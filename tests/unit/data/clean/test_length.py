from __future__ import annotations

from cleaning_parts import calling, raw, row, says, turns
from luthier.core.records import Message, ToolCall
from luthier.data.clean.length import long_row, short_answer


def test_an_answer_below_the_least_goes() -> None:
    assert says(short_answer, row(answer="  ls  "), min_answer_characters=3) == "the answer has 2 characters, fewer than 3"
    assert says(short_answer, row(answer="lsx"), min_answer_characters=3) is None
    assert says(short_answer, row(answer=" " * 500), min_answer_characters=1) is not None
    assert says(short_answer, row(answer="ls"), min_answer_characters=0) is None
    assert says(short_answer, raw("x = 1"), min_answer_characters=20) is not None


def test_a_call_is_an_answer_of_any_length() -> None:
    called = turns(("user", "a"), Message("assistant", "", tool_calls=(ToolCall("f", {}),)))
    assert says(short_answer, called, min_answer_characters=50) is None


def test_a_row_above_the_most_goes() -> None:
    assert says(long_row, row("a" * 40, "b" * 61), max_row_characters=100) == "the row has 101 characters, more than 100"
    assert says(long_row, row("a" * 40, "b" * 60), max_row_characters=100) is None
    assert says(long_row, calling({"text": "x" * 200}), max_row_characters=200) is not None
