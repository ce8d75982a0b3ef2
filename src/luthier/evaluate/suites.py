"""Suites: which questions are asked, from built-in names and suite files. Light: what a stage key needs, no torch, no numpy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.config.names import nearest
from luthier.config.rules import BUILT_IN_SUITES, LATER_SUITES
from luthier.config.schema import EvaluateSection
from luthier.config.yaml_file import Document, read
from luthier.core.errors import ConfigError, NotYetError, Problem, UserError
from luthier.core.files import sha256_file, sha256_json
from luthier.core.runs import RunFolder
from luthier.evaluate.rows import SuiteRow, read_rows, sample, stored_rows

KINDS = ("commands",)
SUITE_KEYS = ("name", "kind", "rows", "limit", "seed")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True, slots=True)
class SuiteFile:
    """A suite as its YAML file describes it; `rows` is None for a built-in suite over the run's own test rows."""

    name: str
    kind: str
    rows: Path | None
    limit: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Suite:
    """Questions with their accepted answers. `skipped` counts rows that ask nothing, by reason; `sha256` names the questions."""

    name: str
    kind: str
    rows: tuple[SuiteRow, ...]
    sha256: str
    skipped: Mapping[str, int] = field(default_factory=dict)


def suite_files(section: EvaluateSection) -> list[SuiteFile]:
    """The suites that a run file asks for, in order; every problem of their entries and files in one `ConfigError`."""
    found: list[SuiteFile] = []
    problems: list[Problem] = []
    for index, entry in enumerate(section.suites):
        where = f"evaluate.suites[{index}]"
        try:
            suite = _suite_file(entry, where)
        except NotYetError:
            raise
        except UserError as error:
            problems += error.problems
            continue
        if any(suite.name == other.name for other in found):
            problems.append(
                Problem("two suites have one name", where=where, found=suite.name, hint="change `name` in one: it names a folder")
            )
        found.append(suite)
    if problems:
        raise ConfigError(problems)
    return found


def suite_problems(section: EvaluateSection) -> list[Problem]:
    """What is wrong with the suites of a run file, their own files and their rows; one that is wrong does not hide another."""
    problems: list[Problem] = []
    for index, entry in enumerate(section.suites):
        try:
            suite = _suite_file(entry, f"evaluate.suites[{index}]")
            if suite.rows is not None:
                read_rows(suite.rows)
        except UserError as error:
            problems += error.problems
    if not problems:
        try:
            suite_files(section)
        except ConfigError as error:
            problems += error.problems
    return problems


def suite_inputs(section: EvaluateSection, folder: RunFolder) -> dict[str, str]:
    """The hash of everything outside the run file that the questions come from: suite files, their rows, test and training rows."""
    inputs: dict[str, str] = {}
    for suite in suite_files(section):
        if suite.rows is None:
            inputs[f"suite {suite.name}"] = _hash_or_absent(folder.split("test"), folder)
        else:
            inputs[f"suite {suite.name}"] = sha256_json([suite.name, suite.kind, suite.limit, suite.seed, folder.hashes.sha256(suite.rows)])
    if "base+shots" in section.against:
        inputs["shots"] = _hash_or_absent(folder.split("train"), folder)
    return inputs


def load_suite(suite: SuiteFile, folder: RunFolder) -> Suite | str:
    """The questions of a suite, or the reason why it asks nothing; `DataError` where its rows cannot be read."""
    skipped: Mapping[str, int] = {}
    if suite.rows is None:
        path = folder.split("test")
        rows, skipped = stored_rows(path) if path.is_file() else ([], {})
        if not rows:
            return _why_empty(skipped)
    else:
        path = suite.rows
        rows = read_rows(path)
    rows = sample(rows, suite.limit, suite.seed)
    identity = {"kind": suite.kind, "rows": sha256_file(path), "limit": suite.limit, "seed": suite.seed}
    return Suite(suite.name, suite.kind, tuple(rows), sha256_json(identity), dict(sorted(skipped.items())))


