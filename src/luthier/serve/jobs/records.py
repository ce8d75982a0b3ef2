"""What a job is: work in the background, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from luthier.core.errors import EXIT_GATE
from luthier.core.records import JsonObject
from luthier.serve.door.redact import redacted

Kind = Literal["ingest", "data", "train", "evaluate", "export"]
Status = Literal["queued", "running", "stopping", "done", "failed", "cancelled"]
# What a job that is stopping becomes: `cancel` ends it for good, `pause` puts it back into the queue.
Stop = Literal["", "cancel", "pause"]

KINDS: tuple[Kind, ...] = get_args(Kind)
STATUSES: tuple[Status, ...] = get_args(Status)
# Of these one runs at a time: each may take all of the machine.
ALONE: tuple[Kind, ...] = ("train", "evaluate", "export")
RUNNING: tuple[Status, ...] = ("running", "stopping")
ACTIVE: tuple[Status, ...] = ("queued", *RUNNING)


@dataclass(frozen=True, slots=True)
class NewJob:
    """Work to be done: `python COMMAND` in `directory`, the server's own where none is named. `folder` is where its `events.jsonl` grows.

    `request` is what was asked for, where it came with a key that makes it one job however often it is sent.
    """

    kind: Kind
    title: str
    command: tuple[str, ...]
    folder: str
    directory: str = ""
    request: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands. Times are seconds since the epoch, `heartbeat` the last sign of life of its process.

    `attempts` counts how often it was begun since it last got further, but for times when it was only asked to wait. `waiting_for` says why
    a queued job does not run. `result` is what its command printed.
    """

    id: str
    kind: Kind
    status: Status
    title: str
    command: tuple[str, ...]
    folder: str
    created: float
    started: float | None = None
    ended: float | None = None
    heartbeat: float | None = None
    attempts: int = 0
    waiting_for: str | None = None
    exit_code: int | None = None
    error: str | None = None
    result: JsonObject | None = None
    # What the queue and the job's process need beside.
    directory: str = ""
    stop: Stop = ""
    not_before: float = 0.0
    revision: int = 0
    # The size of its event stream when it was begun first, and last.
    events_from: int = 0
    begun_from: int = 0

    @property
    def shown_command(self) -> tuple[str, ...]:
        """The command with a mark for each secret in it."""
        return _without_secrets(self.command)

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good."""
        return self.status not in ACTIVE

    def to_json(self, progress: JsonObject | None = None) -> JsonObject:
        """The job as the API tells it; `progress` as `read_progress` gives it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "status": self.status,
            "title": self.title,
            "command": list(self.shown_command),
            "folder": self.folder,
            "created": self.created,
            "started": self.started,
            "ended": self.ended,
            "heartbeat": self.heartbeat,
            "attempts": self.attempts,
            "waiting_for": self.waiting_for,
            "exit_code": self.exit_code,
            "error": self.error,
            "result": self.result,
            "progress": progress,
        }


# The same jobs are told again and again.
@lru_cache(maxsize=2_048)
def _without_secrets(command: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(redacted, command))


@dataclass(frozen=True, slots=True)
class Ending:
    """How the command of a job ended; `exit_code` is negative where a signal ended it."""

    exit_code: int
    error: str | None = None
    result: JsonObject | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the work is done; a gate that was missed is a result too."""
        return self.exit_code in (0, EXIT_GATE)

    @property
    def was_killed(self) -> bool:
        """Whether a signal ended it."""
        return self.exit_code < 0
