"""Near-duplicates and near components: what a near pair decides, without naming every pair of a large cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.data.similar.collection import Grams, Sets
from luthier.data.similar.join import (
    CANDIDATES_AT_ONCE,
    Packed,
    Rows,
    can_reach,
    candidate_count,
    distinct,
    first_same,
    least_common,
    near,
    places_of,
    postings,
    prefix_counts,
    rows_of,
    similarities,
    verified,
    within,
)
from luthier.data.similar.unions import Labels, single, tie

# The first rows are compared among themselves in small steps: a cluster is told early, and its later rows meet its first alone.
_FIRST_STEP = 512
_LEAST_STEP = 64
_MOST_STEP = 1 << 19
# Rows of two clusters that are compared at a time, so that the first near pair ends the search.
_BLOCK = 1 << 10
_ROUNDING = 1e-9
# Groups of one gram above this are linked at random before they are searched; the search ends what the links begin.
_LARGE_GROUP = 64
_TURNS = 16
_FEW = 1000
_GOLDEN = 0.6180339887498949


def near_duplicates(texts: Grams | Sets, threshold: float) -> NDArray[np.int64]:
    """For each row the first earlier row that is kept and near it, or -1; a row is kept where there is none."""
    sets = texts.sets() if isinstance(texts, Grams) else texts
    same = first_same(sets)
    compared = _Compared.of(sets, same, threshold)
    # Sets of many rows are large; the join needs them in its own order alone.
    del sets, texts
    return _with_same(_keepers(compared, len(same), threshold), same)


@dataclass(frozen=True, slots=True)
class _Compared:
    """The rows that are compared: the first of each set that shares a gram with another. `sets` ascend in size.

    `rows` are their numbers, ascending; `rank[i]` is the place of the set of `rows[i]`, `original[j]` the row of the set at place `j`.
    """

    sets: Sets
    rows: Rows
    rank: Rows
    original: Rows

    @staticmethod
    def of(sets: Sets, same: Rows, threshold: float) -> _Compared:
        """Of `sets` those that a join must look at; `same` is what `first_same` gave."""
        rows = np.flatnonzero((same == np.arange(len(sets))) & (prefix_counts(sets, threshold) > 0))
        by_size = np.argsort(sets.sizes[rows], kind="stable")
        rank = np.empty(len(rows), np.int64)
        rank[by_size] = np.arange(len(rows))
        original = rows[by_size]
        return _Compared(sets.taken(original), rows, rank, original)


def _keepers(compared: _Compared, count: int, threshold: float) -> Rows:
    """What `near_duplicates` gives for `count` rows, among rows with different sets; -1 for the rest."""
    part, rows, rank, original = compared.sets, compared.rows, compared.rank, compared.original
    keepers = np.full(count, -1, np.int64)
    index = np.empty(0, np.uint64)
    counts = prefix_counts(part, threshold)
    start, step = 0, _FIRST_STEP
    while start < len(rows):
        end = min(start + step, len(rows))
        block = np.sort(rank[start:end])
        for first, second in near(part, index, block, threshold, only_before=False):
            _note_first(keepers, original[first], original[second])
        left = np.flatnonzero(keepers[rows[start:end]] < 0) + start
        own = postings(part, rank[left], threshold, counts)
        step = min(step * 2, _MOST_STEP)
        while len(left) > _LEAST_STEP and candidate_count(part, own, own, threshold) > 2 * CANDIDATES_AT_ONCE:
            end = int(left[len(left) // 2])
            left = left[: len(left) // 2]
            own = postings(part, rank[left], threshold, counts)
            step = max(end - start, _LEAST_STEP)
        found = near(part, own, np.sort(rank[left]), threshold, only_before=True)
        _settle(keepers, [(original[first], original[second]) for first, second in found])
        index = np.concatenate((index, own[keepers[original[rows_of(own)]] < 0]))
        index.sort()
        start = end
    return keepers


def _note_first(keepers: Rows, first: Rows, second: Rows) -> None:
    """Notes for each of `second` the smallest of `first`, all of which are kept; one row may come in several calls."""
    order = np.lexsort((first, second))
    second, first = second[order], first[order]
    is_new = np.concatenate((np.ones(1, bool), second[1:] != second[:-1]))
    second, first = second[is_new], first[is_new]
    keepers[second] = np.where(keepers[second] < 0, first, np.minimum(first, keepers[second]))


def _settle(keepers: Rows, found: list[tuple[Rows, Rows]]) -> None:
    """Decides rows that only stand near each other, in their order."""
    if not found:
        return
    one, other = (np.concatenate(part) for part in zip(*found, strict=True))
    first, second = np.minimum(one, other), np.maximum(one, other)
    order = np.lexsort((first, second))
    dropped: dict[int, int] = {}
    for early, late in zip(first[order].tolist(), second[order].tolist(), strict=True):
        if early not in dropped and late not in dropped:
            dropped[late] = early
    if dropped:
        keepers[list(dropped)] = list(dropped.values())


def _with_same(keepers: Rows, same: Rows) -> Rows:
    """The keepers of all rows from those of the first of each set."""
    others = np.flatnonzero(same != np.arange(len(same)))
    first = same[others]
    keepers[others] = np.where(keepers[first] < 0, first, keepers[first])
    return keepers


def near_components(texts: Grams | Sets, threshold: float) -> Labels:
    """For each row the smallest row that near pairs tie to it, over any number of steps.

    A kept row and what was dropped for it are a cluster. Two clusters hold a near pair only if their kept rows are no further apart than
    the threshold and both clusters are wide, for 1 - Jaccard is a metric; rows are compared where that leaves room.
    """
    sets = texts.sets() if isinstance(texts, Grams) else texts
    same = first_same(sets)
    compared = _Compared.of(sets, same, threshold)
    del sets, texts
    keepers = _keepers(compared, len(same), threshold)
    labels = single(len(same))
    leaders = np.where(keepers < 0, labels, keepers)[compared.rows]
    if (keepers >= 0).any():
        order = np.lexsort((compared.rows, leaders))
        rows, taken = compared.rows[order], compared.sets.taken(compared.rank[order])
        leaders = leaders[order]
        del compared, order
        first, second = _Clusters(taken, rows, leaders, threshold).edges()
        tie(labels, rows[first], rows[second])
    dropped = np.flatnonzero(keepers >= 0)
    tie(labels, keepers[dropped], dropped)
    others = np.flatnonzero(same != np.arange(len(same)))
    tie(labels, same[others], others)
    return labels


class _Clusters:
    """Rows in the order of their clusters, and the search for near pairs between clusters."""

    def __init__(self, sets: Sets, rows: Rows, leaders: Rows, threshold: float) -> None:
        self._sets = sets
        self._threshold = threshold
        is_new = np.concatenate((np.ones(1, bool), leaders[1:] != leaders[:-1]))
        self._cluster_of = np.cumsum(is_new) - 1
        # A kept row precedes all that it keeps out, so it is the first of its cluster.
        self._leaders = np.flatnonzero(is_new)
        self._sizes = np.diff(self._leaders, append=len(rows))
        self._radii = np.zeros(len(self._leaders))
        members = np.flatnonzero(~is_new)
        distances = 1 - similarities(sets, self._leaders[self._cluster_of[members]], members)
        np.maximum.at(self._radii, self._cluster_of[members], distances)
        self._labels = single(len(self._leaders))

    def edges(self) -> tuple[Rows, Rows]:
        """Near pairs that tie clusters together, as many as it takes."""
        self._index = self._postings_that_matter()
        if not len(self._index):
            return self._index.astype(np.int64), self._index.astype(np.int64)
        clusters = self._cluster_of[rows_of(self._index)]
        grams = self._index >> np.uint64(32)
        is_new = np.ones(len(self._index), bool)
        is_new[1:] = (grams[1:] != grams[:-1]) | (clusters[1:] != clusters[:-1])
        found = [(np.empty(0, np.int64), np.empty(0, np.int64)), *self._link(grams)]
        # A run is what one cluster has under one gram; runs of clusters that are tied already stand side by side.
        runs = np.flatnonzero(is_new)
        sizes = np.diff(runs, append=len(self._index))
        order = np.lexsort((clusters[runs], self._labels[clusters[runs]], grams[runs]))
        places, row_sizes = places_of(self._index), self._sets.sizes[rows_of(self._index)].astype(np.int64)
        self._first_places = np.minimum.reduceat(places, runs)[order]
        self._least_sizes, self._most_sizes = (extreme.reduceat(row_sizes, runs)[order] for extreme in (np.minimum, np.maximum))
        self._runs, self._run_sizes, self._run_clusters = runs[order], sizes[order], clusters[runs][order]
        for first, second in self._run_pairs(grams[self._runs]):
            found += self._compare(first, second)
        first, second = (np.concatenate(part) for part in zip(*found, strict=True))
        return first, second

    def _postings_that_matter(self) -> Packed:
        """The postings of grams that two rows have, one of them in a cluster of several rows."""
        index = postings(self._sets, np.arange(len(self._sets)), self._threshold)
        is_new = np.ones(len(index), bool)
        is_new[1:] = (index[1:] ^ index[:-1]) >> np.uint64(32) != 0
        firsts = np.flatnonzero(is_new)
        if not len(firsts):
            return index
        counts = np.diff(firsts, append=len(index))
        is_wide = np.empty(len(index), bool)
        for start in range(0, len(index), CANDIDATES_AT_ONCE):
            part = slice(start, start + CANDIDATES_AT_ONCE)
            is_wide[part] = self._sizes[self._cluster_of[rows_of(index[part])]] > 1
        matters = (counts > 1) & np.logical_or.reduceat(is_wide, firsts)
        return index[np.repeat(matters, counts)]

    def _link(self, grams: Packed) -> list[tuple[Rows, Rows]]:
        """Near pairs among rows of large groups of one gram, each row with one other a turn: what is one template is one component soon."""
        found: list[tuple[Rows, Rows]] = []
        starts = np.searchsorted(grams, grams)
        sizes = np.searchsorted(grams, grams, side="right") - starts
        large = np.flatnonzero(sizes > _LARGE_GROUP)
        starts, sizes = starts[large], sizes[large]
        for turn in range(_TURNS):
            strides = 1 + (sizes * ((turn * _GOLDEN) % 1.0)).astype(np.int64) % (sizes - 1)
            others = starts + (large - starts + strides) % sizes
            links: list[tuple[Rows, Rows]] = []
            for place in range(0, len(large), CANDIDATES_AT_ONCE):
                part = slice(place, place + CANDIDATES_AT_ONCE)
                first, second = rows_of(self._index[large[part]]), rows_of(self._index[others[part]])
                one, other = self._cluster_of[first], self._cluster_of[second]
                # Two kept rows are not near each other.
                wanted = (self._labels[one] != self._labels[other]) & ((self._leaders[one] != first) | (self._leaders[other] != second))
                links += self._near_rows(first[wanted], second[wanted])
            found += links
            if sum(len(first) for first, _ in links) * _FEW < len(large):
                break
        return found

    def _run_pairs(self, grams: Packed) -> Iterator[tuple[Rows, Rows]]:
        """Runs of one gram whose clusters may hold a near pair. Two kept rows alone hold none."""
        is_wide = self._sizes[self._run_clusters] > 1
        labels = self._labels[self._run_clusters]
        is_new = np.ones(len(grams), bool)
        is_new[1:] = (grams[1:] != grams[:-1]) | (labels[1:] != labels[:-1])
        tied = np.flatnonzero(is_new)
        tied_sizes = np.diff(tied, append=len(grams))[np.cumsum(is_new) - 1]
        tied = tied[np.cumsum(is_new) - 1]
        starts = np.searchsorted(grams, grams)
        numbers = np.where(is_wide, np.searchsorted(grams, grams, side="right") - starts - tied_sizes, 0)
        wide = np.flatnonzero(numbers > 0)
        ends = np.cumsum(numbers[wide])
        place = 0
        while place < len(wide):
            end = max(place + 1, int(np.searchsorted(ends, (ends[place - 1] if place else 0) + CANDIDATES_AT_ONCE)))
            runs = wide[place:end]
            place = end
            first = np.repeat(runs, numbers[runs])
            second = np.repeat(starts[runs], numbers[runs]) + within(numbers[runs])
            second += np.where(second >= tied[first], tied_sizes[first], 0)
            wanted = (~is_wide[second] | (second < first)) & self._leaves_room(first, second) & self._leaves_room(second, first)
            first, second = first[wanted], second[wanted]
            wanted = self._apart(first, second)
            yield self._within_reach(first[wanted], second[wanted])

    def _apart(self, first: Rows, second: Rows) -> NDArray[np.bool_]:
        apart: NDArray[np.bool_] = self._labels[self._run_clusters[first]] != self._labels[self._run_clusters[second]]
        return apart

    def _leaves_room(self, first: Rows, second: Rows) -> NDArray[np.bool_]:
        """Whether some row of `first` has its gram early enough for one of `second`: a larger set has more room, against a smaller one."""
        most = self._most_sizes[first]
        room: NDArray[np.bool_] = self._first_places[first] <= most - least_common(most + self._least_sizes[second], self._threshold)
        return room

    def _within_reach(self, first: Rows, second: Rows) -> tuple[Rows, Rows]:
        """The pairs of runs whose kept rows are near enough for their clusters to meet."""
        one, other = self._run_clusters[first], self._run_clusters[second]
        packed = one.astype(np.uint64) << np.uint64(32) | other.astype(np.uint64)
        pairs = distinct(packed)
        one, other = (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
        mine, theirs = self._leaders[one], self._leaders[other]
        least = np.maximum(self._threshold - self._radii[one] - self._radii[other] - _ROUNDING, 0)
        reached = can_reach(self._sets, mine, theirs, least)
        reached[reached] = similarities(self._sets, mine[reached], theirs[reached]) >= least[reached]
        meets = reached[np.searchsorted(pairs, packed)]
        return first[meets], second[meets]

    def _compare(self, first: Rows, second: Rows) -> list[tuple[Rows, Rows]]:
        """Near pairs between the rows of runs; pairs of runs with few rows first, and none whose clusters are tied already."""
        found: list[tuple[Rows, Rows]] = []
        products = self._run_sizes[first] * self._run_sizes[second]
        order = np.argsort(products, kind="stable")
        first, second, products = first[order], second[order], products[order]
        while len(first):
            number = int(np.searchsorted(np.cumsum(products), CANDIDATES_AT_ONCE))
            if number == 0:
                found += self._compare_blocks(int(first[0]), int(second[0]))
                number = 1
            else:
                found += self._near_rows(*self._members(first[:number], second[:number], products[:number]))
            first, second, products = first[number:], second[number:], products[number:]
            apart = self._apart(first, second)
            first, second, products = first[apart], second[apart], products[apart]
        return found

    def _members(self, first: Rows, second: Rows, products: Rows) -> tuple[Rows, Rows]:
        inside = within(products)
        width = np.repeat(self._run_sizes[second], products)
        one = np.repeat(self._runs[first], products) + inside // width
        other = np.repeat(self._runs[second], products) + inside % width
        return rows_of(self._index[one]), rows_of(self._index[other])

    def _compare_blocks(self, first: int, second: int) -> list[tuple[Rows, Rows]]:
        """Two large runs, some rows of each at a time until a near pair is met."""
        starts = int(self._runs[first]), int(self._runs[second])
        sizes = int(self._run_sizes[first]), int(self._run_sizes[second])
        for one in range(0, sizes[0], _BLOCK):
            for other in range(0, sizes[1], _BLOCK):
                mine = rows_of(self._index[starts[0] + one : starts[0] + min(one + _BLOCK, sizes[0])])
                theirs = rows_of(self._index[starts[1] + other : starts[1] + min(other + _BLOCK, sizes[1])])
                found = self._near_rows(np.repeat(mine, len(theirs)), np.tile(theirs, len(mine)))
                if found:
                    return found
        return []

    def _near_rows(self, first: Rows, second: Rows) -> list[tuple[Rows, Rows]]:
        pairs = distinct(first.astype(np.uint64) << np.uint64(32) | second.astype(np.uint64))
        one, other = (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
        one, other = verified(self._sets, one, other, self._threshold)
        if not len(one):
            return []
        tie(self._labels, self._cluster_of[one], self._cluster_of[other])
        return [(one, other)]
