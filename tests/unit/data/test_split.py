"""The division keeps equal requests and answers together, whatever the order of the rows and whatever else is there."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.config.schema import SplitSection
from luthier.core.errors import DataError, IntegrityError
from luthier.core.records import Message
from luthier.data.dedup import keys_of
from luthier.data.rows import Fields
from luthier.data.split import (
    SIDES,
    TEST,
    TRAIN,
    VALIDATION,
    Division,
    RowKeys,
    check_sides,
    divide,
    group_rows,
    hold_out,
    overlap,
    part,
    side_counts,
)

SPLIT = SplitSection(validation=0.2, test=0.2, seed=7)
Pair = tuple[str, str]


def keys(pairs: list[Pair]) -> RowKeys:
    found = [keys_of(Fields((Message("user", ask), Message("assistant", say))), "") for ask, say in pairs]
    return RowKeys([row.id for row in found], [row.request for row in found], [row.answer for row in found])


def sides(pairs: list[Pair], split: SplitSection = SPLIT) -> dict[Pair, int]:
    return dict(zip(pairs, divide(keys(pairs), split).sides, strict=True))


def components(pairs: list[Pair]) -> list[frozenset[Pair]]:
    """The groups by plain search, to hold the union against."""
    left = set(pairs)
    found = []
    while left:
        group, edge = set(), {left.pop()}
        while edge:
            group |= edge
            edge = {pair for pair in left if any(pair[0] == other[0] or pair[1] == other[1] for other in edge)}
            left -= edge
        found.append(frozenset(group))
    return found


PAIRS = st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from("vwxyzVWXYZ")), unique=True, max_size=30)


@given(PAIRS)
def test_groups_are_the_connected_components(pairs: list[Pair]) -> None:
    groups = defaultdict(set)
    for pair, group in zip(pairs, group_rows(keys(pairs)), strict=True):
        groups[group].add(pair)
    assert {frozenset(group) for group in groups.values()} == set(components(pairs))
    for name, group in groups.items():
        assert name == min(keys(sorted(group)).ids)


@given(PAIRS)
def test_no_request_and_no_answer_stands_on_two_sides(pairs: list[Pair]) -> None:
    for position in (0, 1):
        found: dict[str, set[int]] = defaultdict(set)
        for pair, side in sides(pairs).items():
            found[pair[position]].add(side)
        assert all(len(where) == 1 for where in found.values())


@given(PAIRS, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(pairs: list[Pair], random: Random) -> None:
    shuffled = random.sample(pairs, len(pairs))
    assert sides(shuffled) == sides(pairs)


@given(st.integers(0, 5))
def test_added_rows_move_no_other_group(extra: int) -> None:
    old = [(f"ask {number // 2}", f"say {number}") for number in range(100)]
    new = [(f"new {number}", f"other {number}") for number in range(extra * 20)]
    joined = [("ask 0", "a further answer")] if extra else []
    before, after = sides(old), sides(old + new + joined)
    tied = {pair for pair in old if pair[0] == "ask 0"}
    assert {pair: side for pair, side in before.items() if pair not in tied} == {
        pair: side for pair, side in after.items() if pair in before and pair not in tied
    }


def test_a_larger_validation_share_leaves_the_test_rows_alone() -> None:
    pairs = [(f"ask {number}", f"say {number}") for number in range(500)]
    small, large = sides(pairs), sides(pairs, SplitSection(validation=0.4, test=0.2, seed=7))
    assert {pair for pair, side in small.items() if side == TEST} == {pair for pair, side in large.items() if side == TEST}
    assert {pair for pair, side in small.items() if side == VALIDATION} < {pair for pair, side in large.items() if side == VALIDATION}


def test_shares_hold_and_the_seed_draws() -> None:
    pairs = [(f"ask {number}", f"say {number}") for number in range(5000)]
    counts = side_counts(sides(pairs).values())
    # 0.2 of 5,000 groups is 1,000 with a standard deviation of 28.
    assert abs(counts["validation"] - 1000) < 120
    assert abs(counts["test"] - 1000) < 120
    assert sides(pairs) != sides(pairs, SplitSection(validation=0.2, test=0.2, seed=8))


def test_an_answer_that_everyone_gives_stays_whole_and_is_told() -> None:
    pairs = [(f"ask {number}", "no" if number < 60 else f"say {number}") for number in range(200)]
    division = divide(keys(pairs), SPLIT)
    assert len(set(division.sides[:60])) == 1
    assert division.count == 141
    assert division.largest is not None
    assert (division.largest.rows, division.largest.share, division.largest.rows_with_one_answer) == (60, 0.3, 60)
    assert len(division.notes) == 1
    assert "60 of 200 rows (30%)" in division.notes[0]
    assert "one answer alone is shared by 60 rows" in division.notes[0]


def test_small_groups_are_not_told() -> None:
    assert divide(keys([(f"ask {number}", f"say {number}") for number in range(50)]), SPLIT).notes == []


@pytest.mark.parametrize("count", range(3, 9))
def test_an_empty_side_gets_the_smallest_group(count: int) -> None:
    pairs = [(f"ask {number}", f"say {number}") for number in range(count)]
    tiny = SplitSection(validation=0.001, test=0.001, seed=1)
    division = divide(keys(pairs), tiny)
    assert Counter(division.sides) == {TRAIN: count - 2, VALIDATION: 1, TEST: 1}
    assert len([note for note in division.notes if "was moved there from train" in note]) == 2
    assert sides(pairs, tiny) == sides(pairs[::-1], tiny)


def test_training_is_filled_first_and_what_cannot_be_filled_is_told() -> None:
    division = divide(keys([("a", "b"), ("c", "d")]), SplitSection(validation=0.5, test=0.499, seed=1))
    assert TRAIN in division.sides
    assert len(division.warnings) == 1
    assert "2 group(s)" in division.warnings[0]
    one = divide(keys([("a", "b"), ("a", "c")]), SplitSection(validation=0.0001, test=0))
    assert set(one.sides) == {TRAIN}
    assert "no rows are left for validation" in one.warnings[0]


def test_rows_without_request_or_answer_are_tied_by_nothing() -> None:
    rows = RowKeys(["1", "2", "3"], [None, None, None], [None, b"x", b"y"])
    assert group_rows(rows) == ["1", "2", "3"]
    assert divide(RowKeys([], [], []), SPLIT).count == 0


def test_val_set_size_holds_out_the_last_of_a_seeded_shuffle() -> None:
    assert side_counts(hold_out(101, 0.1, 42).sides) == {"train": 90, "validation": 11, "test": 0}
    assert side_counts(hold_out(101, 7, 42).sides) == {"train": 94, "validation": 7, "test": 0}
    assert side_counts(hold_out(5, 0, 42).sides) == {"train": 5, "validation": 0, "test": 0}
    assert hold_out(101, 7, 42).sides == hold_out(101, 7, 42).sides != hold_out(101, 7, 43).sides
    order = list(range(101))
    Random(42).shuffle(order)
    assert [number for number, side in enumerate(hold_out(101, 7, 42).sides) if side == VALIDATION] == sorted(order[-7:])


@pytest.mark.parametrize(("count", "size"), [(1, 0.5), (10, 10), (10, 12)])
def test_val_set_size_must_leave_rows(count: int, size: float) -> None:
    with pytest.raises(DataError, match="leaves no rows to train on"):
        hold_out(count, size, 42)


def test_overlap_counts_rows_that_share_a_request_or_an_answer() -> None:
    first, second = keys([("a", "b"), ("c", "d")]), keys([("a", "x"), ("y", "b"), ("z", "b"), ("u", "v")])
    assert overlap(first, second) == (1, 2)
    assert part(second, Division(bytearray([TRAIN, VALIDATION, TRAIN, TRAIN])), VALIDATION).ids == [second.ids[1]]


@pytest.mark.parametrize(("other", "what"), [(("a", "x"), "request"), (("y", "b"), "answer"), (("y", "x"), "")])
def test_the_check_sees_a_leak(tmp_path: Path, other: Pair, what: str) -> None:
    for side, (ask, say) in (("train", ("a", "b")), ("test", other)):
        messages = [{"role": "user", "content": ask}, {"role": "assistant", "content": f" {say}\n"}]
        (tmp_path / f"{side}.jsonl").write_text(json.dumps({"id": side, "messages": messages}) + "\n")
    paths = [tmp_path / "train.jsonl", tmp_path / "test.jsonl"]
    if not what:
        check_sides(paths)
        return
    with pytest.raises(IntegrityError, match=f"the {what} of row test also stands in train.jsonl"):
        check_sides(paths)


def test_sides_have_the_names_of_the_run_folder() -> None:
    assert SIDES == ("train", "validation", "test")
