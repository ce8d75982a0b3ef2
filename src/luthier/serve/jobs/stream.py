"""What a job tells as it goes on: the lines of its event stream, and changes of its status between them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

from luthier.core.records import JsonObject, JsonValue
from luthier.serve.door.redact import redacted
from luthier.serve.jobs.progress import event_of, stream_of
from luthier.serve.jobs.records import Job

_PORTION_BYTES = 1 << 16
# In a shorter text no secret is looked for.
_SHORTEST_SECRET = 8
# A longer line than this is passed over.
_LONGEST_LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One event: `name` is `status` with the job as it stands, or `event` with a line of the stream. `id` resumes after it."""

    id: str
    name: str
    data: JsonObject


class JobStream:
    """Reads on where it last stopped; `job` is how it stands now, to be renewed before each `read`."""

    def __init__(self, job: Job, after: str | None) -> None:
        """`after` is the id of an event, from which on this goes on; one that is none begins anew."""
        self.job = job
        place, _, revision = (after or "").partition("-")
        is_id = place.isdecimal() and revision.isdecimal() and len(place) < 20 and len(revision) < 20
        self._place: int | None = int(place) if is_id else None
        self._revision = int(revision) if is_id else -1
        self._told: tuple[object, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether all is told of a job that has ended."""
        return self.job.is_over and self.job.revision <= self._revision

    def read(self) -> list[JobEvent]:
        """What there is to tell now; nothing where nothing happened. The status of an ended job comes last."""
        job = self.job
        if self._place is None and job.started is not None:
            self._place = job.events_from
        lines = [] if self._place is None else self._lines(self._place)
        # The stream is whole before the status says that it ended.
        is_due = job.revision > self._revision and not (job.is_over and lines)
        if not is_due:
            return lines
        is_news = self._told != (job.status, job.waiting_for)
        self._told, self._revision = (job.status, job.waiting_for), job.revision
        told = JobEvent(self._id, "status", job.to_json())
        return [*lines, told] if is_news else lines

    @property
    def _id(self) -> str:
        place = self._place if self._place is not None else self.job.events_from
        return f"{place}-{max(self._revision, 0)}"

    def _lines(self, place: int) -> list[JobEvent]:
        found: list[JobEvent] = []
        with suppress(OSError), stream_of(self.job).open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            # A stream that is shorter than it was is another one.
            place = 0 if place > size else place
            stream.seek(place)
            portion = stream.read(_PORTION_BYTES)
            while b"\n" not in portion and len(portion) < _LONGEST_LINE_BYTES and (more := stream.read(_PORTION_BYTES)):
                portion += more
            whole = portion.rfind(b"\n") + 1 or (len(portion) if len(portion) >= _LONGEST_LINE_BYTES else 0)
            for line in portion[:whole].splitlines(keepends=True):
                place += len(line)
                self._place = place
                if (event := event_of(line)) is not None:
                    found.append(JobEvent(self._id, "event", without_secrets(event)))
        return found


def without_secrets(value: JsonObject) -> JsonObject:
    """The same with a mark for each secret in its texts; names of keys are Luthier's own."""
    return {name: _without_secrets(inner) for name, inner in value.items()}


def _without_secrets(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return redacted(value) if len(value) >= _SHORTEST_SECRET else value
    if isinstance(value, list):
        return [_without_secrets(inner) for inner in value]
    return without_secrets(value) if isinstance(value, dict) else value
