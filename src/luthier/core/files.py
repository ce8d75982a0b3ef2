"""The one writer and hasher of files: a temporary name, flushed, renamed; a reader never sees half a file."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from luthier.core.errors import IntegrityError
from luthier.core.records import JsonObject, JsonValue

_CHUNK_BYTES = 1 << 20
# Kept, for `json.dumps` builds an encoder anew for each row.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Names `path` in an `OSError` that names no file: what the system says of a full disk does not tell where."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


def append(descriptor: int, path: Path, content: bytes) -> None:
    """Writes all of `content` to the open file `path`; a system that takes a part is handed the rest."""
    with named(path):
        while content:
            content = content[os.write(descriptor, content) :]


class Spool(io.BufferedRandom):
    """A file in `folder` that has no name, for what waits on the disk: a killed process leaves nothing of it.

    `OSError` names the folder where there is no room. What was not written yet is given up by `close`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        super().__init__(TemporaryFile(dir=folder, buffering=0))  # noqa: SIM115 - Closed by `close`.

    def write(self, content: Any, /) -> int:
        """Writes bytes, or hands them to the buffer."""
        try:
            return super().write(content)
        except OSError as error:  # Not `named`, which costs a row more than its writing.
            error.filename = error.filename or str(self._folder)
            raise

    def seek(self, position: int, whence: int = os.SEEK_SET, /) -> int:
        """Goes to a place; what the buffer holds is written before."""
        with named(self._folder):
            return super().seek(position, whence)

    def flush(self) -> None:
        """Writes what the buffer holds."""
        with named(self._folder):
            super().flush()

    def close(self) -> None:
        """Frees the disk space. A buffer that is not written fails no second time on a full disk."""
        self.raw.close()


def temporary_name(path: Path) -> Path:
    """The name beside `path` under which this thread makes it: `.NAME.ID.tmp`, which no other thread of the machine has now.

    `ID` is the thread's own for the whole system, the process's in its first thread: so `remove_leftovers` sees who is at work.
    """
    return path.with_name(f".{path.name}.{threading.get_native_id()}.tmp")


def write_with(path: Path, write: Callable[[IO[bytes]], None], mode: int | None = None) -> None:
    """Writes `path` through `write(stream)`: the file is there whole or not at all, also after a crash.

    `mode` is the file's rights (what `stat.S_IMODE` gives), which it never exceeds, not even while it is written; without it they are what
    the umask leaves.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    if mode is not None:
        # Left by a killed process, it would keep its rights, and whoever has it open.
        temporary.unlink(missing_ok=True)

    def opened(name: str, flags: int) -> int:
        return os.open(name, flags, 0o666 if mode is None else 0o600 & mode)

    try:
        with named(path), open(temporary, "wb", opener=opened) as stream:
            write(stream)
            stream.flush()
            if mode is not None:
                os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_bytes(path: Path, content: bytes, mode: int | None = None) -> None:
    """Writes `content` to `path`, whole or not at all; `mode` as in `write_with`."""

    def write(stream: IO[bytes]) -> None:
        stream.write(content)

    write_with(path, write, mode)


def write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8 to `path`, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: JsonValue) -> None:
    """Writes `value` as readable JSON to `path`; keys keep their order, so equal values give equal bytes."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def json_line(row: JsonObject) -> str:
    """One row as a line of JSON Lines, newline included."""
    return _encode(row) + "\n"


def write_jsonl(path: Path, rows: Iterable[JsonObject]) -> int:
    """Writes `rows` as JSON Lines to `path` and returns their number."""
    count = 0

    def write(stream: IO[bytes]) -> None:
        nonlocal count
        for row in rows:
            stream.write(json_line(row).encode("utf-8"))
            count += 1

    write_with(path, write)
    return count


def read_json(path: Path) -> JsonValue:
    """The value in the JSON file `path`."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_jsonl(path: Path) -> Iterator[JsonObject]:
    """The rows of a JSON Lines file that Luthier wrote; a line that is no JSON is an `IntegrityError` with its number."""
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise IntegrityError(f"{path}:{number}: not a line of JSON; the file was changed or cut ({error.msg})") from error


def sync_folder(path: Path) -> None:
    """Makes the names in folder `path` durable, where the system can."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # Some network file systems refuse to flush a folder; the files in it are flushed already.
        pass
    finally:
        os.close(descriptor)


def sha256_bytes(content: bytes) -> str:
    """The SHA-256 of `content` in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_json(value: JsonValue) -> str:
    """The SHA-256 of `value` in canonical JSON: sorted keys, no blanks."""
    return sha256_bytes(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


class HashMemory:
    """SHA-256 of files, remembered by path, size and time of change, so that a large file is hashed once.

    A wrong or unreadable memory costs a new hash, never a wrong answer: a file whose size or nanosecond time differs is hashed again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, list[JsonValue]] = {}
        self._changed = False
        if path.is_file():
            try:
                self._known = json.loads(path.read_text(encoding="utf-8"))
            except (ValueError, OSError):
                self._known = {}

    def sha256(self, path: Path) -> str:
        """The SHA-256 of the file `path`."""
        status = path.stat()
        key = str(path.resolve())
        stamp = [status.st_size, status.st_mtime_ns]
        known = self._known.get(key)
        if known is not None and known[:2] == stamp:
            return str(known[2])
        digest = sha256_file(path)
        self._known[key] = [*stamp, digest]
        self._changed = True
        return digest

    def sha256_tree(self, path: Path, without: Sequence[Path] = ()) -> str:
        """The SHA-256 over names and hashes of all files below `path` but those in `without`; of the file itself where `path` is one."""
        if path.is_file():
            return self.sha256(path)
        files = sorted(file for file in path.rglob("*") if file.is_file() and not is_within(file, without))
        return sha256_json([[str(file.relative_to(path)), self.sha256(file)] for file in files])

    def save(self) -> None:
        """Writes the memory back, where anything is new."""
        if self._changed:
            write_text(self._path, json.dumps(self._known))
            self._changed = False


def remove(path: Path) -> None:
    """Removes a file or a folder with all in it; nothing happens where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes what processes that were killed left half written in `folder`: `.NAME.ID.tmp`, whose thread is no more."""
    for path in folder.glob(".*.tmp"):
        owner = path.name.split(".")[-2]
        if owner.isdecimal() and int(owner) != os.getpid() and not Path("/proc", owner).exists() and Path("/proc/self").exists():
            remove(path)


def is_within(path: Path, folders: Sequence[Path]) -> bool:
    """Whether `path` is one of `folders` (or files), or lies below one."""
    return any(path == folder or folder in path.parents for folder in folders)


def link_or_copy(source: Path, target: Path, without: Sequence[Path] = ()) -> None:
    """Puts `source`, a file or a folder but for what is in `without`, at `target`: as hard links where the file system can, else copies."""
    if source.is_dir():
        for file in sorted(source.rglob("*")):
            if file.is_file() and not is_within(file, without):
                link_or_copy(file, target / file.relative_to(source))
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    remove(target)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
