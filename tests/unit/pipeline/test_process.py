"""What is settled before torch is imported."""

from __future__ import annotations

import os

import pytest

from luthier.pipeline.process import SPIN_COUNT, settle


@pytest.mark.parametrize(("name", "kept"), [("GOMP_SPINCOUNT", "7"), ("OMP_WAIT_POLICY", "active")])
def test_a_choice_of_the_user_is_kept(monkeypatch: pytest.MonkeyPatch, name: str, kept: str) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv(name, kept)
    settle()
    assert os.environ[name] == kept
    assert os.environ.get("GOMP_SPINCOUNT", kept) == kept


def test_threads_turn_a_bounded_number_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")  # So that what `settle` writes is taken back after the test.
        monkeypatch.delenv(name)
    settle()
    assert os.environ["GOMP_SPINCOUNT"] == str(SPIN_COUNT)
