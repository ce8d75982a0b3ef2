"""The exact join of sets by Jaccard similarity: prefixes of rare grams give candidates, and each candidate is counted.

Of two sets with `c` common grams, `c / (m + n - c) >= t` asks for `c >= t / (1 + t) * (m + n)`, here `a`. Their first common gram, in an
order that all sets share, then stands no later than place `m - a` of one and `n - a` of the other, counted from 0 (Xiao, Wang, Lin and Yu,
"Efficient similarity joins for near-duplicate detection", 2008). So the first `m - ceil(t * m) + 1` grams of a set are all that an index
holds, and none of them that one set alone has.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from luthier.data.similar.collection import Sets
from luthier.data.similar.hashing import mixed

Rows = NDArray[np.int64]
Packed = NDArray[np.uint64]

# A posting is one number: the gram (32 bits), the row (27 bits) and the gram's place in its row, 31 standing for all later ones too.
_ROW_BITS = 27
_PLACE_BITS = 5
MOST_ROWS = 1 << _ROW_BITS
_LAST_PLACE = (1 << _PLACE_BITS) - 1
# Taken off a bound that is about to be rounded up: a bound that rounding alone raised would lose a pair.
_SLACK = 1e-9
# Candidates that are looked at together; what a row alone brings is not divided.
CANDIDATES_AT_ONCE = 1 << 21
_ROWS_AT_ONCE = 1 << 16


def least_common(sizes: NDArray[np.int64], threshold: float) -> NDArray[np.int64]:
    """The least number of common grams of two sets with so many grams together that are near."""
    least: Rows = np.ceil(threshold / (1 + threshold) * sizes - _SLACK).astype(np.int64)
    return least


def prefix_counts(sets: Sets, threshold: float) -> Rows:
    """How many shared grams of each row an index holds."""
    sizes = sets.sizes.astype(np.int64)
    shared = np.diff(sets.starts)
    wanted = sizes - np.ceil(threshold * sizes - _SLACK).astype(np.int64) + 1 - (sizes - shared)
    counts: Rows = np.clip(wanted, 0, shared)
    return counts


def postings(sets: Sets, rows: Rows, threshold: float, counts: Rows | None = None) -> Packed:
    """The postings of `rows`, sorted."""
    if len(sets) > MOST_ROWS:
        raise ValueError(f"more than {MOST_ROWS} rows")
    counts = (prefix_counts(sets, threshold) if counts is None else counts)[rows]
    starts = range(0, max(len(rows), 1), _ROWS_AT_ONCE)
    return np.sort(np.concatenate([_packed(sets, rows[s : s + _ROWS_AT_ONCE], counts[s : s + _ROWS_AT_ONCE]) for s in starts]))


def _packed(sets: Sets, rows: Rows, counts: Rows) -> Packed:
    inside = within(counts)
    owners = np.repeat(rows, counts)
    places = inside + np.repeat(sets.sizes[rows] - (sets.starts[rows + 1] - sets.starts[rows]), counts)
    grams = sets.ids[np.repeat(sets.starts[rows], counts) + inside].astype(np.uint64)
    packed = (owners << _PLACE_BITS | np.minimum(places, _LAST_PLACE)).astype(np.uint64)
    values: Packed = grams << np.uint64(32) | packed
    return values


def within(counts: Rows) -> Rows:
    """0 to `counts[i] - 1` for each i, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)


def rows_of(packed: Packed) -> Rows:
    """The rows of postings."""
    return ((packed >> np.uint64(_PLACE_BITS)) & np.uint64(MOST_ROWS - 1)).astype(np.int64)


def places_of(packed: Packed) -> Rows:
    """The places of postings in their rows."""
    return (packed & np.uint64(_LAST_PLACE)).astype(np.int64)


def _ranges(sets: Sets, index: Packed, probes: Packed, threshold: float, only_before: bool) -> tuple[Rows, Rows]:
    """For each probe where the postings of its gram that may matter begin in the index, and how many there are.

    The rows of `sets` ascend in size, so a range of sizes is a range of rows: a set of `m` grams, this one at place `i`, is near none
    of more than `(m - i) * (1 + t) / t - m` grams, and none of less than `t * m`. With `only_before` rows before the probe's own count.
    """
    rows = rows_of(probes)
    sizes = sets.sizes[rows].astype(np.int64)
    most = np.floor((sizes - places_of(probes)) * ((1 + threshold) / threshold) - sizes + _SLACK)
    low = np.searchsorted(sets.sizes, np.ceil(threshold * sizes - _SLACK).astype(np.int32))
    high = np.searchsorted(sets.sizes, most.astype(np.int32), side="right")
    high = np.maximum(np.minimum(high, rows) if only_before else high, low)
    gram = probes & np.uint64(0xFFFFFFFF_00000000)
    starts, ends = (np.searchsorted(index, gram + (limit.astype(np.uint64) << np.uint64(_PLACE_BITS))) for limit in (low, high))
    return starts, ends - starts


def candidate_count(sets: Sets, index: Packed, probes: Packed, threshold: float) -> int:
    """How many candidates `near` would look at among rows before each other, some more than once."""
    return int(_ranges(sets, index, probes, threshold, True)[1].sum())


