"""Which models there are to be asked, by name: the base, trained runs, other models of this machine, and remote ones."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from luthier.config.load import ASKING_KEYS, LoadedRun, load
from luthier.config.paths import STARTER
from luthier.config.schema import EndpointSection
from luthier.core.candidates import BASE, TUNED
from luthier.core.errors import LuthierError, Problem, UserError
from luthier.core.runs import RunFolder, find_runs
from luthier.guard.settings import GuardSettings, guard_settings
from luthier.serve.engine.client import Opening

Kind = Literal["base", "run", "model", "remote"]
_NO_GUARD: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True)
class Named:
    """A model that can be asked: opened by the engine, or an endpoint's. `made` are seconds since the epoch, 0 where nobody knows them."""

    name: str
    kind: Kind
    base: str
    opening: Opening | None = None
    endpoint: EndpointSection | None = None
    guard: GuardSettings = field(default_factory=lambda: guard_settings({}))
    made: int = 0


class UnknownModelError(UserError):
    """There is no model of that name; the message says which there are, or what is to be done first."""


class Catalogue:
    """The models of one server: `served` is the run that it was started for, `models` are further ones, as `luthier ask` takes them.

    Runs are found anew each time: one that was just trained can be asked at once.
    """

    def __init__(
        self,
        served: LoadedRun | None,
        models: Mapping[str, str],
        runs: Sequence[Path],
        default: str | None = None,
        overrides: Sequence[str] = (),
    ) -> None:
        """`runs` are the folders in which run folders lie; `overrides` say how the base is asked where no run is served."""
        self._overrides = tuple(overrides)
        self._served, self._models, self._runs, self._default = served, dict(models), tuple(runs), default

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
        return _of_run(self._served, self._name_of(self._served))

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
        """Every model, each name once: the base, the served run, other runs, further models, endpoints."""
        seen = set()
        for named in self._all():
            if named.name not in seen:
                seen.add(named.name)
                yield named

    def _all(self) -> Iterator[Named]:
        yield self.base
        with contextlib.suppress(UnknownModelError):
            yield self.tuned
        yield from self._other_runs()
        for name, target in self._models.items():
            which = TUNED if _is_trained(Path(target)) else BASE
            yield Named(name, "model", target, Opening(target, which))
        for name, endpoint in (self._served.config.endpoints if self._served else {}).items():
            yield Named(name, "remote", endpoint.model, endpoint=endpoint)

    def _folders(self) -> Iterator[RunFolder]:
        for place in self._runs:
            yield from find_runs(place)

    def _other_runs(self) -> Iterator[Named]:
        for folder in self._folders():
            if not folder.is_trained or (self._served is not None and folder.path.resolve() == self._served.folder.resolve()):
                continue
            try:
                loaded = load(folder.path)
            except LuthierError:
                continue  # A run of another version: `luthier runs list` tells of it.
            yield _of_run(loaded, self._name_of(loaded))

    def _name_of(self, loaded: LoadedRun) -> str:
        """The run's name; with its hash where another run of that name was trained too."""
        name = _short(loaded.folder)
        others = [folder for folder in self._folders() if folder.is_trained and _short(folder.path) == name]
        is_served = self._served is not None and loaded.folder.resolve() == self._served.folder.resolve()
        return name if is_served or (len(others) <= 1 and name != _served_name(self._served)) else loaded.folder.name


def _short(folder: Path) -> str:
    """The run's name without the hash that its folder has."""
    name, _, digits = folder.name.rpartition("-")
    return name if name and len(digits) == 8 else folder.name


def _served_name(served: LoadedRun | None) -> str | None:
    return None if served is None else _short(served.folder)


def _is_trained(path: Path) -> bool:
    return (path / "adapter_config.json").is_file() or ((path / "resolved.yaml").is_file() and RunFolder(path).is_trained)


def _of_run(loaded: LoadedRun, name: str) -> Named:
    folder = RunFolder(loaded.folder)
    guard = guard_settings(loaded.config.guard.model_dump())
    made = int(folder.tuned.stat().st_mtime)
    return Named(name, "run", loaded.config.base_model, Opening(str(folder.path), TUNED), guard=guard, made=made)
