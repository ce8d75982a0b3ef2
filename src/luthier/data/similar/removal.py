"""Leaving out rows that are equal, or nearly equal, to an earlier one."""

from __future__ import annotations

import numpy as np

from luthier.core.records import Reject
from luthier.data.rows.rejects import DUPLICATE, NEAR_DUPLICATE, RejectLog
from luthier.data.rows.store import RowStore
from luthier.data.similar.collection import Grams
from luthier.data.similar.duplicates import near_duplicates
from luthier.data.similar.equal import first_equal


def drop_equal(store: RowStore, rejects: RejectLog, removes: bool) -> None:
    """Leaves out every row that equals an earlier one; where duplicates stay, each is given an id of its own."""
    first = first_equal(store.digests)
    for number in np.flatnonzero(first != np.arange(len(first))):
        row, earlier = int(number), int(first[number])
        if not removes:
            store.number_equal(row, earlier)
            continue
        _drop(store, rejects, row, "dedup", DUPLICATE, f"equal to row {store.id(earlier)} at {store.where(earlier)}")


def drop_near(store: RowStore, texts: Grams, threshold: float, rejects: RejectLog) -> None:
    """Leaves out every row whose request and answer together are nearly those of an earlier row that stays.

    Nearly: the Jaccard similarity of their word 3-grams is `threshold` or more (`rows.grams`).
    """
    kept = store.kept()
    near = near_duplicates(texts.sets().taken(kept), threshold)
    for number in np.flatnonzero(near >= 0):
        row, earlier = int(kept[number]), int(kept[near[number]])
        detail = f"nearly equal (word 3-gram Jaccard of {threshold:g} or more) to row {store.id(earlier)} at {store.where(earlier)}"
        _drop(store, rejects, row, "near_dedup", NEAR_DUPLICATE, detail)


def _drop(store: RowStore, rejects: RejectLog, number: int, step: str, reason: str, detail: str) -> None:
    store.dropped[number] = 1
    file, line = store.place(number)
    rejects.add(Reject(store.id(number), step, reason, detail, file, line))
