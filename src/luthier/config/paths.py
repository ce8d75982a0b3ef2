"""Files that a run file names: whether they are there and every key beside them acts, before anything is started."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from luthier.config.adapter_folder import CONFIG, read_config
from luthier.config.names import dotted
from luthier.config.yaml_file import Document, KeyPath
from luthier.core.candidates import PARSER
from luthier.core.errors import Problem
from luthier.core.nearness import nearest

STARTER = "starter"
_FOLDER, _EITHER = "a folder", "a file or folder"
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")
_URL = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.-]*://|ext::|[\w.-]+@[\w.-]+:)")
_PATTERN = re.compile(r"[*?\[]")
_FILE_ENDING = re.compile(r"\.(?:jsonl?|csv|parquet|txt|yaml|yml|gz)$", re.IGNORECASE)


def is_hub_id(name: str) -> bool:
    """Whether `name` can be an id on a model or data hub: `owner/name`, no path, no file ending."""
    return bool(_HUB_ID.match(name)) and not _FILE_ENDING.search(name) and not _is_there(name, Path.exists)


def file_problems(document: Document) -> list[Problem]:
    """A problem for every file or folder that the run file names and that is not there, and for keys that act on other kinds of path."""
    value = document.value
    problems: list[Problem | None] = [*missing_base(document)]
    problems.append(_missing_model(document, ("tokenizer_config",), value.get("tokenizer_config")))
    problems += idle_revision(document)
    problems += _adapter_problems(document)
    for name in ("datasets", "test_datasets"):
        entries = value.get(name)
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            if isinstance(entry, dict) and isinstance(entry.get("path"), str):
                problems += _entry_problems(document, (name, index), entry)
    problems += _source_problems(document)
    section = value.get("evaluate")
    suites = section.get("suites") if isinstance(section, dict) else None
    for index, suite in enumerate(suites if isinstance(suites, list) else []):
        if isinstance(suite, str) and suite.endswith((".yaml", ".yml")) and not _is_there(suite, Path.is_file):
            problems.append(_missing(document, ("evaluate", "suites", index), suite))
    against = section.get("against") if isinstance(section, dict) else None
    for index, entry in enumerate(against if isinstance(against, list) else []):
        problems += _against_problems(document, ("evaluate", "against", index), entry)
    return [problem for problem in problems if problem is not None]


def missing_base(document: Document) -> list[Problem]:
    """A problem where the base model is written as a path that leads to no folder."""
    problem = _missing_model(document, ("base_model",), document.value.get("base_model"))
    return [] if problem is None else [problem]


def _adapter_problems(document: Document) -> Iterator[Problem]:
    """An adapter to go on with that is not there, or cannot be read."""
    folder = document.value.get("lora_model_dir")
    if isinstance(folder, str) and folder and read_config(folder) is None:
        where = document.place(("lora_model_dir",)).text()
        hint = f"a folder on this machine is meant, such as `RUN/adapter`, with {CONFIG} and adapter_model.safetensors"
        yield Problem("there is no adapter to go on with here", where=where, found=folder[:200], hint=hint)


def _source_problems(document: Document) -> Iterator[Problem]:
    """Files and folders of `sources`, of cleaning and of an earlier division that are not there."""
    entries = document.value.get("sources")
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        if not isinstance(entry, dict):
            continue
        path: KeyPath = ("sources", index)
        repo = entry.get("repo")
        if isinstance(repo, str) and not is_url(repo) and not _is_there(repo, Path.is_dir):
            yield _missing(document, (*path, "repo"), repo, _FOLDER)
        for name in ("docs", "schemas"):
            for number, file in _listed(entry.get(name)):
                if not _is_there(file, Path.exists) and not _PATTERN.search(file):
                    yield _missing(document, (*path, name, number), file, _EITHER)
        tldr = entry.get("tldr")
        if isinstance(tldr, str) and not _is_there(tldr, Path.is_dir):
            yield _missing(document, (*path, "tldr"), tldr, _FOLDER)
    clean, split = document.value.get("clean"), document.value.get("split")
    for number, file in _listed(clean.get("decontaminate") if isinstance(clean, dict) else None):
        if not _is_there(file, Path.is_file):
            yield _missing(document, ("clean", "decontaminate", number), file)
    keep = split.get("keep") if isinstance(split, dict) else None
    if isinstance(keep, str) and not _is_there(f"{keep}/data/train.jsonl", Path.is_file):
        hint = "a run folder with `data/train.jsonl` is meant; `luthier runs list` names them"
        yield Problem("this is no run folder with rows", where=document.place(("split", "keep")).text(), found=keep[:200], hint=hint)


def is_url(repo: str) -> bool:
    """Whether a repository is named by a URL, or in the short form of ssh (`git@host:path`), and not by a folder."""
    return bool(_URL.match(repo))


def _listed(value: Any) -> Iterator[tuple[int, str]]:
    for number, item in enumerate([value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []):
        if isinstance(item, str):
            yield number, item


def _against_problems(document: Document, path: KeyPath, entry: Any) -> Iterator[Problem]:
    """An earlier run or a file of predictions that is not there."""
    run = entry.get("run") if isinstance(entry, dict) else entry if isinstance(entry, str) and "/" in entry else None
    if isinstance(run, str) and not _is_there(f"{run.removesuffix(PARSER)}/resolved.yaml", Path.is_file):
        hint = "a run folder holds `resolved.yaml`; `luthier runs list` names them"
        yield Problem("this is no run folder", where=document.place(path).text(), found=run[:200], hint=hint)
    predictions = entry.get("predictions") if isinstance(entry, dict) else None
    if isinstance(predictions, str) and not _is_there(predictions, Path.is_file):
        yield _missing(document, (*path, "predictions"), predictions)


def idle_revision(document: Document) -> Iterator[Problem]:
    """`revision_of_model` beside a base that is no hub's."""
    base = document.value.get("base_model")
    if document.value.get("revision_of_model") is not None and isinstance(base, str) and (base == STARTER or _is_there(base, _is_model)):
        where = document.place(("revision_of_model",)).text()
        yield Problem("`revision_of_model` acts only on hub models", where=where, found=base, hint="leave it out")


