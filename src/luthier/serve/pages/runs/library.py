"""The runs that the pages show: found in the folders that the server was started for, named in addresses, read when they change."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.core.runs import RunFolder
from luthier.core.stages import STAGES
from luthier.report.brief import Brief, brief
from luthier.serve.door.errors import unknown
from luthier.serve.state.runs import KnownRuns

RUNNING, COMPLETE, PARTIAL, UNREADABLE = "running", "complete", "partial", "unreadable"
STATES = (RUNNING, COMPLETE, PARTIAL, UNREADABLE)
# What changes when there is something new to tell of a run.
_TELLING = ("manifest.json", "train/summary.json", "evaluate/summary.json", "evaluate/gate.json", "resolved.yaml")
Stamp = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """One run: its name in addresses, its folder, how it stands, and when something last changed in it (seconds since the epoch)."""

    key: str
    folder: RunFolder
    state: str
    changed: float
    brief: Brief


class RunLibrary:
    """The runs in `places`, by the names that they have in addresses."""

    def __init__(self, places: Sequence[Path]) -> None:
        self._known = KnownRuns.of(places)
        self._lock = threading.Lock()
        self._briefs: dict[Path, tuple[Stamp, Brief]] = {}

    @property
    def places(self) -> tuple[Path, ...]:
        """The folders in which run folders lie."""
        return self._known.places

    def all(self) -> list[Listed]:
        """Every run, the latest change first."""
        folders = self._known.by_key()
        with self._lock:
            # Of runs that are gone nothing is kept.
            places = {folder.path for folder in folders.values()}
            self._briefs = {path: known for path, known in self._briefs.items() if path in places}
        found = [self._listed(key, folder) for key, folder in folders.items()]
        return sorted(found, key=lambda one: (-one.changed, one.key))

    def get(self, key: str) -> Listed:
        """The run that addresses call `key`; a `RequestError` 404 where there is none. It is looked up, never joined to a path."""
        folder = self._known.by_key().get(key)
        if folder is None:
            raise unknown(f"there is no run `{key[:200]}` here", "run")
        return self._listed(key, folder)

    def key_of(self, path: Path) -> str | None:
        """What addresses call the run in the folder `path`; None where there is none of these."""
        wanted = path.resolve()
        return next((key for key, folder in self._known.by_key().items() if folder.path.resolve() == wanted), None)

    def _listed(self, key: str, folder: RunFolder) -> Listed:
        told = self._brief(folder)
        state = UNREADABLE if told.error else RUNNING if folder.is_held else COMPLETE if set(STAGES) <= set(told.done) else PARTIAL
        times = [stamp[0] for name in ("events.jsonl", *_TELLING) if (stamp := _stamp(folder.path / name))[1] >= 0]
        return Listed(key, folder, state, max(times, default=0) / 1e9, told)

    def _brief(self, folder: RunFolder) -> Brief:
        stamp = stamp_of(*(folder.path / name for name in _TELLING))
        with self._lock:
            known = self._briefs.get(folder.path)
        if known is not None and known[0] == stamp:
            return known[1]
        told = brief(folder)
        with self._lock:
            self._briefs[folder.path] = (stamp, told)
        return told


def stamp_of(*paths: Path) -> Stamp:
    """What changes when one of the files does."""
    return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> tuple[int, int]:
    """When a file was last written, in nanoseconds, and its size; a size of -1 where there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, -1
    return status.st_mtime_ns, status.st_size
