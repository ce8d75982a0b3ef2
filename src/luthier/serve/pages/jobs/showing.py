"""A job in words: how it stands, how far it is, how long it has taken, and the command that does the same."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass

from luthier.core.records import JsonObject
from luthier.report.shown import shown
from luthier.report.wording import count, duration, left_out_text
from luthier.serve.jobs.records import Job
from luthier.serve.jobs.steps import Step

_LONGEST_TEXT = 4_000
_LONGEST_WORDS = 200
_MOST_LEFT_OUT = 20
_STAGES = {"train": "training", "evaluate": "evaluating", "ingest": "taking in", "data": "making data"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One job for a page. `part` is how much of the current step is done, from 0 to 1, None where nobody knows; `far` tells it in words.

    `left_out` says what an evaluation did not measure, `notes` what else is to be known of what it came to.
    """

    job: Job
    took: str
    part: float | None
    far: str
    typed: str
    error: str
    result: str
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """How it stands, in one line for those who hear the page."""
        return f"{self.job.status}{f', {self.far}' if self.far and not self.job.is_over else ''}"


def show(job: Job, progress: JsonObject | None) -> Shown:
    """The job with what its `progress` tells."""
    over = job.ended if job.ended is not None else time.time()
    took = "" if job.started is None else duration(max(0.0, over - job.started))
    step = Step.from_json(progress or {})
    result = "" if job.result is None else json.dumps(job.result, indent=2, ensure_ascii=False)
    error, outcome = shown(job.error or "", _LONGEST_TEXT), shown(result, _LONGEST_TEXT)
    return Shown(job, took, step.part, _far(step), typed(job), error, outcome, _left_out(job), _notes(job))


def typed(job: Job) -> str:
    """The command as a person types it."""
    command = job.shown_command
    words = command[1:] if command[:2] == ("-m", "luthier") else ("python", *command)
    line = shlex.join(words)
    return f"cd {shlex.quote(job.directory)} && {line}" if job.directory else line


def _left_out(job: Job) -> tuple[str, ...]:
    """What an evaluation did not measure, and why."""
    rows = (job.result or {}).get("left_out")
    rows = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return tuple(shown(text, _LONGEST_WORDS) for text in dict.fromkeys(map(left_out_text, rows)))[:_MOST_LEFT_OUT]


def _notes(job: Job) -> tuple[str, ...]:
    found = (job.result or {}).get("notes")
    return tuple(shown(str(note), _LONGEST_WORDS) for note in found[:_MOST_LEFT_OUT]) if isinstance(found, list) else ()


def _far(step: Step) -> str:
    told = [_STAGES.get(step.stage, step.stage)] if step.stage else []
    told += [shown(words, _LONGEST_WORDS) for words in (step.what, step.suite, step.candidate) if words]
    if step.done is not None:
        told.append(count(step.done) if step.of is None else f"{count(step.done)} of {count(step.of)}")
    if step.loss is not None:
        told.append(f"loss {step.loss:.3f}")
    if step.rate is not None:
        told.append(f"{count(round(step.rate))} tokens a second")
    if step.seconds_left is not None:
        told.append(f"{duration(step.seconds_left)} left")
    return ", ".join(told)
