"""Statistics against published values and closed forms."""

from __future__ import annotations

import math

import pytest

from luthier.evaluate.statistics import bootstrap_mean, mcnemar, paired_score, rate_score, wilson


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [
        (45, 50, 0.7864, 0.9565),  # Newcombe, Statistics in Medicine 17 (1998), method 3, as R's prop.test(correct = FALSE).
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I.
        (15, 148, 0.0624, 0.1605),  # Newcombe 1998, table I.
        (0, 20, 0.0, 0.1611),  # Newcombe 1998, table I.
        (1, 29, 0.0061, 0.1718),  # Newcombe 1998, table I.
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilson_gives_the_published_intervals(successes: int, count: int, low: float, high: float) -> None:
    assert wilson(successes, count) == pytest.approx((low, high), abs=5e-5)


def test_wilson_solves_its_equation() -> None:
    # The ends are the rates p for which |p_hat - p| = z sqrt(p (1 - p) / n).
    for successes, count in ((3, 17), (50, 51), (200, 1000)):
        for end in wilson(successes, count):
            assert abs(successes / count - end) == pytest.approx(1.959963984540054 * math.sqrt(end * (1 - end) / count), rel=1e-9)


def test_no_row_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert rate_score([]).count == 0
    assert bootstrap_mean([]) == (0.0, 0.0)


@pytest.mark.parametrize(("b", "c"), [(0, 5), (1, 8), (3, 3), (10, 12), (2, 40), (500, 520)])
def test_mcnemar_is_the_two_sided_binomial(b: int, c: int) -> None:
    tail = sum(math.comb(b + c, k) for k in range(min(b, c) + 1))
    assert mcnemar(b, c) == min(1.0, 2 * tail / 2 ** (b + c))
    assert mcnemar(b, c) == mcnemar(c, b)


def test_mcnemar_known_values() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 6) == 0.03125
    assert mcnemar(1, 8) == 0.0390625
    assert mcnemar(0, 5000) == 0.0  # Below the smallest double, not an overflow.


def test_bootstrap_of_rows_nears_the_normal_interval() -> None:
    values = [1.0] * 300 + [0.0] * 500 + [-1.0] * 200
    mean, variance = 0.1, 0.5 - 0.01
    half = 1.96 * math.sqrt(variance / 1000)
    assert bootstrap_mean(values) == pytest.approx((mean - half, mean + half), abs=0.004)


def test_groups_widen_the_interval_as_much_as_fewer_rows() -> None:
    values = [1.0, 0.0, 1.0, 1.0, 0.0] * 20
    narrow = bootstrap_mean([value for value in values for _ in range(10)])
    wide = bootstrap_mean([value for value in values for _ in range(10)], [str(index) for index in range(100) for _ in range(10)])
    assert wide == pytest.approx(bootstrap_mean(values), abs=0.02)
    assert (wide[1] - wide[0]) / (narrow[1] - narrow[0]) == pytest.approx(math.sqrt(10), rel=0.08)


def test_rows_without_a_group_stand_alone() -> None:
    values = [1.0, 0.0, 0.0, 1.0] * 25
    assert bootstrap_mean(values, [""] * 100) == bootstrap_mean(values)


def test_equal_input_gives_equal_numbers_in_any_order() -> None:
    values = [1.0, 0.0, -1.0, 0.0] * 30
    assert bootstrap_mean(values) == bootstrap_mean(values) == bootstrap_mean(values[::-1])


def test_a_paired_score_reads_as_first_minus_second() -> None:
    score = paired_score([1, 1, 1, 0, 1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
    assert (score.value, score.count, score.p) == (0.6, 10, mcnemar(7, 1))
    assert score.low < 0.6 < score.high
    same = paired_score([1, 0] * 14, [1, 0] * 14)
    assert (same.value, same.p) == (0.0, 1.0)
    # 28 rows without a difference do not show that there is none: 0.975 = (1 - u)^28 has u = 0.1234 (Clopper and Pearson).
    assert (same.low, same.high) == pytest.approx((-0.1234, 0.1234), abs=5e-5)
    always = paired_score([1] * 28, [0] * 28)
    assert (always.low, always.high) == (pytest.approx(0.8766, abs=5e-5), 1.0)
    with pytest.raises(ValueError):
        paired_score([1], [1, 0])


def test_a_rate_has_its_wilson_interval() -> None:
    assert rate_score([1.0] * 45 + [0.0] * 5).to_json() == {"value": 0.9, "low": wilson(45, 50)[0], "high": wilson(45, 50)[1], "count": 50}
