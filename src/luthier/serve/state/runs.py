"""The runs that a server knows: found in the folders that it was started for, each with the names that it goes by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.core.runs import RunFolder, find_runs

_HASH_DIGITS = 8


@dataclass(frozen=True, slots=True)
class KnownRuns:
    """The run folders in `places`, looked for anew each time: one that was just begun is there at once."""

    places: tuple[Path, ...]

    @classmethod
    def of(cls, places: Sequence[Path]) -> KnownRuns:
        """Those in `places`, each place once."""
        return cls(tuple(dict.fromkeys(places)))

    def all(self) -> list[RunFolder]:
        """Every run, place by place, of each the latest change last."""
        return [run for place in self.places for run in find_runs(place)]

    def by_key(self) -> dict[str, RunFolder]:
        """Every run by its folder's name; where two places have one of that name the first keeps it, and others are followed by `~2` ..."""
        found: dict[str, RunFolder] = {}
        for run in self.all():
            key, number = run.path.name, 1
            while key in found:
                number += 1
                key = f"{run.path.name}~{number}"
            found[key] = run
        return found

    def called(self, name: str) -> list[RunFolder]:
        """The runs whose folder is called `name`; where none is, those that are called so without the hash."""
        runs = self.all()
        return [run for run in runs if run.path.name == name] or [run for run in runs if short_name(run.path) == name]


def short_name(folder: Path) -> str:
    """The run's name without the hash that its folder has."""
    name, _, digits = folder.name.rpartition("-")
    return name if name and len(digits) == _HASH_DIGITS else folder.name
