"""The division keeps equal requests and answers together, whatever the order of the rows and whatever else is there."""

from __future__ import annotations

from collections import Counter, defaultdict
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.config.row_sections import SplitSection
from luthier.core.errors import DataError
from luthier.core.records import Message, Origin
from luthier.data.rows.digests import digest_of, id_of
from luthier.data.rows.fields import Fields
from luthier.data.rows.grams import said
from luthier.data.rows.keys import ANSWER, REQUEST, row_keys
from luthier.data.split.draw import Kept, draw
from luthier.data.split.groups import Ties, components
from luthier.data.split.plain import hold_out
from luthier.data.split.sides import SIDES, TEST, TRAIN, VALIDATION, Division, side_counts

SPLIT = SplitSection(validation=0.2, test=0.2, seed=7)
Pair = tuple[str, str]


def ties_of(pairs: list[Pair]) -> Ties:
    """Ids and keys as the stage tells them of rows with one request and one answer."""
    ids, requests, answers = [], [], []
    for ask, say in pairs:
        messages = (Message("user", ask), Message("assistant", say))
        ids.append(int(id_of(digest_of(Fields(messages), "")), 16))
        request, answer, *_ = row_keys(said(messages), Origin("chat_template", 1, file="rows.jsonl"))
        requests.append(request)
        answers.append(answer)
    strong = {REQUEST: np.array(requests, np.uint64), ANSWER: np.array(answers, np.uint64)}
    return Ties(np.array(ids, np.uint64), np.ones(len(ids), np.uint32), strong, {})


def divide(pairs: list[Pair], split: SplitSection, kept: Kept | None = None) -> Division:
    return draw(ties_of(pairs), split, kept)


def sides(pairs: list[Pair], split: SplitSection = SPLIT) -> dict[Pair, int]:
    return dict(zip(pairs, divide(pairs, split).sides, strict=True))


def searched(pairs: list[Pair]) -> list[frozenset[Pair]]:
    """The groups by plain search, to hold the union against."""
    left = set(pairs)
    found = []
    while left:
        group, edge = set(), {left.pop()}
        while edge:
            group |= edge
            edge = {pair for pair in left if any(pair[0] == other[0] or pair[1].lower() == other[1].lower() for other in edge)}
            left -= edge
        found.append(frozenset(group))
    return found


PAIRS = st.lists(st.tuples(st.sampled_from("abcdefghij"), st.sampled_from("vwxyzVWXYZ")), unique=True, max_size=30)


@given(PAIRS)
def test_groups_are_the_connected_components(pairs: list[Pair]) -> None:
    groups = defaultdict(set)
    leaders = divide(pairs, SplitSection()).leaders
    for pair, leader in zip(pairs, () if leaders is None else leaders.tolist(), strict=True):
        groups[leader].add(pair)
    assert {frozenset(group) for group in groups.values()} == set(searched(pairs))
    for leader, group in groups.items():
        assert ties_of(pairs).ids[leader] == min(ties_of(sorted(group)).ids)


@given(PAIRS)
def test_no_request_and_no_answer_stands_on_two_sides(pairs: list[Pair]) -> None:
    for position in (0, 1):
        found: dict[str, set[int]] = defaultdict(set)
        for pair, side in sides(pairs).items():
            found[pair[position].lower()].add(side)
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
    earlier = divide(old, SPLIT)
    before = dict(zip(old, earlier.sides, strict=True))
    ties = ties_of(old)
    kept = Kept(ties.ids, ties.times, np.array(earlier.sides, np.uint8))
    everything = old + new + joined
    after = dict(zip(everything, divide(everything, SPLIT, kept).sides, strict=True))
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
    assert counts == {"train": 3000, "validation": 1000, "test": 1000}
    assert sides(pairs) != sides(pairs, SplitSection(validation=0.2, test=0.2, seed=8))


def test_an_answer_that_everyone_gives_stays_whole_and_is_told() -> None:
    pairs = [(f"ask {number}", "no" if number < 60 else f"say {number}") for number in range(200)]
    division = divide(pairs, SPLIT)
    assert len(set(division.sides[:60])) == 1
    assert division.count == 141
    assert division.largest is not None
    assert (division.largest.rows, division.largest.share, division.largest.rows_with_one_answer) == (60, 0.3, 60)
    assert set(division.sides[:60]) == {TRAIN}
    assert division.notes[0] == "1 group(s) of more than 20 rows, half the smallest held-out side, went to train whole: 60 rows"
    assert len(division.notes) == 2
    assert "60 of 200 rows (30%)" in division.notes[1]
    assert "one answer alone is shared by 60 rows" in division.notes[1]


def test_small_groups_are_not_told() -> None:
    assert divide([(f"ask {number}", f"say {number}") for number in range(50)], SPLIT).notes == []


@pytest.mark.parametrize("count", range(3, 9))
def test_a_share_of_less_than_a_row_is_one_row(count: int) -> None:
    pairs = [(f"ask {number}", f"say {number}") for number in range(count)]
    tiny = SplitSection(validation=0.001, test=0.001, seed=1)
    division = divide(pairs, tiny)
    assert Counter(division.sides) == {TRAIN: count - 2, VALIDATION: 1, TEST: 1}
    assert division.notes == []
    assert sides(pairs, tiny) == sides(pairs[::-1], tiny)


def test_training_is_filled_first_and_what_cannot_be_filled_is_told() -> None:
    division = divide([("a", "b"), ("c", "d")], SplitSection(validation=0.5, test=0.499, seed=1))
    assert TRAIN in division.sides
    assert len(division.warnings) == 1
    assert "2 group(s)" in division.warnings[0]
    one = divide([("a", "b"), ("a", "c")], SplitSection(validation=0.0001, test=0))
    assert set(one.sides) == {TRAIN}
    assert "no rows are left for validation" in one.warnings[0]


def test_rows_without_request_or_answer_are_tied_by_nothing() -> None:
    strong = {REQUEST: np.zeros(3, np.uint64), ANSWER: np.array([0, 5, 6], np.uint64)}
    ties = Ties(np.arange(3, dtype=np.uint64), np.ones(3, np.uint32), strong, {})
    assert components(ties)[0].tolist() == [0, 1, 2]
    assert divide([], SPLIT).count == 0


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


def test_sides_have_the_names_of_the_run_folder() -> None:
    assert SIDES == ("train", "validation", "test")
