from __future__ import annotations

import pytest

from luthier.core.records import Detail
from luthier.data.rows.details import moved, read_details
from luthier.data.rows.fields import BadRow


def stretch(begin, end, train=True):
    return {"begin_offset": begin, "end_offset": end, "train": train}


def test_stretches_come_in_order():
    assert read_details([stretch(3, 4), stretch(0, 2, False)], "parts", 2, "abcde") == (Detail(0, 2, False), Detail(3, 4, True))
    assert read_details([], "parts", 1, "") == ()


@pytest.mark.parametrize(
    ("value", "reason", "says"),
    [
        ([stretch(0, 5)], "detail_out_of_range", "turn 2: `parts` names 0 to 5; the text has the characters 0 to 4"),
        ([stretch(-1, 2)], "detail_out_of_range", "-1 to 2"),
        ([stretch(3, 2)], "detail_out_of_range", "3 to 2"),
        ([stretch(0, 2), stretch(2, 4)], "details_overlap", "0 to 2 and 2 to 4"),
        ([stretch(0, 2), stretch(0, 2)], "details_overlap", "0 to 2 and 0 to 2"),
        ({"begin_offset": 0}, "wrong_type", "a list in `parts`"),
        ([{"begin_offset": 0}], "wrong_type", "found `begin_offset`"),
        ([stretch(0, 2.0)], "wrong_type", "whole numbers"),
        ([stretch(True, 2)], "wrong_type", "whole numbers"),
        ([stretch(0, 2, 1)], "wrong_type", "true or false"),
    ],
)
def test_what_is_no_stretch_of_the_text_rejects_the_row(value, reason, says):
    with pytest.raises(BadRow, match="turn 2") as error:
        read_details(value, "parts", 2, "abcde")
    assert error.value.reason == reason
    assert says in error.value.detail


def test_a_stretch_of_an_empty_text_is_out_of_range():
    with pytest.raises(BadRow, match="the text is empty"):
        read_details([stretch(0, 0)], "parts", 1, "")


def texts(details, text):
    return [text[detail.begin : detail.end + 1] for detail in details]


def test_stretches_move_with_what_is_put_in_place_of_something():
    before, after = "mail ann@example.org and wait, then run ls", "mail <EMAIL> and wait, then run ls"
    details = tuple(Detail(before.index(part), before.index(part) + len(part) - 1, True) for part in ("mail", "ann", "and wait", "ls"))
    assert texts(moved(details, before, after), after) == ["mail", "<EMAIL>", "and wait", "ls"]
    gone = moved((Detail(5, 7, True), Detail(0, 3, True)), before, "mail and wait, then run ls")
    assert gone == (Detail(0, 3, True),)


def test_moving_stretches_of_a_long_text_takes_no_time():
    before = "word secret-1 " * 10_000
    after = before.replace("secret-1", "<SECRET>")
    found = moved((Detail(len(before) - 14, len(before) - 11, True),), before, after)
    assert texts(found, after) == ["word"]