def _why_empty(skipped: Mapping[str, int]) -> str:
    if not skipped:
        return "the run has no test rows: set `split.test` (a share of groups, so that few groups may leave none), or name a suite file"
    return "no test row asks for an answer (" + ", ".join(f"{count} {reason}" for reason, count in sorted(skipped.items())) + ")"


def _hash_or_absent(path: Path, folder: RunFolder) -> str:
    return folder.hashes.sha256(path) if path.is_file() else "absent"


def _suite_file(entry: str, where: str) -> SuiteFile:
    if entry in BUILT_IN_SUITES:
        return SuiteFile(entry, entry, None)
    if entry in LATER_SUITES:
        raise NotYetError(f"the suite `{entry}`", where=where, hint="`commands` and suite files are")
    if not entry.endswith((".yaml", ".yml")):
        best = nearest(entry, (*BUILT_IN_SUITES, *LATER_SUITES))
        hint = f"did you mean `{best}`?" if best else "a suite is `commands` or a YAML file"
        raise ConfigError(Problem("unknown suite", where=where, found=entry, hint=hint))
    return read_suite_file(Path(entry))


def read_suite_file(path: Path) -> SuiteFile:
    """The suite in the YAML file `path`; `rows` starts at its folder. Every problem of the file in one `ConfigError`."""
    document = read(path)
    problems = [_unknown(document, name) for name in document.value if name not in SUITE_KEYS]
    problems += [_wrong(document, name, "a text is meant") for name in ("name", "kind", "rows") if not _is_text(document.value.get(name))]
    for name, least in (("limit", 1), ("seed", 0)):
        value = document.value.get(name)
        if value is not None and (type(value) is not int or value < least):
            problems.append(_wrong(document, name, f"a whole number of at least {least} is meant"))
    if any(not _is_text(document.value.get(name)) for name in ("name", "kind", "rows")):
        raise ConfigError(problems)
    suite = SuiteFile(
        name=document.value["name"],
        kind=document.value["kind"],
        rows=path.parent / document.value["rows"],
        limit=document.value.get("limit"),
        seed=document.value.get("seed") or 0,
    )
    if problems := problems + _content_problems(document, suite):
        raise ConfigError(problems)
    return suite


def _content_problems(document: Document, suite: SuiteFile) -> list[Problem]:
    problems = []
    if not _NAME.fullmatch(suite.name):
        problems.append(_wrong(document, "name", "it names a folder: letters, digits and . _ + -, the first a letter or digit"))
    if suite.kind in LATER_SUITES:
        raise NotYetError(f"the kind of suite `{suite.kind}`", where=document.place(("kind",)).text())
    if suite.kind not in KINDS:
        problems.append(_wrong(document, "kind", f"known: {', '.join(KINDS)}"))
    assert suite.rows is not None
    if not suite.rows.is_file():
        written = document.value["rows"]
        folder = suite.rows.parent
        best = nearest(suite.rows.name, [file.name for file in folder.iterdir()]) if folder.is_dir() else None
        hint = f"did you mean `{best}`?" if best else f"it is looked for in {folder}; a hub data set as rows is not in this version yet"
        problems.append(Problem("`rows` names a file that is not there", document.place(("rows",)).text(), found=written, hint=hint))
    elif suite.rows.suffix not in (".jsonl", ".json"):
        problems.append(_wrong(document, "rows", "a .jsonl or .json file is meant"))
    return problems


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _unknown(document: Document, name: str) -> Problem:
    best = nearest(name, SUITE_KEYS)
    hint = f"did you mean `{best}`?" if best else f"known: {', '.join(SUITE_KEYS)}"
    return Problem(f"unknown key `{name}`", where=document.place((name,)).text(), hint=hint)


def _wrong(document: Document, name: str, expected: str) -> Problem:
    place = document.place((name,)).text()
    if name not in document.value:
        return Problem(f"the key `{name}` is missing", where=place, hint="a suite file has name, kind and rows; it may have limit and seed")
    return Problem(f"`{name}` has a wrong value", where=place, found=str(document.value[name])[:120], expected=expected)
