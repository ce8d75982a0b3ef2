"""Statistics against published values and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from luthier.evaluate.figures.statistics import (
    ONE_GROUP,
    ONE_VALUE,
    Weighed,
    bootstrap_mean,
    effective_count,
    mcnemar,
    mean_score,
    paired_ratio_score,
    paired_score,
    rate_score,
    ratio_score,
    smallest_difference,
    wilson,
)


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


def test_rows_of_a_group_that_agree_are_worth_one() -> None:
    values = [1.0, 0.0, 1.0, 1.0, 0.0] * 20
    groups = [str(index) for index in range(100) for _ in range(10)]
    copies = [value for value in values for _ in range(10)]
    assert effective_count(values) == effective_count(values, [""] * 100) == 100
    assert effective_count(copies, groups) == pytest.approx(99, abs=0.01)  # (G - 1) of G groups: the variance is estimated.
    score, alone = rate_score(copies, groups), rate_score(values)
    assert (score.count, score.low, score.high) == (1000, pytest.approx(alone.low, abs=1e-3), pytest.approx(alone.high, abs=1e-3))


def test_groups_never_make_an_interval_narrower() -> None:
    # One right and one wrong in every group: less spread than chance has, which proves nothing.
    values, groups = [1.0, 0.0] * 50, [str(index // 2) for index in range(100)]
    assert effective_count(values, groups) == 100
    assert rate_score(values, groups) == rate_score(values)


def test_equal_rows_count_their_groups() -> None:
    score = rate_score([1.0] * 60, [str(index // 6) for index in range(60)])
    assert (score.count, score.value, score.low) == (60, 1.0, wilson(10, 10)[0])
    assert rate_score([1.0, 0.0], ["a", "a"]).low == wilson(0.5, 1)[0]
    assert effective_count([]) == 0


def test_the_interval_of_grouped_rates_covers_the_truth() -> None:
    """600 samples of 40 groups with rates of their own: 95 % of the intervals hold the mean rate; Wilson's over all rows does not."""
    random = np.random.Generator(np.random.PCG64(7))
    groups = [str(group) for group in range(40) for _ in range(10)]
    covered = covered_by_rows = 0
    for _ in range(600):
        rates = random.beta(0.9, 2.1, 40)  # The mean is 0.3.
        values = (random.random((40, 10)) < rates[:, None]).astype(float).ravel().tolist()
        score, rows = rate_score(values, groups), rate_score(values)
        covered += score.low <= 0.3 <= score.high
        covered_by_rows += rows.low <= 0.3 <= rows.high
    assert covered / 600 > 0.92
    assert covered_by_rows / 600 < 0.85


@pytest.mark.parametrize(("rows", "only_first", "only_second"), [(200, 30, 20), (500, 60, 60), (1000, 30, 10)])
def test_the_smallest_difference_solves_its_equation(rows: int, only_first: int, only_second: int) -> None:
    first = [1.0] * only_first + [0.0] * (rows - only_first)
    second = [0.0] * only_first + [1.0] * only_second + [0.0] * (rows - only_first - only_second)
    delta = smallest_difference(first, second)
    assert delta is not None
    share = max(delta, (only_first + only_second) / rows)
    needed = (1.959963984540054 * math.sqrt(share) + 0.8416212335729143 * math.sqrt(share - delta**2)) ** 2 / delta**2
    assert needed == pytest.approx(rows, rel=1e-6)


def test_the_smallest_difference_is_found_four_times_of_five() -> None:
    random = np.random.Generator(np.random.PCG64(3))
    rows, share = 400, 0.2
    first = [1.0] * 40 + [0.0] * 360
    second = [0.0] * 40 + [1.0] * 40 + [0.0] * 320
    delta = smallest_difference(first, second)
    assert delta is not None
    draws = random.multinomial(rows, [(share + delta) / 2, (share - delta) / 2, 1 - share], size=4000)
    statistic = (draws[:, 0] - draws[:, 1]) / np.sqrt(draws[:, 0] + draws[:, 1])
    assert (np.abs(statistic) > 1.959963984540054).mean() == pytest.approx(0.8, abs=0.03)


def test_few_rows_show_nothing() -> None:
    assert smallest_difference([], []) is None
    assert smallest_difference([1.0] * 3, [0.0] * 3) is None
    assert smallest_difference([1.0] * 60, [1.0] * 60) == pytest.approx(0.125, abs=0.01)


