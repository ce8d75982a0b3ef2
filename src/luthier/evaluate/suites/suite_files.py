"""Suites: which questions are asked, from built-in names and suite files. Light: what a stage key needs, no torch, no numpy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from luthier.config.paths import is_hub_id
from luthier.config.rules import BUILT_IN_SUITES, SUITES
from luthier.config.schema import EvaluateSection
from luthier.config.yaml_file import Document, read
from luthier.core.candidates import BASE_SHOTS
from luthier.core.errors import ConfigError, Problem, UserError
from luthier.core.files import sha256_json
from luthier.core.nearness import nearest
from luthier.core.records import JsonValue
from luthier.core.runs import RunFolder, package_versions
from luthier.evaluate.kinds.fields import wrong_seconds
from luthier.evaluate.kinds.registry import HARNESS, OWN_ROWS, kind_of, kinds
from luthier.evaluate.rows.conversations import stored_rows
from luthier.evaluate.rows.suite import Suite, SuiteRow, sample
from luthier.evaluate.suites.row_files import ENDINGS, HUB_ADVICE, hub_rows, inline_rows, read_rows
from luthier.guard.sandbox import MOUNT, can_mount
from luthier.retrieval.hub import HubDataset, snapshot

# Which part of a hub data set `rows` names.
HUB_KEYS = ("subset", "split", "revision")
# Keys of every suite file; a kind may know further ones.
SUITE_KEYS = ("name", "kind", "rows", "limit", "seed", "max_new_tokens", *HUB_KEYS)
# Fields of a kind that name a file or a folder beside the suite file.
FILE_FIELDS = ("tree", "include_path")
MAX_SAMPLES = 1000
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True, slots=True)
class SuiteFile:
    """A suite as its YAML file describes it. `rows` is a file, a hub data set, the suite file itself, or None for the
    run's own test rows.

    `fields` are the further keys that its kind knows; those that name a file hold its path. `max_new_tokens` None leaves it to the run.
    """

    name: str
    kind: str
    rows: Path | HubDataset | Document | None
    limit: int | None = None
    seed: int = 0
    max_new_tokens: int | None = None
    fields: Mapping[str, JsonValue] = field(default_factory=dict)
    path: Path = Path()

    def pinned(self) -> SuiteFile:
        """The suite with its rows at one commit, where they lie on the hub: what is read is what is named. `DataError` as for `read`."""
        if not isinstance(self.rows, HubDataset) or _COMMIT.fullmatch(self.rows.revision or ""):
            return self
        return replace(self, rows=replace(self.rows, revision=snapshot(self.rows, self._key_of_rows, HUB_ADVICE).commit))

    def read(self) -> list[SuiteRow]:
        """The questions of a suite with rows of its own; `DataError` where they cannot be read."""
        kind, rows = kind_of(self.kind), self.pinned().rows
        assert rows is not None
        if isinstance(rows, HubDataset):
            return hub_rows(rows, self._key_of_rows, kind)
        return read_rows(rows, kind) if isinstance(rows, Path) else inline_rows(rows, kind)

    @property
    def source(self) -> str:
        """Where rows from the hub come from, part and revision; empty for all others."""
        if not isinstance(self.rows, HubDataset):
            return ""
        parts = (self.rows.id, self.rows.name, self.rows.split, self.rows.revision and f"commit:{self.rows.revision}")
        return " ".join(part for part in parts if part)

    @property
    def _key_of_rows(self) -> str:
        return f"{self.path}: rows"

    def identity(self, folder: RunFolder) -> str:
        """The hash of what is asked and how it is judged."""
        fields = {name: _hash_of_file(Path(str(value)), folder) if name in FILE_FIELDS else value for name, value in self.fields.items()}
        return sha256_json(
            {
                "kind": self.kind,
                "rows": self._rows_identity(folder),
                "limit": self.limit,
                "seed": self.seed,
                "fields": fields,
                "max_new_tokens": self.max_new_tokens,
            }
        )

    def _rows_identity(self, folder: RunFolder) -> str:
        if self.kind in HARNESS:
            return f"lm-eval {package_versions(['lm_eval'])['lm_eval']}"
        if isinstance(self.rows, HubDataset):
            return self.pinned().source
        if isinstance(self.rows, Document):
            return sha256_json(self.rows.value["rows"])
        return _hash_of_file(folder.split("test") if self.rows is None else self.rows, folder)


def suite_files(section: EvaluateSection) -> list[SuiteFile]:
    """The suites that a run file asks for, in order; every problem of their entries and files in one `ConfigError`."""
    found, problems = read_entries(section.suites)
    if problems:
        raise ConfigError(problems)
    return found


def read_entries(entries: Sequence[str]) -> tuple[list[SuiteFile], list[Problem]]:
    """The suites of a run file's entries that can be read, and what is wrong with the others."""
    found: list[SuiteFile] = []
    problems: list[Problem] = []
    for index, entry in enumerate(entries):
        where = f"evaluate.suites[{index}]"
        try:
            suite = _suite_file(entry, where)
        except UserError as error:
            problems += error.problems
            continue
        if any(suite.name == other.name for other in found):
            problems.append(
                Problem("two suites have one name", where=where, found=suite.name, hint="change `name` in one: it names a folder")
            )
        found.append(suite)
    return found, problems


