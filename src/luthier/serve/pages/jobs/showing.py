"""A job in words: how it stands, how far it is, how long it has taken, and the command that does the same."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass

from luthier.core.records import JsonObject
from luthier.report.shown import shown
from luthier.report.wording import count, duration
from luthier.serve.jobs.records import Job

_LONGEST_TEXT = 4_000
_LONGEST_WORDS = 200
_STAGES = {"train": "training", "evaluate": "evaluating", "ingest": "taking in", "data": "making data"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One job for a page. `part` is how much of the current step is done, from 0 to 1, None where nobody knows; `far` tells it in words."""

    job: Job
    took: str
    part: float | None
    far: str
    typed: str
    error: str
    result: str

    @property
    def said(self) -> str:
        """How it stands, in one line for those who hear the page."""
        return f"{self.job.status}{f', {self.far}' if self.far and not self.job.is_over else ''}"


def show(job: Job, progress: JsonObject | None) -> Shown:
    """The job with what its `progress` tells."""
    over = job.ended if job.ended is not None else time.time()
    took = "" if job.started is None else duration(max(0.0, over - job.started))
    done, of = (progress or {}).get("step"), (progress or {}).get("of")
    part = min(1.0, done / of) if isinstance(done, int) and isinstance(of, int) and of > 0 else None
    result = "" if job.result is None else json.dumps(job.result, indent=2, ensure_ascii=False)
    error, outcome = shown(job.error or "", _LONGEST_TEXT), shown(result, _LONGEST_TEXT)
    return Shown(job, took, part, _far(progress or {}), typed(job), error, outcome)


def typed(job: Job) -> str:
    """The command as a person types it."""
    words = job.command[1:] if job.command[:2] == ("-m", "luthier") else ("python", *job.command)
    line = shlex.join(words)
    return f"cd {shlex.quote(job.directory)} && {line}" if job.directory else line


def _far(progress: JsonObject) -> str:
    stage = str(progress.get("stage") or "")
    told = [_STAGES.get(stage, stage)] if stage else []
    told += [shown(str(progress[name]), _LONGEST_WORDS) for name in ("what", "suite", "candidate") if progress.get(name)]
    step, of = progress.get("step"), progress.get("of")
    if isinstance(step, int):
        told.append(f"{count(step)} of {count(of)}" if isinstance(of, int) else count(step))
    if isinstance(loss := progress.get("loss"), int | float):
        told.append(f"loss {loss:.3f}")
    if isinstance(rate := progress.get("rate"), int | float):
        told.append(f"{count(round(rate))} tokens a second")
    if isinstance(left := progress.get("seconds_left"), int | float):
        told.append(f"{duration(left)} left")
    return ", ".join(told)
