"""Variants of rows: drawn by the row alone, never the row itself, and never near a held-out one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from luthier.config.row_sections import AugmentRule
from luthier.core.records import Detail, TurnEnds
from luthier.data.augment.vary import RULES, vary
from luthier.data.rows.fields import Fields
from luthier.data.synthesize.made import asked

ALL: tuple[AugmentRule, ...] = ("synonyms", "argument_names", "flag_order")
ROW = Fields(asked("List all files in the directory of notes.txt by size", "ls -l -S notes.txt"))


def texts(row: Fields) -> tuple[str, str]:
    return row.messages[-2].content, row.messages[-1].content


def test_golden() -> None:
    assert [(*texts(row), names) for row, names in vary(ROW, ALL, 2, 0)] == [
        ("Display all files in the folder of todo.txt by size", "ls -l -S todo.txt", ("argument_names", "synonyms")),
        ("Show all files in the folder of notes.txt by size", "ls -l -S notes.txt", ("synonyms",)),
    ]


def test_the_rules_are_those_of_the_run_file() -> None:
    assert set(RULES) == set(AugmentRule.__args__)  # type: ignore[attr-defined]


def test_variants_differ_from_the_row_and_from_each_other() -> None:
    variants = vary(ROW, ALL, 10, 0)
    assert len(variants) > 3
    assert len({row.messages for row, _ in variants} | {ROW.messages}) == len(variants) + 1


def test_a_seed_gives_other_variants_and_the_same_one_the_same() -> None:
    assert vary(ROW, ALL, 3, 0) == vary(ROW, tuple(reversed(ALL)), 3, 0)
    assert vary(ROW, ALL, 3, 0) != vary(ROW, ALL, 3, 1)


@pytest.mark.parametrize("rule", ALL)
def test_a_rule_alone_changes_only_its_own(rule: AugmentRule) -> None:
    (variant, names), *_ = vary(ROW, (rule,), 1, 0)
    request, answer = texts(variant)
    assert names == (rule,)
    assert (request == texts(ROW)[0]) == (rule == "flag_order")
    assert (answer == texts(ROW)[1]) == (rule == "synonyms")


def test_what_is_trained_by_its_characters_is_not_varied_and_ends_stay() -> None:
    detailed = replace(ROW.messages[0], details=(Detail(0, 3, True),))
    assert vary(replace(ROW, messages=(detailed, *ROW.messages[1:])), ALL, 2, 0) == []
    ends = TurnEnds("last", "last")
    assert [row.ends for row, _ in vary(replace(ROW, ends=ends), ALL, 2, 0)] == [ends, ends]


def test_where_no_rule_fits_there_is_no_variant() -> None:
    assert vary(Fields(asked("2 + 2?", "4")), ALL, 5, 0) == []
