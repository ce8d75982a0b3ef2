"""`guard/options.toml` (for comparing) and `guard/rules/programs-*.toml` (for judging) say the same of a program's options."""

from __future__ import annotations

import pytest

from luthier.guard import option_table as options
from luthier.guard.risk import facts

ENTRIES = {name: entry for entry in facts.tables("program") for name in entry["names"]}


def judged_as(name: str) -> str:
    """The name under which the guard knows a program: that of the subcommand, or the program's own."""
    return name if name in ENTRIES else name.split(" ", 1)[0]


def test_the_guard_knows_every_program_whose_options_are_compared() -> None:
    assert {judged_as(name) for name in (*options.programs(), *options.expressions())} <= ENTRIES.keys()


@pytest.mark.parametrize("name", options.programs())
def test_both_tables_agree_on_which_options_take_a_value(name: str) -> None:
    compared, judged = options.programs()[name], facts.programs()[judged_as(name)]
    outer = facts.programs()[name.split(" ", 1)[0]].globals or judged
    # `-KILL` is a word with one dash, and no other option of such a program is.
    assert compared.dash_signal or not judged.single_dash_long, "its options are no clusters of letters"
    flags, valued = short(compared.names("none")), compared.names("required")
    assert not flags & judged.valued, "takes a value to the guard alone"
    assert not valued & frozenset(ENTRIES[judged_as(name)].get("flags", "")), "takes no value to the guard alone"
    assert valued <= judged.valued | judged.long | outer.valued | outer.long, "takes a value in comparisons alone"


def short(names: frozenset[str]) -> frozenset[str]:
    """Of names those of one letter."""
    return frozenset(name for name in names if len(name) == 1)
