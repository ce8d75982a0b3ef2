"""The server's log: a line of JSON for each thing that happened, without bodies, paths or secrets, in files that are put aside in time."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import queue
import sqlite3
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from luthier.serve.door.redact import redacted

FILE = "server.jsonl"
# Everything of ours and of uvicorn's, whose own words are for those who write servers.
_LOGGERS = ("luthier.serve", "uvicorn")
# Lines that wait for the disk; of more than these the rest is lost, rather than the server held up.
_WAITING = 10_000
_MOST_CHARACTERS = 20_000


class LineFormatter(logging.Formatter):
    """A record as a line of JSON; an error as its types and places, for its words may repeat what a client sent."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told = {"at": at, "level": record.levelname.lower(), "what": record.getMessage()[:_MOST_CHARACTERS], **getattr(record, "told", {})}
        if record.exc_info and record.exc_info[1] is not None:
            told["trace"] = trace_of(record.exc_info[1])
        line = json.dumps(told, ensure_ascii=True, default=str)
        # What is said of a request is made of templates and numbers.
        return line if record.levelno < logging.WARNING else redacted(line)


class _Rotating(logging.handlers.RotatingFileHandler):
    """Says once that nothing can be written, and goes on without."""

    has_told = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self.has_told:
            self.has_told = True
            error = sys.exc_info()[1]
            print(
                f"the log {self.baseFilename} cannot be written: {getattr(error, 'strerror', None) or type(error).__name__}",
                file=sys.stderr,
            )


class _Waiting(logging.handlers.QueueHandler):
    """Hands records to the thread that writes, without waiting for it."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(queue.Full):
            self.queue.put_nowait(record)


@contextmanager
def logging_to(folder: Path, most_bytes: int, files: int) -> Iterator[None]:
    """While it is open, what the server logs stands in `folder`, and errors on stderr too; `files` of `most_bytes` are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    file = _Rotating(folder / FILE, maxBytes=most_bytes, backupCount=files - 1, encoding="utf-8")
    file.setFormatter(LineFormatter())
    shown = logging.StreamHandler(sys.stderr)
    shown.setLevel(logging.ERROR)
    shown.setFormatter(_Shown())
    records: queue.Queue[logging.LogRecord] = queue.Queue(_WAITING)
    writer = logging.handlers.QueueListener(records, file, shown, respect_handler_level=True)
    hand = _Waiting(records)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(hand)
        logger.propagate = False
    logging.getLogger("luthier.serve").setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    writer.start()
    try:
        yield
    finally:
        writer.stop()
        for logger in loggers:
            logger.removeHandler(hand)
            logger.propagate = True
        # What a full disk did not take is lost.
        with suppress(OSError):
            file.close()


class _Shown(logging.Formatter):
    """The same for whoever looks on: the words, and the trace below them."""

    def format(self, record: logging.LogRecord) -> str:
        trace = f"\n{trace_of(record.exc_info[1])}" if record.exc_info and record.exc_info[1] is not None else ""
        return redacted(f"{record.getMessage()[:_MOST_CHARACTERS]}{trace}")


def words_of(error: BaseException) -> str:
    """What an error says, as far as that is the system's or the database's own and names no path; else its type."""
    if isinstance(error, OSError) and error.strerror:
        return f"[Errno {error.errno}] {error.strerror}"
    return str(error) if isinstance(error, sqlite3.Error) else type(error).__name__


def trace_of(error: BaseException) -> str:
    """Where an error came from: its types and its places in the code, without the paths of this machine; and its words by `words_of`."""
    lines: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        places = [f"  {_in_code(frame.filename)}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(seen.__traceback__)]
        words = f": {words_of(seen)}" if isinstance(seen, OSError | sqlite3.Error) else ""
        lines = [f"{type(seen).__module__}.{type(seen).__qualname__}{words}", *places, *lines]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(lines)


def _in_code(path: str) -> str:
    """The file as it is imported, `luthier/serve/app.py`; its name alone where it is none."""
    below = [folder for folder in sys.path if folder and path.startswith(f"{folder.rstrip(os.sep)}{os.sep}")]
    return os.path.relpath(path, max(below, key=len)) if below else Path(path).name
