"""An upload as it comes: each file of a multipart body written to the disk as its bytes arrive, and nothing left of one that breaks off."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from luthier.core.errors import DataError, Problem
from luthier.core.files import sync_folder

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# Parts of one body: files to take in, and fields beside them.
MOST_FILES = 5_000
_MOST_FIELD_BYTES = 1_000
_FIELDS = ("name",)
FILES = "files"


@dataclass(frozen=True, slots=True)
class Received:
    """What came: fields by name, files as (name that the client gave, file on the disk, bytes), and a hash of both: other uploads have
    another."""

    fields: dict[str, str]
    files: tuple[tuple[str, str, int], ...]
    digest: str


class Receiver:
    """Writes the files of a body into `folder`; `write` takes its bytes as they come. `DataError` where it is no upload."""

    def __init__(self, content_type: str, folder: Path, passed_over: tuple[str, ...] = ()) -> None:
        """Fields that are `passed_over` are the door's; they make no upload another one."""
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise _wrong("the body is no upload", "Content-Type", "send it as `multipart/form-data`")
        self._folder, self._passed_over = folder, passed_over
        self._fields: dict[str, str] = {}
        self._files: list[tuple[str, str, int]] = []
        self._digest = hashlib.sha256()
        self._stream: IO[bytes] | None = None
        self._field, self._value = "", bytearray()
        self._header, self._header_value, self._disposition = bytearray(), bytearray(), b""
        self._is_whole = False
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._on_part,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
            "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }
        with _told():
            self._parser = MultipartParser(options[b"boundary"], callbacks)

    def write(self, chunk: bytes) -> None:
        """The next bytes of the body."""
        with _told():
            self._parser.write(chunk)

    def finished(self) -> Received:
        """All that came, once the body has ended. It is on the disk then: who is told so may lose the power."""
        with _told():
            self._parser.finalize()
        if not self._is_whole:
            raise _wrong("the body ends in the middle of a part", FILES, "send it again")
        if not self._files:
            raise _wrong("no file was sent", FILES, f"send one or more parts named `{FILES}` with a file name each")
        # All of them at the end: the system has written most by then, where each for itself would be waited for.
        for _, file, _ in self._files:
            _sync(self._folder / file)
        sync_folder(self._folder)
        return Received(self._fields, tuple(self._files), self._digest.hexdigest())

    def close(self) -> None:
        """Closes what is open where the body broke off."""
        if self._stream is not None:
            self._stream.close()

    def _on_part(self) -> None:
        self._disposition = b""

    def _on_header(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header.clear()
        self._header_value.clear()

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._field = options.get(b"name", b"").decode("utf-8", "replace")
        name = options.get(b"filename")
        if name is None:
            if self._field not in (*_FIELDS, *self._passed_over) or self._field in self._fields:
                raise _wrong("this part of the upload is not known", self._field[:100] or "(no name)", f"parts are `{FILES}` and `name`")
            self._value.clear()
            return
        if self._field != FILES:
            raise _wrong("a file came in a part of another name", self._field[:100] or "(no name)", f"name it `{FILES}`")
        if len(self._files) >= MOST_FILES:
            raise _wrong(f"more than {MOST_FILES:,} files were sent", FILES, "send them as an archive: zip, tar or tar.gz")
        path = self._folder / str(len(self._files))
        self._files.append((name.decode("utf-8", "replace"), path.name, 0))
        self._digest.update(b"\0file\0" + name)
        self._stream = path.open("wb")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._digest.update(data[start:end])
        if self._stream is not None:
            self._stream.write(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > _MOST_FIELD_BYTES:
            raise _wrong("the value is too long", self._field, f"it has at most {_MOST_FIELD_BYTES:,} bytes")

    def _on_part_end(self) -> None:
        if self._stream is not None:
            self._files[-1] = (*self._files[-1][:2], self._stream.tell())
            self._stream.close()
            self._stream = None
        else:
            self._fields[self._field] = self._value.decode("utf-8", "replace")
            self._digest.update(b"\0field\0")

    def _on_end(self) -> None:
        self._is_whole = True


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except FormParserError as error:
        raise _wrong("the body is no upload that can be read", FILES, "send it as `multipart/form-data`") from error


def _wrong(what: str, where: str, hint: str) -> DataError:
    return DataError(Problem(what, where=where, hint=hint))
