"""How far a run is: each stage, and within the one at work what is done of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from luthier.core.manifest import StageRecord
from luthier.core.records import JsonObject
from luthier.core.stages import STAGES
from luthier.report.shown import shown
from luthier.report.wording import candidate_words, count, decimal, duration
from luthier.serve.jobs.steps import Step, step_of
from luthier.serve.pages.runs.tail import Now

DONE, RUNNING, STOPPED, NEXT = "done", "running", "stopped", "to come"
_TITLES = {"data": "Data", "train": "Training", "evaluate": "Evaluation", "export": "Export", "card": "Model card", "report": "Report"}
_MOST_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class StageStep:
    """One stage: its title, how it stands, a word on it, and for the one at work how many per cent are done, where that is known."""

    name: str
    title: str
    state: str
    note: str
    percent: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is. `line` tells of the newest step; `said` is for those who hear the page, and changes rarely."""

    stages: tuple[StageStep, ...]
    line: str
    said: str


def progress(records: Mapping[str, StageRecord], now: Now, is_running: bool) -> Progress:
    """The progress of a run by its manifest's records and its events."""
    percent, line = _newest(now.newest)
    stages = tuple(_step(name, records.get(name), now, is_running, percent) for name in STAGES)
    at_work = next((one for one in stages if one.state == RUNNING), None)
    if at_work is None:
        done = sum(one.state == DONE for one in stages)
        return Progress(stages, line if is_running else "", f"{done} of {len(stages)} stages done")
    tens = f", {10 * int(percent // 10)} % done" if percent is not None else ""
    return Progress(stages, line, f"{at_work.title} at work{tens}")


def _step(name: str, record: StageRecord | None, now: Now, is_running: bool, percent: float | None) -> StageStep:
    title = _TITLES.get(name, name)
    if name == now.stage:
        return StageStep(name, title, RUNNING, "", percent) if is_running else StageStep(name, title, STOPPED, "begun, and not ended")
    if record is not None:
        return StageStep(name, title, DONE, f"taken from {record.taken_from}" if record.taken_from else duration(record.seconds))
    return StageStep(name, title, NEXT, "")


def _newest(event: JsonObject) -> tuple[float | None, str]:
    """How many per cent of the stage at work are done, and a line on it."""
    step = step_of(event)
    if step is None:
        return None, ""
    return None if step.part is None else round(100 * step.part, 1), _line(step)


def _line(step: Step) -> str:
    if step.stage == "train":
        return _of_training(step)
    if step.seconds is not None:
        return f"{shown(step.suite, _MOST_CHARACTERS)}: lm-eval at work, {duration(step.seconds)}"
    if step.stage == "evaluate":
        who = f"{step.suite}, {candidate_words(step.candidate)}"
        return f"{shown(who, _MOST_CHARACTERS)}: {count(step.done)} of {count(step.of)} rows"
    return f"{count(step.done)} {shown('rows read' if step.what == 'rows' else step.what, _MOST_CHARACTERS)}"


def _of_training(step: Step) -> str:
    if step.rows is not None:
        return f"{count(step.of)} steps over {count(step.rows)} rows"
    parts = [
        f"Step {count(step.done)} of {count(step.of)}",
        f"epoch {decimal(step.epoch, 2)}",
        f"loss {decimal(step.loss, 4)}",
        f"{count(None if step.rate is None else round(step.rate))} tokens/s",
        f"{duration(step.seconds_left)} left",
    ]
    return " · ".join(parts)
