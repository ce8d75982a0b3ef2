"""What a run file that was sent may name: files in the folders that the server may read, repositories of the hosts that it may fetch from.

The server's own state is never a source; of it, only runs may be named, where a model, a split or rows of one are meant.
A run file can name any file, program and address. Whoever may ask the server may not thereby ask for all of them: the table below says of
every key that holds text what becomes of it, and a key that is in no row is a test that fails.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.config import yaml_file
from luthier.config.load import MAX_EXTENDS, read_named
from luthier.config.names import dotted
from luthier.config.overrides import Overrides
from luthier.config.paths import STARTER, is_hub_id, is_url
from luthier.config.yaml_file import Document, KeyPath, items_of
from luthier.core.errors import DataError, Problem
from luthier.core.state_folder import is_state_folder
from luthier.serve.jobs.sending import sending_keys
from luthier.serve.state.permitted import Permitted, at_home, is_below
from luthier.serve.state.root import ServeRoot

# Files and folders by key; `*` stands for a place in a list. What is a hub's id, or the name of something built in, is no path.
PATHS = ("base_model", "tokenizer_config", "lora_model_dir", "split.keep", "clean.decontaminate", "chat_template_jinja", "deepspeed")
ENTRY_PATHS = ("path", "chat_template_jinja")
SOURCE_PATHS = ("docs", "schemas", "tldr")
# Files that say in their turn what is read and run.
STEERING = ("evaluate.suites", "guard.rules")
# What runs a program, beside what sends data elsewhere (`sending.py`): the owner of the server names it, in the served run file or another.
OWNERS = ("axolotl.python",)
_PATTERN = re.compile(r"[*?\[]")
_SUITE_ENDINGS = (".yaml", ".yml")
# Readers of these keys follow no link in a folder; others do, and each link has to lead to where may be read.
_WITHOUT_LINKS = ("repo", "docs", "schemas")
_MOST_NAMES = 200_000


@dataclass(frozen=True)
class Allowed:
    """What is `permitted` may be read, and of the state below `root` its runs. What `served` says may be said again of the same key."""

    root: ServeRoot
    permitted: Permitted
    served: Document

    def steering_problem(self, path: Path, where: str) -> Problem | None:
        """Why a file that steers a run may not be read: it lies elsewhere, or was taken in or sent and may change at any time."""
        if self._is_owners(path) or self._is_served(path) or is_below(path, self.root.run_files):
            return None
        return self._outside(where, str(path))

    def chain_problems(self, path: Path, text: str) -> list[Problem]:
        """Why files that `text`, the run file `path`, extends may not be read; none of these is read."""
        problems: list[Problem] = []
        left, seen = [(path, text)], {path}
        while left and len(seen) <= MAX_EXTENDS:
            path, text = left.pop()
            document = yaml_file.parse(text, str(path))
            for index, name in enumerate(items_of(document.value.get("extends"))):
                base = Path(path.parent, str(name))
                problem = self.steering_problem(base, document.place(("extends", index)).text())
                if problem is not None:
                    problems.append(problem)
                elif base not in seen and base.is_file():
                    seen.add(base)
                    left.append((base, yaml_file.read_text(base)))
        return problems

    def refusals(self, path: Path, text: str, overrides: Overrides) -> list[Problem]:
        """All that `text`, the run file `path`, may not extend or name with `overrides`; only files that may be are read."""
        return self.chain_problems(path, text) or self.problems(read_named(path, text, overrides))

    def problems(self, document: Document) -> list[Problem]:
        """What the run file names that may not be read, fetched, run or sent to; keys have Luthier's names, and nothing was read."""
        value = document.value
        found = [self._path_problem(document, path, text) for path, text in _named(value)]
        found += [self._steered(document, path, text) for path, text in _steering(value)]
        found += [self._against(document, path, text) for path, text in _rivals(value)]
        for index, entry in enumerate(_mappings(value.get("sources"))):
            found += self._source(document, ("sources", index), entry)
        for key in OWNERS:
            path: KeyPath = tuple(key.split("."))
            text = _at(value, path)
            if isinstance(text, str) and text and not self._is_said(path, text):
                found.append(self._owners_alone(document, path, text))
        found += [self._owners_alone(document, (key,), value[key]) for key in sending_keys(document, self.served.value)]
        endpoints = value.get("endpoints")
        for name, endpoint in endpoints.items() if isinstance(endpoints, dict) else ():
            found.append(self._endpoint(document, str(name), endpoint))
        return [problem for problem in found if problem is not None]

    def _owners_alone(self, document: Document, path: KeyPath, found: Any) -> Problem | None:
        if self._is_owners_word(document, path):
            return None
        hint = "it stands in the run file that is served, or in one that lies in `serve.allow.folders`"
        return document.problem(path, f"`{dotted(path)}` is for the owner of the server to name", hint, found)

    @property
    def own_repositories(self) -> tuple[str, ...]:
        """The URLs of repositories that the owner of the server wrote into the served run file: they are fetched as the owner would."""
        named = (entry.get("repo") for entry in _mappings(self.served.value.get("sources")))
        return tuple(repo for repo in named if isinstance(repo, str) and is_url(repo))

    def _is_said(self, path: KeyPath, text: str) -> bool:
        """Whether the served run file, which the owner of the server wrote, says this of the same key, wherever in its lists."""
        value = self.served.value
        named = ((_key(at), said) for at, said in (*_named(value), *_rivals(value)))
        return (_key(path), text) in {*_said(value), *named}

    def _path_problem(self, document: Document, path: KeyPath, text: str) -> Problem | None:
        if self._is_said(path, text):
            return None
        where, name = document.place(path).text(), dotted(path)
        if _PATTERN.search(text) and ".." in Path(text).parts:
            return Problem(f"`{name}` is a pattern that goes up", where=where, found=text[:200], hint="write it without `..`")
        # A name with signs of a pattern may also be that of a file.
        fixed, whole = _fixed(text), _fixed(text, with_patterns=True)
        may = self._is_owners if path[0] == "sources" else self._is_readable
        if not (may(fixed) and may(whole)):
            return self._outside(where, text, name)
        leading = None if path[-1] in _WITHOUT_LINKS else self._link_out(whole)
        if leading is None:
            return None
        return Problem(f"`{name}`: {leading}", where=where, found=text[:200], hint="leave it out, or name what is meant itself")

    def _link_out(self, folder: Path) -> str | None:
        """What is wrong with the links in a folder, of what is not hidden; a run's are the server's own."""
        if not folder.is_dir() or not self._is_owners(folder):
            return None
        count = 0
        for here, inner, names in os.walk(folder):
            inner[:] = [name for name in inner if not name.startswith(".") and not is_state_folder(Path(here, name))]
            for name in (*inner, *names):
                path = Path(here, name)
                if not name.startswith(".") and path.is_symlink() and not self._is_readable(path):
                    return f"the link {path} in it leads to where may not be read"
            count += len(inner) + len(names)
            if count > _MOST_NAMES:
                return f"there are more than {_MOST_NAMES:,} files in it, too many to look at for where links lead"
        return None

    def _steered(self, document: Document, path: KeyPath, text: str) -> Problem | None:
        # A suite without the ending of a file is one that is built in; rules are a file whatever its name.
        if path[0] == "evaluate" and not text.endswith(_SUITE_ENDINGS):
            return None
        # Such a file starts at the one that names it; in the served run file, which was resolved, here.
        place = document.place(path).file
        file = (Path() if place.startswith("--set") else Path(place).parent) / text
        if any(_key(other) == _key(path) and _is_same(file, Path(said)) for other, said in _steering(self.served.value)):
            return None
        problem = self.steering_problem(file, document.place(path).text())
        return problem and self._outside(problem.where, text, dotted(path))

    def _against(self, document: Document, path: KeyPath, text: str) -> Problem | None:
        return None if "/" not in text and not text.startswith("~") else self._path_problem(document, path, text)

    def _source(self, document: Document, path: KeyPath, entry: Mapping[str, Any]) -> Iterator[Problem]:
        repo = entry.get("repo")
        if isinstance(repo, str) and not self._is_said((*path, "repo"), repo):
            if not is_url(repo):
                if (problem := self._path_problem(document, (*path, "repo"), repo)) is not None:
                    yield problem
            elif (why := self._why_not_fetched(repo)) is not None:
                what = f"repositories are fetched by https from the hosts of `serve.allow.hosts` alone: {why.what}"
                yield document.problem((*path, "repo"), what, hint=f"they are {', '.join(self.permitted.hosts)}", found=why.found)
        if entry.get("allow_protocols") and not self._is_owners_word(document, (*path, "allow_protocols")):
            yield document.problem((*path, "allow_protocols"), "`allow_protocols` is the owner's of the server alone; leave it out")
        for key in ("tools", "help"):
            if entry.get(key) is not None and not self._is_owners_word(document, (*path, key)):
                what = f"`{key}` is the owner's of the server alone: programs of this machine are looked at, and run for their `--help`"
                hint = "it stands in the run file that is served, or in one that lies in `serve.allow.folders`"
                yield document.problem((*path, key), what, hint, found=str(entry[key])[:200])

    def _endpoint(self, document: Document, name: str, endpoint: Any) -> Problem | None:
        path: KeyPath = ("endpoints", name)
        ours = self.served.value.get("endpoints")
        known = [_address(other) for other in ours.values()] if isinstance(ours, dict) else []
        if _address(endpoint) in known or all(self._is_owners_word(document, (*path, key)) for key in ("base_url", "api_key_env")):
            return None
        what = (
            "an endpoint gets rows, and the key that it names: it is one of the run file that is served, or stands in a file of its owner"
        )
        return document.problem(path, what, hint="name it in the run file that the server is started with", found=name)

    def _why_not_fetched(self, url: str) -> Problem | None:
        try:
            self.permitted.repository(url)
        except DataError as error:
            return error.problems[0]
        return None

    def _is_owners_word(self, document: Document, path: KeyPath) -> bool:
        place = document.place(path)
        return place.line > 0 and (self._is_owners(Path(place.file)) or self._is_served(Path(place.file)))

    def _is_served(self, path: Path) -> bool:
        """Whether a file is the served run file, or one that it extends."""
        return any(place.line > 0 and _is_same(path, Path(place.file)) for place in self.served.places.values())

    def _is_owners(self, path: Path) -> bool:
        return self.permitted.is_open(path)

    def _is_readable(self, path: Path) -> bool:
        return self._is_owners(path) or is_below(path, self.root.runs)

    def _outside(self, where: str, text: str, key: str = "") -> Problem:
        what = f"`{key}` names a file or folder that may not be read here" if key else "this run file may not be read here"
        hint = "files lie in one of `serve.allow.folders`, and models and rows also in runs of the server"
        return Problem(what, where=where, found=text[:200], hint=hint)


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path == other or (path.name == other.name and path.resolve() == other.resolve())
    except (OSError, ValueError, RuntimeError):
        return False


