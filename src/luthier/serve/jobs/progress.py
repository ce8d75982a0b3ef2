"""What the event stream of a job tells of how far it is."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from luthier.core.records import JsonObject
from luthier.serve.jobs.records import Job
from luthier.serve.jobs.steps import step_of

# The end of the stream that is looked through: progress is told every few lines.
_LOOKED_AT_BYTES = 1 << 16
# What is kept whatever happens, by events with the number that tells how far: what is done again gets no further.
_KEPT = {"stage.end": "", "train.checkpoint": "step", "evaluate.progress": "done"}


def stream_of(job: Job) -> Path:
    """The job's event stream."""
    return Path(job.directory, job.folder, "events.jsonl")


def read_progress(job: Job) -> JsonObject | None:
    """`{stage, step, of, loss, rate, ...}` by the newest events since it was begun last, None before; `rate` are tokens a second."""
    if job.started is None:
        return None
    steps = (step_of(event) for event in reversed(_latest(stream_of(job), job.begun_from)))
    newest = next((step for step in steps if step is not None), None)
    return None if newest is None else newest.to_json()


def has_progressed(job: Job) -> bool:
    """Whether the job, since it was begun last, got further than before: a stage, a checkpoint or an answer that stays whatever happens."""
    before: dict[object, float] = {}
    with suppress(OSError), stream_of(job).open("rb") as stream:
        place = stream.seek(job.events_from)
        for line in stream:
            event = event_of(line) if any(f'"{name}"'.encode() in line for name in _KEPT) else None
            if event is not None and event["event"] in _KEPT:
                reached = event.get(_KEPT[event["event"]], 1)
                what = tuple(str(event.get(name)) for name in ("event", "stage", "suite", "candidate"))
                if isinstance(reached, int) and reached > before.get(what, 0):
                    if place >= job.begun_from:
                        return True
                    before[what] = reached
            place += len(line)
    return False


def _latest(path: Path, first: int) -> list[JsonObject]:
    """The events at the end of the stream, none from before byte `first`."""
    with suppress(OSError), path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        start = max(min(first, size), size - _LOOKED_AT_BYTES)
        stream.seek(start)
        lines = stream.read(_LOOKED_AT_BYTES).split(b"\n")
        return [event for line in lines if (event := event_of(line)) is not None]
    return []


def event_of(line: bytes) -> JsonObject | None:
    """The event on a line; None where it is cut, or no event."""
    with suppress(ValueError):
        event = json.loads(line)
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            return event
    return None


def seconds_of(event: JsonObject) -> float | None:
    """When the event happened, in seconds since the epoch; None where it does not tell."""
    with suppress(KeyError, ValueError, TypeError):
        return datetime.fromisoformat(event["time"]).astimezone(UTC).timestamp()
    return None
