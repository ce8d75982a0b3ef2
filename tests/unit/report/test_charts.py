from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.report.charts import Line, Measured, line_chart, nice_ticks, smooth, thin, tick_label, whisker_chart


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_enclose_the_values_and_are_few(low: float, span: float) -> None:
    high = low + span
    ticks = nice_ticks(low, high)
    slack = 1e-6 * max(abs(low), abs(high), span)
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 2 <= len(ticks) <= 8


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 4, [0, 1, 2, 3, 4]),
        (0.3, 3.4, [0, 1, 2, 3, 4]),
        (0, 1e-3, [0, 2e-4, 4e-4, 6e-4, 8e-4, 1e-3]),
        (10, 400, [0, 100, 200, 300, 400]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert nice_ticks(low, high) == pytest.approx(expected)


def test_equal_values_still_have_an_axis() -> None:
    assert len(nice_ticks(2.0, 2.0)) >= 2
    chart = line_chart("Loss", [Line("loss", "raw", [(5, 2.0)])], str)
    assert chart is not None
    assert chart.lines[0].dots[0].title == "Step 5: loss 2.0"


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [(0.0, 0.2, "0"), (0.4, 0.2, "0.4"), (3.0, 1.0, "3"), (1500.0, 500.0, "1\u202f500"), (2e-4, 2e-4, "2e−4"), (-0.5, 0.5, "−0.5")],
)
def test_tick_labels_have_just_the_decimals_needed(value: float, step: float, text: str) -> None:
    assert tick_label(value, step) == text


def test_smoothing_keeps_a_constant_and_starts_at_the_first_value() -> None:
    assert smooth([2.0] * 9, 5) == pytest.approx([2.0] * 9)
    assert smooth([4.0, 0.0, 0.0], 3)[0] == pytest.approx(4.0)
    assert smooth([4.0, 0.0, 0.0], 3)[2] < 1.0
    assert smooth([], 3) == []


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=3000))
def test_thinning_keeps_ends_and_extremes_and_order(values: list[float]) -> None:
    points = [(float(step), value) for step, value in enumerate(values)]
    kept = thin(points, 100)
    assert len(kept) <= 102
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert kept == sorted(kept)
    assert min(value for _, value in kept) == min(values)
    assert max(value for _, value in kept) == max(values)


def test_a_line_fills_its_plot_from_corner_to_corner() -> None:
    chart = line_chart("Loss", [Line("loss", "raw", [(0, 4.0), (50, 2.0), (100, 0.0)])], "{:.1f}".format)
    assert chart is not None
    assert chart.lines[0].path == "M0.0 0.0 L500.0 500.0 L1000.0 1000.0"
    assert [(dot.x, dot.y) for dot in chart.lines[0].dots] == [(0.0, 0.0), (50.0, 50.0), (100.0, 100.0)]
    assert chart.summary == "loss from 4.0 at step 0 to 0.0 at step 100"
    assert [tick.label for tick in chart.y_ticks] == ["0", "1", "2", "3", "4"]


def test_values_that_are_not_finite_are_left_out_of_the_line() -> None:
    assert line_chart("Loss", [Line("loss", "raw", [(1, math.nan)])], str) is None
    chart = line_chart("Loss", [Line("loss", "raw", [(1, 3.0), (2, math.inf), (3, 1.0)])], str)
    assert chart is not None
    assert len(chart.lines[0].dots) == 2


def test_whiskers_lie_at_their_values_and_never_outside_the_plot() -> None:
    chart = whisker_chart(
        "x",
        [
            (
                "exact match",
                [Measured("Tuned", "tuned", 0.6, 0.53, 0.67, "60.0 %", "53 to 67"), Measured("Base", "base", 0, -0.1, 1.2, "0 %", "")],
            )
        ],
    )
    tuned, base = chart.groups[0].rows
    assert (tuned.at, tuned.low, tuned.high) == (60.0, 53.0, 67.0)
    assert (base.low, base.high) == (0.0, 100.0)
    assert 0 < chart.groups[0].y < tuned.y < base.y < chart.height
    assert tuned.title == "Tuned, exact match: 60.0 %, 95 % interval 53 to 67"
