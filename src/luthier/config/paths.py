"""Files that a run file names: whether they are there and every key beside them acts, before anything is started."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from luthier.config.load import LoadedRun
from luthier.config.names import dotted, nearest
from luthier.config.schema import DatasetEntry
from luthier.config.yaml_file import KeyPath
from luthier.core.errors import Problem

STARTER = "starter"
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")
_FILE_ENDING = re.compile(r"\.(?:jsonl?|csv|parquet|txt|yaml|yml|gz)$", re.IGNORECASE)


def is_hub_id(name: str) -> bool:
    """Whether `name` can be an id on a model or data hub: `owner/name`, no path, no file ending."""
    return bool(_HUB_ID.match(name)) and not _FILE_ENDING.search(name) and not Path(name).exists()


def file_problems(loaded: LoadedRun) -> list[Problem]:
    """A problem for every file or folder that the run file names and that is not there, and for keys that act on other kinds of path."""
    config = loaded.config
    problems = [_missing_model(loaded, ("base_model",), config.base_model)]
    if config.tokenizer_config is not None:
        problems.append(_missing_model(loaded, ("tokenizer_config",), config.tokenizer_config))
    for name in ("datasets", "test_datasets"):
        for index, entry in enumerate(getattr(config, name)):
            if Path(entry.path).exists():
                problems += _idle_keys(loaded, (name, index), entry)
            elif not is_hub_id(entry.path):
                problems.append(_missing(loaded, (name, index, "path"), entry.path))
    for index, suite in enumerate(config.evaluate.suites):
        if suite.endswith((".yaml", ".yml")) and not Path(suite).is_file():
            problems.append(_missing(loaded, ("evaluate", "suites", index), suite))
    return [problem for problem in problems if problem is not None]


def _idle_keys(loaded: LoadedRun, path: KeyPath, entry: DatasetEntry) -> Iterator[Problem]:
    """Written keys that would be ignored because the entry's path is a local one."""
    acts_on = {"name": "hub data sets", "revision": "hub data sets"}
    if not Path(entry.path).is_dir():
        acts_on["data_files"] = "folders and hub data sets"
    for name, what in acts_on.items():
        if getattr(entry, name) is not None:
            where = loaded.document.place((*path, name)).text()
            yield Problem(f"`{name}` acts only on {what}", where=where, found=entry.path, hint="leave it out, or name the file to read")
    # A local file has one split, which `datasets` calls `train`.
    if entry.split not in (None, "train"):
        where = loaded.document.place((*path, "split")).text()
        hint = "name the file to read, or leave `split` out"
        yield Problem(f"`split: {entry.split}` of a local file or folder is not in this version yet", where=where, hint=hint)


def _missing_model(loaded: LoadedRun, path: KeyPath, name: str) -> Problem | None:
    if name == STARTER or Path(name).is_dir() or is_hub_id(name):
        return None
    looks_like_path = name.startswith((".", "/", "~")) or name.count("/") > 1
    if not looks_like_path and nearest(name, [STARTER]) is None:
        return None  # A hub id without an owner, as the oldest models have.
    problem = _missing(loaded, path, name)
    return problem if looks_like_path else Problem(problem.what, problem.where, problem.found, hint=f"did you mean `{STARTER}`?")


def _missing(loaded: LoadedRun, path: KeyPath, name: str) -> Problem:
    file = Path(name)
    best = nearest(file.name, [other.name for other in file.parent.iterdir()]) if file.parent.is_dir() else None
    hint = f"did you mean `{file.parent / best}`?" if best else f"paths start at the working directory, {Path.cwd()}"
    return Problem(f"`{dotted(path)}` names a file that is not there", where=loaded.document.place(path).text(), found=name, hint=hint)
