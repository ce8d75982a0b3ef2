"""What judging a run's suites needs of the run file and of the machine, so that it can be told before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from luthier.core.records import JsonValue
from luthier.evaluate.kinds.registry import HARNESS
from luthier.evaluate.rows.suite import SuiteRow
from luthier.evaluate.suites.suite_files import SuiteFile


@dataclass(frozen=True, slots=True)
class Needs:
    """Names of suites: those that cannot be judged without a sandbox, a judge model or lm-eval, and those that leave a metric out without
    a sandbox."""

    sandbox: tuple[str, ...] = ()
    judge: tuple[str, ...] = ()
    harness: tuple[str, ...] = ()
    tree: tuple[str, ...] = ()


def needs_of(read: Iterable[tuple[SuiteFile, Sequence[SuiteRow]]]) -> Needs:
    """What the suites need; of rows that could not be read yet it is not known what they ask for."""
    sandbox, judge, harness, tree = [], [], [], []
    for suite, rows in read:
        checks = {check["kind"] for row in rows for check in _checks(row.check)} if suite.kind == "tasks" else set()
        if suite.kind == "code" or "unit_tests" in checks:
            sandbox.append(suite.name)
        if "judge" in checks:
            judge.append(suite.name)
        if suite.kind in HARNESS:
            harness.append(suite.name)
        if "tree" in suite.fields:
            tree.append(suite.name)
    return Needs(tuple(sandbox), tuple(judge), tuple(harness), tuple(tree))


def _checks(check: Mapping[str, JsonValue]) -> list[dict[str, JsonValue]]:
    checks = check.get("checks", [])
    return [one for one in checks if isinstance(one, dict)] if isinstance(checks, list) else []
