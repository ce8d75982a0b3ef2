"""The sides of a division, and what is told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SIDES = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest group: its name, its rows, its share of all rows, and how many rows share the commonest answer."""

    group: str
    rows: int
    share: float
    rows_with_one_answer: int


@dataclass(frozen=True, slots=True)
class Move:
    """A row of an earlier division that changed its side: both sides, and the row whose id names the group that made it move."""

    row: int
    before: int
    after: int
    leader: int


@dataclass(slots=True)
class Division:
    """The side of each row (an index into `SIDES`), and each row's group where groups were drawn.

    `leaders` gives for each row the row whose id names its group; `groups` are these names as text, where the caller asked for them.
    `largest_ties` tells what holds the largest group together: by kind of edge, its rows that share the commonest key. `weak_across` counts
    pairs of rows with equal keys on different sides, by kind. `targets` and `sizes` are rows by side.
    """

    sides: bytearray
    groups: list[str] = field(default_factory=list)
    count: int = 0
    largest: Largest | None = None
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    leaders: NDArray[np.int64] | None = None
    largest_ties: dict[str, int] = field(default_factory=dict)
    weak_across: dict[str, int] = field(default_factory=dict)
    targets: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)


def side_counts(sides: Iterable[int]) -> dict[str, int]:
    """Rows on each side, by its name."""
    counts = Counter(sides)
    return {name: counts[side] for side, name in enumerate(SIDES)}
