"""What the event stream of a job tells of how far it is."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from luthier.core.records import JsonObject
from luthier.serve.jobs.records import Job

# The end of the stream that is looked through: progress is told every few lines.
_LOOKED_AT_BYTES = 1 << 16
# What is kept whatever happens, by events with the number that tells how far: what is done again gets no further.
_KEPT = {"stage.end": "", "train.checkpoint": "step", "evaluate.progress": "done"}
_TOLD = ("suite", "candidate", "seconds_left", "epoch")


def stream_of(job: Job) -> Path:
    """The job's event stream."""
    return Path(job.directory, job.folder, "events.jsonl")


def read_progress(job: Job) -> JsonObject | None:
    """`{stage, step, of, loss, rate, ...}` by the newest events since it was begun last, None before; `rate` are tokens a second."""
    if job.started is None:
        return None
    found: JsonObject = {}
    for event in _latest(stream_of(job), job.begun_from):
        name = event["event"]
        if name == "stage.start":
            found = {"stage": event.get("stage"), "step": None, "of": None, "loss": None, "rate": None}
        elif (told := _figures(name, event)) is not None:
            found = {"loss": None, "rate": None, **told}
    return found or None


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


def _figures(name: str, event: JsonObject) -> JsonObject | None:
    stage = name.partition(".")[0]
    more = {key: event[key] for key in _TOLD if key in event}
    match name:
        case "train.step":
            told = {"step": event.get("step"), "of": event.get("steps"), "loss": event.get("loss"), "rate": event.get("tokens_per_second")}
        case "evaluate.progress":
            told = {"step": event.get("done"), "of": event.get("total")}
        case "data.progress" | "ingest.progress":
            told = {"step": event.get("done"), "of": event.get("total"), "what": event.get("step")}
        case _:
            return None
    return {"stage": stage, **told, **more}


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
