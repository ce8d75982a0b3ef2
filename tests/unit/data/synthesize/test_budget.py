"""Budgets of rows: a maker's in a file, a file's, a source's; drawn by one hash and in turns."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from luthier.data.synthesize.budget import thinned, within_budget
from luthier.data.synthesize.made import Made, asked

Rows = list[tuple[str, Made]]
WORDS = [f"{first}{second}" for first in "abcdefg" for second in ("lpha", "eta", "amma", "elta")]
MANY = {"explain": 1000, "usage": 1000}


def rows_of(maker: str, path: str, count: int) -> Rows:
    return [(maker, Made(asked(f"What is {path} at {line}?", f"Line {line}."), path, (line, line))) for line in range(1, count + 1)]


def left(rows: Rows, per_file: dict[str, int], most_of_file: int, most: int | None) -> Rows:
    kept = thinned(rows, per_file, most_of_file, most)
    assert len(kept) == len(rows)
    return [row for row, is_kept in zip(rows, kept, strict=True) if is_kept]


def counted(rows: Rows) -> dict[tuple[str, str], int]:
    return dict(Counter((maker, row.path) for maker, row in rows))


def test_within_the_budgets_all_stay() -> None:
    rows = [*rows_of("explain", "a.py", 5), *rows_of("usage", "b.py", 7)]
    assert left(rows, {"explain": 5, "usage": 7}, 7, None) == left(rows, MANY, 1000, 12) == rows
    assert thinned([], MANY, 1, 1) == []


def test_each_maker_has_its_budget_of_a_file() -> None:
    rows = [*rows_of("explain", "a.py", 9), *rows_of("usage", "a.py", 9), *rows_of("explain", "b.py", 2)]
    assert counted(left(rows, {"explain": 3, "usage": 4}, 1000, None)) == {
        ("explain", "a.py"): 3,
        ("usage", "a.py"): 4,
        ("explain", "b.py"): 2,
    }


def test_a_file_s_budget_is_shared_in_turns_by_its_makers() -> None:
    rows = [*rows_of("explain", "a.py", 20), *rows_of("usage", "a.py", 2), *rows_of("explain", "b.py", 3)]
    assert counted(left(rows, MANY, 6, None)) == {("explain", "a.py"): 4, ("usage", "a.py"): 2, ("explain", "b.py"): 3}


def test_a_source_s_budget_is_shared_in_turns_by_its_makers() -> None:
    rows = [*rows_of("explain", "a.py", 40), *rows_of("usage", "b.py", 3)]
    for most in (1, 6, 10, 42):
        found = Counter(maker for maker, _ in left(rows, MANY, 1000, most))
        assert found.total() == most
        assert found["usage"] == min(3, most // 2)


def test_what_is_kept_is_drawn_from_the_row_and_not_from_its_place() -> None:
    rows = [row for path in ("a.py", "b.py", "c.py") for row in rows_of("explain", path, 30)]
    kept = left(rows, {"explain": 10}, 1000, None)
    lines = {path: [row.lines for _, row in kept if row.path == path] for path in ("a.py", "b.py", "c.py")}
    # Neither the first ten of each file nor the same ten.
    assert lines["a.py"] != [(line, line) for line in range(1, 11)]
    assert lines["a.py"] != lines["b.py"]
    mixed = Random(1).sample(rows, len(rows))
    assert sorted(left(mixed, {"explain": 10}, 1000, None), key=rows.index) == kept
    # A further file takes nothing from the budgets of the others.
    assert left([*rows, *rows_of("explain", "d.py", 30)], {"explain": 10}, 1000, None)[: len(kept)] == kept


def test_a_further_row_takes_the_place_of_one_at_most() -> None:
    rows = rows_of("explain", "a.py", 50)
    before = left(rows[:-1], MANY, 1000, 20)
    after = left(rows, MANY, 1000, 20)
    assert len(before) == len(after) == 20
    assert len([row for row in before if row not in after]) <= 1


def test_a_source_s_budget_is_spread_over_its_files() -> None:
    rows = [row for path in ("a.py", "b.py", "c.py") for row in rows_of("explain", path, 30)]
    kept = left(rows, MANY, 1000, 15)
    assert {row.path for _, row in kept} == {"a.py", "b.py", "c.py"}
    assert set(counted(kept).values()) == {5}
    # A large file has no more than its turn.
    assert set(counted(left([*rows, *rows_of("explain", "d.py", 900)], MANY, 1000, 16)).values()) == {4}
    mixed = Random(2).sample(rows, len(rows))
    assert sorted(left(mixed, MANY, 1000, 15), key=rows.index) == kept


def test_a_smaller_budget_takes_of_what_a_larger_one_takes_whatever_the_lines() -> None:
    told = [asked(f"Which number has {word}?", f"It is {number}.") for number, word in enumerate(WORDS)]
    rows = [Made(messages, "a.py", (line, line)) for line, messages in enumerate(told, 1)]
    few, more = (list(within_budget(rows, budget)) for budget in (5, 15))
    assert len(few) == 5
    assert len(more) == 15
    assert all(row in more for row in few)
    moved = [replace(row, lines=(line + 1, line + 1)) for line, row in enumerate(rows, 100)]
    assert [row.messages for row in within_budget(moved, 5)] == [row.messages for row in few]  # type: ignore[union-attr]
    pairs = [("explain", row) for row in rows]
    assert [row for _, row in left(pairs, {"explain": 5}, 1000, None)] == few
