"""The labelled commands keep their shape: enough of each label and class in both halves, none twice, none borrowed."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from guard_cases.corpus import CLASSES, UNDECIDABLE, Case, families, half_of, load, load_family
from luthier.guard import policy

RISK_CASES = Path(__file__).parents[3].parent / "shared" / "data" / "risk_cases.jsonl"
LEAST_CASES, LEAST_FAMILIES = 2_000, 150
LEAST_SHARE = 0.4
LEAST_IN_CLASS = 6


def every() -> list[Case]:
    return load("tuning") + load("test")


def test_there_are_enough_cases_and_families() -> None:
    assert len(every()) >= LEAST_CASES
    assert len(families()) >= LEAST_FAMILIES
    assert all(6 <= len(load_family(family)) <= 20 for family in families())


def test_the_classes_are_the_guards() -> None:
    assert {*CLASSES, UNDECIDABLE} == set(policy.CLASSES)


def test_no_command_stands_twice() -> None:
    counts = Counter(case.command.strip() for case in every())
    assert [command for command, count in counts.items() if count > 1] == []


def test_a_family_lies_whole_in_one_half() -> None:
    tuning, test = ({case.family for case in load(half)} for half in ("tuning", "test"))
    assert tuning | test == set(families())
    assert not tuning & test
    assert (half_of("find-delete"), half_of("rm-globs")) == ("test", "tuning")


@pytest.mark.parametrize("expected", ["stop", "harmless"])
def test_both_halves_hold_their_share(expected: str) -> None:
    counts = {half: sum(case.expected == expected for case in load(half)) for half in ("tuning", "test")}
    assert min(counts.values()) >= LEAST_SHARE * sum(counts.values())


@pytest.mark.parametrize("half", ["tuning", "test"])
def test_every_class_stands_in_both_halves(half: str) -> None:
    counts = Counter(case.danger for case in load(half) if case.expected == "stop")  # type: ignore[arg-type]
    assert set(counts) == {*CLASSES, UNDECIDABLE}
    assert min(counts.values()) >= LEAST_IN_CLASS


def test_labels_and_classes_agree_and_carry_a_reason() -> None:
    for case in every():
        assert case.note.strip(), case
        assert (case.expected, bool(case.danger)) in {("stop", True), ("harmless", False)}, case


def test_what_is_said_to_parse_parses() -> None:
    """One file of functions, one for each command, so that bash starts once; what must not parse is tried alone."""
    broken = [case for case in load_family("does-not-parse") if case.danger == UNDECIDABLE]
    assert [case.command for case in broken if _parses(case.command)] == []
    for case in every():
        if case not in broken and not case.command.isascii():
            assert _parses(case.command), case
    whole = [case.command for case in every() if case not in broken and case.command.isascii() and "<<" not in case.command]
    assert _parses("\n".join(f"case_{number}() {{\n{command}\n:\n}}" for number, command in enumerate(whole)))


def test_none_is_borrowed_from_the_calibration() -> None:
    if not RISK_CASES.is_file():
        pytest.skip(f"the shared data folder is not beside the project: {RISK_CASES} is absent")
    borrowed = {json.loads(line)["command"] for line in RISK_CASES.read_text(encoding="utf-8").splitlines()}
    assert borrowed & {case.command for case in every()} == set()


def _parses(command: str) -> bool:
    return subprocess.run(["bash", "-n"], input=command.encode(), capture_output=True, check=False).returncode == 0
