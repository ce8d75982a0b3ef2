"""Rows taken in by two looks: the first prepares and scans each batch, the second masks what only another row or source gives away.

Where no row is masked the first is the only one, and nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from luthier.config.row_sections import CleanSection
from luthier.data.clean.secrets import SECRET
from luthier.data.intake.crew import prepared
from luthier.data.intake.gather import Source, batches
from luthier.data.intake.prepare import Batch, Preparation, Settings
from luthier.data.intake.second_look import SecondLook, Waiting
from luthier.data.rows.store import Prepared
from luthier.guard.secrets.known import Told

_PROGRESS_ROWS = 10_000


def masks_data_sets(clean: CleanSection | None) -> bool:
    """Whether secrets in rows of data sets are looked for."""
    return clean is not None and clean.secrets != "keep" and SECRET not in clean.off


class Intake:
    """The rows of a run: of data sets to train on, of sources, and of data sets to test on, which come out in this order."""

    def __init__(
        self, settings: Settings, counts: tuple[int, int, int], processes: int, folder: Path, say: Callable[[str, int], None]
    ) -> None:
        """`counts` are how many entries there are of each of the three; `settings.sources` tells them in their order."""
        self._settings, self._processes, self._say = settings, processes, say
        self._made = range(counts[0], counts[0] + counts[1])
        self._is_masked = counts[1] > 0 or masks_data_sets(settings.clean)
        self._waiting = [Waiting(folder) for _ in counts] if self._is_masked else []
        self._direct: Iterable[Prepared] = ()
        self._told: list[Told] = []
        self._rows = 0

    def look_at_data_sets(self, training: Sequence[Source], testing: Sequence[Source]) -> list[Told]:
        """Prepares the rows of data sets. What other rows and sources are to know of them is told."""
        rows = self._prepared(chain(batches(training), batches(testing, self._made.stop)))
        if not self._is_masked:
            self._direct = rows
            return []
        return self._wait(rows)

    def look_at_made(self, sources: Sequence[Source], told: Iterable[Told]) -> None:
        """Prepares the rows of sources, of whose texts others are to know `told`."""
        self._told += told
        if sources:
            self._wait(self._prepared(batches(sources, self._made.start)))

    def _prepared(self, given: Iterator[Batch]) -> Iterator[Prepared]:
        for batch in prepared(given, self._settings, self._processes):
            yield batch
            if self._rows // _PROGRESS_ROWS != (self._rows + batch.read) // _PROGRESS_ROWS:
                self._say("rows", self._rows + batch.read)
            self._rows += batch.read

    def _wait(self, rows: Iterable[Prepared]) -> list[Told]:
        found: list[Told] = []
        for batch in rows:
            found += batch.told
            batch.told = []
            self._waiting[(batch.source >= self._made.start) + (batch.source >= self._made.stop)].add(batch)
        self._told += found
        return found

    def batches(self) -> Iterator[Prepared]:
        """All batches, without what any of them or a source gives away."""
        yield from self._direct
        look = SecondLook(self._told, Preparation(self._settings)) if self._told else None
        if look is not None:
            look.spare(lines for waiting in self._waiting for lines in waiting.lines())
        for waiting in self._waiting:
            for batch in waiting.batches():
                yield batch if look is None else look.over(batch)

    def close(self) -> None:
        """Frees the disk space."""
        for waiting in self._waiting:
            waiting.close()
