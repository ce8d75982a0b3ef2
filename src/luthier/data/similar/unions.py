"""Connected components over arrays: the smallest member names its component."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


def single(count: int) -> Labels:
    """Labels of `count` members that nothing ties."""
    return np.arange(count, dtype=np.int64)


def tie(labels: Labels, first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
    """Ties `first[i]` to `second[i]` for each i: afterwards equal labels are one component, and a label is its smallest member.

    Each turn hooks the larger of two roots to the smallest root that it meets, then points every member at its root.
    """
    while len(first):
        first, second = labels[first], labels[second]
        apart = first != second
        first, second = first[apart], second[apart]
        if not len(first):
            break
        low, high = np.minimum(first, second), np.maximum(first, second)
        np.minimum.at(labels, high, low)
        _flatten(labels)
        first, second = low, high


def _flatten(labels: Labels) -> None:
    while True:
        further = labels[labels]
        if np.array_equal(further, labels):
            return
        labels[:] = further
