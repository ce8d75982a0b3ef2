"""What a person sees while a run is at work: a progress line with rate and time left, log lines in fixed columns, a summary."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

import click

from luthier.core.files import read_json
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder, summary_or_none

if TYPE_CHECKING:
    from luthier.pipeline.run import StageOutcome

_TITLES = {
    "data": "reading rows",
    "train": "training",
    "evaluate": "evaluating",
    "export": "exporting",
    "card": "writing the model card",
    "report": "writing the report",
}


class Progress:
    """A listener of the event stream that writes to standard error.

    On a terminal the newest step overwrites one line; elsewhere each event is a line, so that a log file stays readable.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._line_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end_line()

    def notes(self, notes: Iterable[str], warnings: Iterable[str]) -> None:
        """Shows what loading noted."""
        for note in notes:
            self._log(f"note: {note}")
        for warning in warnings:
            self._log(f"{click.style('warning:', fg='yellow')} {warning}")

    def __call__(self, event: JsonObject) -> None:
        """Shows one event, where it is one that a person waits for."""
        name = event["event"]
        if name == "train.step":
            self._update(step_line(event))
        elif name == "evaluate.progress" and (self._live or event["done"] == event["total"]):
            self._update(f"evaluate  {event['suite']:<22} {event['candidate']:<12} {event['done']:>6}/{event['total']}")
        elif name == "data.progress":
            self._update(f"data      {event['done']:>10,} rows read")
        elif (line := _line_of(event)) is not None:
            self._log(line)

    def _update(self, line: str) -> None:
        if not self._live:
            self._log(line)
            return
        width = shutil.get_terminal_size().columns - 1
        self._stream.write("\r\x1b[2K" + line[:width])
        self._stream.flush()
        self._line_open = True

    def _log(self, line: str) -> None:
        self._end_line()
        click.echo(line, file=self._stream)

    def _end_line(self) -> None:
        if self._line_open:
            self._stream.write("\n")
            self._line_open = False


def step_line(event: JsonObject) -> str:
    """One training step in fixed columns."""
    steps = str(event["steps"])
    return (
        f"train     step {event['step']:>{len(steps)}}/{steps}  epoch {event['epoch']:5.2f}  loss {event['loss']:7.4f}"
        f"  lr {event['learning_rate']:.2e}  norm {event['grad_norm']:7.3f}  {event['tokens_per_second']:>8,.0f} tokens/s"
        f"  {duration(event['seconds_left']):>7} left"
    )


def duration(seconds: float) -> str:
    """Seconds as `45s`, `3m 05s` or `2h 10m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def _line_of(event: JsonObject) -> str | None:
    name = event["event"]
    if name == "note":
        return f"note: {event['message']}"
    if name == "warning":
        return f"{click.style('warning:', fg='yellow')} {event['message']}"
    if name == "stage.start":
        return click.style(f"{event['stage']:<9} {_TITLES.get(event['stage'], '')}", bold=True)
    if name == "stage.end":
        return f"{event['stage']:<9} done in {duration(event['seconds'])}"
    if name == "train.eval":
        return f"train     validation loss {event['loss']:.4f} at step {event['step']}"
    if name == "train.checkpoint":
        return f"train     checkpoint at step {event['step']}"
    return None


def outcome_lines(folder: Path, outcomes: Sequence[StageOutcome]) -> list[str]:
    """The summary at the end: each stage's outcome, the figures, and the paths worth opening."""
    lines = []
    if all(item.outcome == "kept" for item in outcomes):
        lines.append(f"nothing to do: {', '.join(item.stage for item in outcomes)} are complete")
    else:
        for item in outcomes:
            told = f"done in {duration(item.seconds)}" if item.outcome == "done" else f"taken from {item.source}" if item.source else "kept"
            lines.append(f"{item.stage:<9} {told}")
    run = RunFolder(folder)
    lines += row_lines(run) + score_lines(run)
    lines.append(f"run       {folder}")
    for label, path in (("adapter", run.adapter), ("export", run.export), ("report", run.report_html)):
        if path.exists():
            lines.append(f"{label:<9} {path}")
    return lines


def row_lines(run: RunFolder) -> list[str]:
    """The rows on each side, and how many were left out."""
    if (report := summary_or_none(run.data_report)) is None:
        return []
    counts = ", ".join(f"{name} {count:,}" for name, count in report["splits"].items())
    left_out = sum(report["rejected"].values())
    return [f"rows      {counts}" + (f"; left out {left_out:,}, each with its reason in {run.rejected}" if left_out else "")]


def score_lines(run: RunFolder) -> list[str]:
    """The main metric of each suite, every candidate beside the others, with 95 % intervals."""
    lines = []
    for path in sorted(run.evaluate.glob("*/scores.json")):
        scores = read_json(path)
        for candidate, metrics in scores["candidates"].items():
            if (score := metrics.get("exact_match")) is not None:
                interval = f"{score['low']:6.1%} to {score['high']:6.1%}"
                lines.append(
                    f"{scores['suite']:<24} {candidate:<12} exact match {score['value']:6.1%}  ({interval}, {score['count']} rows)"
                )
    return lines
