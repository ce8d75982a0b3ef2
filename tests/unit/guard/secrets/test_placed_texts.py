"""What the fast scanner finds of secrets that calls, cookies and sentences hold, on forms and families that its rules were not tuned on."""

from __future__ import annotations

from luthier.guard.secrets import scan
from placed_clean_texts import FAMILIES, placed_clean_cases
from placed_texts import FORMS, half_of, placed_cases


def test_most_are_found_and_clean_ones_pass() -> None:
    cases = list(placed_cases("test", seed=0))
    hits = 0
    for case, findings in zip(cases, scan.scan([case.text for case in cases], "fast"), strict=True):
        start = len(case.text[: case.text.index(case.secret)].encode())
        hits += any(item.start < start + len(case.secret.encode()) and item.end > start for item in findings)
    assert hits >= 0.95 * len(cases)
    flagged = scan.scan([case.text for case in placed_clean_cases("test", seed=0)], "fast")
    assert sum(map(bool, flagged)) <= 0.02 * len(flagged)


def test_both_halves_have_forms_and_families() -> None:
    assert min(len(FORMS), len(FAMILIES)) >= 60
    for families in (FORMS, FAMILIES):
        assert min(sum(half_of(family) == half for family in families) for half in ("tuning", "test")) >= 20
