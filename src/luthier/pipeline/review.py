"""Judging a run by hand: the draw, the judge's file, sheets, and the summary that the report shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from luthier.core.files import write_json
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder
from luthier.evaluate import agreement, sheet
from luthier.evaluate.review import Item, Notebook, Session, draw, read_items
from luthier.pipeline.history import require_run


@dataclass(frozen=True, slots=True)
class Told:
    """The outcome for a program and, in lines, for a person."""

    found: JsonObject
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """A draw of a run's answers and the file of the judge who judges it; `items` are all answers that could be drawn, by key."""

    folder: RunFolder
    items: Mapping[str, Item]
    drawn: tuple[Item, ...]
    notebook: Notebook

    def ask(self, ask: Callable[[str], str | None]) -> Told:
        """Goes through what is not judged yet, and says how to go on where something is left. `ask` shows a text and takes a line."""
        is_whole = Session(self.drawn, self.notebook, ask).run()
        said = self.notebook.read()
        judged = sum(item.key in said for item in self.drawn)
        rest = "" if is_whole else "; the same command goes on from here"
        return self._summary(f"\n{judged} of {len(self.drawn)} judged, in {self.notebook.path}{rest}")

    def write_sheet(self, path: str) -> Told:
        """Writes the draw as CSV, what is judged already filled in."""
        sheet.write_sheet(Path(path), self.drawn, self.notebook.read())
        return Told({"sheet": path, "answers": len(self.drawn)}, (f"wrote {len(self.drawn)} answers to {path}",))

    def read_sheet(self, path: str) -> Told:
        """Takes what a filled-in sheet says anew into the judge's file."""
        before = self.notebook.read()
        fresh = [said for said in sheet.read_sheet(Path(path), self.items) if before.get(said.item) != said]
        if fresh:
            self.notebook.append(fresh)
        return self._summary(f"read {len(fresh)} new judgements")

    def _summary(self, first: str) -> Told:
        """The figures of all judges of this run, written to `review/summary.json`."""
        names = sorted(path.stem for path in self.folder.review.glob("*.jsonl"))
        found = agreement.summary(self.items, {name: Notebook(self.folder.review, name).read() for name in names})
        write_json(self.folder.review_summary, found)
        return Told(found, (first, *agreement.summary_lines(found), f"summary   {self.folder.review_summary}"))


def open_review(run_dir: str, judge: str, seed: int, number: int, suite: str | None) -> Review:
    """The draw of `number` answers by `seed`; `UserError` where the run or its answers are not there, or a name is wrong."""
    folder = require_run(run_dir)
    items = read_items(folder.evaluate)
    return Review(folder, items, tuple(draw(items.values(), number, seed, suite)), Notebook(folder.review, judge))
