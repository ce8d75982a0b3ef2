"""Costs: counted once, never above the ceiling."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.config.schema import EndpointSection, PriceSection
from luthier.core.errors import ConfigError
from luthier.core.records import Message
from luthier.data.teacher.ledger import Ledger, TeacherReport, most_tokens

PRICE = PriceSection(input=1e6, output=2e6)


def opened(max_cost: float | None, **fields: Any) -> tuple[Ledger, TeacherReport]:
    report = TeacherReport()
    ledger = Ledger(max_cost, report)
    ledger.enter("big", EndpointSection(base_url="http://h/v1", model="m", **fields), "teacher.max_cost")
    return ledger, report


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.booleans(), st.integers(0, 3)), max_size=40), st.integers(1, 500))
def test_no_run_of_requests_costs_more_than_the_ceiling(runs: list[tuple[int, int, bool, int]], ceiling: int) -> None:
    ledger, report = opened(ceiling, price=PRICE)
    waiting: list[tuple[str, tuple[int, int], bool]] = []
    lost = 0
    for number, (tokens_in, tokens_out, fails, lag) in enumerate(runs):
        if ledger.can_pay("big", str(number), (50, 50), {}):
            waiting.append((str(number), (tokens_in, tokens_out), fails))
        for _ in range(len(waiting) - lag):
            name, tokens, is_failed = waiting.pop(0)
            if is_failed:
                ledger.failed("big", name)
                lost += 150
            else:
                ledger.paid("big", name, tokens, is_told=True)
        assert report.cost is not None
        assert report.cost + lost + 150 * len(waiting) <= ceiling


def test_the_journal_counts_once_and_before_what_stands_behind_it() -> None:
    ledger, report = opened(100, price=PRICE)
    assert not ledger.can_pay("big", "a", (10, 10), {"big": (71, 0)})
    assert ledger.can_pay("big", "a", (10, 10), {"big": (70, 0)})
    ledger.paid("big", "a", (5, 5), is_told=False)
    ledger.known("big", (70, 0))
    assert report.cost == 85
    counted = report.endpoints["big"]
    assert (counted.asked, counted.from_journal, counted.not_told) == (1, 1, 1)
    assert "1 replies and the journal 1" in report.told()


def test_a_teacher_without_rows_is_told() -> None:
    no_row = "the teacher made no row: "
    for rows, rejected, told in (
        (0, {"teacher_bad_json": 7}, [f"{no_row}7 of 7 replies could not be used (teacher_bad_json)"]),
        (
            2,
            {"teacher_cut": 1, "teacher_empty": 2},
            ["the teacher made 2 rows: 3 of 5 replies could not be used (teacher_empty 2, teacher_cut 1)"],
        ),
        (3, {"teacher_cut": 3}, []),
        (0, {}, [f"{no_row}the source has no piece that is fit to be asked about"]),
    ):
        report = TeacherReport()
        report.rows["question"] += rows
        report.rejected.update(rejected)
        assert report.notes == told
    assert TeacherReport(left_undone="spent").notes == ["spent"]


def test_what_is_passed_over_and_held_back_is_told() -> None:
    ledger, _ = opened(100, price=PRICE)
    assert ledger.can_pay("big", "a", (10, 10), {})
    ledger.failed("big", "a")
    assert ledger.can_pay("big", "b", (20, 10), {})
    ledger.paid("big", "b", (5, 10), is_told=True)
    assert (ledger.left, ledger.held_back) == (45, 30)
    for most in ((10, 20), (6, 20), (60, 0)):
        assert not ledger.can_pay("big", "c", most, {})
        ledger.pass_over("big", most)
    assert ledger.passed_over == 3
    told = "`max_cost: 100` was reached: 25 was spent, 30 is held back for requests without a reply, and one more request could cost 46"
    assert ledger.why_undone() == told
    assert opened(None)[0].left == float("inf")


def test_a_ceiling_needs_a_price_and_no_ceiling_none() -> None:
    with pytest.raises(ConfigError, match=r"teacher\.max_cost, endpoints\.big\.price"):
        opened(1.0)
    ledger, report = opened(None)
    assert ledger.can_pay("big", "a", (10**9, 10**9), {})
    ledger.paid("big", "a", (1, 1), is_told=True)
    assert report.cost is None


@given(st.text(max_size=50), st.integers(1, 100))
def test_the_worst_case_has_a_token_for_each_byte(text: str, max_tokens: int) -> None:
    most = most_tokens((Message("user", text),), max_tokens)
    assert most[0] > len(text.encode())
    assert most[1] == max_tokens
