"""What a remote model has replied, kept on the disk reply by reply, so that nothing is paid for twice.

One line a reply, appended and flushed to the disk before the reply is used: whatever ends the process, at most the requests whose replies
were still on their way are asked again. Nobody here can know whether the endpoint did, and charged for, what it never said; so each key is
noted beside the journal before its request is sent, and who goes on is told how many were on their way. The lines stand in the order in
which replies came; what is made of them does not depend on it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from luthier.core.errors import BusyError, IntegrityError, Problem, UserError
from luthier.core.files import append, named, sha256_json, sync_folder
from luthier.core.records import JsonObject

_PIECE_BYTES = 1 << 20
# In front of the key of a request that ended without a reply.
_SETTLED = "-"


def address(base_url: str) -> str:
    """`base_url` without user, password, query and fragment."""
    parts = urlsplit(base_url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def key_of(asked: JsonObject) -> str:
    """The key of a request: the SHA-256 of all that decides its reply, as canonical JSON."""
    return sha256_json(asked)


class Journal:
    """The replies by key; `open_journal` makes one. Memory holds their places alone; a reply is read from the disk when it is wanted."""

    def __init__(self, descriptor: int, path: Path, sent: int) -> None:
        """`descriptor` is `path`, open to read and append, held by this process alone; `sent` is `sent_beside` it, open likewise."""
        self._descriptor, self._path, self._sent = descriptor, path, sent
        self._places: dict[str, tuple[int, int]] = {}
        self._end = 0
        self._read()
        self.unanswered = self._left_open()

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> JsonObject | None:
        """The entry of `key`, None where there is none."""
        place = self._places.get(key)
        if place is None:
            return None
        with named(self._path):
            entry: JsonObject = json.loads(os.pread(self._descriptor, place[1], place[0]))
        return entry

    def add(self, key: str, entry: JsonObject) -> None:
        """Keeps `entry`; when this returns it is on the disk."""
        # Escaped, for a reply may hold halves of characters, which UTF-8 cannot.
        line = json.dumps({"key": key, **entry}, allow_nan=False).encode("ascii") + b"\n"
        append(self._descriptor, self._path, line)
        with named(self._path):
            os.fsync(self._descriptor)
        self._places[key] = (self._end, len(line))
        self._end += len(line)

    def sending(self, key: str) -> None:
        """Notes that the request of `key` is about to be sent. A killed process leaves the note; a machine without power may not."""
        append(self._sent, sent_beside(self._path), f"{key}\n".encode())

    def settled(self, key: str) -> None:
        """Notes that the request of `key` ended without a reply to keep, and that this is known."""
        append(self._sent, sent_beside(self._path), f"{_SETTLED}{key}\n".encode())

    def _left_open(self) -> frozenset[str]:
        """The keys of requests that were on their way when an earlier process ended; they stay noted until a reply is there."""
        path = sent_beside(self._path)
        with named(path):
            lines = os.pread(self._sent, os.fstat(self._sent).st_size, 0).decode("utf-8", "replace").split("\n")
        is_open: dict[str, bool] = {}
        for line in lines[:-1]:  # A last line without its end was cut off while it was noted: its request was never sent.
            is_open[line.removeprefix(_SETTLED)] = not line.startswith(_SETTLED)
        found = [key for key, is_left in is_open.items() if is_left and key not in self._places]
        with named(path):
            os.ftruncate(self._sent, 0)
        append(self._sent, path, "".join(f"{key}\n" for key in found).encode())
        return frozenset(found)

    def _read(self) -> None:
        """Finds what is there. A last line that was cut off is taken away, for the next one would be glued to it."""
        for number, (start, line) in enumerate(self._lines(), 1):
            key = _key_in(line)
            if key is None:
                if start + len(line) < os.fstat(self._descriptor).st_size:
                    told = "not an entry of a teacher's journal; the file was changed"
                    raise IntegrityError(f"{self._path}:{number}: {told}; put it aside to ask, and pay, anew")
                with named(self._path):
                    os.ftruncate(self._descriptor, start)
                    os.fsync(self._descriptor)
                break
            self._places[key] = (start, len(line))
            self._end = start + len(line)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with open(os.dup(self._descriptor), "rb", buffering=_PIECE_BYTES) as stream:  # noqa: PTH123 - It is open already, and locked.
            stream.seek(0)
            start = 0
            for line in stream:
                yield start, line
                start += len(line)


def _key_in(line: bytes) -> str | None:
    """The key of a whole line; None where it is cut or no entry."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    key = entry.get("key") if isinstance(entry, dict) else None
    return key if isinstance(key, str) and isinstance(entry.get("reply"), dict) else None


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """The journal at `path`, made where there is none, for this process alone: `BusyError` where another has it open."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    except OSError as error:
        hint = "mend the rights of its folder, or free the place"
        raise UserError(Problem(f"the teacher's journal cannot be opened: {error.strerror}", str(path), hint=hint)) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "wait for it to end, or stop it; nothing was asked"
            raise BusyError(Problem("another process is writing this teacher's journal", str(path), hint=hint)) from None
        sync_folder(path.parent)
        with named(sent_beside(path)):
            sent = os.open(sent_beside(path), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            yield Journal(descriptor, path, sent)
        finally:
            os.close(sent)
    finally:
        os.close(descriptor)


def sent_beside(journal: Path) -> Path:
    """The file with the keys of requests that were sent, a line each; what of them has no reply in the journal was on its way."""
    return journal.with_suffix(".sent")


def journal_in(cache: Path) -> Path:
    """The journal of the runs that share the folder `cache`: one for all, so that no run pays for what another was told."""
    return cache / "teacher" / "replies.jsonl"