def read_suites(entries: Sequence[str]) -> tuple[list[tuple[SuiteFile, list[SuiteRow]]], list[Problem]]:
    """The suites of a run file's entries that can be read, each with its rows, and what is wrong with the others.

    Rows that lie on the hub, or are the run's own, are none yet: they are read when the run gets there, for checking needs no network.
    """
    found, problems = read_entries(entries)
    read: list[tuple[SuiteFile, list[SuiteRow]]] = []
    for suite in found:
        try:
            read.append((suite, [] if suite.rows is None or isinstance(suite.rows, HubDataset) else suite.read()))
        except UserError as error:
            problems += error.problems
    return read, problems


def suite_inputs(section: EvaluateSection, folder: RunFolder) -> dict[str, str]:
    """The hash of everything outside the run file that the questions come from: suite files, their rows, test and training rows."""
    inputs = {f"suite {suite.name}": suite.identity(folder) for suite in suite_files(section)}
    if BASE_SHOTS in section.against:
        inputs["shots"] = _hash_of_file(folder.split("train"), folder)
    return inputs


def load_suite(suite: SuiteFile, folder: RunFolder) -> Suite | str:
    """The questions of a suite, or the reason why it asks nothing; `DataError` where its rows cannot be read."""
    skipped: Mapping[str, int] = {}
    suite = suite.pinned()
    if suite.kind in HARNESS:
        return Suite(suite.name, suite.kind, (), suite.identity(folder), fields=suite.fields, limit=suite.limit)
    if suite.rows is None:
        path = folder.split("test")
        rows, skipped = stored_rows(path) if path.is_file() else ([], {})
        if not rows:
            return _why_empty(skipped)
    else:
        rows = suite.read()
    rows = sample(rows, suite.limit, suite.seed)
    identity = suite.identity(folder)
    asked = Suite(suite.name, suite.kind, tuple(rows), identity, dict(sorted(skipped.items())), suite.fields, suite.max_new_tokens)
    return replace(asked, source=suite.source)


def _why_empty(skipped: Mapping[str, int]) -> str:
    if not skipped:
        return "the run has no test rows: set `split.test` (a share of groups, so that few groups may leave none), or name a suite file"
    return "no test row asks for an answer (" + ", ".join(f"{count} {reason}" for reason, count in sorted(skipped.items())) + ")"


def _hash_of_file(path: Path, folder: RunFolder) -> str:
    return folder.hashes.sha256_tree(path) if path.exists() else "absent"


