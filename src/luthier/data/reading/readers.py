"""Reading files row by row: JSON Lines, JSON, CSV and Parquet, plain or gzipped.

A reader yields `(line, row)`; the row is a JSON object, or the `BadRow` that says why the line holds none. Lines count from 1;
Parquet has no lines and counts rows, and so does a list of JSON whose second row begins on the line of the first. What makes the rest of
a file unreadable is a `DataError`, never a silent end.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import IO, Any

from luthier.core.errors import DataError, Problem
from luthier.core.optional import load
from luthier.core.records import JsonObject, JsonValue, without_nulls
from luthier.data.rows.fields import MOST_NESTED, BadRow, is_nested_deeply, kind, shown

Row = tuple[int, "JsonObject | BadRow"]

_BATCH_ROWS = 1024
_LARGEST_CSV_FIELD_BYTES = 1 << 30
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_DEEP = f"nested too deeply: more than {MOST_NESTED} levels, which no row needs"
_BLANKS = re.compile(r"[ \t\r\n]*")


def read_rows(path: Path, file_format: str) -> Iterator[Row]:
    """The rows of `path`, whose `file_format` is `json` (JSON Lines too), `csv` or `parquet`; `DataError` where it cannot be read on."""
    line = 0
    try:
        for line, row in _READERS[file_format](path):
            yield line, row
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _unreadable(path, line, "the compressed data is cut or damaged", str(error)) from error
    except OSError as error:
        raise _unreadable(path, line, "the file cannot be read", error.strerror or str(error)) from error


def _unreadable(path: Path, line: int, what: str, found: str, hint: str = "") -> DataError:
    where = f"{path}:{line}" if line else str(path)
    advice = hint or "write the file anew; no row after this place can be read"
    return DataError(Problem(what, where=where, found=shown(found), hint=advice))


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


class _Decoder:
    """A JSON decoder that also sees what Python's passes over: repeated keys, and NaN and its like, which are no JSON."""

    def __init__(self) -> None:
        self._problem: BadRow | None = None
        self._decoder = json.JSONDecoder(object_pairs_hook=self._pairs, parse_constant=self._constant)

    def _pairs(self, pairs: list[tuple[str, Any]]) -> JsonObject:
        row = dict(pairs)
        if len(row) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            self._problem = BadRow("duplicate_key", f"the key `{shown(twice)}` stands twice in one object; keep one of the two")
        return row

    def _constant(self, name: str) -> None:
        self._problem = BadRow("not_a_number", f"`{name}` is no JSON value; write a number or null")

    def at(self, text: str, position: int) -> tuple[JsonObject | BadRow, int]:
        """The value at `position` as a row, and where it ends; `ValueError` where there is no JSON value."""
        self._problem = None
        try:
            value, end = self._decoder.raw_decode(text, position)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        return self._row(value, text.count("[", position, end) + text.count("{", position, end)), end

    def line(self, text: str) -> JsonObject | BadRow:
        """The row in one line of JSON Lines."""
        self._problem = None
        try:
            return self._row(self._decoder.decode(text), text.count("[") + text.count("{"))
        except json.JSONDecodeError as error:
            return BadRow("invalid_json", f"{error.msg} at column {error.colno}; expected one JSON object a line")
        except ValueError as error:  # An integer with thousands of digits.
            return BadRow("invalid_json", shown(error))
        except RecursionError:
            return BadRow("invalid_json", _DEEP)

    def _row(self, value: JsonValue, brackets: int) -> JsonObject | BadRow:
        if self._problem is not None:
            return self._problem
        if is_nested_deeply(value, brackets):
            return BadRow("invalid_json", _DEEP)
        if not isinstance(value, dict):
            return BadRow("not_an_object", f"expected an object with named fields, found {kind(value)}")
        return value


def _read_json(path: Path) -> Iterator[Row]:
    """JSON Lines, a list of objects, or an object with such a list under `data`: the first bytes tell which."""
    with _open(path) as stream:
        first, first_line = _first_line(path, stream)
        if _is_document(path, first):
            yield from _document_rows(path, first_line, first + stream.read())
        else:
            yield from _lines(first_line, _with_first(first, stream))


def _first_line(path: Path, stream: Iterable[bytes]) -> tuple[bytes, int]:
    """The first line that is not blank, without a byte order mark, and its number."""
    number = 1
    for number, line in enumerate(stream, 1):
        if number == 1 and line.startswith(_UTF16_MARKS):
            raise _unreadable(path, 0, "the file is written in UTF-16", line[:4].hex(" "), "save it as UTF-8")
        text = line.removeprefix(_UTF8_BOM) if number == 1 else line
        if text.strip():
            return text, number
    return b"", number


def _is_document(path: Path, first: bytes) -> bool:
    """Whether a file that begins with line `first` is one JSON value, not JSON Lines."""
    stripped = first.lstrip()
    if stripped.startswith(b"[") or not stripped:
        return True
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".jsonl"):
        return False
    try:
        return isinstance((json.loads(first)).get("data"), list)
    except (ValueError, AttributeError, RecursionError):
        # A first line that is no whole object: a document over several lines, unless it is a broken line of JSON Lines.
        return len(stripped.rstrip()) < 3 or not stripped.rstrip().endswith(b"}")


