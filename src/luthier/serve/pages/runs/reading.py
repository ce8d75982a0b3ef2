"""What pages show of one run, read anew only where its files have changed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from luthier.core.errors import LuthierError
from luthier.report.book import Shelf, shelf, with_beside
from luthier.report.brief import UNREADABLE
from luthier.report.reading import RunFacts, Stream, read_run
from luthier.serve.door.errors import RequestError
from luthier.serve.door.policy import PAGES
from luthier.serve.pages.frame.page import link
from luthier.serve.pages.runs.library import RUNNING, Listed, Stamp, stamp_of
from luthier.serve.pages.runs.tail import Tail

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
Value = TypeVar("Value")


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


@dataclass(slots=True)
class Kept:
    """Values by key, the newest used last, at most `most`."""

    most: int
    values: OrderedDict[object, tuple[object, object]] = field(default_factory=OrderedDict)

    def get(self, key: object, stamp: object, make: Callable[[], Value]) -> Value:
        """The value of `key`, made anew where its stamp is another."""
        found = self.values.get(key)
        if found is None or found[0] != stamp:
            self.values[key] = found = (stamp, make())
        self.values.move_to_end(key)
        while len(self.values) > self.most:
            self.values.popitem(last=False)
        return found[1]  # type: ignore[return-value]


class RunReader:
    """Reads runs for pages. One thread reads at a time: what two ask for is read once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs, self._tails = Kept(MOST_RUNS), Kept(4 * MOST_RUNS)

    def read(self, listed: Listed) -> tuple[ReadRun, Tail]:
        """The run and its events; a `RequestError` 503 where its files cannot be read."""
        folder = listed.folder
        with self._lock, readable(listed):
            tail = self._tails.get(folder.path, None, lambda: Tail(folder.events_jsonl))
            tail.read()
            stream = tail.stream
            stamp = (listed.key, len(stream.warnings), _stamp(listed))
            found = self._runs.get(folder.path, stamp, lambda: _read(listed, stream))
            # The points of a training at work are in its events alone, and the curve beside them may be an earlier one's.
            is_training = listed.state == RUNNING and "train" not in found.facts.stages
            curves = stream.curves if is_training else found.facts.curves
            return replace(found, facts=replace(found.facts, curves=curves, started=stream.started)), tail


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
