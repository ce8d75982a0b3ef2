"""The index of the chunks of one source: FTS5 of SQLite over words, tables of what defines and what calls a name, and facts."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

from luthier.core.errors import DataError, Problem
from luthier.core.files import sync_folder, temporary_name
from luthier.core.records import JsonValue
from luthier.retrieval.records import Chunk

# Raised when the tables change: an index of another version is not read.
VERSION = 2
# Columns of the word table and what a hit in each weighs: a name says more than a word somewhere in the body.
_WEIGHTS = {"name": 8.0, "scope": 2.0, "path": 2.0, "doc": 3.0, "code": 1.0}
# What FTS5's `bm25` takes for the weight of a word that stands in more than half of all chunks.
_LEAST_WEIGHT = 1e-6
_WORD_CHARACTERS = 64
_WORD = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")
_AGAIN = "Delete it and run `luthier data` again."
_FIELDS = tuple(field.name for field in fields(Chunk))
_COLUMNS = ("path", "first_line", "last_line", "full_name", *(name for name in _FIELDS if name not in ("path", "lines")))
_SCHEMA = f"""
CREATE TABLE chunks (id INTEGER PRIMARY KEY, {", ".join(_COLUMNS)});
CREATE TABLE defined (name TEXT, chunk INTEGER, PRIMARY KEY (name, chunk)) WITHOUT ROWID;
CREATE TABLE called (name TEXT, chunk INTEGER, PRIMARY KEY (name, chunk)) WITHOUT ROWID;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5({", ".join(_WEIGHTS)}, content='', tokenize="porter unicode61 remove_diacritics 2 tokenchars '_'");
PRAGMA user_version = {VERSION};
"""
_INSERT_WORDS = f"INSERT INTO words (rowid, {', '.join(_WEIGHTS)}) VALUES (?{', ?' * len(_WEIGHTS)})"


@dataclass(frozen=True, slots=True)
class Match:
    """A chunk by its number in the index, and what its words count."""

    number: int
    score: float


class Index:
    """What can be asked of the chunks of one source. Every answer is in a fixed order: equal chunks give equal answers."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def at(cls, path: Path) -> Index:
        """The index that `build` wrote to `path`, for reading alone; `DataError` where there is none that can be read."""
        if not path.is_file():
            raise DataError(
                Problem("There is no index here.", where=str(path), hint="Run `luthier data`: it writes the index of its sources.")
            )
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            connection.close()
            raise DataError(Problem("This is no index.", where=str(path), found=str(error), hint=_AGAIN)) from error
        if version != VERSION:
            connection.close()
            raise DataError(
                Problem("The index is of another version.", where=str(path), found=str(version), expected=str(VERSION), hint=_AGAIN)
            )
        return cls(connection)

    def close(self) -> None:
        """Gives the memory or the file back."""
        self._connection.close()

    def __len__(self) -> int:
        # Their numbers go from 1 on without a gap.
        return int(self._connection.execute("SELECT coalesce(max(id), 0) FROM chunks").fetchone()[0])

    def places(self, terms: Sequence[str]) -> dict[str, int]:
        """In how many chunks each term is found, a word in any of its endings; those that are found nowhere are left out."""
        if not terms:
            return {}
        one = "SELECT ? AS term, count(*) AS places FROM words WHERE words MATCH ?"
        asked = [value for term in terms for value in (term, _quoted(term))]
        rows = self._connection.execute(" UNION ALL ".join([one] * len(terms)), asked)
        return {term: places for term, places in rows if places}

    def matches(self, weights: Mapping[str, float], places: Mapping[str, int], limit: int) -> list[Match]:
        """The `limit` chunks that fit the terms best, best first; ties in the order of path and line.

        `weights` says what each term counts, `places` what the method of that name told of them; no sign in a term acts as an operator.
        A term's part in the score is that of BM25 without the rarity of the term here: scores of several indexes can be compared where
        the weights hold its rarity in all of them.
        """
        found = [(term, weight, places[term]) for term, weight in weights.items() if term in places]
        if not found or limit < 1:
            return []
        size, columns = len(self), ", ".join(map(str, _WEIGHTS.values()))
        values: list[str | float] = []
        for term, weight, count in found:
            rarity = max(math.log((size - count + 0.5) / (count + 0.5)), _LEAST_WEIGHT)
            values += [-weight / rarity, _quoted(term)]
        one = f"SELECT rowid AS chunk, bm25(words, {columns}) * ? AS score FROM words WHERE words MATCH ?"
        rows = self._connection.execute(
            # The limit, which is none, keeps the inner queries apart: `bm25` knows its words there alone.
            f"SELECT chunk, sum(score) AS total FROM ({' UNION ALL '.join([one] * len(found))} LIMIT -1)"
            " GROUP BY chunk ORDER BY total DESC, chunk LIMIT ?",
            (*values, limit),
        )
        return [Match(chunk, score) for chunk, score in rows]

    def at_numbers(self, numbers: Sequence[int]) -> list[Chunk]:
        """The chunks of the numbers that matches have, in their order."""
        slots = ", ".join("?" * len(numbers))
        found = dict(zip(sorted(numbers), self._chunks(f"WHERE id IN ({slots}) ORDER BY id", tuple(numbers)), strict=True))
        return [found[number] for number in numbers]

    def chunks(self) -> list[Chunk]:
        """All chunks, in the order of path and line."""
        return self._chunks("ORDER BY id", ())

    def fact(self, name: str) -> JsonValue:
        """What `build` was told of the source under `name`; None where it was told nothing."""
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def defined(self, name: str) -> list[Chunk]:
        """The chunks that define the bare or full `name`, in the order of path and line."""
        return self._chunks("JOIN defined ON defined.chunk = chunks.id WHERE defined.name = ? ORDER BY chunks.id", (name,))

    def uses(self, name: str) -> list[Chunk]:
        """The chunks that call the bare `name`, in the order of path and line; not the ones that define it."""
        return self._chunks(
            "JOIN called ON called.chunk = chunks.id WHERE called.name = ? AND chunks.name IS NOT ? ORDER BY chunks.id", (name, name)
        )

    def _chunks(self, rest: str, values: tuple[str | int, ...]) -> list[Chunk]:
        columns = ", ".join(f"chunks.{name}" for name in _COLUMNS)
        return [
            _chunk(dict(zip(_COLUMNS, row, strict=True)))
            for row in self._connection.execute(f"SELECT {columns} FROM chunks {rest}", values)
        ]


