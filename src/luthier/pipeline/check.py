"""Everything that can be said of a run before it is started: files that are there, keys that act on them, suites that can be read."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from luthier.config.load import LoadedRun, Overrides, load
from luthier.config.paths import file_problems
from luthier.config.rules import BUILT_IN_SUITES
from luthier.config.schema import EvaluateSection, GuardSection, RunConfig
from luthier.config.yaml_file import Document
from luthier.core.errors import ConfigError, Problem
from luthier.evaluate.figures.gate import gate_problems
from luthier.evaluate.judging.needs import needs_of
from luthier.evaluate.kinds.registry import OWN_ROWS
from luthier.evaluate.suites.suite_files import SuiteFile, read_suites
from luthier.pipeline.ready import file_gaps, machine_gaps, machine_losses


def load_run(path: Path | str, overrides: Overrides = ()) -> LoadedRun:
    """The resolved run file; where it is wrong, what is wrong with its suites is told with the rest, and not after it is mended."""
    return load(path, overrides, _suite_files_of)


def check(loaded: LoadedRun) -> list[str]:
    """What this machine lacks for the run, a line each. `ConfigError` with every problem of the files that the run file names."""
    problems = file_problems(loaded.document)
    section = loaded.config.evaluate
    read, wrong = read_suites(section.suites)
    problems += _suites(loaded.document, [suite for suite, _ in read], wrong, list(section.gate), {problem.found for problem in problems})
    problems += _guard(loaded.document)
    needs = needs_of(read)
    problems += file_gaps(loaded, needs)
    if problems:
        raise ConfigError(problems)
    lacking = [" ".join(problem.text().split()) for problem in machine_gaps(loaded.config, needs)]
    losses = [*machine_losses(loaded.config, needs), *_rowless(loaded.config, [suite for suite, _ in read])]
    return [*(f"it could not be evaluated on this machine: {text}" for text in lacking), *losses]


def _rowless(config: RunConfig, found: list[SuiteFile]) -> list[str]:
    """A line where suites ask the run's own test rows and the run file holds none out: they would be left out with a note alone."""
    named = ", ".join(f"`{suite.name}`" for suite in found if suite.rows is None and suite.kind in OWN_ROWS)
    if not named or (config.split is not None and config.split.test > 0):
        return []
    hint = "set `split: {test: 0.1}`, or give the suite `rows` of its own"
    return [f"no test rows are held out for the suite {named}, which asks the run's own and would be left out: {hint}"]


def _guard(document: Document) -> list[Problem]:
    """What is wrong in the section `guard` beyond the kinds of its values, with the lines that say it."""
    section = document.value.get("guard")
    if not isinstance(section, dict):
        return []
    from luthier.guard.settings import guard_problems

    return guard_problems({name: value for name, value in section.items() if _fits_schema(name, value)}, document)


def _fits_schema(name: str, value: object) -> bool:
    """Whether `name` is a key of `guard` and `value` of its kind; what is not is told by the schema."""
    try:
        return name in GuardSection.model_fields and GuardSection.model_validate({name: value}) is not None
    except ValidationError:
        return False


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
    read, wrong = read_suites(entries)
    missing = {problem.found for problem in file_problems(document)}
    return [*_suites(document, [suite for suite, _ in read], wrong, names, missing), *_guard(document)]


def _suites(document: Document, found: list[SuiteFile], wrong: list[Problem], gate: list[str], missing: set[str]) -> list[Problem]:
    """What is wrong with the suites and, where nothing is, with the bounds on them; `missing` are files that were told already."""
    problems = [problem for problem in wrong if problem.where not in missing]
    if not problems and not missing:
        for problem in gate_problems(gate, found):
            place = document.place(("evaluate", "gate", problem.where.removeprefix("evaluate.gate."))).text()
            problems.append(Problem(problem.what, place or problem.where, problem.found, problem.expected, problem.hint))
    return problems
