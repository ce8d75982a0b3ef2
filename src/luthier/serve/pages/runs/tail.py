"""The events of a run, read while they are written: each line once, and of each what pages show."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from luthier.core.events import last_training
from luthier.core.records import JsonObject
from luthier.report.reading import Stream, stream_of
from luthier.serve.jobs.steps import SAYING

# Of a step what is drawn and told; a long training has a hundred thousand.
_STEP_FIELDS = ("event", "step", "loss", "learning_rate", "grad_norm")
_KEPT = ("stage.start", "stage.end", "stage.skip", "warning", "train.start", "train.step", "train.eval")
# Of more events than these every second step is forgotten: a plot has 500 points, and the whole curve is drawn once the training ends.
MOST_KEPT = 20_000
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Now:
    """Where a run is by its events: the stage at work, empty where none is, and the newest event that says how far."""

    stage: str
    newest: JsonObject


class Tail:
    """The stream of one run. Not for two threads at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._forget()

    def _forget(self) -> None:
        self._file, self._offset, self._part = (0, 0), 0, b""
        self._kept: list[JsonObject] = []
        self.newest: JsonObject = {}
        self.stage = ""

    def read(self) -> None:
        """Reads what was written since; all of it where it is another file."""
        try:
            with self._path.open("rb") as stream:
                status = self._path.stat()
                if (status.st_dev, status.st_ino) != self._file or status.st_size < self._offset:
                    self._forget()
                    self._file = (status.st_dev, status.st_ino)
                stream.seek(self._offset)
                while chunk := stream.read(_CHUNK_BYTES):
                    self._offset += len(chunk)
                    *lines, self._part = (self._part + chunk).split(b"\n")
                    for line in lines:
                        self._take(line)
        except FileNotFoundError:
            self._forget()

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            name = event["event"]
        except (ValueError, KeyError, TypeError):  # A line that was cut by a kill.
            return
        if name == "stage.start":
            self.stage, self.newest = str(event.get("stage", "")), {}
        elif name in ("stage.end", "stage.skip"):
            self.stage = ""
        # The newest alone says how far the work is.
        if name in SAYING:
            self.newest = event
        if name in _KEPT or not self._kept:
            self._kept.append({key: event[key] for key in _STEP_FIELDS if key in event} if name == "train.step" else event)
            if len(self._kept) > MOST_KEPT:
                self._kept = [one for place, one in enumerate(self._kept) if place % 2 == 0 or one["event"] != "train.step"]

    @property
    def now(self) -> Now:
        """Where the run is, as it was read last."""
        return Now(self.stage, self.newest)

    @property
    def stream(self) -> Stream:
        """What the events tell, of several trainings in one folder the last."""
        training = {id(event) for event in last_training(self._kept)}
        return stream_of([event for event in self._kept if not event["event"].startswith("train.") or id(event) in training])
