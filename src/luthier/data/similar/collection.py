"""The word 3-grams of many texts, and the sets that the join compares: small sorted numbers, rare grams first.

Texts come in batches; their hashes wait on the disk. A gram that one row alone has can never be shared, so only its presence is kept. The
order of rarity is that of prefix filtering (Chaudhuri, Ganti and Kaushik 2006; Bayardo, Ma and Srikant 2007).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from luthier.core.files import Spool
from luthier.data.similar.hashing import Hashes, gram_hashes, mixed

# What sorting a part of the hashes takes for each of them: hash, place, order, and what numpy copies.
_SORT_BYTES = 48
_READ_HASHES = 1 << 20
_ROWS_AT_ONCE = 1 << 16
_ALONE = np.uint32(0xFFFFFFFF)
BUDGET_BYTES = 512 << 20


@dataclass(frozen=True, slots=True)
class Sets:
    """Sets of grams by row. `ids` are the shared grams, ascending from rare to common in each row; `sizes` count those alone too.

    `marks` has one of 64 bits set for each shared gram of a row: a mark that another row lacks is a gram that it lacks.

    The shared grams of row `i` are `ids[starts[i]:starts[i + 1]]`; the grams that it alone has precede them in the order of rarity.
    """

    sizes: NDArray[np.int32]
    starts: NDArray[np.int64]
    ids: NDArray[np.uint32]
    marks: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.sizes)

    def taken(self, rows: NDArray[np.int64]) -> Sets:
        """The sets of `rows`, in that order."""
        counts = self.starts[rows + 1] - self.starts[rows]
        starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
        ids = np.empty(starts[-1], np.uint32)
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            last = min(first + _ROWS_AT_ONCE, len(rows))
            shifts = self.starts[rows[first:last]] - starts[first:last]
            ids[starts[first] : starts[last]] = self.ids[np.arange(starts[first], starts[last]) + np.repeat(shifts, counts[first:last])]
        return Sets(self.sizes[rows], starts, ids, self.marks[rows])


class Grams:
    """Takes texts in batches and gives their sets; hashes wait in a file without a name in `folder`, 8 bytes a gram.

    `budget_bytes` bounds what sorting takes; the sets themselves are 4 bytes a shared gram and 12 bytes a row.
    """

    def __init__(self, folder: Path, budget_bytes: int = BUDGET_BYTES) -> None:
        self._spool = Spool(folder)
        self._counts: list[NDArray[np.uint32]] = []
        self._rows = self._total = 0
        self._budget_bytes = budget_bytes

    def __len__(self) -> int:
        return self._rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def add(self, texts: Sequence[str]) -> None:
        """Takes the texts of the next rows."""
        self.add_hashes(*gram_hashes(texts))

    def add_hashes(self, hashes: Hashes, counts: NDArray[np.int64]) -> None:
        """Takes what `gram_hashes` gave, perhaps in another process."""
        self._spool.write(np.ascontiguousarray(hashes).tobytes())
        self._counts.append(counts.astype(np.uint32))
        self._rows += len(counts)
        self._total += len(hashes)

    def close(self) -> None:
        """Frees the disk space."""
        self._spool.close()

    def sets(self) -> Sets:
        """The sets of all rows so far."""
        counts = np.concatenate(self._counts) if self._counts else np.empty(0, np.uint32)
        ids, ranks = self._shared_ids()
        starts = _starts(counts)
        del counts
        return _sorted_sets(ids, ranks, starts)

    def _shared_ids(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """For each gram in turn the number of its hash among those that stand twice or more, and the rarity of each number."""
        ids = np.full(self._total, _ALONE, np.uint32)
        parts = max(1, -(-self._total * _SORT_BYTES // self._budget_bytes))
        frequencies = [np.empty(0, np.uint32)]
        known = 0
        for part in range(parts):
            hashes, places = self._part(part, parts)
            order = np.argsort(hashes)
            is_first = np.empty(len(hashes), bool)
            is_first[:1] = True
            np.not_equal(hashes[order[1:]], hashes[order[:-1]], out=is_first[1:])
            firsts = np.flatnonzero(is_first)
            times = np.diff(firsts, append=len(hashes))
            is_shared = times > 1
            numbers = np.where(is_shared, np.cumsum(is_shared) - 1 + known, _ALONE).astype(np.uint32)
            ids[places[order]] = np.repeat(numbers, times)
            frequencies.append(times[is_shared].astype(np.uint32))
            known += int(is_shared.sum())
        order = np.argsort(np.concatenate(frequencies), kind="stable")
        ranks = np.empty(known, np.uint32)
        ranks[order] = np.arange(known, dtype=np.uint32)
        return ids, ranks

    def _part(self, part: int, parts: int) -> tuple[Hashes, NDArray[np.int64]]:
        """The hashes of one of `parts` equal ranges, and where they stand."""
        low = np.uint64(((1 << 64) * part) // parts)
        high = np.uint64(((1 << 64) * (part + 1)) // parts - 1)
        hashes, places = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
        for start, values in self._stored():
            found = np.flatnonzero((values >= low) & (values <= high))
            hashes.append(values[found])
            places.append(found + start)
        return np.concatenate(hashes), np.concatenate(places)

    def _stored(self) -> Iterator[tuple[int, Hashes]]:
        self._spool.seek(0)
        for start in range(0, self._total, _READ_HASHES):
            count = min(_READ_HASHES, self._total - start)
            yield start, np.frombuffer(self._spool.read(8 * count), np.uint64)
        self._spool.seek(0, 2)


def _sorted_sets(ids: NDArray[np.uint32], ranks: NDArray[np.uint32], starts: NDArray[np.int64]) -> Sets:
    """Sets from grams in the order of their texts; works within `ids`, for what is written is never longer than what was read."""
    rows = len(starts) - 1
    sizes, shared, marks = np.empty(rows, np.int32), np.empty(rows, np.int64), np.zeros(rows, np.uint64)
    written = 0
    for first in range(0, rows, _ROWS_AT_ONCE):
        last = min(first + _ROWS_AT_ONCE, rows)
        part = ids[starts[first] : starts[last]]
        counts = np.diff(starts[first : last + 1])
        is_shared = part != _ALONE
        owners = np.repeat(np.arange(last - first, dtype=np.uint64), counts)[is_shared]
        keys = np.sort(owners << np.uint64(32) | ranks[part[is_shared]])
        if len(keys):
            keys = keys[np.concatenate((np.ones(1, bool), keys[1:] != keys[:-1]))]
        part_rows = (keys >> np.uint64(32)).astype(np.int64)
        np.bitwise_or.at(marks, part_rows + first, np.uint64(1) << (mixed(keys & np.uint64(0xFFFFFFFF)) & np.uint64(63)))
        shared[first:last] = np.bincount(part_rows, minlength=last - first)
        alone = counts - np.bincount(owners.astype(np.int64), minlength=last - first)
        sizes[first:last] = alone + shared[first:last]
        ids[written : written + len(keys)] = keys.astype(np.uint32)
        written += len(keys)
    # Cut off in place, for a copy beside the whole would be the largest thing in memory. Nobody else reads `ids` any more.
    ids.resize(written, refcheck=False)
    return Sets(sizes, _starts(shared), ids, marks)


def _starts(counts: NDArray[np.uint32] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each row's part begins, and the end of the last."""
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts


def collect(texts: Iterable[str], folder: Path, batch_rows: int = 8192) -> Grams:
    """The grams of `texts`, taken in batches."""
    grams = Grams(folder)
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == batch_rows:
            grams.add(batch)
            batch = []
    grams.add(batch)
    return grams
