"""Which models there are to be asked, by name: the base, runs and their merged models, other models of this machine, remote ones."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from luthier.config.load import ASKING_KEYS, LoadedRun, load
from luthier.config.paths import STARTER
from luthier.config.row_sections import SourceEntry
from luthier.config.schema import EndpointSection
from luthier.core.candidates import BASE, MERGED, TUNED
from luthier.core.errors import LuthierError, Problem, UserError
from luthier.core.runs import RunFolder
from luthier.core.weight_files import MODEL_CONFIG, stamp
from luthier.guard.settings import GuardSettings, guard_settings
from luthier.retrieval.shown import TAUGHT, ContextForm
from luthier.serve.engine.place import Opening
from luthier.serve.state.runs import KnownRuns, short_name

Kind = Literal["base", "run", "model", "remote"]
# What Luthier's own routes call the served run's two models.
BASE_NAME, TUNED_NAME = "base", "fine-tuned"


@dataclass(frozen=True, slots=True)
class Named:
    """A model that can be asked: opened by the engine, or an endpoint's. `made` are seconds since the epoch, 0 where nobody knows them.

    `context` is the form in which it was trained with pieces of sources, None where it was not. `run` is the folder of its run.
    """

    name: str
    kind: Kind
    base: str
    opening: Opening | None = None
    endpoint: EndpointSection | None = None
    guard: GuardSettings = field(default_factory=lambda: guard_settings({}))
    made: int = 0
    context: ContextForm | None = None
    run: Path | None = None


class UnknownModelError(UserError):
    """There is no model of that name; the message says which there are, or what is to be done first."""


class Catalogue:
    """The models of one server: `served` is the run that it was started for, `models` are further ones, as `luthier ask` takes them.

    Runs are found anew each time: one that was just trained can be asked at once, and one that was trained anew is another model.
    """

    def __init__(
        self,
        served: LoadedRun | None,
        models: Mapping[str, str],
        runs: Sequence[Path],
        default: str | None = None,
        overrides: Sequence[str] = (),
        endpoints: Mapping[str, EndpointSection] | None = None,
    ) -> None:
        """`runs` are the folders in which run folders lie; `overrides` say how the base is asked where no run is served.

        `endpoints` are those of the served run where they are None.
        """
        self._overrides = tuple(overrides)
        self._served, self._models, self._runs, self._default = served, dict(models), KnownRuns.of(runs), default
        self._endpoints = dict(endpoints if endpoints is not None else served.config.endpoints if served is not None else {})
        # Runs as they were read, with the stamps of their files.
        self._read: dict[Path, tuple[str, LoadedRun | None]] = {}

    @property
    def taken(self) -> frozenset[str]:
        """The names that stand for a model whatever runs there are; a run that is called so is asked by its folder's name."""
        base = STARTER if self._served is None else self._served.config.base_model
        return frozenset((base, BASE_NAME, TUNED_NAME, *self._models, *self._endpoints))

    @property
    def base(self) -> Named:
        """The base of the served run; `starter` where there is none."""
        if self._served is None:
            return Named(STARTER, "base", STARTER, Opening(STARTER, BASE, self._overrides))
        config = self._served.config
        guard = guard_settings(config.guard.model_dump())
        # A trained run's folder tells how its base is opened; before that its own name does, with what the run file says of it.
        asked = {name: getattr(config, name) for name in ASKING_KEYS}
        overrides = tuple(f"{name}={json.dumps(value)}" for name, value in asked.items() if value not in (None, False, "auto"))
        opening = Opening(config.base_model, BASE, overrides)
        if RunFolder(self._served.folder).is_trained:
            opening = Opening(str(self._served.folder), BASE)
        return Named(config.base_model, "base", config.base_model, opening, guard=guard)

    @property
    def tuned(self) -> Named:
        """What the served run trained; `UnknownModelError` where there is nothing yet."""
        if self._served is None:
            raise UnknownModelError(
                Problem("no run is served, so nothing is fine-tuned", hint="start the server with a run: luthier serve RUN_DIR")
            )
        if not RunFolder(self._served.folder).is_trained:
            what = f"the run {self._served.folder.name} has no trained model yet"
            raise UnknownModelError(Problem(what, hint="train it, and ask again"))
        return _of_run(self._served, self._served_name(self._served))

    @property
    def default(self) -> Named:
        """The model that is asked where none is named: the one set, else what the served run trained, else the base."""
        if self._default is not None:
            return self.find(self._default)
        try:
            return self.tuned
        except UnknownModelError:
            return self.base

    def find(self, name: str) -> Named:
        """The model called `name`; `UnknownModelError` where there is none."""
        found = {named.name: named for named in self.all()}
        if name not in found:
            names = ", ".join(found)
            raise UnknownModelError(Problem("there is no such model", where="model", found=name, hint=f"there are {names}"))
        return found[name]

    def all(self) -> Iterator[Named]:
        """Every model, each name once: the base, the served run, other runs, merged models, further models, endpoints."""
        seen = set()
        for named in self._all():
            if named.name not in seen:
                seen.add(named.name)
                yield named

    def _all(self) -> Iterator[Named]:
        yield self.base
        runs = list(self._trained())
        held = {*self.taken, *(name for name, _ in runs)}
        for name, loaded in runs:
            yield _of_run(loaded, name)
        for name, loaded in runs:
            if (RunFolder(loaded.folder).merged / MODEL_CONFIG).is_file():
                merged = f"{name}-merged"
                # A run may be called so by itself.
                yield _merged(loaded, f"{loaded.folder.name}-merged" if merged in held else merged)
        guard = guard_settings(self._served.config.guard.model_dump() if self._served is not None else {})
        for name, target in self._models.items():
            yield self._further(name, target, guard)
        for name, endpoint in self._endpoints.items():
            yield Named(name, "remote", endpoint.model, endpoint=endpoint, guard=guard)

    def _further(self, name: str, target: str, guard: GuardSettings) -> Named:
        """A model of `serve.models`; of a run as it was trained, of another one under the served run's guard."""
        path = Path(target)
        opening = Opening(target, TUNED if _is_trained(path) else BASE, stamp=_stamp_of(path))
        loaded = self._load(RunFolder(path)) if (path / "resolved.yaml").is_file() else None
        if loaded is None:
            return Named(name, "model", target, opening, guard=guard)
        return replace(_of_run(loaded, name), kind="model", base=target, opening=opening)

    def _served_name(self, served: LoadedRun) -> str:
        short = short_name(served.folder)
        return served.folder.name if short in self.taken else short

    def _trained(self) -> Iterator[tuple[str, LoadedRun]]:
        """The trained runs by name, the served one first; with its hash where another one of that name was trained too."""
        folders = [folder for folder in self._runs.all() if folder.is_trained]
        served = None
        if self._served is not None:
            served = self._served.folder.resolve()
            folders = [folder for folder in folders if folder.path.resolve() != served]
            if RunFolder(self._served.folder).is_trained:
                yield self._served_name(self._served), self._served
        counts = Counter(short_name(folder.path) for folder in folders)
        if self._served is not None:
            counts[short_name(self._served.folder)] += 1
        taken = self.taken
        for folder in folders:
            # A run of another version is none to be asked: `luthier runs list` tells of it.
            if (loaded := self._load(folder)) is not None:
                name = short_name(folder.path)
                yield name if counts[name] == 1 and name not in taken else folder.path.name, loaded

    def _load(self, folder: RunFolder) -> LoadedRun | None:
        told = stamp(folder.resolved_yaml)
        known = self._read.get(folder.path)
        if known is None or known[0] != told:
            loaded = None
            with contextlib.suppress(LuthierError):
                loaded = load(folder.path)
            known = self._read[folder.path] = told, loaded
        return known[1]


