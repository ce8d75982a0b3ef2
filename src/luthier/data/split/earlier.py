"""The division of an earlier run, whose rows keep their sides under `split.keep`."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from luthier.core.errors import DataError, Problem
from luthier.core.files import read_jsonl
from luthier.data.rows.digests import ID_LENGTH
from luthier.data.split.draw import Kept
from luthier.data.split.sides import SIDES


def earlier_files(run: Path) -> list[Path]:
    """The files of rows in the run folder `run`."""
    return [path for name in SIDES if (path := run / "data" / f"{name}.jsonl").is_file()]


def earlier_sides(run: Path) -> Kept:
    """The sides of the rows of an earlier run folder; `DataError` where it holds none."""
    # Arrays rather than lists: ten million rows take 130 MB, not a gigabyte.
    ids, times, sides = array("Q"), array("I"), bytearray()
    for side, row_id in _rows(run):
        ids.append(int(row_id[:ID_LENGTH], 16))
        times.append(int(row_id[ID_LENGTH + 1 :] or 1))
        sides.append(side)
    if not ids:
        raise DataError(Problem("`split.keep` names no run folder with rows", where="split.keep", found=str(run), hint="name a run folder"))
    return Kept(np.frombuffer(ids, np.uint64), np.frombuffer(times, np.uint32), np.frombuffer(sides, np.uint8))


def _rows(run: Path) -> Iterator[tuple[int, str]]:
    for side, name in enumerate(SIDES):
        path = run / "data" / f"{name}.jsonl"
        for row in read_jsonl(path) if path.is_file() else ():
            yield side, row["id"]
