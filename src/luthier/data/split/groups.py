"""Groups of rows: the components of strong edges, and the larger ones that weak edges make of them.

Every edge is an equal key of two rows (`rows.keys`): a 64-bit number a row, 0 where the row has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.data.rows.keys import NO_KEY, ExchangeColumns
from luthier.data.similar.hashing import mixed
from luthier.data.similar.unions import Labels, single, tie

Keys = NDArray[np.uint64]
# A kind of edge beside those of `rows.keys`: it comes from the join.
NEAR = "near"


@dataclass(frozen=True, slots=True)
class Ties:
    """What ties rows: their ids (the first 64 bits of a row's digest, and the how many-eth row with it), and keys by kind of edge."""

    ids: NDArray[np.uint64]
    times: NDArray[np.uint32]
    strong: Mapping[str, Keys]
    weak: Mapping[str, Keys]

    def __len__(self) -> int:
        return len(self.ids)

    def name(self, row: int) -> str:
        """The id of a row as text, as `rows.digests.numbered` writes it."""
        times = int(self.times[row])
        return f"{int(self.ids[row]):016x}" + (f"-{times}" if times > 1 else "")

    def order(self) -> NDArray[np.int64]:
        """The rows in the order of their ids."""
        return np.lexsort((self.times, self.ids)) if (self.times != 1).any() else np.argsort(self.ids, kind="stable")


def near_keys(labels: Labels) -> Keys:
    """Keys from `near_components`: rows of one component share one, a row alone has none."""
    sizes = np.bincount(labels, minlength=len(labels))
    return np.where(sizes[labels] > 1, labels + 1, NO_KEY).astype(np.uint64)


def exchange_ties(exchanges: ExchangeColumns, kept: NDArray[np.int64], asked: Keys, answered: Keys) -> Keys:
    """Keys that rows share which an equal exchange ties, one to the next; `kept` are the rows' numbers in `exchanges`.

    `asked` and `answered` are the rows' own keys; they are what a row with one answer exchanges,
    which counts where a row with several has it too.
    """
    rows = np.frombuffer(exchanges.row, np.int64)
    labels = single(len(kept))
    if not len(rows) or not len(kept):
        return near_keys(labels)
    places = np.minimum(np.searchsorted(kept, rows), len(kept) - 1)
    is_kept = kept[places] == rows
    owners = places[is_kept]
    pairs = _paired(np.frombuffer(exchanges.request, np.uint64)[is_kept], np.frombuffer(exchanges.answer, np.uint64)[is_kept])
    single_rows = np.ones(len(kept), bool)
    single_rows[owners] = False
    singles = np.flatnonzero(single_rows & (asked != NO_KEY) & (answered != NO_KEY))
    own = _paired(asked[singles], answered[singles])
    is_met = np.isin(own, pairs)
    owners, pairs = np.concatenate((owners, singles[is_met])), np.concatenate((pairs, own[is_met]))
    first, second = edges(pairs)
    tie(labels, owners[first], owners[second])
    return near_keys(labels)


def _paired(requests: Keys, answers: Keys) -> Keys:
    """One key for each request with its answer; never 0."""
    return np.maximum(mixed(mixed(requests) + answers), 1)


def components(ties: Ties) -> tuple[Labels, Labels]:
    """Strong components, and those that weak edges make of them; each is named by its smallest row number."""
    strong = single(len(ties))
    for keys in ties.strong.values():
        tie(strong, *edges(keys))
    weak = strong.copy()
    for keys in ties.weak.values():
        tie(weak, *edges(keys))
    return strong, weak


def _by_key(keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The rows that have a key, in the order of their keys, and whether each is the first of its key."""
    rows = np.flatnonzero(keys != NO_KEY)
    rows = rows[np.argsort(keys[rows])]
    is_new = np.ones(len(rows), bool)
    is_new[1:] = keys[rows[1:]] != keys[rows[:-1]]
    return rows, is_new


def edges(keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One row of each key with each other row that has it."""
    rows, is_new = _by_key(keys)
    firsts = rows[is_new][np.cumsum(is_new) - 1]
    return firsts[~is_new], rows[~is_new]


def pairs_across(keys: Keys, sides: NDArray[np.uint8]) -> int:
    """How many pairs of rows share a key and stand on different sides, counted by key and not one by one."""
    rows, is_new = _by_key(keys)
    if not len(rows):
        return 0
    run = np.cumsum(is_new) - 1
    counts = np.bincount(run * 3 + sides[rows], minlength=3 * (int(run[-1]) + 1)).reshape(-1, 3)
    total = counts.sum(axis=1)
    return int((total * total - (counts * counts).sum(axis=1)).sum()) // 2
