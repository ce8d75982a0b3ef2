"""Accepted rows on their way to a side: the rows wait on the disk, in memory a few numbers of each."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from luthier.core.files import Spool
from luthier.core.records import JsonObject, Origin, Reject
from luthier.data.rows.digests import ROW_BYTES, id_of, numbered
from luthier.data.rows.fields import place
from luthier.data.rows.keys import ExchangeColumns, KeyColumns
from luthier.guard.secrets.known import Told

# Stands in a waiting row for its group, which is known only when all rows are; a group's name is as long.
NO_GROUP = "0" * 16
# The hashes of the grams of several texts, one text after the other, and how many each has.
GramHashes = tuple[NDArray[np.uint64], NDArray[np.int64]]

_ORIGIN_FIELD = b'"origin": '
_decoder = json.JSONDecoder()
_GROUP_FIELD = b'"group": "' + NO_GROUP.encode() + b'"'
# A stored line begins with its id, which every row has at this place.
ID_START = len(b'{"id": "')
ID_END = ID_START + len(NO_GROUP)


@dataclass(slots=True)
class Prepared:
    """A batch made ready: of each kept row its line, its bytes, its digest (`ROW_BYTES` each) and its keys; and what was left out.

    `text_grams` are the gram hashes of request and answer of each row as one text, `request_grams` those of the request alone, where they
    are asked for.
    """

    source: int
    file: str
    lines: list[int] = field(default_factory=list)
    # Of made rows the place in their source; a row of a data set stands at its line of the batch's file.
    places: list[tuple[str, int]] = field(default_factory=list)
    encoded: list[bytes] = field(default_factory=list)
    digests: bytearray = field(default_factory=bytearray)
    keys: KeyColumns = field(default_factory=KeyColumns)
    exchanges: ExchangeColumns = field(default_factory=ExchangeColumns)
    text_grams: GramHashes | None = None
    request_grams: GramHashes | None = None
    read: int = 0
    usable: int = 0
    bare: int = 0
    rejects: list[Reject] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    changed: list[JsonObject] = field(default_factory=list)
    # Secrets that other rows are to know. They are never written anywhere.
    told: list[Told] = field(default_factory=list)

    def take_row(self, other: Prepared, number: int, exchanges: Iterable[tuple[int, int]]) -> None:
        """Takes over row `number` of another batch with the keys of its `exchanges`; its grams, and what is counted, are not taken."""
        self.lines.append(other.lines[number])
        self.encoded.append(other.encoded[number])
        self.digests += other.digests[number * ROW_BYTES : (number + 1) * ROW_BYTES]
        if other.places:
            self.places.append(other.places[number])
        self.keys.add(other.keys.of(number))
        self.exchanges.add(len(self.lines) - 1, exchanges)


def changed_line(row_id: str, changes: Mapping[str, int], was: str = "") -> JsonObject:
    """What cleaning changed in one row, as `changed.jsonl` tells it; `was` is the id that the row had before, where others may name it."""
    return {"id": row_id, "changes": dict(sorted(changes.items())), **({"was": was} if was and was != row_id else {})}


class RowStore:
    """Takes prepared rows in their order and writes them to the sides of a division.

    `digests` holds `ROW_BYTES` bytes a row, `keys` and `exchanges` give what may tie it to others.
    `dropped` is 1 for rows that were left out afterwards.
    """

    def __init__(self, folder: Path) -> None:
        self._spool = Spool(folder)
        self.digests = bytearray()
        self.exchanges = ExchangeColumns()
        self._keys = {name: array("Q") for name in KeyColumns.__slots__}
        self.dropped = bytearray()
        self._lines = array("I")
        # Rows come file by file: where each run of rows of one file begins, and its file and source.
        self._runs: list[int] = []
        self._run_files: list[tuple[str, int]] = []
        self._places: dict[int, tuple[str, int]] = {}
        # Further rows with the digest of an earlier one, where such are kept: which of them each is, from 2.
        self._times: dict[int, int] = {}
        self._met: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.dropped)

    def add(self, prepared: Prepared) -> None:
        """Takes the rows of a batch."""
        count = len(prepared.lines)
        for number, place_in_source in enumerate(prepared.places, len(self)):
            self._places[number] = place_in_source
        self._spool.write(b"".join(prepared.encoded))
        if count and self._run_files[-1:] != [(prepared.file, prepared.source)]:
            self._runs.append(len(self))
            self._run_files.append((prepared.file, prepared.source))
        for name, known in self._keys.items():
            keys: array[int] = getattr(prepared.keys, name)
            # Few data sets have files of code or commits; a key that no row has yet takes no room.
            if known or any(keys):
                known.frombytes(bytes(known.itemsize * (len(self) - len(known))))
                known.extend(keys)
        self.exchanges.extend(prepared.exchanges, len(self))
        self.digests += prepared.digests
        self.dropped += bytes(count)
        self._lines.extend(prepared.lines)

    def keys(self, name: str, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The keys of `rows` of the kind `name`, a field of `KeyColumns`."""
        known = np.frombuffer(self._keys[name], np.uint64)
        return known[rows] if len(known) else np.zeros(len(rows), np.uint64)

    def digest(self, number: int) -> bytes:
        """The digest of row `number`."""
        return bytes(self.digests[number * ROW_BYTES : (number + 1) * ROW_BYTES])

    def id(self, number: int) -> str:
        """The id of row `number`."""
        return numbered(id_of(self.digest(number)), self._times.get(number, 1))

    def place(self, number: int) -> tuple[str, int]:
        """File and line of row `number`; of a made row those of what it was made of."""
        if number in self._places:
            return self._places[number]
        return self._run_files[bisect_right(self._runs, number) - 1][0], self._lines[number]

    def where(self, number: int) -> str:
        """File and line of row `number` as text."""
        return place(*self.place(number))

    def first_of(self, source: int) -> int:
        """The number of the first row of source `source` or a later one; the count of all rows where there is none."""
        return next((first for (_, one), first in zip(self._run_files, self._runs, strict=True) if one >= source), len(self))

    def kept_by_source(self, sources: int) -> list[int]:
        """How many rows of each source were not left out."""
        counts = [0] * sources
        for (_, source), (first, end) in zip(self._run_files, pairwise([*self._runs, len(self)]), strict=True):
            counts[source] += self.dropped.count(0, first, end)
        return counts

    def number_equal(self, number: int, first: int) -> None:
        """Gives row `number`, which equals row `first`, an id of its own. Rows come in their order."""
        self._times[number] = self._met[first] = self._met.get(first, 1) + 1

    def times(self) -> NDArray[np.uint32]:
        """Of each row how many-eth it is among equal ones that stay."""
        times = np.ones(len(self), np.uint32)
        for number, value in self._times.items():
            times[number] = value
        return times

    def kept(self) -> NDArray[np.int64]:
        """The numbers of the rows that were not left out."""
        return np.flatnonzero(np.frombuffer(self.dropped, np.uint8) == 0)

    def lines(self, sides: Sequence[int], side: int, group_of: Callable[[int], str | None] | None = None) -> Iterator[bytes]:
        """The lines of the kept rows whose entry in `sides` is `side`, in their order, with the group that `group_of` names for each."""
        for number, line in enumerate(_from_start(self._spool)):
            if self.dropped[number] or sides[number] != side:
                continue
            if group_of is not None and (group := group_of(number)) is not None:
                before, _, after = line.rpartition(_GROUP_FIELD)
                line = before + b'"group": "' + group.encode() + b'"' + after  # noqa: PLW2901
            if number in self._times:
                line = line[:ID_END] + f"-{self._times[number]}".encode() + line[ID_END:]  # noqa: PLW2901
            yield line

    def origins(self, rows: NDArray[np.int64]) -> Iterator[Origin]:
        """The origins of `rows`, which are in ascending order; the rows on the disk are gone through once."""
        wanted = iter(rows.tolist())
        following = next(wanted, None)
        for number, line in enumerate(_from_start(self._spool) if following is not None else ()):
            if number == following:
                # Behind the origin stand but two names, and quotes within texts are escaped: the last such field is the row's own.
                written = line[line.rindex(_ORIGIN_FIELD) + len(_ORIGIN_FIELD) :].decode("utf-8")
                yield Origin.from_json(_decoder.raw_decode(written)[0])
                if (following := next(wanted, None)) is None:
                    return

    def close(self) -> None:
        """Frees the disk space."""
        self._spool.close()


def _from_start(stream: IO[bytes]) -> Iterator[bytes]:
    stream.seek(0)
    return iter(stream)
