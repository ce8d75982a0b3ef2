"""Sentences with names as code, for people."""

from __future__ import annotations

import pytest

from luthier.serve.door.words import coded, sentence


def test_words_between_backticks_are_code_and_what_they_hold_stays_text() -> None:
    assert coded("set `a: b` & <i> `<b>`") == "set <code>a: b</code> &amp; &lt;i&gt; <code>&lt;b&gt;</code>"
    assert coded("one ` alone, and\n`` nothing") == "one ` alone, and\n`` nothing"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("there is no run", "There is no run"),
        ("runs/x.yaml:3: wrong", "runs/x.yaml:3: wrong"),
        ("learning_rate is high", "learning_rate is high"),
        ("`a` is no key", "`a` is no key"),
        ("", ""),
    ],
)
def test_a_sentence_begins_with_a_capital_and_a_name_with_its_own_letters(text: str, shown: str) -> None:
    assert sentence(text) == shown
