from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from luthier.core.runs import RunFolder
from luthier.report.reading import RunFacts, SuiteFacts, read_run
from luthier.report.results import comparison, headline_metric, side_by_side, verdict

Write = Callable[..., RunFolder]


def _suite(gain: Mapping[str, float] | None, metric: str = "exact_match", name: str = "commands") -> SuiteFacts:
    score = {"value": 0.6, "low": 0.5, "high": 0.7, "count": 200}
    paired = {"tuned - base": {metric: dict(gain)}} if gain is not None else {}
    return SuiteFacts(name, 200, "commands", "", {"base": {metric: score}, "tuned": {metric: score}}, paired, {})


@pytest.fixture
def empty(tmp_path: Path) -> RunFacts:
    return read_run(RunFolder(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("gain", "metric", "sentence", "tone"),
    [
        (
            {"value": 0.61, "low": 0.54, "high": 0.68},
            "exact_match",
            "Tuned beats base by +61 points exact match (54 to 68), 200 rows.",
            "better",
        ),
        (
            {"value": 0.01, "low": -0.03, "high": 0.05},
            "exact_match",
            "No clear difference between tuned and base: +1.0 points exact match (−3.0 to 5.0), 200 rows.",
            "unclear",
        ),
        (
            {"value": -0.2, "low": -0.3, "high": -0.1},
            "exact_match",
            "Tuned is worse than base: −20 points exact match (−30 to −10), 200 rows.",
            "worse",
        ),
        (
            {"value": -0.2, "low": -0.3, "high": -0.1},
            "unsafe_rate",
            "Tuned beats base by −20 points unsafe (−30 to −10), 200 rows.",
            "better",
        ),
        (
            {"value": 0.5, "low": 0.1, "high": 0.9},
            "perplexity",
            "Tuned is worse than base: +0.50 perplexity (0.10 to 0.90), 200 rows.",
            "worse",
        ),
    ],
)
def test_the_verdict_is_one_sentence(empty: RunFacts, gain: dict[str, float], metric: str, sentence: str, tone: str) -> None:
    found = verdict(replace(empty, suites=(_suite(gain, metric),), is_evaluated=True))
    assert (found.sentence, found.tone) == (sentence, tone)


def test_without_a_comparison_the_verdict_says_so(empty: RunFacts) -> None:
    assert verdict(empty).sentence == "Not measured yet: the evaluation has not run."
    assert verdict(replace(empty, is_evaluated=True, left_out=({"suite": "x", "reason": "no rows"},))).details == ("x: no rows",)
    assert "compared with nothing" in verdict(replace(empty, suites=(_suite(None),), is_evaluated=True)).sentence


def test_a_suite_where_nothing_improves_is_told_beside_one_where_it_does(empty: RunFacts) -> None:
    first, second = _suite({"value": 0.6, "low": 0.5, "high": 0.7}), _suite({"value": 0.0, "low": -0.1, "high": 0.1}, name="harder")
    assert any("On harder: no clear difference" in line for line in verdict(replace(empty, suites=(first, second))).details)


def test_the_strongest_rival_is_named(write_run: Write, tmp_path: Path) -> None:
    details = verdict(read_run(write_run(tmp_path / "run"))).details
    assert details[1].startswith("Against the strongest rival: tuned beats base + shots by +45 points")


def test_headline_metric_is_the_strictest_that_is_there() -> None:
    suite = _suite(None)
    assert headline_metric(suite) == "exact_match"
    score = {"value": 1.0}
    assert (
        headline_metric(replace(suite, candidates={"tuned": {"bash_valid_rate": score, "normalized_match": score}})) == "normalized_match"
    )
    assert headline_metric(replace(suite, candidates={})) is None


def test_a_metric_that_a_candidate_lacks_is_a_dash() -> None:
    score = {"value": 0.6, "low": 0.5, "high": 0.7}
    found = comparison(SuiteFacts("s", 10, "", "", {"base": {}, "tuned": {"exact_match": score}}, {}, {}))
    assert [cell.value for cell in found.scores.rows[0].cells] == ["–", "60.0 %"]


def test_twenty_answers_half_right_half_wrong_and_the_same_each_time(write_run: Write, tmp_path: Path) -> None:
    facts = read_run(write_run(tmp_path / "run"))
    shown = side_by_side(facts.suites)
    assert len(shown) == 20
    assert [row.suite for row in shown] == ["commands"] * 7 + ["commands_new_templates"] * 7 + ["safety"] * 6
    marks = [next(answer.mark for answer in row.answers if answer.candidate == "Tuned") for row in shown]
    assert marks[:7].count("wrong") == 3
    assert [row.row_id for row in side_by_side(facts.suites)] == [row.row_id for row in shown]
    assert [answer.candidate for answer in shown[0].answers] == ["Base", "Base + parser", "Base + shots", "Tuned"]


@pytest.mark.parametrize(("right", "wrong", "expected_right"), [(30, 30, 10), (3, 30, 3), (30, 2, 18), (5, 5, 5)])
def test_too_few_of_a_kind_are_made_up_by_the_other(right: int, wrong: int, expected_right: int) -> None:
    generations = {
        f"{index:03}": {
            "tuned": {"id": f"{index:03}", "request": "r", "expected": ["x"], "text": "t", "metrics": {"exact_match": float(index < right)}}
        }
        for index in range(right + wrong)
    }
    shown = side_by_side([SuiteFacts("s", right + wrong, "", "", {}, {}, generations)])
    assert len(shown) == min(20, right + wrong)
    assert sum(row.answers[0].mark == "right" for row in shown) == expected_right


def test_the_parsers_candidate_shows_what_it_took_out_and_others_what_they_said() -> None:
    generation = {"request": "r", "expected": ["ls"], "text": "```\nls\n```", "extracted": "ls", "metrics": {"exact_match": 1.0}}
    found = side_by_side([SuiteFacts("s", 1, "", "", {}, {}, {"a": {"base": generation, "base+parser": generation}})])
    assert [answer.text for answer in found[0].answers] == ["```\nls\n```", "ls"]


def test_long_answers_are_cut_and_say_by_how_much() -> None:
    generation = {"request": "r", "expected": ["ls"], "text": "x" * 1000, "metrics": {}, "finish_reason": "length"}
    answer = side_by_side([SuiteFacts("s", 1, "", "", {}, {}, {"a": {"tuned": generation}})])[0].answers[0]
    assert answer.text.endswith("(300 more characters)")
    assert (answer.mark, answer.note) == ("", "cut at the longest answer")