def _is_trained(path: Path) -> bool:
    return (path / "adapter_config.json").is_file() or ((path / "resolved.yaml").is_file() and RunFolder(path).is_trained)


def _of_run(loaded: LoadedRun, name: str) -> Named:
    folder = RunFolder(loaded.folder)
    guard = guard_settings(loaded.config.guard.model_dump())
    opening = Opening(str(folder.path), TUNED, stamp=_stamp_of(folder.path))
    return Named(
        name, "run", loaded.config.base_model, opening, None, guard, _made(folder.tuned), context_of(loaded.config.sources), folder.path
    )


def _merged(loaded: LoadedRun, name: str) -> Named:
    folder = RunFolder(loaded.folder)
    guard = guard_settings(loaded.config.guard.model_dump())
    opening = Opening(str(folder.path), MERGED, stamp=stamp(folder.merged, folder.templates))
    return Named(
        name, "run", loaded.config.base_model, opening, None, guard, _made(folder.merged), context_of(loaded.config.sources), folder.path
    )


def context_of(sources: Sequence[SourceEntry]) -> ContextForm | None:
    """The form in which rows of a run with these `sources` show pieces of them; None where none does."""
    for entry in sources:
        if entry.context:
            return ContextForm(entry.context.pieces, entry.context.characters)
    return TAUGHT if any(entry.teacher is not None and entry.teacher.context for entry in sources) else None


def _stamp_of(place: Path) -> str:
    """What changes when a run's trained model does, or the files of another model of this machine."""
    if (place / "resolved.yaml").is_file():
        folder = RunFolder(place)
        return stamp(folder.tuned, folder.templates, folder.resolved_yaml)
    return stamp(place)


def _made(place: Path) -> int:
    # It may be written anew right now.
    with contextlib.suppress(OSError):
        return int(place.stat().st_mtime)
    return 0
