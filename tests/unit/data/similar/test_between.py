"""Texts near one of some others, held against comparing each with each."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from luthier.data.rows.grams import NEAR, grams, jaccard
from luthier.data.similar.between import near_any

WORDS = st.sampled_from(["list", "show", "all", "the", "files", "of", "a", "folder", "in", "this", "directory", "by", "size", "now"])
REQUESTS = st.lists(WORDS, max_size=9).map(" ".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(REQUESTS, max_size=8), st.lists(REQUESTS, max_size=8), st.sampled_from([0.3, NEAR, 1.0]))
def test_what_is_near_is_told_and_nothing_else(tmp_path: Path, texts: list[str], others: list[str], threshold: float) -> None:
    expected = [any(jaccard(grams(text), grams(other)) >= threshold for other in others) for text in texts]
    assert near_any(texts, others, threshold, tmp_path).tolist() == expected


@pytest.mark.parametrize(("tens", "is_near"), [(7, True), (6, False)])
def test_a_pair_at_the_threshold_is_near_and_one_below_it_is_not(tmp_path: Path, tens: int, is_near: bool) -> None:
    held_out = " ".join(f"w{number}" for number in range(12))
    # Of the ten grams of the longer text so many stand in the shorter one, which has no others.
    text = " ".join(f"w{number}" for number in range(tens + 2))
    assert near_any(["unlike", text], [held_out, "x y z"], 0.7, tmp_path).tolist() == [False, is_near]
    assert list(tmp_path.iterdir()) == []
