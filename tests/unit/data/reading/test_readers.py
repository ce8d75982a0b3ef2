"""Files of every format, and every way in which one can be damaged."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luthier.core.errors import DataError
from luthier.core.records import without_nulls
from luthier.data.reading.readers import read_rows
from luthier.data.rows.fields import BadRow

Read = Callable[[str, bytes], list[tuple[int, Any]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_bytes(name: str, content: bytes) -> list[tuple[int, Any]]:
        path = tmp_path / name
        path.write_bytes(content)
        file_format = "csv" if ".csv" in name else "parquet" if "parquet" in name else "json"
        return [(line, row.reason if isinstance(row, BadRow) else row) for line, row in read_rows(path, file_format)]

    return read_bytes


def test_json_lines_with_blank_lines_and_windows_line_ends(read: Read) -> None:
    assert read("a.jsonl", b'{"a": 1}\r\n\r\n  \n{"a": 2}') == [(1, {"a": 1}), (4, {"a": 2})]


def test_a_byte_order_mark_is_passed_over(read: Read) -> None:
    mark = b"\xef\xbb\xbf"
    assert read("a.jsonl", mark + b'{"a": 1}\n{"a": 2}\n') == [(1, {"a": 1}), (2, {"a": 2})]
    assert read("a.json", mark + b'[{"a": 1}]') == [(1, {"a": 1})]
    assert read("a.csv", mark + b"a\n1\n") == [(2, {"a": "1"})]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.jsonl.gz"])
def test_an_empty_file_has_no_rows(read: Read, name: str) -> None:
    content = gzip.compress(b"") if name.endswith(".gz") else b""
    assert read(name, content) == []


BAD_LINES = {
    "cut": (b'{"a": 1', "invalid_json"),
    "no JSON": (b"hello", "invalid_json"),
    "two values": (b'{"a": 1} {"a": 2}', "invalid_json"),
    "not UTF-8": (b'{"a": "\xff"}', "invalid_utf8"),
    "NaN": (b'{"a": NaN}', "not_a_number"),
    "infinity": (b'{"a": [-Infinity]}', "not_a_number"),
    "duplicate key": (b'{"a": 1, "a": 2}', "duplicate_key"),
    "duplicate key inside": (b'{"a": {"b": 1, "b": 2}}', "duplicate_key"),
    "list": (b"[1]", "not_an_object"),
    "number": (b"3", "not_an_object"),
    "endless number": (b'{"a": ' + b"1" * 5000 + b"}", "invalid_json"),
    "501 levels": (b'{"a": ' + b"[" * 500 + b"]" * 500 + b"}", "invalid_json"),
    "too deep": (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_costs_only_itself(read: Read, name: str) -> None:
    line, reason = BAD_LINES[name]
    assert read("a.jsonl", b'{"a": 0}\n' + line + b'\n{"a": 2}\n') == [(1, {"a": 0}), (2, reason), (3, {"a": 2})]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_how_deep_a_row_may_be_does_not_depend_on_who_reads_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    rows = ['{"a": ' + '[{"b": ' * levels + "1" + "}]" * levels + "}" for levels in (249, 250)]
    path.write_text("\n".join(rows) if name == "a.jsonl" else f"[{', '.join(rows)}]")

    def kinds(stack: int) -> list[bool]:
        return kinds(stack - 1) if stack else [isinstance(row, BadRow) for _, row in read_rows(path, "json")]

    assert kinds(0) == kinds(300) == [False, True]


def test_the_detail_names_place_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": "\xff"}\n{"a" 1}\n')
    first, second = (row for _, row in read_rows(path, "json"))
    assert isinstance(first, BadRow)
    assert first.detail == "byte 8 of the line (0xff) is no UTF-8"
    assert isinstance(second, BadRow)
    assert second.detail == "Expecting ':' delimiter at column 6; expected one JSON object a line"


def test_a_line_of_a_megabyte(read: Read) -> None:
    text = "x" * (1 << 20)
    assert read("a.jsonl", json.dumps({"a": text}).encode()) == [(1, {"a": text})]
    assert read("a.csv", f"a\n{text}\n".encode()) == [(2, {"a": text})]


DOCUMENTS = {
    "list": b'[{"a": 1}, {"a": 2}]',
    "data": b'{"version": {"data": []}, "data": [{"a": 1}, {"a": 2}], "more": 3}',
    "data first": b'{"data":[{"a":1},{"a":2}]}',
    "lines": b'{"a": 1}\n{"a": 2}\n',
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_shapes_of_a_json_file(read: Read, name: str) -> None:
    assert [row for _, row in read("a.json", DOCUMENTS[name])] == [{"a": 1}, {"a": 2}]


def test_rows_of_a_list_know_their_lines(read: Read) -> None:
    content = b'\n[\n  {"a": 1},\n  {\n    "a": NaN\n  },\n  3, {"a": 4}\n]\n'
    assert read("a.json", content) == [(3, {"a": 1}), (4, "not_a_number"), (7, "not_an_object"), (7, {"a": 4})]
    assert read("a.json", b'{\n"data": [\n{"a": 1}\n]}') == [(3, {"a": 1})]
    # Of a list on one line, where all would be told by the same number, rows are counted.
    assert read("a.json", b'{"data": [{"a": 1}, 5, {"a": 3}]}') == [(1, {"a": 1}), (2, "not_an_object"), (3, {"a": 3})]
    assert read("a.json", b'[{"a":\n1}, {"a":\n2}]') == [(1, {"a": 1}), (2, {"a": 2})]
    assert read("a.json", b"[]") == []


BROKEN = {
    "list cut": ("a.json", b'[\n{"a": 1},\n{"a": 2', ":3: the file is no JSON that holds rows"),
    "list ends early": ("a.json", b'[{"a": 1}', "the list of rows does not end"),
    "no comma": ("a.json", b'[{"a": 1} {"a": 2}]', "expected a comma"),
    "no data": ("a.json", b'{\n"rows": []\n}', "there is no list under `data`"),
    "data is text": ("a.json", b'{\n"data": "x"\n}', "there is no list under `data`"),
    "scalar": ("a.json", b"[1", "the list of rows does not end"),
    "list not UTF-8": ("a.json", b'[\n{"a": "\xff"}]', ":2: the file is not UTF-8"),
    "UTF-16": ("a.jsonl", '{"a": 1}\n'.encode("utf-16"), "UTF-16"),
    "gzip cut": ("a.jsonl.gz", gzip.compress(b'{"a": "x"}\n' * 9000)[:-20], "the compressed data is cut or damaged"),
    "gzip damaged": ("a.csv.gz", gzip.compress(b"a\n1\n")[:12] + b"\x00" * 20, "the compressed data is cut or damaged"),
    "no gzip": ("a.json.gz", b'[{"a": 1}]', "the compressed data is cut or damaged"),
    "csv quote": ("a.csv", b'a,b\n1,2\n"3,4\n5,6\n', ":3: a quote that opens here is never closed"),
    "csv column twice": ("a.csv", b"a,b,a\n1,2,3\n", "the column `a` stands twice"),
    "parquet": ("a.parquet", b"PAR1 nothing", "no readable Parquet"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_on_is_an_error(read: Read, name: str) -> None:
    file, content, said = BROKEN[name]
    with pytest.raises(DataError) as raised:
        read(file, content)
    assert said in str(raised.value)
    assert file in str(raised.value)


def test_gzip_of_every_text_format(read: Read) -> None:
    assert read("a.jsonl.gz", gzip.compress(b'{"a": 1}\n')) == [(1, {"a": 1})]
    assert read("a.json.gz", gzip.compress(b'[{"a": 1}]')) == [(1, {"a": 1})]
    assert read("a.csv.gz", gzip.compress(b"a\n1\n")) == [(2, {"a": "1"})]


def test_csv_with_quotes_line_breaks_and_bad_rows(read: Read) -> None:
    content = b'a,b\r\n"1,\r\nx","say ""hi"""\r\n\r\n3\r\n4,\xff\r\n"5"x,6\r\n7,8\r\n'
    assert read("a.csv", content) == [
        (2, {"a": "1,\r\nx", "b": 'say "hi"'}),
        (5, "wrong_column_count"),
        (6, "invalid_utf8"),
        (7, "invalid_csv"),
        (8, {"a": "7", "b": "8"}),
    ]


def test_parquet_counts_rows_and_drops_nulls_inside(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"m": [{"role": "user", "name": None}, {"role": "tool", "name": "f"}], "x": None}, {"m": [], "x": "y"}]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert list(read_rows(tmp_path / "a.parquet", "parquet")) == [
        (1, {"m": [{"role": "user"}, {"role": "tool", "name": "f"}], "x": None}),
        (2, {"m": [], "x": "y"}),
    ]
    assert without_nulls({"a": [None, {"b": None}]}) == {"a": [None, {}]}


def test_a_missing_file_is_an_error_not_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        list(read_rows(tmp_path / "none.jsonl", "json"))
