"""Which texts come near one of some others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from luthier.data.similar.collection import collect
from luthier.data.similar.join import near, postings


def near_any(texts: Sequence[str], others: Sequence[str], threshold: float, folder: Path) -> NDArray[np.bool_]:
    """For each of `texts` whether the Jaccard similarity of its word 3-grams to those of one of `others` is `threshold` or more.

    Exact, by the join. Hashes wait in a file without a name in `folder`.
    """
    found = np.zeros(len(texts), bool)
    if not texts or not others:
        return found
    with collect([*others, *texts], folder) as grams:
        sets = grams.sets()
    by_size = np.argsort(sets.sizes, kind="stable")
    part = sets.taken(by_size)
    is_other = by_size < len(others)
    index = postings(part, np.flatnonzero(is_other), threshold)
    for _, mine in near(part, index, np.flatnonzero(~is_other), threshold, only_before=False):
        found[by_size[mine] - len(others)] = True
    return found
