"""Everything that can be said of a run before it is started: files that are there, keys that act on them, suites that can be read."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from luthier.config.load import LoadedRun, load, load_text
from luthier.config.overrides import Overrides
from luthier.config.paths import file_problems
from luthier.config.rules import BUILT_IN_SUITES
from luthier.config.schema import EvaluateSection, GuardSection, RunConfig
from luthier.config.yaml_file import Document
from luthier.core.errors import ConfigError, Problem
from luthier.core.nearness import nearest
from luthier.data.clean.codes import rule_codes
from luthier.evaluate.figures.gate import gate_problems
from luthier.evaluate.judging.needs import needs_of
from luthier.evaluate.kinds.registry import OWN_ROWS
from luthier.evaluate.suites.suite_files import SuiteFile, read_suites
from luthier.pipeline.process import quiet
from luthier.pipeline.ready import file_gaps, machine_gaps, machine_losses, missing_trackers
from luthier.pipeline.whole import whole_training

# Two letters of a short name: `MITT`, `Apach-2.0`.
_NEAR_LICENSE = 0.8
_DIGITS = re.compile(r"\d+")


def load_run(path: Path | str, overrides: Overrides = (), for_data: bool = False) -> LoadedRun:
    """The resolved run file; where it is wrong, what is wrong with its suites is told with the rest, and not after it is mended.

    With `for_data` it may lack what training alone needs.
    """
    quiet()
    loaded = load(path, overrides, _suite_files_of, for_data)
    return loaded if for_data else _noted(loaded)


def load_sent(text: str, path: Path, overrides: Overrides = ()) -> LoadedRun:
    """The same for `text`, a run file that is to be written to `path` and is not there yet."""
    quiet()
    return _noted(load_text(text, path, overrides))


def _noted(loaded: LoadedRun) -> LoadedRun:
    return replace(loaded, notes=(*loaded.notes, *whole_training(loaded.config)))


def check(loaded: LoadedRun) -> list[str]:
    """What this machine lacks for the run, a line each. `ConfigError` with every problem of the files that the run file names."""
    problems = file_problems(loaded.document)
    section = loaded.config.evaluate
    read, wrong = read_suites(section.suites)
    problems += _suites(loaded.document, [suite for suite, _ in read], wrong, list(section.gate), {problem.found for problem in problems})
    problems += _guard(loaded.document)
    problems += [*_cleaning(loaded.document), *_licenses(loaded.document), *_languages(loaded.document)]
    needs = needs_of(read)
    problems += file_gaps(loaded, needs)
    if problems:
        raise ConfigError(problems)
    lacking = [" ".join(problem.text().split()) for problem in machine_gaps(loaded.config, needs)]
    losses = [*machine_losses(loaded.config, needs), *_rowless(loaded.config, [suite for suite, _ in read])]
    untracked = [
        " ".join(problem.text().split()) for error in missing_trackers(loaded.config.tracker_settings()) for problem in error.problems
    ]
    told = [f"it could not be trained on this machine: {text}" for text in [*untracked, *_engine_gaps(loaded.config)]]
    return [*told, *(f"it could not be evaluated on this machine: {text}" for text in lacking), *losses]


def _engine_gaps(config: RunConfig) -> list[str]:
    """What the environment of `engine: axolotl` lacks."""
    if config.engine != "axolotl" or config.axolotl is None:
        return []
    from luthier.train.engines.environment import versions

    try:
        versions(config.axolotl.python)
    except ConfigError as error:
        return [" ".join(problem.text().split()) for problem in error.problems]
    return []


def _rowless(config: RunConfig, found: list[SuiteFile]) -> list[str]:
    """A line where suites ask the run's own test rows and the run file holds none out: they would be left out with a note alone."""
    named = ", ".join(f"`{suite.name}`" for suite in found if suite.rows is None and suite.kind in OWN_ROWS)
    if not named or (config.split is not None and config.split.test > 0):
        return []
    hint = "set `split: {test: 0.1}`, or give the suite `rows` of its own"
    return [f"no test rows are held out for the suite {named}, which asks the run's own and would be left out: {hint}"]


