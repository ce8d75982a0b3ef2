"""Half a character is found in a text and in whatever JSON can hold; whole ones of any plane are no such thing."""

from __future__ import annotations

import datetime

import pytest

from luthier.core.text import is_unicode

HALVES = ("\ud800", "\udbff", "\udc00", "\udfff", "\ud83d\ude00")


@pytest.mark.parametrize("text", ["", "ls", "ä", "\0", "\ud7ff", "\ue000", "\ufffe", "\U0001f600", "\U0010ffff"])
def test_whole_characters(text: str) -> None:
    assert is_unicode(text)
    assert is_unicode({text: [text, None, 1.5, float("nan"), {"a": text}]})


@pytest.mark.parametrize("half", HALVES)
def test_half_a_character(half: str) -> None:
    assert not is_unicode(half)
    assert not is_unicode(f"ls {half} -l")


@pytest.mark.parametrize("value", [["a", "\ud800"], {"a": "\ud800"}, {"\ud800": "a"}, {"a": [{"b": {"c": ["\ud800"]}}]}], ids=repr)
def test_half_a_character_anywhere_in_a_value(value: object) -> None:
    assert not is_unicode(value)


# Each half alone is no character, and the two are not made one on the way.
def test_halves_in_two_texts_stay_halves() -> None:
    assert not is_unicode(["\ud83d", "\ude00"])


def test_what_json_cannot_hold_is_not_judged() -> None:
    with pytest.raises(TypeError):
        is_unicode({"a": datetime.date(2026, 1, 1)})
