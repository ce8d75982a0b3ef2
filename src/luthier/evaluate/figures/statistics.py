"""Intervals and tests for rates, ratios and paired differences. Equal input gives equal numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luthier.core.records import Score

RESAMPLES = 10_000
_SEED = 20_240_501
# The 97.5 % point of the normal distribution.
Z95 = 1.959963984540054
# The 80 % point, for the power of a test.
_Z80 = 0.8416212335729143
_BLOCK_CELLS = 4_000_000
# Group means nearer to each other than this, against their size, differ by rounding alone.
_ROUNDING = 1e-12
ONE_GROUP = "one group: nothing tells how far groups differ, and the widest interval stands in"
# Were there no difference, n differences would all have one sign with probability 2 / 2^n, and a bootstrap of them leaves out none then:
# below 5 % from 6 on.
_FEWEST_GROUPS = 6
FEW_GROUPS = f"fewer than {_FEWEST_GROUPS} rows or groups: an interval drawn from so few claims too much"
ONE_VALUE = "all rows have one value: nothing tells how far others would differ"


def wilson(successes: float, count: float) -> tuple[float, float]:
    """The 95 % interval of a rate.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209:
    (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n); within 0 and 1 for any count. A count of 0 gives (0, 1).
    """
    if count == 0:
        return 0.0, 1.0
    successes = min(successes, count)
    rate, square = successes / count, Z95 * Z95
    middle = (rate + square / (2 * count)) / (1 + square / count)
    half = Z95 * math.sqrt(rate * (1 - rate) / count + square / (4 * count * count)) / (1 + square / count)
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
    # Sum and number of the values of each group; groups with none do not occur.
    draws = _resampled(_groups_of(values, groups))
    return _middle(draws[:, 0] / draws[:, 1])


def _resampled(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over groups drawn with replacement, [RESAMPLES, columns], of `totals` [groups, columns]."""
    # Groups with equal totals are alike, so how often each kind is drawn is multinomial: the same law, without a draw per row.
    kinds, counts = np.unique(totals, axis=0, return_counts=True)
    number = int(counts.sum())
    generator = np.random.Generator(np.random.PCG64(_SEED))
    sums = np.empty((RESAMPLES, totals.shape[1]))
    block = max(1, min(RESAMPLES, _BLOCK_CELLS // len(kinds)))
    for start in range(0, RESAMPLES, block):
        drawn = generator.multinomial(number, counts / number, size=min(block, RESAMPLES - start))
        sums[start : start + block] = drawn @ kinds
    return sums


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of resampled values."""
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _groups_of(values: Sequence[float], groups: Sequence[str]) -> NDArray[np.float64]:
    """Sum and number of the values of each group, [groups, 2]."""
    index = _places(len(values), groups)
    sums = np.bincount(index, weights=np.asarray(values, dtype=np.float64))
    return np.stack([sums, np.bincount(index).astype(np.float64)], axis=1)


def _places(count: int, groups: Sequence[str]) -> list[int]:
    """The number of each row's group, in order of appearance."""
    places: dict[str | int, int] = {}
    return [places.setdefault(name or row, len(places)) for row, name in enumerate(groups or [""] * count)]


def effective_count(values: Sequence[float], groups: Sequence[str] = ()) -> float:
    """How many independent rows the rows are worth for their mean: their number divided by the design effect, which is at least 1.

    The design effect is the variance of the mean under draws of whole groups over that under draws of single rows (Kish, "Survey
    Sampling", 1965, section 8.2). Where all values are equal nothing shows how alike a group's rows are: then the groups are counted.
    """
    count = len(values)
    if not count:
        return 0.0
    totals = _groups_of(values, groups)
    number = len(totals)
    if number == count:
        return float(count)
    mean = math.fsum(values) / count
    alone = math.fsum((value - mean) ** 2 for value in values)
    if alone == 0 or number == 1:
        return float(number)
    together = number / (number - 1) * float(((totals[:, 0] - mean * totals[:, 1]) ** 2).sum())
    return max(1.0, count / max(1.0, together / alone))


def rate_score(values: Sequence[float], groups: Sequence[str] = ()) -> Score:
    """The mean of 0/1 values with Wilson's interval, over the number of independent rows that they are worth.

    Rows of one group are alike, and an interval that counts them all would be too narrow; the one over the effective number is among the
    best for samples of groups (Franco, Little, Louis and Slud, Journal of Survey Statistics and Methodology 7 (2019), 334).
    """
    count = len(values)
    rate = math.fsum(values) / count if count else 0.0
    effective = effective_count(values, groups)
    low, high = wilson(rate * effective, effective)
    return Score(rate, low, high, count)


def mean_score(values: Sequence[float], groups: Sequence[str] = (), is_share: bool = False) -> Score:
    """The mean of values of any size, or of shares, with its bootstrap interval.

    Where the groups' means are equal no resample differs: then Wilson's interval over the groups stands in for shares, and the one over
    single rows elsewhere. One group has no interval: a share then has 0 to 1, another mean the range of its rows, and the note says so.
    """
    count = len(values)
    mean = math.fsum(values) / count if count else 0.0
    number = _alike(values, groups)
    if number is None:
        return Score(mean, *bootstrap_mean(values, groups), count, note="" if is_share else _few(values, groups))
    if is_share:
        return Score(mean, 0.0, 1.0, count, note=ONE_GROUP) if number == 1 else Score(mean, *wilson(mean * number, number), count)
    return Score(mean, *_interval_of_rows(values, number), count, note=_note_of(values, number))


def paired_score(first: Sequence[float], second: Sequence[float], groups: Sequence[str] = (), is_share: bool = True) -> Score:
    """The mean of `first - second`, row by row, with its bootstrap interval and McNemar's p over 0/1 values.

    The interval minds the groups; the p-value takes rows as independent. Where the groups' means are equal no resample differs: then the
    bound of Clopper and Pearson (Biometrika 26 (1934), 404) stands in for shares, for the share of groups that show what none of these
    did, and the interval over single rows elsewhere. One group has no interval: the widest stands there, and the note says so.
    """
    differences = [one - other for one, other in zip(first, second, strict=True)]
    count = len(differences)
    mean = math.fsum(differences) / count if count else 0.0
    p = mcnemar(sum(value > 0 for value in differences), sum(value < 0 for value in differences))
    number = _alike(differences, groups)
    if number is None:
        return Score(mean, *bootstrap_mean(differences, groups), count, p, "" if is_share else _few(differences, groups))
    if not is_share:
        return Score(mean, *_interval_of_rows(differences, number), count, p, _note_of(differences, number))
    if number == 1:
        return Score(mean, -1.0, 1.0, count, p, ONE_GROUP)
    unseen = 1 - 0.025 ** (1 / number)
    return Score(mean, max(-1.0, mean - unseen), min(1.0, mean + unseen), count, p)


def _few(values: Sequence[float], groups: Sequence[str]) -> str:
    """What is to be noted of a bootstrap over so few groups; empty where they are enough."""
    return FEW_GROUPS if 0 < len(_groups_of(values, groups)) < _FEWEST_GROUPS else ""


def _alike(values: Sequence[float], groups: Sequence[str]) -> int | None:
    """The number of groups where draws of them would show no spread, because there is one or their means are equal; None elsewhere."""
    if not len(values):
        return None
    totals = _groups_of(values, groups)
    means = totals[:, 0] / totals[:, 1]
    return len(totals) if float(np.ptp(means)) <= _ROUNDING * float(np.abs(means).max()) else None


def _interval_of_rows(values: Sequence[float], number: int) -> tuple[float, float]:
    """What can be told of values without bounds whose groups show no spread: their range for one group, else that over single rows."""
    return (min(values), max(values)) if number == 1 or min(values) == max(values) else bootstrap_mean(values)


def _note_of(values: Sequence[float], number: int) -> str:
    if number == 1:
        return ONE_GROUP
    return ONE_VALUE if min(values) == max(values) else ""


@dataclass(frozen=True, slots=True)
class Weighed:
    """One row of a metric that is a ratio of sums: what it adds above and below the line, and its group."""

    above: float
    below: float
    group: str = ""


def ratio_score(rows: Sequence[Weighed], value: Callable[[float], float]) -> Score:
    """`value(sum above / sum below)` over all rows, with its bootstrap interval over whole groups.

    Where all groups have one ratio the interval is that over single rows; one group has the range of its rows, and the note says so.
    """
    columns = [(row.above, row.below) for row in rows]
    return _ratio_score(columns, [row.group for row in rows], lambda sums: value(float(sums[0] / sums[1])))


def paired_ratio_score(
    first: Sequence[Weighed], second: Sequence[Weighed], value: Callable[[float], float], compare: Callable[[float, float], float]
) -> Score:
    """`compare` of the two values over the same rows, with its bootstrap interval: each resample draws the same groups for both."""
    pairs = [(one.above, one.below, other.above, other.below) for one, other in zip(first, second, strict=True)]

    def compared(sums: NDArray[np.float64]) -> float:
        return compare(value(float(sums[0] / sums[1])), value(float(sums[2] / sums[3])))

    return _ratio_score(pairs, [row.group for row in first], compared)


def _ratio_score(columns: Sequence[Sequence[float]], groups: Sequence[str], value: Callable[[NDArray[np.float64]], float]) -> Score:
    """`value` of the sums of the columns, with its interval."""
    totals = _totals(columns, groups)
    found = value(totals.sum(axis=0))
    singles = [value(row) for row in np.asarray(columns, dtype=np.float64)]
    if len(totals) == 1:
        return Score(found, min(found, *singles), max(found, *singles), len(columns), note=ONE_GROUP)
    low, high = _middle(np.array([value(sums) for sums in _resampled(totals)]))
    if high - low <= _ROUNDING * abs(found):
        low, high = _middle(np.array([value(sums) for sums in _resampled(_totals(columns, ()))]))
    note = ONE_VALUE if high - low <= _ROUNDING * abs(found) else FEW_GROUPS if len(totals) < _FEWEST_GROUPS else ""
    return Score(found, low, high, len(columns), note=note)


def _totals(rows: Sequence[Sequence[float]], groups: Sequence[str]) -> NDArray[np.float64]:
    """The sums of each column over each group, [groups, columns]."""
    columns = np.asarray(rows, dtype=np.float64)
    index = _places(len(rows), groups)
    return np.stack([np.bincount(index, weights=column) for column in columns.T], axis=1)


def smallest_difference(first: Sequence[float], second: Sequence[float], groups: Sequence[str] = ()) -> float | None:
    """The smallest difference of two rates that these rows would show with 80 % power at a two-sided level of 5 %; None where none would.

    Connor, "Sample size for testing differences in proportions for the paired-sample design", Biometrics 43 (1987), 207:
    n = (z_a sqrt(d) + z_b sqrt(d - delta^2))^2 / delta^2, solved for delta, where d is the share of rows on which one alone is right.
    d is taken as found, but never below delta, which it cannot be; n is the effective number of rows.
    """
    differences = [one - other for one, other in zip(first, second, strict=True)]
    if not differences:
        return None
    rows = effective_count(differences, groups)
    discordant = sum(value != 0 for value in differences) / len(differences)

    def needed(delta: float) -> float:
        share = max(discordant, delta)
        return (Z95 * math.sqrt(share) + _Z80 * math.sqrt(max(0.0, share - delta * delta))) ** 2 / (delta * delta)

    if needed(1.0) > rows:
        return None
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if needed(middle) <= rows else (middle, high)
    return high
