"""Intervals and tests for rates and for paired differences. Equal input gives equal numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from luthier.core.records import Score

RESAMPLES = 10_000
_SEED = 20_240_501
# The 97.5 % point of the normal distribution.
_Z95 = 1.959963984540054
_BLOCK_CELLS = 4_000_000


def wilson(successes: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a rate.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209:
    (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n); within 0 and 1 for any count. A count of 0 gives (0, 1).
    """
    if count == 0:
        return 0.0, 1.0
    rate, square = successes / count, _Z95 * _Z95
    middle = (rate + square / (2 * count)) / (1 + square / count)
    half = _Z95 * math.sqrt(rate * (1 - rate) / count + square / (4 * count * count)) / (1 + square / count)
    # At the ends rounding would leave 1e-17 instead of 0.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == count else min(1.0, middle + half)
    return low, high


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value that two yes/no results differ, from the rows where one alone says yes.

    McNemar, Psychometrika 12 (1947), 153, with the binomial in place of chi-squared: min(1, 2 P(X <= min(b, c))), X ~ B(b + c, 1/2).
    """
    discordant = only_first + only_second
    if discordant == 0:
        return 1.0
    term = total = 1
    for drawn in range(1, min(only_first, only_second) + 1):
        term = term * (discordant - drawn + 1) // drawn
        total += term
    # Whole numbers up to here: a division of integers rounds once, however large they are.
    return min(1.0, total / (1 << (discordant - 1)))


def bootstrap_mean(values: Sequence[float], groups: Sequence[str] = ()) -> tuple[float, float]:
    """The 95 % percentile interval of the mean of `values`, by 10,000 resamples of whole groups.

    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 8 and 13; rows of one group are drawn together, for they
    are not independent (Field and Welsh, JRSS B 69 (2007), 369). Without `groups`, or where a row's group is empty, a row is its own.
    """
    if not len(values):
        return 0.0, 0.0
    groups_of_values = _groups_of(values, groups)
    # Groups with equal sum and size are alike, so how often each kind is drawn is multinomial: the same law, without a draw per row.
    kinds, counts = np.unique(groups_of_values, axis=0, return_counts=True)
    number = int(counts.sum())
    generator = np.random.Generator(np.random.PCG64(_SEED))
    means = np.empty(RESAMPLES)
    block = max(1, min(RESAMPLES, _BLOCK_CELLS // len(kinds)))
    for start in range(0, RESAMPLES, block):
        drawn = generator.multinomial(number, counts / number, size=min(block, RESAMPLES - start))
        means[start : start + block] = (drawn @ kinds[:, 0]) / (drawn @ kinds[:, 1])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _groups_of(values: Sequence[float], groups: Sequence[str]) -> NDArray[np.float64]:
    """Sum and number of the values of each group, [groups, 2]."""
    places: dict[str | int, int] = {}
    names = groups or [""] * len(values)
    index = [places.setdefault(name or row, len(places)) for row, name in enumerate(names)]
    sums = np.bincount(index, weights=np.asarray(values, dtype=np.float64), minlength=len(places))
    return np.stack([sums, np.bincount(index, minlength=len(places)).astype(np.float64)], axis=1)


def rate_score(values: Sequence[float]) -> Score:
    """The mean of 0/1 values with Wilson's interval, which takes rows as independent: rows of one group make it too narrow."""
    count = len(values)
    total = math.fsum(values)
    low, high = wilson(total, count)
    return Score(total / count if count else 0.0, low, high, count)


def paired_score(first: Sequence[float], second: Sequence[float], groups: Sequence[str] = ()) -> Score:
    """The mean of `first - second`, row by row, with its bootstrap interval and McNemar's p over 0/1 values.

    The interval minds the groups; the p-value takes rows as independent. Where all differences are equal no resample differs either: then
    the bound of Clopper and Pearson (Biometrika 26 (1934), 404) stands in, for the share of groups that show what none of these did.
    """
    differences = [one - other for one, other in zip(first, second, strict=True)]
    count = len(differences)
    low, high = bootstrap_mean(differences, groups)
    if count and min(differences) == max(differences):
        unseen = 1 - 0.025 ** (1 / len(_groups_of(differences, groups)))
        low, high = max(-1.0, differences[0] - unseen), min(1.0, differences[0] + unseen)
    p = mcnemar(sum(value > 0 for value in differences), sum(value < 0 for value in differences))
    return Score(math.fsum(differences) / count if count else 0.0, low, high, count, p)
