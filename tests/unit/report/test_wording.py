from __future__ import annotations

import pytest

from luthier.report import wording


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.04, "0.0 s"), (9.96, "10.0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (181.2, "3 min 01 s"), (7384, "2 h 03 min")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(("number", "text"), [(0, "–"), (999, "999 B"), (2_100_000, "2.1 MB"), (1e9, "1.0 GB")])
def test_sizes(number: float, text: str) -> None:
    assert wording.size(number) == text


@pytest.mark.parametrize(
    ("score", "text"),
    [
        ({"value": 0.61, "low": 0.54, "high": 0.68}, "+61 points (54 to 68)"),
        ({"value": 0.012, "low": -0.031, "high": 0.055}, "+1.2 points (−3.1 to 5.5)"),
        ({"value": -0.25, "low": -0.31, "high": -0.19}, "−25 points (−31 to −19)"),
        ({"value": 0.0, "low": 0.0, "high": 0.0}, "0.0 points (0.0 to 0.0)"),
        ({"value": 0.5}, "+50 points"),
    ],
)
def test_gains_are_in_points_with_a_real_minus(score: dict[str, float], text: str) -> None:
    assert wording.gain_text("exact_match", score, " points") == text


def test_perplexity_is_no_rate() -> None:
    assert wording.gain_text("perplexity", {"value": -1.5, "low": -2.0, "high": -1.0}) == "−1.50 (−2.00 to −1.00)"
    assert wording.value_text("perplexity", 7.25) == "7.25"
    assert wording.value_text("exact_match", 0.725) == "72.5 %"


def test_p_values() -> None:
    assert [wording.p_text(p) for p in (None, 0.0004, 0.0312)] == ["", "p < 0.001", "p = 0.031"]


def test_shares_tell_a_little_from_nothing() -> None:
    assert [wording.share(part, 10_000) for part in (0, 1, 50)] == ["0.0 %", "< 0.1 %", "0.5 %"]
    assert wording.share(1, 0) == "–"


def test_days_are_utc_and_a_broken_time_is_left_away() -> None:
    assert wording.day("2026-03-02T09:14:07.120+00:00") == "2026-03-02 09:14 UTC"
    assert wording.day("yesterday") == ""


def test_counts_are_grouped_by_narrow_blanks() -> None:
    assert wording.count(1234567) == "1\u202f234\u202f567"
    assert wording.millions(7_553_536) == "7.55 million"
    assert wording.millions(None) == "–"


def test_names_and_codes_in_words() -> None:
    assert [wording.candidate_words(name) for name in ("base+shots", "GPT-4o", "Big+parser")] == ["base + shots", "GPT-4o", "Big+parser"]
    assert wording.reason_name("no_text_answer") == "no text answer"
    assert wording.reason_name("gold_fails: no ls_x") == "gold fails: no ls_x"
    assert wording.reason_name("set my_key: to a name") == "set my_key: to a name"