def build(chunks: Iterable[Chunk], path: Path | None = None, facts: Mapping[str, JsonValue] | None = None) -> Index:
    """The index of `chunks`, whose order does not matter; in memory, or in a file at `path` that is there whole or not at all.

    `facts` are kept with it under their names. Who has an earlier file of the path open goes on reading that.
    """
    ordered = sorted(chunks, key=lambda chunk: (chunk.path, chunk.lines, chunk.full_name, chunk.kind, chunk.text))
    if path is None:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        _fill(connection, ordered, facts or {})
        return Index(connection)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    temporary.unlink(missing_ok=True)
    try:
        connection = sqlite3.connect(temporary)
        try:
            _fill(connection, ordered, facts or {})
        finally:
            connection.close()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return Index.at(path)


def words(text: str) -> Iterator[str]:
    """The words of a text or of code in lower case: each name whole, then its parts where `camelCase` or `snake_case` joins several."""
    for name in _WORD.findall(text):
        if len(name) <= _WORD_CHARACTERS:
            yield from _words_of(name)


# A source has few names and says them often.
@lru_cache(maxsize=1 << 16)
def _words_of(name: str) -> tuple[str, ...]:
    parts = _PART.findall(name)
    return (name.lower().strip("_") or "_", *((part.lower() for part in parts) if len(parts) > 1 else ()))


def _fill(connection: sqlite3.Connection, ordered: list[Chunk], facts: Mapping[str, JsonValue]) -> None:
    connection.executescript(_SCHEMA)
    slots = ", ".join("?" * (len(_COLUMNS) + 1))
    with connection:
        for number, chunk in enumerate(ordered, start=1):
            connection.execute(f"INSERT INTO chunks VALUES ({slots})", (number, *_row(chunk)))
            code = f"{chunk.signature}\n{chunk.body}" if chunk.signature or chunk.body else chunk.text
            texts = (chunk.name, chunk.scope, chunk.path, chunk.doc, code)
            connection.execute(_INSERT_WORDS, (number, *map(_said, texts)))
            connection.executemany("INSERT INTO defined VALUES (?, ?)", [(name, number) for name in sorted({chunk.name, chunk.full_name})])
            connection.executemany("INSERT INTO called VALUES (?, ?)", [(name, number) for name in sorted(set(chunk.calls))])
        connection.executemany(
            "INSERT INTO facts VALUES (?, ?)", [(name, json.dumps(value, ensure_ascii=False)) for name, value in facts.items()]
        )
        connection.execute("INSERT INTO words (words) VALUES ('optimize')")


def _quoted(term: str) -> str:
    """`term` as a phrase of FTS5."""
    return '"' + term.replace('"', '""') + '"'


def _said(text: str) -> str:
    return " ".join(words(text))


def _row(chunk: Chunk) -> tuple[str | int | None, ...]:
    values: dict[str, str | int | None] = {name: getattr(chunk, name) for name in _FIELDS if name not in ("lines", "calls")}
    values.update(
        first_line=chunk.lines[0], last_line=chunk.lines[1], full_name=chunk.full_name, calls=json.dumps(chunk.calls, ensure_ascii=False)
    )
    return tuple(values[name] for name in _COLUMNS)


def _chunk(row: dict[str, object]) -> Chunk:
    values = {name: row[name] for name in _FIELDS if name in row}
    values["lines"] = (row["first_line"], row["last_line"])
    values["calls"] = tuple(json.loads(str(row["calls"])))
    values["is_test"], values["is_public"] = bool(row["is_test"]), bool(row["is_public"])
    return Chunk(**values)  # type: ignore[arg-type]