def _cleaning(document: Document) -> list[Problem]:
    """Reason codes in `clean.off` that no rule has, and languages that cannot be told."""
    section = document.value.get("clean")
    if not isinstance(section, dict):
        return []
    problems = []
    for name, what in (("off", "no rule"), ("natural_languages", "no language that can be told")):
        written = section.get(name)
        known = _known_names(name) if written else ()
        for index, value in enumerate(written if isinstance(written, list) else []):
            if isinstance(value, str) and value not in known:
                best = nearest(value, known)
                hint = f"did you mean `{best}`?" if best else f"known: {', '.join(known)}"
                where = document.place(("clean", name, index)).text()
                problems.append(Problem(f"`clean.{name}` names {what}", where=where, found=value[:100], hint=hint))
    return problems


def _known_names(key: str) -> tuple[str, ...]:
    if key == "off":
        return rule_codes()
    from luthier.data.clean.language import LANGUAGES

    return tuple(sorted(LANGUAGES))


def _licenses(document: Document) -> list[Problem]:
    """Names in `clean.licenses` that are misspelt names of the SPDX License List.

    A name that is near none stands for the text of a data set that is no SPDX expression, which is allowed word for word. So does one that
    an entry gives as its `license`, and one of another version than the name beside it, for not all names of SPDX's list are known.
    """
    section = document.value.get("clean")
    written = section.get("licenses") if isinstance(section, dict) else None
    if not isinstance(written, list):
        return []
    from luthier.data.clean.licenses import UNKNOWN
    from luthier.retrieval.repository.spdx import expression, license_names

    entries = [entry for name in ("datasets", "sources") for entry in _entries(document, name)]
    given = {UNKNOWN, *(str(entry.get("license")).strip().lower() for entry in entries)}
    known = {name.lower(): name for name in license_names()}
    problems = []
    for index, value in enumerate(written):
        if not isinstance(value, str) or value.strip().lower() in given or expression(value.strip()) is not None:
            continue
        best = nearest(value.strip(), known, _NEAR_LICENSE)
        if best is not None and _DIGITS.findall(best) == _DIGITS.findall(value):
            where = document.place(("clean", "licenses", index)).text()
            hint = f"did you mean `{known[best]}`?"
            problems.append(Problem("`clean.licenses` names no license of SPDX's list", where=where, found=value[:100], hint=hint))
    return problems


def _languages(document: Document) -> list[Problem]:
    """Names in `languages` of an entry of `sources` that no file is of."""
    problems = []
    for number, entry in enumerate(_entries(document, "sources")):
        written = entry.get("languages")
        known = _file_languages() if isinstance(written, list) and written else ()
        for index, value in enumerate(written if isinstance(written, list) else []):
            if isinstance(value, str) and value.lower() not in known:
                best = nearest(value.lower(), known)
                hint = f"did you mean `{best}`?" if best else f"known: {', '.join(known)}"
                where = document.place(("sources", number, "languages", index)).text()
                problems.append(Problem("`languages` names no language of files", where=where, found=value[:100], hint=hint))
    return problems


def _file_languages() -> tuple[str, ...]:
    from luthier.retrieval.documents.sections import READERS
    from luthier.retrieval.repository.languages import languages

    return tuple(sorted({*languages(), *READERS}))


def _entries(document: Document, name: str) -> list[dict[str, object]]:
    """The entries of a list in their order; an empty mapping stands for one that is none."""
    listed = document.value.get(name)
    return [entry if isinstance(entry, dict) else {} for entry in listed] if isinstance(listed, list) else []


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
    found = [suite for suite, _ in read]
    named = [*_cleaning(document), *_licenses(document), *_languages(document)]
    return [*_suites(document, found, wrong, names, missing), *_guard(document), *named]


def _suites(document: Document, found: list[SuiteFile], wrong: list[Problem], gate: list[str], missing: set[str]) -> list[Problem]:
    """What is wrong with the suites and, where nothing is, with the bounds on them; `missing` are files that were told already."""
    problems = [problem for problem in wrong if problem.where not in missing]
    if not problems and not missing:
        for problem in gate_problems(gate, found):
            place = document.place(("evaluate", "gate", problem.where.removeprefix("evaluate.gate."))).text()
            problems.append(Problem(problem.what, place or problem.where, problem.found, problem.expected, problem.hint))
    return problems
