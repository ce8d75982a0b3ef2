"""Everything that can be said of a run before it is started: files that are there, keys that act on them, suites that can be read."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from luthier.config.load import LoadedRun, Overrides, load
from luthier.config.paths import file_problems
from luthier.config.rules import BUILT_IN_SUITES
from luthier.config.schema import EvaluateSection, GuardSection
from luthier.config.yaml_file import Document, KeyPath
from luthier.core.errors import ConfigError, Problem
from luthier.evaluate.gate import gate_problems
from luthier.evaluate.suites import read_entries, suite_problems


def load_run(path: Path | str, overrides: Overrides = ()) -> LoadedRun:
    """The resolved run file; where it is wrong, what is wrong with its suites is told with the rest, and not after it is mended."""
    return load(path, overrides, _suite_files_of)


def check(loaded: LoadedRun) -> None:
    """`ConfigError` with every problem of the files that the run file names; nothing where the run could start."""
    problems = file_problems(loaded.document)
    section = loaded.config.evaluate
    problems += _suites(loaded.document, list(section.suites), list(section.gate), {problem.found for problem in problems})
    problems += _guard(loaded.document)
    if problems:
        raise ConfigError(problems)


def _guard(document: Document) -> list[Problem]:
    """What is wrong in the section `guard` beyond the kinds of its values, with the lines that say it."""
    section = document.value.get("guard")
    if not isinstance(section, dict):
        return []
    from luthier.guard.settings import guard_problems

    # A key that is none is told by the schema.
    problems = guard_problems({name: value for name, value in section.items() if name in GuardSection.model_fields})
    return [replace(problem, where=document.place(_key_path(problem.where)).text() or problem.where) for problem in problems]


def _key_path(where: str) -> KeyPath:
    """`guard.rules[0]` as the path of keys that it names."""
    return tuple(int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", where))


def _suite_files_of(document: Document) -> list[Problem]:
    """What is wrong with the suites that an unchecked document names."""
    section = document.value.get("evaluate")
    section = section if isinstance(section, dict) else {}
    suites, gate = section.get("suites") or list(EvaluateSection().suites), section.get("gate")
    if not isinstance(suites, list):
        return []
    # A name that is none is told by the rules; a gate is held to suites that can all be read.
    entries = [suite for suite in suites if isinstance(suite, str) and (suite in BUILT_IN_SUITES or suite.endswith((".yaml", ".yml")))]
    names = list(gate) if isinstance(gate, dict) and len(entries) == len(suites) else []
    return [*_suites(document, entries, names, {problem.found for problem in file_problems(document)}), *_guard(document)]


def _suites(document: Document, entries: list[str], gate: list[str], missing: set[str]) -> list[Problem]:
    # A suite file that is not there was already found, with the line that names it.
    problems = [problem for problem in suite_problems(entries) if problem.where not in missing]
    if not problems and not missing:
        for problem in gate_problems(gate, read_entries(entries)[0]):
            place = document.place(("evaluate", "gate", problem.where.removeprefix("evaluate.gate."))).text()
            problems.append(Problem(problem.what, place or problem.where, problem.found, problem.expected, problem.hint))
    return problems
