"""How much work a regular expression may make."""

from __future__ import annotations

import re
import time

import pytest

from luthier.guard.risk.effort import Unbounded, effort_of
from luthier.guard.settings import guard_settings
from luthier.guard.verdict import judge


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(a|a)*b",
        "(a|ab)*c",
        "(a*)*b",
        "(a?a?)*b",
        "(a{1,2})*b",
        "(?=(a+)+b)x",
        "(?:(?:a+)x?)+b",
        "(a?){32}b",
        "((a{1,9}){9}){9}",
        "([a-z]+,)*[a-z]+",
    ],
)
def test_what_may_grow_exponentially_has_no_bound(pattern: str) -> None:
    with pytest.raises(Unbounded):
        effort_of(pattern)


@pytest.mark.parametrize(
    ("pattern", "fixed", "degree"),
    [
        ("prod", 1, 0),
        (".*prod.*", 1, 2),
        ("(foo|bar)*x", 1, 1),
        ("(ab|ac)*", 1, 1),
        (r"(?:\d{1,3}\.){3}\d{1,3}", 81, 0),
        ("[a-z]{3,200}x", 1, 1),
        ("a|ab|b+", 3, 1),
        (r"(?i)x(?!y+)\w++", 1, 2),
    ],
)
def test_the_bound_of_a_plain_expression(pattern: str, fixed: int, degree: int) -> None:
    assert (effort_of(pattern).fixed, effort_of(pattern).degree) == (fixed, degree)


@pytest.mark.alone
def test_the_bound_follows_what_the_matcher_takes() -> None:
    """Twice the length, eight times the work: as the bound says of three repetitions."""
    effort = effort_of(".*a.*a.*b")
    assert effort.on(2000) / effort.on(1000) == pytest.approx(8, rel=0.01)
    spent = []
    for size in (150, 300):
        started = time.process_time()
        for _ in range(10):
            assert re.fullmatch(".*a.*a.*b", "a" * size) is None
        spent.append((time.process_time() - started) / 10)
    assert spent[1] / spent[0] > 3
    # A nanosecond for a step of the bound was measured.
    assert spent[1] < effort.on(300) * 5e-8


RULE = {"id": "slow", "programs": ["frob"], "level": "dangerous", "class": "cloud", "reason": "frobs"}


@pytest.mark.alone
def test_the_work_of_a_users_pattern_is_bounded() -> None:
    settings = guard_settings({"rules": [{**RULE, "operands": [".*a.*a.*a.*a.*b"]}]}).settings
    assert judge("frob " + "a" * 20 + "b", settings).level == "dangerous"
    started = time.process_time()
    verdict = judge("frob " + " ".join(["a" * 400] * 1000), settings)
    assert verdict.level == "unknown"
    assert "more" in verdict.reason
    assert time.process_time() - started < 10
