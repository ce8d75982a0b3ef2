"""What pages show of one run, read anew only where its files have changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from luthier.core.errors import LuthierError
from luthier.report.book import Shelf, shelf, with_beside
from luthier.report.brief import UNREADABLE
from luthier.report.reading import RunFacts, Stream, read_run
from luthier.serve.door.errors import RequestError
from luthier.serve.door.policy import PAGES
from luthier.serve.pages.frame.page import link
from luthier.serve.pages.runs.kept import Kept
from luthier.serve.pages.runs.library import RUNNING, Listed, Stamp, stamp_of
from luthier.serve.pages.runs.tail import Now, Tail

# What was read of so many runs is kept; answers of a large suite take 50 MB.
MOST_RUNS = 4
_READ: tuple[str, ...] = (
    "manifest.json",
    "plan.json",
    "resolved.yaml",
    "versions.lock",
    "data/report.json",
    "train/summary.json",
    "train/curve.jsonl",
)
_READ += ("evaluate/summary.json", "evaluate/gate.json", "review/summary.json", "export/summary.json")


@dataclass(frozen=True, slots=True)
class PageShelf(Shelf):
    """The rows behind figures, on the pages of answers of the run that addresses call `key`."""

    key: str = ""

    def href(self, suite: str, candidate: str, mark: str = "") -> str:
        """The way to the rows with `mark`, or to all; empty where there are none."""
        book = self.books.get((suite, candidate))
        if book is None or (mark and not book.count(mark)):
            return ""
        return link(f"{PAGES}/runs/{quote(self.key)}/answers", suite=suite, right=candidate, mark=mark)

    def place(self, suite: str, candidate: str, row_id: str) -> str:
        """Nothing: on these pages all answers to a row stand beside each other."""
        return ""


@dataclass(frozen=True, slots=True)
class ReadRun:
    """A run as it was read: its facts, and the rows behind them."""

    facts: RunFacts
    shelf: PageShelf


class RunReader:
    """Reads runs for pages. What two ask for is read once; who asks for one run waits for no other."""

    def __init__(self) -> None:
        self._runs, self._tails = Kept(MOST_RUNS), Kept(4 * MOST_RUNS)

    def read(self, listed: Listed) -> tuple[ReadRun, Now]:
        """The run, and how far it is by its events; a `RequestError` 503 where its files cannot be read."""
        folder = listed.folder
        # Whoever has the tail of a run has the run.
        with readable(listed), self._tails.held(folder.path, None, lambda: Tail(folder.events_jsonl)) as tail:
            tail.read()
            stream = tail.stream
            stamp = (listed.key, len(stream.warnings), _stamp(listed))
            found = self._runs.get(folder.path, stamp, lambda: _read(listed, stream))
            # The points of a training at work are in its events alone, and the curve beside them may be an earlier one's.
            is_training = listed.state == RUNNING and "train" not in found.facts.stages
            curves = stream.curves if is_training else found.facts.curves
            return replace(found, facts=replace(found.facts, curves=curves, started=stream.started)), tail.now


@contextmanager
def readable(listed: Listed) -> Iterator[None]:
    """What a file that was changed, cut or is another version's raises becomes an error that is told."""
    try:
        yield
    except UNREADABLE as error:
        words = str(error) if isinstance(error, LuthierError) else f"a file was changed, or is another version’s ({type(error).__name__})"
        raise RequestError(503, f"the run {listed.key} cannot be read: {words}") from error


def _read(listed: Listed, stream: Stream) -> ReadRun:
    facts = read_run(listed.folder, stream)
    made = shelf(with_beside(facts))
    return ReadRun(facts, PageShelf(made.books, made.places, listed.key))


def _stamp(listed: Listed) -> Stamp:
    folder = listed.folder
    files: list[Path] = [folder.path / name for name in _READ]
    # Only what stands in the summary is shown; suites and comparisons are written before it.
    files += sorted(folder.evaluate.glob("*/scores.json")) + sorted(folder.beside.glob("*/summary.json"))
    return stamp_of(*files)