def _key(path: KeyPath) -> tuple[str, ...]:
    """The key of a path, whatever the places in its lists; one text alone is a list of one."""
    return tuple(part for part in path if isinstance(part, str))


def _fixed(text: str, with_patterns: bool = False) -> Path:
    """A path, up to its first part with a pattern or all of it; from the home folder where it begins with `~`."""
    parts = []
    for part in Path(text).parts:
        if not with_patterns and _PATTERN.search(part):
            break
        parts.append(part)
    return at_home(str(Path(*parts)))


def _named(value: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Every path of the document that is none of a hub and none that is built in, by its key."""
    found: list[tuple[KeyPath, str]] = []
    for key in PATHS:
        path: KeyPath = tuple(key.split("."))
        found += [(path, text) for text in _listed(_at(value, path))]
    for name in ("datasets", "test_datasets"):
        for index, entry in enumerate(_mappings(value.get(name))):
            found += [((name, index, key), text) for key in ENTRY_PATHS for text in _listed(entry.get(key))]
            home = str(entry.get("path"))
            if not is_hub_id(home):
                found += [((name, index, "data_files"), str(Path(home, text))) for text in _listed(entry.get("data_files"))]
    for index, entry in enumerate(_mappings(value.get("sources"))):
        found += [(("sources", index, key), text) for key in SOURCE_PATHS for text in _listed(entry.get(key))]
    yield from ((path, text) for path, text in found if not _is_no_path(str(path[-1]), text))


def _is_no_path(key: str, text: str) -> bool:
    if key == "chat_template_jinja":
        return "\n" in text or "{" in text
    if key in ("base_model", "tokenizer_config"):
        return text == STARTER or is_hub_id(text) or ("/" not in text and not text.startswith("~") and not Path(text).exists())
    return key == "path" and is_hub_id(text)


def _steering(value: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    for key in STEERING:
        path: KeyPath = tuple(key.split("."))
        for index, text in enumerate(items_of(_at(value, path))):
            if isinstance(text, str):
                yield (*path, index), text


def _rivals(value: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    listed = _at(value, ("evaluate", "against"))
    for index, entry in enumerate(listed if isinstance(listed, list) else [listed]):
        for text in [entry] if isinstance(entry, str) else entry.values() if isinstance(entry, dict) else ():
            if isinstance(text, str):
                yield ("evaluate", "against", index), text


def _at(value: Any, path: KeyPath) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _listed(value: Any) -> Iterator[str]:
    yield from (item for item in ([value] if isinstance(value, str) else value if isinstance(value, list) else []) if isinstance(item, str))


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    """The entries of a list in their order, an empty mapping for what is none."""
    return [entry if isinstance(entry, dict) else {} for entry in value] if isinstance(value, list) else []


def _said(value: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """The texts of a run file, each with its key."""
    if isinstance(value, str):
        yield key, value
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield from _said(inner, (*key, str(name)))
    for inner in value if isinstance(value, list) else ():
        yield from _said(inner, key)


def _address(endpoint: Any) -> tuple[Any, Any]:
    return (endpoint.get("base_url"), endpoint.get("api_key_env")) if isinstance(endpoint, dict) else (None, None)
