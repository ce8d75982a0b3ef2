"""Numbers with their noun."""

from __future__ import annotations

from luthier.core.counts import counted


def test_one_is_single_and_all_else_plural() -> None:
    assert [counted(number, "row") for number in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert counted(1234567, "row", ",") == "1,234,567 rows"