def _suite_file(entry: str, where: str) -> SuiteFile:
    if entry in BUILT_IN_SUITES:
        return read_suite_file(SUITES / entry / "suite.yaml")
    if not entry.endswith((".yaml", ".yml")):
        best = nearest(entry, BUILT_IN_SUITES)
        hint = f"did you mean `{best}`?" if best else f"a suite is a YAML file or one of {', '.join(BUILT_IN_SUITES)}"
        raise ConfigError(Problem("unknown suite", where=where, found=entry, hint=hint))
    return read_suite_file(Path(entry))


def read_suite_file(path: Path) -> SuiteFile:
    """The suite in the YAML file `path`; its files start at its folder. Every problem of the file in one `ConfigError`."""
    document = read(path)
    value = document.value
    problems = [_wrong(document, name, "a text is meant") for name in ("name", "kind") if not _is_text(value.get(name))]
    chosen = [name for name in kinds() if name == value.get("kind")]
    if not chosen and _is_text(value.get("kind")):
        problems.append(_wrong(document, "kind", f"known: {', '.join(kinds())}"))
    # Under a kind that is not known any kind's key may be meant.
    known = (*SUITE_KEYS, *dict.fromkeys(key for name in chosen or kinds() for key in kind_of(name).fields))
    problems += [_unknown(document, name, known) for name in value if name not in known]
    problems += _number_problems(document, known)
    problems += _rows_problems(document, path.parent)
    if _is_text(value.get("name")) and not _NAME.fullmatch(value["name"]):
        meant = "it names a folder: letters, digits and . _ + -, the first a letter or digit"
        problems.append(_wrong(document, "name", meant))
    problems += [
        Problem(f"`{name}` names a file that is not there", document.place((name,)).text(), found=str(value[name]))
        for name in FILE_FIELDS
        if name in known and value.get(name) is not None and not (path.parent / str(value[name])).exists()
    ]
    if problems:
        raise ConfigError(problems)
    return _suite_of(document, path, known)


def _rows_of(document: Document, folder: Path) -> Path | HubDataset | Document | None:
    value = document.value
    rows: JsonValue = value.get("rows")
    if not isinstance(rows, str):
        return None if rows is None else document
    if (folder / rows).is_file():
        return folder / rows
    return HubDataset(rows, value.get("subset"), value.get("split") or "test", value.get("revision"))


def _suite_of(document: Document, path: Path, known: Sequence[str]) -> SuiteFile:
    value = document.value
    fields = {name: value[name] for name in known if name not in SUITE_KEYS and value.get(name) is not None}
    return SuiteFile(
        name=value["name"],
        kind=value["kind"],
        rows=_rows_of(document, path.parent),
        limit=value.get("limit"),
        seed=value.get("seed") or 0,
        max_new_tokens=value.get("max_new_tokens"),
        fields={name: str(path.parent / str(item)) if name in FILE_FIELDS else item for name, item in fields.items()},
        path=path,
    )


def _number_problems(document: Document, known: Sequence[str]) -> list[Problem]:
    problems = []
    for name, most in (("temperature", 2.0), ("top_p", 1.0)):
        value = document.value.get(name)
        if name in known and value is not None and (type(value) not in (int, float) or not 0 <= value <= most):
            problems.append(_wrong(document, name, f"a number from 0 to {most:g} is meant"))
    samples = document.value.get("samples")
    if "samples" in known and samples is not None and (type(samples) is not int or not 1 <= samples <= MAX_SAMPLES):
        problems.append(_wrong(document, "samples", f"a whole number from 1 to {MAX_SAMPLES} is meant"))
    elif samples is not None and samples > 1 and document.value.get("temperature") == 0:
        problems.append(_wrong(document, "temperature", "above 0, for otherwise all samples of a row are the same"))
    if "seconds" in known and (wrong := wrong_seconds(document.value.get("seconds"))):
        problems.append(_wrong(document, "seconds", wrong))
    problems += _place_problems(document, known)
    for name, least in (("limit", 1), ("seed", 0), ("max_new_tokens", 1)):
        value = document.value.get(name)
        if value is not None and (type(value) is not int or value < least):
            problems.append(_wrong(document, name, f"a whole number of at least {least} is meant"))
    return problems