def near(sets: Sets, index: Packed, rows: Rows, threshold: float, only_before: bool) -> Iterator[tuple[Rows, Rows]]:
    """Pairs of a row in the index and one of `rows` that are near; with `only_before` the one of the index precedes the other.

    The sets ascend in size, and so do `rows`.
    """
    counts = prefix_counts(sets.taken(rows), threshold) if len(rows) < len(sets) else prefix_counts(sets, threshold)
    every = np.zeros(len(sets), np.int64)
    every[rows] = counts
    waiting = [rows[start : start + _ROWS_AT_ONCE] for start in range(0, len(rows), _ROWS_AT_ONCE)][::-1]
    while waiting:
        part = waiting.pop()
        probes = postings(sets, part, threshold, every)
        starts, numbers = _ranges(sets, index, probes, threshold, only_before)
        if numbers.sum() > CANDIDATES_AT_ONCE and len(part) > 1:
            half = len(part) // 2
            waiting += [part[half:], part[:half]]
            continue
        found = _candidates(sets, index, probes, (starts, numbers), threshold)
        if len(found[0]):
            first, second = verified(sets, *found, threshold)
            if len(first):
                yield first, second


def _candidates(sets: Sets, index: Packed, probes: Packed, ranges: tuple[Rows, Rows], threshold: float) -> tuple[Rows, Rows]:
    """Distinct pairs of a posting in the index and a probe whose places leave room for enough common grams."""
    starts, counts = ranges
    met = counts > 0
    starts, counts, probes = starts[met], counts[met], probes[met]
    others = index[np.repeat(starts, counts) + within(counts)]
    mine = np.repeat(probes, counts)
    first, second = rows_of(others), rows_of(mine)
    sizes = sets.sizes[first].astype(np.int64), sets.sizes[second].astype(np.int64)
    least = least_common(sizes[0] + sizes[1], threshold)
    fits = (places_of(others) <= sizes[0] - least) & (places_of(mine) <= sizes[1] - least)
    pairs = distinct(second[fits].astype(np.uint64) << np.uint64(32) | first[fits].astype(np.uint64))
    return (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64), (pairs >> np.uint64(32)).astype(np.int64)


def distinct(values: Packed) -> Packed:
    """`values` sorted, each once."""
    values = np.sort(values)
    return values[np.concatenate((np.ones(1, bool), values[1:] != values[:-1]))] if len(values) else values


def verified(sets: Sets, first: Rows, second: Rows, threshold: float) -> tuple[Rows, Rows]:
    """The pairs whose similarity, counted and divided as `rows.grams.jaccard` does, reaches the threshold."""
    reached = can_reach(sets, first, second, threshold)
    first, second = first[reached], second[reached]
    fits = similarities(sets, first, second) >= threshold
    return first[fits], second[fits]


def can_reach(sets: Sets, first: Rows, second: Rows, threshold: float | NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the marks of each pair leave room for the similarity; cheap, and never False for a pair that reaches it."""
    lengths = np.diff(sets.starts)
    marks = sets.marks[first], sets.marks[second]
    most = np.minimum(lengths[first] - np.bitwise_count(marks[0] & ~marks[1]), lengths[second] - np.bitwise_count(marks[1] & ~marks[0]))
    sizes = sets.sizes[first].astype(np.int64) + sets.sizes[second]
    reached: NDArray[np.bool_] = most >= threshold / (1 + threshold) * sizes - _SLACK
    return reached


def similarities(sets: Sets, first: Rows, second: Rows) -> NDArray[np.float64]:
    """The Jaccard similarity of each pair of rows."""
    result = np.empty(len(first), np.float64)
    lengths = np.diff(sets.starts)
    ends = np.cumsum(lengths[first] + lengths[second])
    start = 0
    while start < len(first):
        end = max(start + 1, int(np.searchsorted(ends, (ends[start - 1] if start else 0) + CANDIDATES_AT_ONCE)))
        one, other = first[start:end], second[start:end]
        common = _common(sets, one, other)
        result[start:end] = common / np.maximum(sets.sizes[one].astype(np.int64) + sets.sizes[other] - common, 1)
        start = end
    return result


def _common(sets: Sets, first: Rows, second: Rows) -> Rows:
    """How many grams each pair shares: grams of both with the pair's number, sorted; what stands twice is shared."""
    parts = []
    for rows in (first, second):
        counts = sets.starts[rows + 1] - sets.starts[rows]
        pairs = np.repeat(np.arange(len(rows), dtype=np.uint64), counts)
        parts.append(pairs << np.uint64(32) | sets.ids[np.repeat(sets.starts[rows], counts) + within(counts)])
    keys = np.sort(np.concatenate(parts))
    twice = keys[1:][keys[1:] == keys[:-1]]
    return np.bincount((twice >> np.uint64(32)).astype(np.int64), minlength=len(first))


def first_same(sets: Sets) -> Rows:
    """For each row the first row with the same set, compared by 128 bits of its grams; its own number where it is the first."""
    shared = np.diff(sets.starts)
    first = np.arange(len(sets), dtype=np.int64)
    # A set with a gram of its own equals no other.
    rows = np.flatnonzero((shared == sets.sizes) & (shared > 0))
    if not len(rows):
        return first
    sums = np.empty((2, len(rows)), np.uint64)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = sets.taken(rows[start : start + _ROWS_AT_ONCE])
        for number, salt in enumerate((0x2545F4914F6CDD1D, 0xD1342543DE82EF95)):
            spread = mixed(mixed(part.ids.astype(np.uint64) + np.uint64(1)) + np.uint64(salt))
            sums[number, start : start + _ROWS_AT_ONCE] = np.add.reduceat(spread, part.starts[:-1])
    order = np.lexsort((rows, sums[1], sums[0]))
    is_new = np.ones(len(rows), bool)
    is_new[1:] = (sums[0][order[1:]] != sums[0][order[:-1]]) | (sums[1][order[1:]] != sums[1][order[:-1]])
    members = rows[order]
    first[members] = members[is_new][np.cumsum(is_new) - 1]
    return first
