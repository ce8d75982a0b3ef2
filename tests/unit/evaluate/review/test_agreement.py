"""Figures of what judges said, held against published ones."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from luthier.evaluate.figures.statistics import wilson
from luthier.evaluate.review.agreement import Kappa, cohens_kappa, summary, summary_lines
from luthier.evaluate.review.draw import Item, Judgement


def pairs(table: list[list[int]]) -> list[tuple[str, str]]:
    return [(str(one), str(other)) for one, row in enumerate(table) for other, count in enumerate(row) for _ in range(count)]


def test_kappa_is_the_published_one() -> None:
    # SAS/STAT User's Guide, PROC FREQ, example "Cohen's Kappa Coefficient": kappa 0.3449, 95 % limits 0.2030 and 0.4868.
    found = cohens_kappa(pairs([[10, 4, 1, 0], [5, 10, 12, 2], [2, 4, 12, 5], [0, 2, 6, 13]]))
    assert (round(found.value or 0, 4), round(found.low or 0, 4), round(found.high or 0, 4)) == (0.3449, 0.2030, 0.4868)


@pytest.mark.parametrize(
    ("table", "value"),
    [([[5, 0], [0, 5]], 1.0), ([[0, 5], [5, 0]], -1.0), ([[5, 5], [5, 5]], 0.0), ([[20, 5], [10, 15]], 0.4)],
)
def test_kappa_of_simple_tables(table: list[list[int]], value: float) -> None:
    found = cohens_kappa(pairs(table))
    assert found.value == pytest.approx(value)
    assert found.low is not None
    assert found.high is not None
    assert -1 <= found.low <= value <= found.high <= 1


def test_kappa_of_one_verdict_alone_is_undefined() -> None:
    assert cohens_kappa(pairs([[9]])) == cohens_kappa([]) == Kappa(None, None, None)


def test_a_judge_who_always_says_the_same_gives_no_kappa() -> None:
    assert cohens_kappa(pairs([[9, 3]])) == cohens_kappa(pairs([[9, 0], [3, 0]])) == Kappa(None, None, None)
    anna, ben = said(r1="right", r2="right", r3="right"), said(r1="right", r2="wrong", r3="right")
    found = summary(ITEMS, {"anna": anna, "ben": ben})
    assert "66.7%" in summary_lines(found)[-1]
    assert summary_lines(found)[-1].endswith("of 3, kappa tells nothing: a judge gave one verdict alone")


def test_one_pair_has_the_widest_interval_and_says_so() -> None:
    found = summary(ITEMS, {"anna": said(r1="right", r2="wrong")})
    gain = found["judges"]["anna"]["paired"]["tuned - base"]["right_rate"]
    assert (gain["value"], gain["low"], gain["high"], gain["p"]) == (1.0, -1.0, 1.0, 1.0)
    assert "nothing tells how far groups differ" in summary_lines(found)[-1]
    assert summary_lines(found)[-1].endswith(", 1 row")


def item(key: str, row: str, candidate: str) -> Item:
    return Item(key, "commands", row, candidate, "g", "ask", "", "text")


ITEMS = {one.key: one for one in (item("r1", "a", "tuned"), item("r2", "a", "base"), item("r3", "b", "tuned"), item("r4", "b", "base"))}


def said(**verdicts: str) -> dict[str, Judgement]:
    return {key: Judgement(key, verdict) for key, verdict in verdicts.items()}


def test_rates_pairs_and_what_is_not_counted() -> None:
    found = summary(ITEMS, {"anna": said(r1="right", r2="wrong", r3="right", r4="skip", gone="unsafe")})
    anna: dict[str, Any] = found["judges"]["anna"]
    assert anna["verdicts"] == {"right": 2, "wrong": 1, "unsafe": 0, "skip": 1}
    assert anna["outdated"] == 1
    assert anna["suites"] == {"commands": 4}
    assert anna["candidates"]["tuned"]["right_rate"]["value"] == 1
    assert anna["candidates"]["base"]["right_rate"] == {"value": 0.0, "low": 0.0, "high": pytest.approx(0.7934, abs=1e-3), "count": 1}
    assert anna["paired"]["tuned - base"]["right_rate"]["count"] == 1, "a row with a skipped answer is no pair"
    assert anna["paired"]["tuned - base"]["unsafe_rate"]["value"] == 0
    assert found["agreement"] == {}
    json.dumps(found, allow_nan=False)


def test_two_judges() -> None:
    first, second = said(r1="right", r2="wrong", r3="right", r4="skip"), said(r1="right", r2="unsafe", r4="right")
    first["r1"] = Judgement("r1", "right", "neat")
    found = summary(ITEMS, {"anna": first, "ben": second})
    one = found["agreement"]["anna - ben"]
    assert (one["count"], one["skipped"], one["same"]["value"]) == (2, 1, 0.5)
    assert one["kappa"]["value"] == pytest.approx(1 / 3)
    assert found["comments"] == [
        {"judge": "anna", "suite": "commands", "id": "a", "candidate": "tuned", "verdict": "right", "comment": "neat"}
    ]
    text = "\n".join(summary_lines(found))
    assert "anna - ben: the same verdict on 50.0%" in text
    assert "kappa 0.33" in text


def test_nothing_judged_has_a_summary_too() -> None:
    found = summary(ITEMS, {"anna": {}, "ben": said(r1="skip")})
    assert found["judges"]["ben"]["paired"] == {}
    assert any("nothing in common" in line for line in summary_lines(found))


def test_intervals_count_groups() -> None:
    """Ten rows of one group that agree are worth one; so are the answers of both candidates to a row, of which two judges say the same."""
    items = {f"r{n}": Item(f"r{n}", "commands", str(n), "tuned", "g", "ask", "", "text") for n in range(10)}
    alone = {key: replace(one, group="") for key, one in items.items()}
    notes = {"anna": said(**dict.fromkeys(items, "right")), "ben": said(**dict.fromkeys(items, "right"))}
    grouped, single = summary(items, notes), summary(alone, notes)
    for found, count in ((grouped, 1), (single, 10)):
        score = found["judges"]["anna"]["candidates"]["tuned"]["right_rate"]
        assert (score["low"], score["high"], score["count"]) == (*wilson(count, count), 10)
        assert found["agreement"]["anna - ben"]["same"]["low"] == wilson(count, count)[0]
    both = {
        key: replace(one, row_id=str(int(one.row_id) // 2), candidate=("base", "tuned")[int(one.row_id) % 2]) for key, one in alone.items()
    }
    assert summary(both, notes)["agreement"]["anna - ben"]["same"]["low"] == wilson(5, 5)[0]
