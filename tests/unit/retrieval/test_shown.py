"""Pieces in front of a request, and the request behind them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.retrieval.shown import Shown, request_in, with_pieces

FIRST = Shown("src/store.py", (3, 4), "def opened():\n    ...\n", "python")
SECOND = Shown("a, b.md", (1, 3), "```\nx\n```")


def test_the_words_around_pieces() -> None:
    assert with_pieces([FIRST, SECOND], "What opens it?") == (
        "[1] src/store.py, lines 3 to 4:\n```python\ndef opened():\n    ...\n```\n\n"
        "[2] a, b.md, lines 1 to 3:\n````\n```\nx\n```\n````\n\n"
        "What opens it?"
    )
    assert with_pieces([], "What opens it?") == "What opens it?"


@given(st.lists(st.text(max_size=30), max_size=3), st.text(min_size=1, max_size=40).filter(lambda text: not text.startswith("[")))
def test_the_request_is_found_again(texts: list[str], request: str) -> None:
    pieces = [Shown(f"p{number}.py", (1, 2), text, "python") for number, text in enumerate(texts)]
    assert request_in(with_pieces(pieces, request)) == request


@pytest.mark.parametrize("text", ["", "[1] is a number", "[1] a.py, lines 1 to 2:\nno fence\n\nWhat?", "plain"])
def test_another_text_stays_what_it_is(text: str) -> None:
    assert request_in(text) == text


def test_a_piece_is_cut_at_a_line() -> None:
    piece = Shown("a.py", (10, 12), "first\nsecond\nthird")
    assert piece.cut(18) == piece
    assert piece.cut(13) == Shown("a.py", (10, 11), "first\nsecond")
    assert piece.cut(12) == Shown("a.py", (10, 11), "first\nsecond")
    assert piece.cut(11) == Shown("a.py", (10, 10), "first")
    assert piece.cut(3) == Shown("a.py", (10, 10), "fir")