def _with_first(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _lines(first_line: int, lines: Iterable[bytes]) -> Iterator[Row]:
    decoder = _Decoder()
    for number, line in enumerate(lines, first_line):
        if line.isspace():
            continue
        try:
            text = line.decode("utf-8").strip(" \t\r\n")
        except UnicodeDecodeError as error:
            yield number, BadRow("invalid_utf8", f"byte {error.start + 1} of the line (0x{line[error.start]:02x}) is no UTF-8")
            continue
        yield number, decoder.line(text)


def _document_rows(path: Path, first_line: int, content: bytes) -> Iterator[Row]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first_line + content.count(b"\n", 0, error.start)
        raise _unreadable(path, line, "the file is not UTF-8", f"byte 0x{content[error.start]:02x}", "save it as UTF-8") from error
    decoder = _Decoder()
    position = _skip(text, 0)
    if position == len(text):
        return
    try:
        position = _list_start(text, position, decoder)
        yield from _elements(text, position, first_line, decoder)
    except ValueError as error:
        at = error.pos if isinstance(error, json.JSONDecodeError) else position
        message = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        line = first_line + text.count("\n", 0, at)
        raise _unreadable(path, line, "the file is no JSON that holds rows", message, _JSON_SHAPES) from error


_JSON_SHAPES = 'expected JSON Lines, a list of objects, or `{"data": [...]}`'


def _skip(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    return match.end() if match else position


def _list_start(text: str, position: int, decoder: _Decoder) -> int:
    """The position after the bracket of the list of rows; `ValueError` where there is no such list."""
    if text[position] == "[":
        return position + 1
    while text[position : position + 1] in ("{", ","):
        name, position = json.JSONDecoder().raw_decode(text, _skip(text, position + 1))
        position = _skip(text, position)
        if text[position : position + 1] != ":":
            raise json.JSONDecodeError("expected a colon", text, position)
        position = _skip(text, position + 1)
        if name == "data" and text[position : position + 1] == "[":
            return position + 1
        position = _skip(text, decoder.at(text, position)[1])
    raise json.JSONDecodeError("there is no list under `data`", text, position)


def _elements(text: str, position: int, line: int, decoder: _Decoder) -> Iterator[Row]:
    counted = 0
    position = _skip(text, position)
    if text[position : position + 1] == "]":
        return
    counts_rows: bool | None = None
    for number in count(1):
        line, counted = line + text.count("\n", counted, position), position
        row, position = decoder.at(text, position)
        position = _skip(text, position)
        if counts_rows is None:
            second = _skip(text, position + 1) if text[position : position + 1] == "," else position
            counts_rows = text[second : second + 1] not in ("", "]") and "\n" not in text[counted:second]
        yield (number if counts_rows else line), row
        mark = text[position : position + 1]
        if mark == "]":
            return
        if mark != ",":
            raise json.JSONDecodeError("the list of rows does not end" if not mark else "expected a comma", text, position)
        position = _skip(text, position + 1)


def _read_csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(_LARGEST_CSV_FIELD_BYTES)
    with _open(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        reader = csv.reader(text, strict=True)
        header = _csv_header(path, reader)
        while True:
            line = reader.line_num + 1
            try:
                values = next(reader, None)
            except csv.Error as error:
                if "end of data" in str(error):
                    raise _unreadable(path, line, "a quote that opens here is never closed", str(error)) from error
                yield line, BadRow("invalid_csv", str(error))
                continue
            if values is None:
                return
            if values:
                yield line, _csv_row(header, values)


def _csv_header(path: Path, reader: Iterator[list[str]]) -> list[str]:
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise _unreadable(path, 1, "the first line names no columns", str(error)) from error
    if any("\0" in name for name in header):
        raise _unreadable(path, 1, "the first line names no columns", "zero bytes", "save the file as UTF-8")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise _unreadable(path, 1, f"the column `{shown(repeated[0])}` stands twice", ", ".join(header), "give each column its own name")
    return header


def _csv_row(header: list[str], values: list[str]) -> JsonObject | BadRow:
    if len(values) != len(header):
        return BadRow("wrong_column_count", f"expected {len(header)} columns as in the first line, found {len(values)}")
    try:
        for value in values:
            if not value.isascii():
                value.encode("utf-8")
    except UnicodeEncodeError as error:
        byte = ord(error.object[error.start]) - 0xDC00
        return BadRow("invalid_utf8", f"the byte 0x{byte:02x} in a field is no UTF-8")
    return dict(zip(header, values, strict=True))


def _read_parquet(path: Path) -> Iterator[Row]:
    arrow = load("pyarrow", extra="data", reason="it reads Parquet")
    parquet = load("pyarrow.parquet", extra="data", reason="it reads Parquet")
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield number, {name: without_nulls(value) for name, value in row.items()}
    except arrow.ArrowException as error:
        raise _unreadable(path, number, "the file is no readable Parquet", str(error)) from error


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {"json": _read_json, "csv": _read_csv, "parquet": _read_parquet}