def test_a_ratio_is_over_sums_and_its_interval_over_groups() -> None:
    rows = [Weighed(float(index % 5), 10.0, str(index // 10)) for index in range(200)]
    score = ratio_score(rows, lambda ratio: ratio)
    assert (score.value, score.count) == (pytest.approx(0.2), 200)
    alone = ratio_score([Weighed(row.above, row.below) for row in rows], lambda ratio: ratio)
    assert alone.low < 0.2 < alone.high
    # Every group has the same sums, so that drawing groups shows nothing: rows that differ do not leave an interval without width.
    assert (score.low, score.high) == (alone.low, alone.high)
    uneven = ratio_score([Weighed(float(index % 10), 10.0, str(index // 25)) for index in range(200)], lambda ratio: ratio)
    assert uneven.low < uneven.value < uneven.high


def test_a_paired_ratio_sees_what_rows_have_in_common() -> None:
    first = [Weighed(-float(index), 10.0) for index in range(1, 60)]
    second = [Weighed(-float(index) - 1, 10.0) for index in range(1, 60)]
    score = paired_ratio_score(first, second, lambda ratio: -ratio, lambda one, other: one - other)
    assert (score.value, score.low, score.high) == (pytest.approx(-0.1), pytest.approx(-0.1), pytest.approx(-0.1))
    assert score.note == ONE_VALUE


def test_a_mean_has_its_bootstrap_interval() -> None:
    values = [0.1, 0.5, 0.9] * 30
    score = mean_score(values)
    assert (score.value, (score.low, score.high)) == (pytest.approx(0.5), bootstrap_mean(values))


@pytest.mark.parametrize(("number", "rows"), [(20, (1.0, 0.0)), (2, (1.0, 0.0, 0.0)), (7, (1.0, 0.0, -1.0))])
def test_equal_groups_of_unequal_rows_have_an_interval(number: int, rows: tuple[float, ...]) -> None:
    """Draws of groups show no spread here; what no group showed may still be so of that share of them."""
    differences, groups = list(rows) * number, [str(index // len(rows)) for index in range(number * len(rows))]
    score = paired_score(differences, [0.0] * len(differences), groups)
    mean, unseen = sum(rows) / len(rows), 1 - 0.025 ** (1 / number)
    assert (score.low, score.high) == (pytest.approx(max(-1.0, mean - unseen)), pytest.approx(min(1.0, mean + unseen)))
    assert score.note == ""
    shares = [abs(value) for value in differences]
    share = mean_score(shares, groups, is_share=True)
    assert (share.low, share.high) == wilson(share.value * number, number)
    free = paired_score([6 * value for value in differences], [0.0] * len(differences), groups, is_share=False)
    assert free.low < free.value < free.high
    mean_of_rows = mean_score([6 * value for value in differences], groups)
    assert mean_of_rows.low < mean_of_rows.value < mean_of_rows.high


def test_group_means_that_rounding_parts_are_equal() -> None:
    values = [0.1, 0.2, 0.3] + [0.3, 0.2, 0.1] + [0.2] * 6
    groups = ["a"] * 3 + ["b"] * 3 + ["c"] * 6
    score = paired_score(values, [0.0] * 12, groups)
    assert (score.low, score.high) == (pytest.approx(0.2 - (1 - 0.025 ** (1 / 3))), pytest.approx(0.2 + (1 - 0.025 ** (1 / 3))))


def test_one_group_has_the_widest_interval_and_says_so() -> None:
    values, group = [1.0, 0.0, 1.0, 0.5], ["a"] * 4
    paired, share = paired_score(values, [0.0] * 4, group), mean_score(values, group, is_share=True)
    assert (paired.value, paired.low, paired.high, paired.note) == (0.625, -1.0, 1.0, ONE_GROUP)
    assert (share.low, share.high, share.note) == (0.0, 1.0, ONE_GROUP)
    free, mean = paired_score([9.0, 4.0], [1.0, 1.0], ["a"] * 2, is_share=False), mean_score([9.0, 4.0], ["a"] * 2)
    assert (free.low, free.high, free.note) == (3.0, 8.0, ONE_GROUP)
    assert (mean.low, mean.high, mean.note) == (4.0, 9.0, ONE_GROUP)
    ratio = ratio_score([Weighed(1.0, 10.0, "a"), Weighed(3.0, 10.0, "a")], lambda ratio: ratio)
    assert (ratio.value, ratio.low, ratio.high, ratio.note) == (0.2, 0.1, 0.3, ONE_GROUP)
    assert paired.to_json()["note"] == ONE_GROUP
    assert "note" not in paired_score([1.0, 0.0], [0.0, 0.0]).to_json()


def test_what_is_no_share_is_held_to_no_share() -> None:
    score = paired_score([6.0, 6.0, 6.0], [1.0, 1.0, 1.0], is_share=False)
    assert (score.value, score.low, score.high, score.note) == (5.0, 5.0, 5.0, ONE_VALUE)
    wide = paired_score([9.0, 6.0, 3.0], [1.0, 1.0, 1.0], is_share=False)
    assert 1.0 < wide.low < wide.value < wide.high
    assert mean_score([6.0] * 3).note == ONE_VALUE


def test_rates_of_all_and_of_nearly_all_are_of_one_method() -> None:
    for right in (200, 199, 198):
        found = rate_score([1.0] * right + [0.0] * (200 - right))
        assert (found.low, found.high) == wilson(right, 200)


@pytest.mark.parametrize("number", [2, 5, 6])
def test_few_rows_without_bounds_note_that_their_interval_claims_too_much(number: int) -> None:
    first, second = [3.0 + 0.1 * row for row in range(number)], [4.0 + 0.3 * row for row in range(number)]
    found = [
        paired_score(first, second, is_share=False),
        mean_score(first),
        paired_ratio_score([Weighed(one, 1) for one in first], [Weighed(one, 1) for one in second], float, lambda one, other: one - other),
    ]
    assert [bool(score.note) for score in found] == [number < 6] * 3
    assert found[0].high < 0
    assert not paired_score([1.0, 1.0, 0.0], [0.0, 0.0, 0.0]).note, "shares have a p-value beside them"