def _is_there(name: str, of: Callable[[Path], bool]) -> bool:
    """Whether `of` says so of the path; False where the system knows no such path, as where a name is too long."""
    try:
        return of(Path(name))
    except (OSError, ValueError, RuntimeError):  # The last where `~` names no user.
        return False


def _is_model(path: Path) -> bool:
    """Whether there is a folder, as a model is looked for: from the home folder where the path begins with `~`."""
    return path.expanduser().is_dir()


def _entry_problems(document: Document, path: KeyPath, entry: dict[str, Any]) -> Iterator[Problem]:
    """A path that leads nowhere, or written keys that would be ignored because it is a local one."""
    source = entry["path"]
    if not _is_there(source, Path.exists):
        if not is_hub_id(source):
            yield _missing(document, (*path, "path"), source, _EITHER)
        return
    if not Path(source).is_file() and not Path(source).is_dir():
        yield Problem("the path is neither a file nor a folder", where=document.place((*path, "path")).text(), found=source)
        return
    acts_on = {"name": "hub data sets", "revision": "hub data sets"}
    if not Path(source).is_dir():
        acts_on["data_files"] = "folders and hub data sets"
    for name, what in acts_on.items():
        if entry.get(name) is not None:
            where = document.place((*path, name)).text()
            yield Problem(f"`{name}` acts only on {what}", where=where, found=source, hint="leave it out, or name the file to read")
    # A local file has one split, which `datasets` calls `train`.
    if entry.get("split") not in (None, "train"):
        where = document.place((*path, "split")).text()
        hint = "name the file to read, or leave `split` out"
        yield Problem(f"`split: {entry['split']}` of a local file or folder is not in this version yet", where=where, hint=hint)


def _missing_model(document: Document, path: KeyPath, name: Any) -> Problem | None:
    if not isinstance(name, str) or name == STARTER or _is_there(name, _is_model) or is_hub_id(name):
        return None
    looks_like_path = name.startswith((".", "/", "~")) or name.count("/") > 1
    if not looks_like_path and nearest(name, [STARTER]) is None:
        return None  # A hub id without an owner, as the oldest models have.
    problem = _missing(document, path, name, _FOLDER)
    return problem if looks_like_path else Problem(problem.what, problem.where, problem.found, hint=f"did you mean `{STARTER}`?")


def _missing(document: Document, path: KeyPath, name: str, what: str = "a file") -> Problem:
    file = Path(name)
    others = [other.name for other in file.parent.iterdir() if other.name != file.name] if _is_there(str(file.parent), Path.is_dir) else []
    best = nearest(file.name, others)
    hint = f"did you mean `{file.parent / best}`?" if best else f"paths start at the working directory, {Path.cwd()}"
    return Problem(f"`{dotted(path)}` names {what} that is not there", where=document.place(path).text(), found=name[:200], hint=hint)
