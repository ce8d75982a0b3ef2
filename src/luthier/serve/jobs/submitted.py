"""A run that was asked for, as a job: its run file read, checked and held to what may be named before anything is queued."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from luthier.config import yaml_file
from luthier.config.load import LoadedRun, load, load_text
from luthier.config.paths import file_problems
from luthier.config.serve_section import ServeAllow
from luthier.config.yaml_file import Document
from luthier.core.errors import ConfigError, Problem
from luthier.core.files import sha256_json, write_text
from luthier.core.records import JsonValue
from luthier.core.runs import RunFolder
from luthier.core.text import is_unicode
from luthier.serve.jobs.allowed import Allowed
from luthier.serve.jobs.check_again import rule_of
from luthier.serve.jobs.records import NewJob
from luthier.serve.jobs.rule_file import JobRule
from luthier.serve.state.permitted import Permitted
from luthier.serve.state.root import ServeRoot
from luthier.serve.state.runs import KnownRuns, short_name

_KEY = re.compile(r"[A-Za-z_]\w*(?:(?:\.\w+)|(?:\[\d+\]))*")
# A system takes words of a command up to a length; Linux one of 128 KiB.
_MOST_WORD_BYTES = 100_000
# Where a run goes is for the server to say.
_WITHHELD = ("output_dir", "extends", "run_name")


class UnknownRunError(ConfigError):
    """There is no run of that name."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A run file by its place or its text, or the served one; its name and values of keys (`evaluate.shots`) that differ from it."""

    run_file: str | None = None
    text: str | None = None
    run_name: str | None = None
    overrides: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def changes_nothing(self) -> bool:
        """Whether the run file is to be run as it is."""
        return self.run_name is None and not self.overrides


@dataclass(frozen=True, slots=True)
class Checked:
    """A run that may be begun: resolved, with the place that its file has or would get, and what is set in it on the command line.

    `environment` tells who works on it from where repositories may be fetched.
    """

    loaded: LoadedRun
    path: Path
    overrides: tuple[str, ...]
    environment: Mapping[str, str]


