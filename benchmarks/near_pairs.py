"""Every near pair of a collection: what measurements and tests count against. The data stage never needs them all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from luthier.data.similar.collection import Grams, Sets
from luthier.data.similar.join import CANDIDATES_AT_ONCE, Rows, first_same, near, postings, prefix_counts, within


def near_pairs(texts: Grams | Sets, threshold: float) -> Iterator[tuple[Rows, Rows]]:
    """All pairs of rows at or above `threshold` in word 3-gram Jaccard, each once, in arrays; the first of a pair precedes the second.

    Their number grows with the square of the largest cluster: `near_duplicates` and `near_components` name no more than they need.
    """
    sets = texts.sets() if isinstance(texts, Grams) else texts
    same = first_same(sets)
    members = np.argsort(same, kind="stable")
    counts = np.bincount(same, minlength=len(sets))
    starts = np.cumsum(counts) - counts
    yield from _within_classes(members, starts, counts)
    rows = np.flatnonzero((same == np.arange(len(sets))) & (prefix_counts(sets, threshold) > 0))
    # Ascending sizes leave nothing out: a pair is found from its larger set.
    rows = rows[np.argsort(sets.sizes[rows], kind="stable")]
    part = sets.taken(rows)
    every = np.arange(len(rows), dtype=np.int64)
    for first, second in near(part, postings(part, every, threshold), every, threshold, only_before=True):
        yield from _products(members, (starts[rows[first]], counts[rows[first]]), (starts[rows[second]], counts[rows[second]]))


def _within_classes(members: Rows, starts: Rows, counts: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Pairs of rows with the same set: each member with all before it in its class."""
    before = within(counts)
    later = np.flatnonzero(before > 0)
    before, class_starts = before[later], np.repeat(starts, counts)[later]
    ends = np.cumsum(before)
    place = 0
    while place < len(later):
        end = max(place + 1, int(np.searchsorted(ends, (ends[place - 1] if place else 0) + CANDIDATES_AT_ONCE)))
        number = before[place:end]
        yield members[np.repeat(class_starts[place:end], number) + within(number)], np.repeat(members[later[place:end]], number)
        place = end


def _products(members: Rows, one: tuple[Rows, Rows], other: tuple[Rows, Rows]) -> Iterator[tuple[Rows, Rows]]:
    """Every member of a class with every member of another, for each pair of classes."""
    numbers = one[1] * other[1]
    ends = np.cumsum(numbers)
    place = 0
    while place < len(numbers):
        end = max(place + 1, int(np.searchsorted(ends, (ends[place - 1] if place else 0) + CANDIDATES_AT_ONCE)))
        number = numbers[place:end]
        inside = within(number)
        width = np.repeat(other[1][place:end], number)
        first = members[np.repeat(one[0][place:end], number) + inside // width]
        second = members[np.repeat(other[0][place:end], number) + inside % width]
        yield np.minimum(first, second), np.maximum(first, second)
        place = end
