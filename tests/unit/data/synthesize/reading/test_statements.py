"""Statements by brackets and indentation."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from luthier.data.synthesize.reading.statements import balance, enclosing, statements

PYTHON = ["if a:", "    b = f(", "        1,", "    )", "    # why", "else:", "    c = 2", "return d"]
RESCRIPT = ["let x = switch y {", "| Some(z) => z", "| None =>", "  let w = 1", "  w", "}", "list->map(", "  f,", ")"]


def test_blocks_go_with_their_heads_and_comments_with_none() -> None:
    assert statements(PYTHON) == [(0, 7), (1, 4), (6, 7), (7, 8)]
    assert [span for span in statements(RESCRIPT) if span in ((0, 6), (6, 9))] == [(0, 6), (6, 9)]


def test_the_smallest_statement_around_a_line() -> None:
    assert enclosing(PYTHON, 2, 10) == (1, 4)
    assert enclosing([f"    step({number})" for number in range(50)], 20, 10) == (20, 21)


def test_a_branch_of_a_long_chain_is_shown_with_what_it_does() -> None:
    chain = ["if f(0) {", "  g(0)", *(line for number in range(1, 9) for line in (f"}} else if f({number}) {{", f"  g({number})")), "}"]
    assert enclosing(chain, 4, 10) == (4, 6)


def test_quoted_brackets_and_comments_do_not_count() -> None:
    assert balance("f(\"(\", '[') // {") == 0
    assert balance("f(a, [b") == 2


@given(st.lists(st.text(alphabet="ab =({[)}]\"'#/|:,\t", max_size=12), max_size=20))
def test_any_text_gives_balanced_spans_inside_it(lines: list[str]) -> None:
    for first, end in statements(lines):
        assert 0 <= first < end <= len(lines)
        assert sum(map(balance, lines[first:end])) == 0
