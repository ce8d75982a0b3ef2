"""Commands written in two ways, and commands that only look alike: the pairs are data, in `tests/guard_cases/command_pairs.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from luthier.evaluate.instruments.metrics import normalized_match, template_match

PAIRS = tomllib.loads((Path(__file__).parents[2] / "guard_cases" / "command_pairs.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("first", "second"), PAIRS["equal"])
def test_one_command_written_in_two_ways_matches(first: str, second: str) -> None:
    assert normalized_match(first, [second]) == normalized_match(second, [first]) == 1.0
    assert template_match(first, [second]) == 1.0


@pytest.mark.parametrize(("first", "second"), PAIRS["unequal"])
def test_commands_that_only_look_alike_do_not(first: str, second: str) -> None:
    assert normalized_match(first, [second]) == normalized_match(second, [first]) == 0.0


def test_there_are_enough_pairs_of_both_kinds() -> None:
    assert min(map(len, PAIRS.values())) >= 40
    assert all(first != second for pairs in PAIRS.values() for first, second in pairs)
