"""Accepted rows on their way to a side: the rows wait on the disk, only their ids and digests in memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from luthier.core.files import json_line, write_with
from luthier.core.records import Example, Origin, Reject
from luthier.data.dedup import Meetings, keys_of, numbered
from luthier.data.rows import DUPLICATE, BadRow, Fields, place
from luthier.data.split import Division, RowKeys

# Stands in the waiting rows for the group, which is known only when all rows are; a group's name is as long.
_NO_GROUP = "0" * 16
_GROUP_FIELD = b'"group": "' + _NO_GROUP.encode() + b'"'


class RowStore:
    """Takes rows in their order and writes them to the sides of a division.

    With `drop_duplicates` a row that equals an earlier one is handed back as a `Reject`; without it, it gets an id of its own.
    """

    def __init__(self, folder: Path, drop_duplicates: bool, grouped: bool) -> None:
        self._spool = TemporaryFile(dir=folder)  # noqa: SIM115 - Closed by `close`; it has no name, so a killed process leaves nothing.
        self._drop_duplicates = drop_duplicates
        self._group = _NO_GROUP if grouped else ""
        self._meetings = Meetings()
        self._files: list[str] = []
        self._file_of = array("q")
        self._line_of = array("q")
        self._ids: list[str] = []
        self._requests: list[bytes | None] = []
        self._answers: list[bytes | None] = []

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def keys(self) -> RowKeys:
        """Ids and digests of the rows, in their order."""
        return RowKeys(self._ids, self._requests, self._answers)

    def add(self, fields: Fields, origin: Origin, template: str, file: str, line: int) -> Reject | None:
        """Takes one row; the reject where it is a duplicate. `BadRow` where it cannot be stored."""
        keys = keys_of(fields, template)
        if self._drop_duplicates and (first := self._meetings.first(keys.row)) is not None:
            where = place(self._files[self._file_of[first]], self._line_of[first])
            return Reject(keys.id, "dedup", DUPLICATE, f"equal to row {self._ids[first]} at {where}", file, line)
        row_id = numbered(keys.id, self._meetings.meet(keys.row, len(self._ids)))
        example = Example(row_id, fields.messages, origin, fields.tools, self._group, template)
        self._spool.write(_line(example))
        if not self._files or self._files[-1] != file:
            self._files.append(file)
        self._file_of.append(len(self._files) - 1)
        self._line_of.append(line)
        self._ids.append(row_id)
        self._requests.append(keys.request)
        self._answers.append(keys.answer)
        return None

    def write(self, path: Path, division: Division, side: int) -> None:
        """Writes the rows of one side of `division` to `path`, in the order in which they came."""
        write_with(path, lambda stream: stream.writelines(self._lines_of(division, side)))

    def _lines_of(self, division: Division, side: int) -> Iterator[bytes]:
        for number, line in enumerate(_from_start(self._spool)):
            if division.sides[number] != side:
                continue
            if self._group:
                before, _, after = line.rpartition(_GROUP_FIELD)
                line = before + b'"group": "' + division.groups[number].encode() + b'"' + after  # noqa: PLW2901
            yield line

    def close(self) -> None:
        """Frees the disk space."""
        self._spool.close()


def _from_start(stream: IO[bytes]) -> Iterator[bytes]:
    stream.seek(0)
    return iter(stream)


def _line(example: Example) -> bytes:
    try:
        return json_line(example.to_json()).encode("utf-8")
    except UnicodeEncodeError as error:  # A surrogate in a field that takes no part in the comparison, such as a call's id.
        raise BadRow("invalid_unicode", "a field of the row holds half of a surrogate pair, which is no character") from error
