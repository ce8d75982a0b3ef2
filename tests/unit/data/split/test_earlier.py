"""The sides of an earlier run: as they were written, and in little memory."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from luthier.config.row_sections import SplitSection
from luthier.core.errors import DataError
from luthier.data.split.draw import draw
from luthier.data.split.earlier import earlier_sides
from luthier.data.split.groups import Ties
from luthier.data.split.sides import SIDES


def test_sides_are_read_into_arrays(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with (tmp_path / "data" / "train.jsonl").open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"id": f"{number + (1 << 60):016x}"}) + "\n" for number in range(50_000))
    (tmp_path / "data" / "test.jsonl").write_text(json.dumps({"id": f"{7:016x}-3"}) + "\n", encoding="utf-8")
    tracemalloc.start()
    found = earlier_sides(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.ids[[0, -2, -1]].tolist() == [1 << 60, (1 << 60) + 49_999, 7]
    assert (found.times[[0, -1]].tolist(), found.sides[[0, -1]].tolist()) == ([1, 3], [0, 2])
    # 13 bytes a row and what growing arrays keep free; lists take 50.
    assert peak < 30 * 50_000


def test_equal_rows_are_told_apart_by_the_number_behind_their_id(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    names = {"train": ["00000000000000aa", "00000000000000aa-2"], "validation": ["00000000000000aa-12"], "test": ["ffffffffffffffff-3"]}
    for side, ids in names.items():
        (tmp_path / "data" / f"{side}.jsonl").write_text("".join(json.dumps({"id": each}) + "\n" for each in ids), encoding="utf-8")
    found = earlier_sides(tmp_path)
    assert found.ids.tolist() == [0xAA, 0xAA, 0xAA, (1 << 64) - 1]
    assert found.times.tolist() == [1, 2, 12, 3]
    assert found.sides.tolist() == [0, 0, 1, 2]


def test_each_of_equal_rows_keeps_its_own_side(tmp_path: Path) -> None:
    """Rows without a key are tied to nothing, so that the sides can only come from the earlier run."""
    (tmp_path / "data").mkdir()
    sides = {0: "train", 1: "test", 2: "validation", 3: "train", 4: "test"}
    for name in set(sides.values()):
        ids = [f"{5:016x}" + (f"-{number + 1}" if number else "") for number, side in sides.items() if side == name]
        (tmp_path / "data" / f"{name}.jsonl").write_text("".join(json.dumps({"id": each}) + "\n" for each in ids), encoding="utf-8")
    ties = Ties(np.full(5, 5, np.uint64), np.arange(1, 6, dtype=np.uint32), {}, {})
    division = draw(ties, SplitSection(validation=0.2, test=0.2, seed=1), earlier_sides(tmp_path))
    assert [SIDES[side] for side in division.sides] == list(sides.values())
    assert division.moves == []


def test_a_folder_without_rows_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text("")
    with pytest.raises(DataError, match="names no run folder with rows") as raised:
        earlier_sides(tmp_path)
    assert (raised.value.problems[0].where, raised.value.problems[0].found) == ("split.keep", str(tmp_path))
