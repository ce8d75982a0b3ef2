"""Rows of a suite as they are written: a file of lines, a list, a compressed file, on the hub, or inside the suite file itself."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from luthier.config.yaml_file import Document, KeyPath, parse_list
from luthier.core.errors import ConfigError, DataError, Problem
from luthier.core.nearness import nearest
from luthier.core.records import JsonObject, JsonValue, without_nulls
from luthier.core.visible import not_utf8
from luthier.evaluate.kinds.kind import KindFacts, PlacingKind
from luthier.evaluate.rows.suite import SuiteRow
from luthier.retrieval.hub import Advice, HubDataset, read_hub

ENDINGS = (".jsonl", ".json", ".jsonl.gz", ".yaml", ".yml")
# No suite is larger unpacked; what is, is no suite.
MAX_BYTES = 1 << 30
_MAX_PROBLEMS = 10
# How like a key must be to one that is known to pass for a misspelling of it (`difflib`'s ratio): `gorup` is, `test_list` is not.
_NEARLY = 0.8
# What an author of a suite file can change.
HUB_ADVICE = Advice(
    "check the id and the network, or download the data set and name its file in a suite file of your own: `rows: FILE.jsonl`",
    "mend `subset` or `split`",
)


@dataclass(frozen=True, slots=True)
class Written:
    """A row as it is written: its value, where it stands, and where the value at a path of keys within it stands."""

    value: JsonValue
    where: str
    place: Callable[[KeyPath], str]


def read_rows(path: Path, kind: KindFacts) -> list[SuiteRow]:
    """The questions in the file `path`, as `kind` reads them; every bad row is in one `DataError` with its line."""
    problems: list[Problem] = []
    return _rows(_written(path, problems), problems, kind, str(path), are_own=True)


def inline_rows(document: Document, kind: KindFacts) -> list[SuiteRow]:
    """The questions under `rows` in the suite file itself; every mistake is in one `DataError` with its line."""
    return _rows(_listed(document), [], kind, document.place(("rows",)).text(), are_own=True)


def hub_rows(dataset: HubDataset, where: str, kind: KindFacts) -> list[SuiteRow]:
    """The questions in a data set on the hub, whose `revision` is a commit; every bad row is in one `DataError` with its number."""
    assert dataset.revision is not None
    rows = read_hub(dataset, dataset.revision, where, HUB_ADVICE)
    return _rows((_on_line(without_nulls(row), f"{dataset.id}, row {number}") for number, row in rows), [], kind, dataset.id)


def _rows(written: Iterator[Written], problems: list[Problem], kind: KindFacts, where_all: str, *, are_own: bool = False) -> list[SuiteRow]:
    """The rows; of the author's `own`, and not of a data set of somebody else's, keys that are nearly known ones are mistakes."""
    rows: list[SuiteRow] = []
    first_place: dict[str, str] = {}
    for one in written:
        row = (_misspelt(one, kind) if are_own and not isinstance(kind, PlacingKind) else []) or _row(one, kind)
        if isinstance(row, SuiteRow) and row.id in first_place:
            row = [_twice(one, row, first_place[row.id])]
        if isinstance(row, list):
            problems += row
        else:
            first_place[row.id] = one.where
            rows.append(row)
    if problems:
        more = [Problem(f"{len(problems) - _MAX_PROBLEMS} more mistakes", where=where_all)] if len(problems) > _MAX_PROBLEMS else []
        raise DataError(problems[:_MAX_PROBLEMS] + more)
    if not rows:
        raise DataError(Problem("the file has no rows", where=where_all))
    return rows


def _row(written: Written, kind: KindFacts) -> SuiteRow | list[Problem]:
    """The row as `kind` reads it, or what is wrong with it: every mistake with its own place, where the kind can tell that."""
    if not isinstance(written.value, dict):
        return [_no_object(written.value, written.where)]
    if isinstance(kind, PlacingKind) and (problems := kind.problems(written.value, written.place)):
        return problems
    row = kind.row(written.value, written.where)
    return [row] if isinstance(row, Problem) else row


def _misspelt(written: Written, kind: KindFacts) -> list[Problem]:
    """Keys that are nearly one that the kind reads, and which the row lacks: what stands there would be read by nobody."""
    found = []
    for name in written.value if isinstance(written.value, dict) else ():
        meant = [key for key in kind.row_keys if key not in written.value]
        if name not in kind.row_keys and (best := nearest(str(name), meant, _NEARLY)) is not None:
            hint = f"did you mean `{best}`? A key of your own must be less like it"
            found.append(Problem(f"unknown key `{name}` in a row", where=written.place((name,)), hint=hint))
    return found


def _twice(written: Written, row: SuiteRow, first: str) -> Problem:
    """Two rows with one id. Without an id of their own it is what they ask that is the same, and an id that nobody wrote says nothing."""
    assert isinstance(written.value, dict)
    if any(written.value.get(name) == row.id for name in ("id", "task_id")):
        return Problem("the id stands twice", where=written.where, found=row.id, hint=f"it also stands in {first}")
    hint = f"it also stands in {first}: take one of them out, put further answers into one row, or give each an `id` of its own"
    return Problem("the same is asked twice", where=written.where, found=row.request[:80], hint=hint)


def _on_line(value: JsonValue, where: str) -> Written:
    return Written(value, where, lambda path: where)


def _listed(document: Document) -> Iterator[Written]:
    """The rows of a list in YAML, each value with its line."""
    for number, value in enumerate(document.value["rows"]):

        def place(path: KeyPath, number: int = number) -> str:
            return document.place(("rows", number, *path)).text()

        yield Written(value, place(()), place)


def _no_object(value: JsonValue, where: str) -> Problem:
    return Problem("a row must be an object", where=where, found=type(value).__name__, expected="names and values")


class _TwiceError(Exception):
    """A key that stands twice in one object of JSON."""


def _once(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(f"the key `{next(name for name in names if names.count(name) > 1)}` stands twice in one object")
    return found


def _written(path: Path, problems: list[Problem]) -> Iterator[Written]:
    """Every row of the file with its place; lines that are none are put into `problems`."""
    text = _text(path)
    if path.suffix in (".yaml", ".yml"):
        yield from _listed(_yaml_list(path, text))
        return
    if path.suffix == ".json":
        yield from (_on_line(value, f"{path}, row {number}") for number, value in enumerate(_json_list(path, text), 1))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield _on_line(json.loads(line, object_pairs_hook=_once), f"{path}:{number}")
            except _TwiceError as error:
                problems.append(Problem(str(error), where=f"{path}:{number}", found=line[:80], hint="leave one of them"))
            except (ValueError, RecursionError) as error:
                problems.append(Problem(f"this is no line of JSON: {error}", where=f"{path}:{number}", found=line[:80]))


def _text(path: Path) -> str:
    try:
        content = _unpacked(path) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(Problem(f"the compressed file is damaged: {error}", where=str(path))) from error
    except OSError as error:
        raise DataError(Problem(f"the file cannot be read: {error.strerror or error}", where=str(path))) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(not_utf8(error, path)) from error


def _unpacked(path: Path) -> bytes:
    with gzip.open(path) as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise DataError(Problem("the file is too large for a suite", where=str(path), found=f"over {MAX_BYTES:,} bytes unpacked"))
    return content


def _yaml_list(path: Path, text: str) -> Document:
    try:
        document = parse_list(text, str(path), "rows")
    except ConfigError as error:
        raise DataError(error.problems) from error
    if document.problems:
        raise DataError(document.problems)
    return document


def _json_list(path: Path, text: str) -> list[JsonValue]:
    try:
        values = json.loads(text, object_pairs_hook=_once)
    except _TwiceError as error:
        raise DataError(Problem(str(error), where=str(path), hint="leave one of them")) from error
    except (ValueError, RecursionError) as error:
        raise DataError(Problem(f"this is no JSON: {error}", where=str(path))) from error
    if not isinstance(values, list):
        raise DataError(Problem("the file must hold a list of rows", where=str(path), found=type(values).__name__))
    return values
