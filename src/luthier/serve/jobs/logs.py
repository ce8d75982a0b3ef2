"""The log of a job: what its command writes, without its secrets, in files of a bounded size, the newest without a number."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from luthier.serve.door.redact import StreamRedactor, redacted

NAME = "log"


class JobLog:
    """Writes to `folder/log`; at `most_bytes` the file becomes `log.1`, and so on up to `files` in all.

    The folder is there already, and one that was deleted is not made again.
    A disk that takes nothing stops no job: what could not be written is left out, and counted in a line as soon as there is room.
    """

    def __init__(self, folder: Path, most_bytes: int, files: int) -> None:
        self._folder, self._most_bytes, self._files = folder, most_bytes, files
        self._redactor = StreamRedactor()
        self._lost_bytes = 0
        self._descriptor: int | None = None

    def take(self, piece: str) -> None:
        """Adds what a command writes, without its secrets; the last of it is kept back until more comes, or `settle`."""
        self._write(self._redactor.take(piece))

    def settle(self) -> None:
        """Adds what was kept back: nothing has come for a while."""
        self._write(self._redactor.end())

    def say(self, words: str) -> None:
        """Adds a line of our own, with the time."""
        self.settle()
        self._write(f"[{time.strftime('%Y-%m-%d %H:%M:%S')}] {redacted(words)}\n")

    def _write(self, text: str) -> None:
        if not text:
            return
        content = text.encode("utf-8", "replace")
        if self._lost_bytes:
            content = f"[{self._lost_bytes:,} bytes of this log could not be written]\n".encode() + content
        try:
            self._append(content)
            self._lost_bytes = 0
        except OSError:
            self._lost_bytes += len(text)
            self._forget()

    def close(self) -> None:
        """Ends the log."""
        self.settle()
        self._forget()

    def _append(self, content: bytes) -> None:
        if self._descriptor is None:
            self._descriptor = os.open(self._folder / NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = os.fstat(self._descriptor).st_size
        if size and size + len(content) > self._most_bytes:
            self._forget()
            self._rotate()
            self._append(content[-self._most_bytes :])
            return
        while content:
            content = content[os.write(self._descriptor, content) :]

    def _rotate(self) -> None:
        names = [NAME, *(f"{NAME}.{number}" for number in range(1, self._files))]
        for older, newer in reversed(list(zip(names[1:], names, strict=False))):
            with suppress(FileNotFoundError):
                (self._folder / newer).replace(self._folder / older)
        (self._folder / NAME).unlink(missing_ok=True)

    def _forget(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def tail(folder: Path, most_bytes: int) -> bytes:
    """The last bytes of the log, over the end of a file into the one before; they begin with a whole line where some were left out."""
    parts: list[bytes] = []
    left = most_bytes
    is_cut = False
    for path in _newest_first(folder):
        with suppress(FileNotFoundError), path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - left))
            parts.insert(0, stream.read(left))
            is_cut = size > left
            left -= len(parts[0])
        if left <= 0:
            break
    text = b"".join(parts)
    return text.partition(b"\n")[2] if is_cut else text


def _newest_first(folder: Path) -> Iterator[Path]:
    path, number = folder / NAME, 0
    while number == 0 or path.is_file():
        yield path
        number += 1
        path = folder / f"{NAME}.{number}"
