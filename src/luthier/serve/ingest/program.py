"""The program of a job that takes a source in: `python -m luthier.serve.ingest.program ROOT SPEC.json`.

Its progress stands in the source's `events.jsonl`; its last line on standard output is a JSON object of what it took in. It can be killed
at any moment and run again: until its last step readers see what was there before.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from types import FrameType

from luthier.core.errors import EXIT_USER, DataError, LuthierError, Problem
from luthier.core.events import EventLog, monotonic_seconds
from luthier.core.files import read_json, write_json
from luthier.core.records import JsonObject
from luthier.serve.ingest.library import EVENTS, Library
from luthier.serve.ingest.records import SENT, Spec
from luthier.serve.ingest.taking import take_in
from luthier.serve.ingest.uploads import delete_sent
from luthier.serve.state.root import ServeRoot

_EXIT_INTERRUPTED = 130
# Beside the spec of an upload that was taken in: what was told of it.
_TAKEN = "taken.json"
# Progress of one step is told so often at most.
_TELL_SECONDS = 0.5


class _Told:
    """Progress into the event stream: each step when it begins, then now and then."""

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._step, self._at = "", 0.0

    def __call__(self, step: str, done: int) -> None:
        now = monotonic_seconds()
        if step != self._step or now - self._at >= _TELL_SECONDS:
            self._step, self._at = step, now
            self._events.emit("ingest.progress", step=step, done=done)


def run(root: ServeRoot, spec_path: Path) -> int:
    """The exit code after the source of the spec was taken in: 0, or that of the error, which is told on standard error."""
    try:
        spec, taken = _spec(spec_path), spec_path.with_name(_TAKEN)
        if taken.is_file():  # An upload is deleted when it is taken in: the job was killed between that and its end.
            print(json.dumps(read_json(taken)), flush=True)
            return 0
        if spec.kind == "upload" and not (Path(spec.place) / SENT).is_dir():
            what, hint = "what was sent is deleted, for it could not be taken in", "send it again"
            raise DataError(Problem(what, where="files", hint=hint))
        with Library(root).held(spec.name) as folder:
            events = EventLog(folder / EVENTS)
            try:
                return _take(spec, folder, events, taken)
            finally:
                events.close()
    except LuthierError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _take(spec: Spec, folder: Path, events: EventLog, taken: Path) -> int:
    events.emit("ingest.start", source=spec.name, place=spec.shown)
    began = monotonic_seconds()
    try:
        source = take_in(spec, folder, _Told(events))
    except LuthierError as error:
        events.emit("ingest.failed", error=str(error))
        if spec.kind == "upload":
            delete_sent(Path(spec.place))
        raise
    except KeyboardInterrupt:
        events.emit("ingest.stopped")
        return _EXIT_INTERRUPTED
    seconds = round(monotonic_seconds() - began, 3)
    counts: JsonObject = {"files": source.files, "pieces": source.pieces, **source.changes}
    told: JsonObject = {"source": spec.name, "commit": source.commit, "seconds": seconds, **counts, "notes": list(source.notes)}
    if spec.kind == "upload":
        write_json(taken, told)
        delete_sent(Path(spec.place))
    events.emit("ingest.done", **told)
    print(json.dumps(told), flush=True)
    return 0


def _spec(path: Path) -> Spec:
    try:
        return Spec.read(path)
    except (OSError, ValueError, TypeError, KeyError) as error:
        hint = "ask for the source to be taken in again"
        raise DataError(Problem("what is to be taken in is not there", where=str(path), found=str(error), hint=hint)) from error


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """The exit code for the arguments `ROOT SPEC.json`."""
    if len(arguments) != 2:
        print("usage: python -m luthier.serve.ingest.program ROOT SPEC.json", file=sys.stderr)
        return EXIT_USER
    signal.signal(signal.SIGTERM, _interrupt)
    return run(ServeRoot(Path(arguments[0])), Path(arguments[1]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
