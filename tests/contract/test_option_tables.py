"""`guard/options.toml` (for comparing) and `guard/rules/programs-*.toml` (for judging) say the same of a program's options."""

from __future__ import annotations

import pytest

from luthier.guard import options
from luthier.guard.risk import facts

ENTRIES = {name: entry for entry in facts.tables("program") for name in entry["names"]}


def test_the_guard_knows_every_program_whose_options_are_compared() -> None:
    assert options.programs().keys() <= ENTRIES.keys()


@pytest.mark.parametrize("name", options.programs())
def test_both_tables_agree_on_which_options_take_a_value(name: str) -> None:
    compared, judged = options.programs()[name], facts.programs()[name]
    assert not judged.single_dash_long, "its options are no clusters of letters"
    flags = frozenset(ENTRIES[name].get("flags", ""))
    assert not compared.flags & judged.valued, "takes a value to the guard alone"
    assert not compared.valued & flags, "takes no value to the guard alone"
    assert compared.valued <= judged.valued, "takes a value in comparisons alone"
    assert compared.long <= judged.long, "takes a value in comparisons alone"
