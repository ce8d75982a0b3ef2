"""Judging a run by hand: the draw, the judge's file, sheets, and the summary that the report shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from luthier.core.counts import counted
from luthier.core.errors import Problem, UserError
from luthier.core.files import write_json
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder, summary_or_none
from luthier.evaluate.review import agreement, sheet
from luthier.evaluate.review.draw import Item, Notebook, Session, draw, read_items
from luthier.pipeline.history import require_run


@dataclass(frozen=True, slots=True)
class Told:
    """The outcome for a program and, in lines, for a person."""

    found: JsonObject
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """A draw of a run's answers and the file of the judge who judges it; `items` are all answers that could be drawn, by key.

    `left_out` counts the rows that have no answer to judge.
    """

    folder: RunFolder
    items: Mapping[str, Item]
    drawn: tuple[Item, ...]
    notebook: Notebook
    left_out: int = 0

    def ask(self, ask: Callable[[str], str | None]) -> Told:
        """Goes through what is not judged yet, and says how to go on where something is left. `ask` shows a text and takes a line."""
        is_whole = Session(self.drawn, self.notebook, ask).run()
        return self._written(*self._so_far("" if is_whole else "; the same command goes on from here"))

    def so_far(self) -> Told:
        """What `ask` says at its end, of what is judged now; nothing is written."""
        return self._told(*self._so_far(""))[0]

    def keep_figures(self) -> None:
        """Writes the figures as `ask` leaves them, after a judgement that was kept in another way."""
        self._written(*self._so_far(""))

    def _so_far(self, rest: str) -> tuple[str, JsonObject]:
        """The first line of what is told, and the counts that it holds."""
        said = self.notebook.read()
        judged = sum(item.key in said for item in self.drawn)
        return f"\n{judged} of {len(self.drawn)} judged, in {self.notebook.path}{rest}", {"judged": judged, "answers": len(self.drawn)}

    def write_sheet(self, path: str, overwrite: bool = False) -> Told:
        """Writes the draw as CSV, what is judged already filled in. `UserError` where the file is there and `overwrite` is not said."""
        if Path(path).exists() and not overwrite:
            hint = f"take what is filled in with `--read {path}`; then write it anew with `--force`, or choose another name"
            raise UserError(Problem("the sheet is there already, and may be filled in", where=path, hint=hint))
        sheet.write_sheet(Path(path), self.drawn, self.notebook.read())
        found: JsonObject = {"sheet": path, "answers": len(self.drawn), "left_out": self.left_out}
        return Told(found, (f"wrote {counted(len(self.drawn), 'answer')} to {path}", *self._left_out_lines()))

    def _left_out_lines(self) -> list[str]:
        rows = "1 row has" if self.left_out == 1 else f"{self.left_out} rows have"
        told = f"{rows} no answer to judge (the request failed, or another program judged): not drawn"
        return [told] if self.left_out else []

    def read_sheet(self, path: str) -> Told:
        """Takes what a filled-in sheet says anew into the judge's file."""
        before = self.notebook.read()
        filled, blank = sheet.read_sheet(Path(path), self.items)
        fresh = [said for said in filled if before.get(said.item) != said]
        if fresh:
            self.notebook.append(fresh)
        rows = len(filled) + blank
        rest = f"; {blank} of {rows} rows have no verdict yet: fill them in and read the sheet again" if blank else ""
        return self._written(f"read {counted(len(fresh), 'new judgement')}{rest}", {"judged": len(filled), "answers": rows})

    def _written(self, first: str, counts: JsonObject) -> Told:
        """What is told, and the figures of all judges of this run written to `review/summary.json`."""
        told, figures = self._told(first, counts)
        write_json(self.folder.review_summary, figures)
        return told

    def _told(self, first: str, counts: JsonObject) -> tuple[Told, JsonObject]:
        """What is told, and the figures of all judges of this run.

        They are told to a judge who is done, and stand in the file for judges who are: whoever still judges would be led by how the
        candidates stand, and by what others said.
        """
        names = sorted(path.stem for path in self.folder.review.glob("*.jsonl"))
        judge, is_done = self.notebook.path.stem, counts["judged"] == counts["answers"]
        before = agreement.unfinished_in(summary_or_none(self.folder.review_summary) or {})
        unfinished = before - {judge} if is_done else before | {judge}
        found = agreement.summary(self.items, {name: Notebook(self.folder.review, name).read() for name in names}, unfinished)
        if is_done:
            lines = (first, *self._left_out_lines(), *agreement.summary_lines(found), f"summary   {self.folder.review_summary}")
            return Told(found, lines), found
        verdicts = found["judges"].get(judge, {}).get("verdicts", {})
        own = [f"{judge}: {agreement.verdicts_text(verdicts)}"] if verdicts else []
        later = "rates, and what other judges said, are shown when all are judged"
        return Told({"judge": judge, **counts, "verdicts": verdicts}, (first, *self._left_out_lines(), *own, later)), found


def open_review(run_dir: str, judge: str, seed: int, number: int, suite: str | None) -> Review:
    """The draw of `number` answers by `seed`; `UserError` where the run or its answers are not there, or a name is wrong."""
    folder = require_run(run_dir)
    items, left_out = read_items(folder.evaluate)
    return Review(folder, items, tuple(draw(items.values(), number, seed, suite)), Notebook(folder.review, judge), left_out)
