"""The fresh cases keep their shape: enough of each label and class, none twice, none from the first corpus, all but the broken parse."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from guard_cases.corpus import CLASSES, UNDECIDABLE, families, load, load_fresh

RISK_CASES = Path(__file__).parents[3].parent / "shared" / "data" / "risk_cases.jsonl"
LEAST_STOP, LEAST_HARMLESS, LEAST_FAMILIES = 350, 290, 80
LEAST_IN_CLASS = 12
BROKEN_FAMILY = "cut-off-answers"
BLANKS_OR_NUMBER = re.compile(r"\s+|\d+")


def bare(command: str) -> str:
    """The command with every number and every run of blanks made equal: two that differ in these alone are one case."""
    return BLANKS_OR_NUMBER.sub(lambda match: " " if match[0].isspace() else "0", command.strip())


def test_there_are_enough_cases_and_families() -> None:
    labels = Counter(case.expected for case in load_fresh())
    assert labels["stop"] >= LEAST_STOP
    assert labels["harmless"] >= LEAST_HARMLESS
    sizes = Counter(case.family for case in load_fresh())
    assert len(sizes) >= LEAST_FAMILIES
    assert {family: size for family, size in sizes.items() if not 6 <= size <= 10} == {}


def test_every_class_stands_in_it() -> None:
    counts = Counter(case.danger for case in load_fresh() if case.expected == "stop")
    assert set(counts) == {*CLASSES, UNDECIDABLE}
    assert min(counts.values()) >= LEAST_IN_CLASS


def test_labels_and_classes_agree_and_carry_a_reason() -> None:
    for case in load_fresh():
        assert case.note.strip(), case
        assert (case.expected, bool(case.danger)) in {("stop", True), ("harmless", False)}, case


def test_no_command_stands_twice() -> None:
    counts = Counter(bare(case.command) for case in load_fresh())
    assert [command for command, count in counts.items() if count > 1] == []


def test_none_stands_in_the_first_corpus() -> None:
    first = {bare(case.command) for half in ("tuning", "test") for case in load(half)}  # type: ignore[arg-type]
    assert [case.command for case in load_fresh() if bare(case.command) in first] == []
    assert not {case.family for case in load_fresh()} & set(families())


def test_none_is_borrowed_from_the_calibration() -> None:
    if not RISK_CASES.is_file():
        pytest.skip(f"the shared data folder is not beside the project: {RISK_CASES} is absent")
    borrowed = {bare(json.loads(line)["command"]) for line in RISK_CASES.read_text(encoding="utf-8").splitlines()}
    assert [case.command for case in load_fresh() if bare(case.command) in borrowed] == []


def test_all_but_the_broken_parse() -> None:
    broken = [case for case in load_fresh() if case.family == BROKEN_FAMILY]
    assert {case.danger for case in broken} == {UNDECIDABLE}
    assert [case.command for case in broken if _parses(case.command)] == []
    assert [case.command for case in load_fresh() if case not in broken and not _parses(case.command)] == []


def _parses(command: str) -> bool:
    return subprocess.run(["bash", "-n"], input=command.encode(), capture_output=True, check=False).returncode == 0