def _place_problems(document: Document, known: Sequence[str]) -> list[Problem]:
    """What is wrong with where the sandbox lays the tree, and where commands start in it."""
    mount, directory = (document.value.get(name) if name in known else None for name in ("mount", "directory"))
    problems = []
    if mount is not None and not (_is_text(mount) and can_mount(mount)):
        problems.append(_wrong(document, "mount", MOUNT))
    if directory is not None and not (_is_text(directory) and directory.startswith("/")):
        problems.append(_wrong(document, "directory", "an absolute path in the sandbox, such as /work/src"))
    return problems


def _rows_problems(document: Document, folder: Path) -> list[Problem]:
    rows = document.value.get("rows")
    if document.value.get("kind") in HARNESS:
        return _task_problems(document)
    if rows is None and "rows" not in document.value and document.value.get("kind") in OWN_ROWS:
        return []
    if isinstance(rows, list) and rows:
        return []
    if not isinstance(rows, str) or not rows.strip():
        return [_wrong(document, "rows", "a file's name, or the rows themselves as a list")]
    return _file_problems(document, folder, rows)


def _file_problems(document: Document, folder: Path, rows: str) -> list[Problem]:
    """What is wrong with the file, or the hub data set, that `rows` names."""
    file = folder / rows
    parts = [name for name in HUB_KEYS if document.value.get(name) is not None]
    if not file.is_file() and is_hub_id(rows) and not file.parent.is_dir():
        return [_wrong(document, name, "a text is meant") for name in parts if not _is_text(document.value[name])]
    if parts:
        return [_wrong(document, name, "nothing: it acts only on rows from the hub") for name in parts]
    if not file.is_file():
        best = nearest(file.name, [other.name for other in file.parent.iterdir()]) if file.parent.is_dir() else None
        hint = f"did you mean `{best}`?" if best else f"it is looked for in {file.parent}"
        return [Problem("`rows` names a file that is not there", document.place(("rows",)).text(), found=rows, hint=hint)]
    if not rows.endswith(ENDINGS) or document.place(("rows",)).file == str(file):
        return [_wrong(document, "rows", f"a file of rows is meant: {', '.join(ENDINGS)}")]
    return []


def _task_problems(document: Document) -> list[Problem]:
    """What is wrong with the keys of a suite of lm-eval's tasks."""
    problems = []
    if "rows" in document.value:
        problems.append(_wrong(document, "rows", "none: lm-eval's tasks bring their own rows"))
    tasks, shots = document.value.get("tasks"), document.value.get("num_fewshot")
    if not isinstance(tasks, list) or not tasks or not all(_is_text(task) for task in tasks):
        problems.append(_wrong(document, "tasks", "a list of names that lm-eval knows, as in [arc_easy, hellaswag]"))
    if shots is not None and (type(shots) is not int or shots < 0):
        problems.append(_wrong(document, "num_fewshot", "a whole number of at least 0 is meant"))
    return problems


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _unknown(document: Document, name: str, known: Sequence[str]) -> Problem:
    best = nearest(name, known)
    hint = f"did you mean `{best}`?" if best else f"known: {', '.join(known)}"
    return Problem(f"unknown key `{name}`", where=document.place((name,)).text(), hint=hint)


def _wrong(document: Document, name: str, expected: str) -> Problem:
    place = document.place((name,)).text()
    if name not in document.value:
        hint = f"a suite file has name, kind and rows; it may have {', '.join(SUITE_KEYS[3:])}"
        return Problem(f"the key `{name}` is missing", where=place, hint=hint)
    return Problem(f"`{name}` has a wrong value", where=place, found=str(document.value[name])[:120], expected=expected)
