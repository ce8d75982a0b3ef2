"""The subset whose sum is nearest to a number, against all subsets."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from luthier.data.split.subset import nearest_subset


@given(st.lists(st.integers(1, 12), min_size=1, max_size=9), st.integers(1, 60))
def test_no_subset_comes_nearer_and_ties_go_below(sizes: list[int], wanted: int) -> None:
    found = nearest_subset(sizes, wanted)
    assert found
    assert found == sorted(set(found))
    sums = [sum(part) for number in range(1, len(sizes) + 1) for part in combinations(sizes, number)]
    assert sum(sizes[place] for place in found) == min(sums, key=lambda total: (abs(total - wanted), total))


def test_the_first_of_equal_groups_are_taken() -> None:
    assert nearest_subset([5, 5, 5, 5], 10) == [0, 1]


def test_nothing_to_choose_from_or_too_much() -> None:
    assert nearest_subset([], 5) is None
    assert nearest_subset([1], 0) is None
    assert nearest_subset([1] * 100_000, 1_000_000) is None