class Submissions:
    """What becomes of run files that are sent. `served` is the run that the server was started for, with the `overrides` it had.

    `taken` are names that models have already: a run that was called so could not be asked by it.
    """

    def __init__(
        self, root: ServeRoot, allow: ServeAllow, served: LoadedRun | None, overrides: Sequence[str] = (), taken: Collection[str] = ()
    ) -> None:
        self._root, self._served, self._overrides, self._taken = root, served, tuple(overrides), frozenset(taken)
        document = served.document if served is not None else Document({})
        self.allowed = Allowed(root, Permitted.by(root.path, allow), document)

    def keep_rule(self) -> None:
        """Writes down what runs may name, for their jobs: each is held to it again when it begins."""
        self._rule.write(self._root)

    @property
    def _rule(self) -> JobRule:
        return rule_of(self.allowed, None if self._served is None else self._served.existing_folder)

    def run(self, asked: Asked) -> NewJob:
        """The whole run as a job; `ConfigError` with what is wrong, each with its file and line or its key."""
        return self._job("train", "run", asked)

    def data(self, asked: Asked) -> NewJob:
        """Its data stage alone, for which the run file may lack what training needs."""
        return self._job("data", "data", asked)

    def again(self, kind: Literal["evaluate", "export"], name: str) -> NewJob:
        """The evaluation or the export of a trained run by its name."""
        folder = self.find_run(name)
        if not folder.is_trained:
            what = f"the run {folder.path.name} has no trained model yet"
            raise ConfigError(Problem(what, where="run", hint="train it first: POST /fine-tune/start"))
        return NewJob(kind, f"{kind} {folder.path.name}", ("-m", "luthier", kind, str(folder.path), "--json"), str(folder.path))

    @property
    def places(self) -> tuple[Path, ...]:
        """The folders in which run folders lie."""
        return self._root.places_of_runs(None if self._served is None else self._served.folder.parent)

    def find_run(self, name: str) -> RunFolder:
        """The run called `name`, by its folder or, where one alone is called so, without the hash; `ConfigError` where there is none."""
        runs = KnownRuns.of(self.places)
        found = runs.called(name)
        if len(found) == 1:
            return found[0]
        known = ", ".join(run.path.name for run in found or runs.all()[-20:])
        hint = f"there are {known}" if known else "none was started yet"
        if found:
            raise ConfigError(Problem("several runs are called so", where="run", found=name[:200], hint=hint))
        raise UnknownRunError(Problem("there is no such run", where="run", found=name[:200], hint=hint))

    def checked(self, asked: Asked, for_data: bool = False) -> Checked:
        """The run, of which nothing is queued or written; `ConfigError` as `run` and `data` raise it."""
        _refuse_wrong_keys(asked)
        if asked.run_file is not None:
            path = Path(asked.run_file)
            if (problem := self.allowed.steering_problem(path, "run_file")) is not None:
                raise ConfigError(problem)
            loaded, overrides = self._checked(path, None, self._own(asked), for_data)
        elif asked.text is not None:
            name = re.sub(r"[^A-Za-z0-9._-]+", "-", asked.run_name or "run")
            path = self._root.run_files / f"{name}-{sha256_json([asked.text])[:8]}.yaml"
            try:
                loaded, overrides = self._checked(path, asked.text, self._own(asked), for_data)
            except ConfigError as error:
                # Who sent a text knows nothing of the file that it would become.
                raise ConfigError([in_text(problem, path) for problem in error.problems]) from error
        else:
            path, overrides = self._of_served(asked)
            loaded, overrides = self._checked(path, None, overrides, for_data)
        self._refuse_taken_name(loaded)
        return Checked(loaded, path, overrides, self._rule.environment())

    def _job(self, kind: Literal["train", "data"], verb: str, asked: Asked) -> NewJob:
        found = self.checked(asked, kind == "data")
        words = [word for override in found.overrides for word in ("--set", override)]
        if sum(len(word.encode("utf-8", "replace")) for word in words) > _MOST_WORD_BYTES:
            hint = "write them into the run file, and send it as `text`"
            raise ConfigError(Problem(f"values of keys take {_MOST_WORD_BYTES:,} bytes at most", "overrides", hint=hint))
        if asked.text is not None:
            write_text(found.path, asked.text)
        command = ("-m", "luthier", verb, str(found.path), *words, "--json")
        return NewJob(kind, f"{verb} {found.loaded.name}", command, str(found.loaded.folder))

    def _refuse_taken_name(self, loaded: LoadedRun) -> None:
        """`ConfigError` where nobody could ask for the run by its name."""
        if loaded.existing_folder is not None:
            return
        name = short_name(loaded.folder)
        what = "" if name.strip(".") else "a name of a run is more than dots"
        if name in self._taken:
            what = "a model is called so already"
        if what:
            raise ConfigError(Problem(what, where="run_name", found=name, hint="give the run another `run_name`"))

    def _own(self, asked: Asked) -> tuple[str, ...]:
        """What is set for a run that was sent: its keys, its name, and its place below the server's own runs."""
        values: dict[str, JsonValue] = dict(asked.overrides)
        if asked.run_name is not None:
            values["run_name"] = asked.run_name
        values["output_dir"] = str(self._root.runs)
        return _settings(values)

    def _of_served(self, asked: Asked) -> tuple[Path, tuple[str, ...]]:
        """The served run file and what is set in it."""
        served = self._served
        if served is None:
            hint = "send `run_file` or `text`, or start the server with a run: luthier serve RUN.yaml"
            raise ConfigError(Problem("no run is served whose file could be taken", where="run_file", hint=hint))
        if asked.changes_nothing:
            return (served.path, self._overrides) if served.existing_folder is None else (served.existing_folder, ())
        if served.existing_folder is None:
            return served.path, (*self._overrides, *self._own(asked))
        # In the resolved file of a run folder all paths start at the working directory, as they do where they are set.
        lists = {"evaluate.suites": list(served.config.evaluate.suites), "guard.rules": list(served.config.guard.rules)}
        kept = {"run_name": short_name(served.existing_folder), **{name: value for name, value in lists.items() if value}}
        return served.path, (*_settings(kept), *self._own(asked))

    def _checked(self, path: Path, text: str | None, overrides: tuple[str, ...], for_data: bool) -> tuple[LoadedRun, tuple[str, ...]]:
        """The resolved run; nothing that the file names is read before it is known that it may be."""
        is_written = text is None
        if self._served is not None and path == self._served.existing_folder:
            return load(path), ()
        text = yaml_file.read_text(path) if text is None else text
        if problems := self.allowed.refusals(path, text, overrides):
            raise ConfigError(problems)
        loaded = load(path, overrides, for_data=for_data) if is_written else load_text(text, path, overrides, for_data)
        if problems := file_problems(loaded.document):
            raise ConfigError(problems)
        return loaded, overrides


def _settings(values: Mapping[str, JsonValue]) -> tuple[str, ...]:
    return tuple(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items())


def in_text(problem: Problem, path: Path) -> Problem:
    """A problem in the file `path` as one of the text that it was sent as."""
    file, colon, line = problem.where.partition(":")
    return replace(problem, where=f"text{colon}{line}") if file == str(path) else problem


def _refuse_wrong_keys(asked: Asked) -> None:
    problems = []
    if asked.run_file is not None and asked.text is not None:
        problems.append(Problem("a run file is named or sent, not both", where="text", hint="leave out `run_file` or `text`"))
    if asked.text is not None and not is_unicode(asked.text):
        problems.append(Problem("the text holds half of a character, which no file can hold", where="text"))
    for name in asked.overrides:
        if not _KEY.fullmatch(name):
            problems.append(Problem("this is no key", where="overrides", found=name[:100], hint="for example `evaluate.shots`"))
        elif name in _WITHHELD:
            hint = "it has a field of its own" if name == "run_name" else "leave it out"
            problems.append(Problem(f"`{name}` is not set here", where=f"overrides.{name}", hint=hint))
    if problems:
        raise ConfigError(problems)
