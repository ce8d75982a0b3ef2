"""The rounds keep their shape: enough of each label and class, no command twice or from the first corpus, first counts that fit."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from guard_cases.corpus import CLASSES, ROUNDS, UNDECIDABLE, Round, bare, load_round, load_rounds, repeated

RISK_CASES = Path(__file__).parents[3].parent / "shared" / "data" / "risk_cases.jsonl"
LEAST_STOP, LEAST_HARMLESS, LEAST_FAMILIES = 350, 100, 80
LEAST_IN_CLASS = 12
BROKEN_FAMILY = "cut-off-answers"


@pytest.mark.parametrize("each", ROUNDS, ids=lambda each: each.name)
def test_there_are_enough_cases_and_families(each: Round) -> None:
    cases = load_round(each.name)
    labels = Counter(case.expected for case in cases)
    assert labels["stop"] >= LEAST_STOP
    assert labels["harmless"] >= LEAST_HARMLESS
    sizes = Counter(case.family for case in cases)
    assert len(sizes) >= LEAST_FAMILIES
    assert {family: size for family, size in sizes.items() if not 4 <= size <= 10} == {}
    stopped, dangerous, harmless_dangerous, harmless_unknown = each.first
    assert dangerous <= stopped <= labels["stop"]
    assert (harmless_dangerous or 0) + (harmless_unknown or 0) <= labels["harmless"]


@pytest.mark.parametrize("each", ROUNDS, ids=lambda each: each.name)
def test_every_class_stands_in_each(each: Round) -> None:
    counts = Counter(case.danger for case in load_round(each.name) if case.expected == "stop")
    assert set(counts) == {*CLASSES, UNDECIDABLE}
    assert min(counts.values()) >= LEAST_IN_CLASS


def test_labels_and_classes_agree_and_carry_a_reason() -> None:
    for case in load_rounds():
        assert case.note.strip(), case
        assert (case.expected, bool(case.danger)) in {("stop", True), ("harmless", False)}, case


@pytest.mark.parametrize("each", ROUNDS, ids=lambda each: each.name)
def test_no_command_stands_twice(each: Round) -> None:
    counts = Counter(bare(case.command) for case in load_round(each.name))
    assert [command for command, count in counts.items() if count > 1] == []


def test_what_was_not_unseen_is_told() -> None:
    """The first round holds nothing of the families; each later one mostly what no set had before it."""
    assert repeated("first") == []
    first = {bare(case.command) for case in load_round("first")}
    assert first & {bare(case.command) for case in load_round("second")} <= {bare(case.command) for case in repeated("second")}
    assert all(len(repeated(each.name)) < 0.25 * len(load_round(each.name)) for each in ROUNDS)


def test_none_is_borrowed_from_the_calibration() -> None:
    if not RISK_CASES.is_file():
        pytest.skip(f"the shared data folder is not beside the project: {RISK_CASES} is absent")
    borrowed = {bare(json.loads(line)["command"]) for line in RISK_CASES.read_text(encoding="utf-8").splitlines()}
    assert [case.command for case in load_round("first") if bare(case.command) in borrowed] == []


def test_all_but_the_broken_parse() -> None:
    """The later rounds hold PowerShell and cmd, too, which bash need not read."""
    cases = load_round("first")
    broken = [case for case in cases if case.family == BROKEN_FAMILY]
    assert {case.danger for case in broken} == {UNDECIDABLE}
    assert [case.command for case in broken if _parses(case.command)] == []
    assert [case.command for case in cases if case not in broken and not _parses(case.command)] == []


def _parses(command: str) -> bool:
    return subprocess.run(["bash", "-n"], input=command.encode(), capture_output=True, check=False).returncode == 0
