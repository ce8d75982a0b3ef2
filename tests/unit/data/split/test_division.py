"""Rows to sides, and `split.keep`: rows of an earlier run keep their side but where a new row ties groups of two sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_parts import Stage, pairs, write_rows
from luthier.core.errors import DataError

SPLIT = {"validation": 0.2, "test": 0.2}
ENTRY = {"path": "a.jsonl", "type": "prompt_completion"}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def sides(result: Stage) -> dict[str, str]:
    return {row.id: side for side in ("train", "validation", "test") for row in result.rows(side)}


def again(rows: list[dict[str, Any]], seed: int = 7) -> Stage:
    write_rows(Path("a.jsonl"), rows)
    return Stage("later", datasets=[ENTRY], split={**SPLIT, "seed": seed, "keep": "runs/first"})


def test_rows_keep_their_sides_whatever_the_seed_and_new_rows_are_drawn() -> None:
    write_rows(Path("a.jsonl"), pairs(200))
    first = sides(Stage("first", datasets=[ENTRY], split=SPLIT))
    later = again([*pairs(60, 500), *pairs(200)])
    assert {row: side for row, side in sides(later).items() if row in first} == first
    assert later.report["moves"] == []
    assert {side for row, side in sides(later).items() if row not in first} == {"train", "validation", "test"}


def test_a_row_that_joins_two_sides_moves_one_and_says_why() -> None:
    rows = pairs(200)
    write_rows(Path("a.jsonl"), rows)
    result = Stage("first", datasets=[ENTRY], split=SPLIT)
    first = sides(result)
    by_side = {side: result.rows(side)[0] for side in ("train", "test")}
    bridge = {"prompt": by_side["train"].messages[0].content, "completion": by_side["test"].messages[1].content}
    later = again([*rows, bridge])
    (move,) = later.report["moves"]
    assert move["id"] in {row.id for row in by_side.values()}
    assert (move["from"], move["to"]) == (first[move["id"]], sides(later)[move["id"]])
    assert "a new row ties it to the rows of group " in move["why"]
    changed = [row for row, side in sides(later).items() if first.get(row, side) != side]
    assert changed == [move["id"]]
    groups = {row.group for row in later.rows() if row.id in {each.id for each in by_side.values()}}
    assert groups == {move["why"].rpartition(" ")[2]}


def test_equal_rows_that_stay_keep_their_sides_each(tmp_path: Path) -> None:
    write_rows(Path("a.jsonl"), pairs(50))
    first = sides(Stage("first", datasets=[ENTRY], split=SPLIT))
    assert sides(again([*pairs(50), *pairs(10)])) == first


def test_a_folder_without_rows_is_told() -> None:
    write_rows(Path("a.jsonl"), pairs(20))
    Path("runs/first").mkdir(parents=True)
    with pytest.raises(DataError) as raised:
        again(pairs(20))
    (problem,) = raised.value.problems
    assert (problem.where, problem.found) == ("split.keep", "runs/first")
