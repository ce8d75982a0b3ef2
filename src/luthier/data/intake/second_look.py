"""Prepared rows once more, when it is known what other rows and sources hold: only those in which such a value stands are changed.

All rows were scanned when they were prepared. They wait on the disk, and are looked through by the first bytes of what is known.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np

from luthier.core.files import Spool
from luthier.core.records import Example, JsonObject
from luthier.data.clean.leaves import leaves
from luthier.data.clean.records import Outcome, Row
from luthier.data.intake.prepare import Preparation
from luthier.data.rows.fields import Fields
from luthier.data.rows.store import ID_END, ID_START, GramHashes, Prepared, changed_line
from luthier.guard.secrets.known import KnownSecrets, Told


class Waiting:
    """Batches that wait on the disk, in a file without a name in `folder`. The values that they tell are not among them."""

    def __init__(self, folder: Path) -> None:
        self._spool = Spool(folder)
        self._sizes: list[tuple[int, int]] = []

    def add(self, prepared: Prepared) -> None:
        """Takes a batch."""
        assert not prepared.told
        parts = pickle.dumps(prepared.encoded, 5), pickle.dumps(replace(prepared, encoded=[]), 5)
        self._spool.write(b"".join(parts))
        self._sizes.append((len(parts[0]), len(parts[1])))

    def lines(self) -> Iterator[list[bytes]]:
        """The lines of each batch."""
        position = 0
        for lines, rest in self._sizes:
            self._spool.seek(position)
            yield pickle.loads(self._spool.read(lines))  # noqa: S301 - This process wrote it, and the file has no name.
            position += lines + rest

    def batches(self) -> Iterator[Prepared]:
        """The batches as they were."""
        self._spool.seek(0)
        for lines, rest in self._sizes:
            encoded = pickle.loads(self._spool.read(lines))  # noqa: S301
            yield replace(pickle.loads(self._spool.read(rest)), encoded=encoded)  # noqa: S301

    def close(self) -> None:
        """Frees the disk space."""
        self._spool.close()


class SecondLook:
    """Masks in prepared rows what `told` says, by the cleaner of `preparation`."""

    def __init__(self, told: Iterable[Told], preparation: Preparation) -> None:
        self._known = KnownSecrets()
        self._known.take(told)
        self._preparation = preparation
        self._prefixes = self._known.prefixes(_as_written)

    def spare(self, batches: Iterable[Sequence[bytes]]) -> None:
        """Forgets words that are names or common in the rows, given as their lines."""
        if self._known:
            self._known.spare(text for lines in batches for number in self._hits(lines) for text in _texts(lines[number]))

    def _hits(self, lines: Sequence[bytes]) -> list[int]:
        """The numbers of the lines in which something known may begin."""
        ends = np.fromiter(accumulate(map(len, lines)), np.int64, len(lines))
        places = self._prefixes.places(b"".join(lines)) if self._known else ()
        return np.unique(np.searchsorted(ends, places, "right")).tolist()  # type: ignore[no-any-return]

    def over(self, prepared: Prepared) -> Prepared:
        """The batch with marks in the rows where something known stands, and without those that are dropped for it."""
        hits = self._hits(prepared.encoded)
        if not hits:
            return prepared
        rows = [_row(prepared.encoded[number], is_made=bool(prepared.places)) for number in hits]
        outcomes = self._preparation.cleaner.clean_again(rows, self._known)
        changed = {
            number: (row, outcome)
            for number, row, outcome in zip(hits, rows, outcomes, strict=True)
            if outcome.bad is not None or outcome.changes
        }
        return self._put_together(prepared, changed) if changed else prepared

    def _put_together(self, given: Prepared, changed: dict[int, tuple[Row, Outcome]]) -> Prepared:
        """The columns of the batch, with those of changed rows in place of the old ones."""
        done = Prepared(given.source, given.file, read=given.read, usable=given.usable, bare=given.bare)
        done.rejects, done.changes, done.counts = [*given.rejects], given.changes.copy(), given.counts
        grams = [_Grams(given.text_grams), _Grams(given.request_grams)]
        told = _Changed(given.changed)
        exchanges: dict[int, list[tuple[int, int]]] = {}
        columns = given.exchanges
        for number, request, answer in zip(columns.row, columns.request, columns.answer, strict=True):
            exchanges.setdefault(number, []).append((request, answer))
        for number, line in enumerate(given.lines):
            before = told.pop(given.encoded[number])
            if number not in changed:
                done.take_row(given, number, exchanges.get(number, ()))
                done.changed += [before] if before else []
                for one in grams:
                    one.keep(number)
                continue
            row, outcome = changed[number]
            new = self._preparation.stored_again(row, outcome, done, line)
            if new is not None:
                changes = {**before.get("changes", {}), **_sum(before, outcome)}
                done.changed.append(changed_line(new.id, changes, before.get("was", new.was)))
                for one, hashes in zip(grams, (new.text_grams, new.request_grams), strict=True):
                    one.put(hashes)
        done.text_grams, done.request_grams = (one.whole() for one in grams)
        return done


def _sum(before: JsonObject, outcome: Outcome) -> dict[str, int]:
    earlier = before.get("changes", {})
    return {kind: count + earlier.get(kind, 0) for kind, count in outcome.changes.items()}


class _Changed:
    """The lines of `changed.jsonl` of a batch, by the id of the row; equal rows have equal ids."""

    def __init__(self, lines: Sequence[JsonObject]) -> None:
        self._lines: dict[str, list[JsonObject]] = {}
        for line in reversed(lines):
            self._lines.setdefault(line["id"], []).append(line)

    def pop(self, encoded: bytes) -> JsonObject:
        """What was changed in a row before; empty where nothing was."""
        lines = self._lines.get(encoded[ID_START:ID_END].decode("ascii"))
        return lines.pop() if lines else {}


class _Grams:
    """The gram hashes of the rows of a batch, put together anew; None where they were not asked for."""

    def __init__(self, given: GramHashes | None) -> None:
        self._given = given
        self._starts = np.concatenate(([0], np.cumsum(given[1]))).tolist() if given is not None else []
        self._parts: list[GramHashes] = []

    def keep(self, number: int) -> None:
        """Takes those of a row as they were."""
        if self._given is not None:
            hashes, counts = self._given
            self._parts.append((hashes[self._starts[number] : self._starts[number + 1]], counts[number : number + 1]))

    def put(self, hashes: GramHashes | None) -> None:
        """Takes those of a row that changed."""
        if hashes is not None:
            self._parts.append(hashes)

    def whole(self) -> GramHashes | None:
        """All of them."""
        if self._given is None:
            return None
        hashes, counts = self._given
        return (
            np.concatenate([hashes[:0], *(part for part, _ in self._parts)]),
            np.concatenate([counts[:0], *(part for _, part in self._parts)]),
        )


def _row(encoded: bytes, *, is_made: bool) -> Row:
    example = Example.from_json(json.loads(encoded))
    return Row(Fields(example.messages, example.tools, example.ends), example.origin, example.template, is_made)


def _texts(encoded: bytes) -> list[str]:
    return [leaf.text for leaf in leaves(_row(encoded, is_made=False))]


def _as_written(text: str) -> bytes:
    """Characters as a line of JSON holds them."""
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")
