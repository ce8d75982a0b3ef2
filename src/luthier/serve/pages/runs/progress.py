"""How far a run is: each stage, and within the one at work what is done of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from luthier.core.manifest import StageRecord
from luthier.core.records import JsonObject
from luthier.core.stages import STAGES
from luthier.report.shown import shown
from luthier.report.wording import candidate_words, count, decimal, duration
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
    kind = event.get("event")
    if kind == "train.start":
        return 0.0, f"{count(event.get('steps'))} steps over {count(event.get('rows'))} rows"
    if kind == "train.step":
        parts = [
            f"Step {count(event.get('step'))} of {count(event.get('steps'))}",
            f"epoch {decimal(event.get('epoch'), 2)}",
            f"loss {decimal(event.get('loss'), 4)}",
            f"{count(event.get('tokens_per_second'))} tokens/s",
            f"{duration(event.get('seconds_left'))} left",
        ]
        return _percent(event.get("step"), event.get("steps")), " · ".join(parts)
    if kind == "evaluate.progress":
        who = f"{event.get('suite', '')}, {candidate_words(str(event.get('candidate', '')))}"
        line = f"{shown(who, _MOST_CHARACTERS)}: {count(event.get('done'))} of {count(event.get('total'))} rows"
        return _percent(event.get("done"), event.get("total")), line
    if kind == "evaluate.waiting":
        return None, f"{shown(str(event.get('suite', '')), _MOST_CHARACTERS)}: lm-eval at work, {duration(event.get('seconds'))}"
    if kind == "data.progress":
        what = "rows read" if event.get("step") == "rows" else str(event.get("step", ""))
        return None, f"{count(event.get('done'))} {shown(what, _MOST_CHARACTERS)}"
    return None, ""


def _percent(done: object, total: object) -> float | None:
    if not isinstance(done, int | float) or not isinstance(total, int | float) or total <= 0:
        return None
    return round(100 * min(1.0, max(0.0, done / total)), 1)
