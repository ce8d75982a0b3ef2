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


def turns(*texts: str) -> dict[str, Any]:
    return {"messages": [{"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(texts)]}


def test_a_conversation_stands_with_the_rows_whose_exchange_it_holds() -> None:
    """The first exchange of each conversation is a row of its own: no pair stands on two sides, and a greeting ties nothing."""
    pairs_of = [(f"how is part{n} of model{n} mounted", f"turn screw{n} until click{n} sounds") for n in range(200)]
    rows = [turns(*pair) for pair in pairs_of]
    rows += [turns(*pair, f"and what follows part{n}", f"close lid{n} over tray{n} again") for n, pair in enumerate(pairs_of)]
    rows += [turns("hello", "hi", f"where does note{n} lie today", f"in drawer{n} behind shelf{n}") for n in range(200)]
    write_rows(Path("a.jsonl"), rows)
    result = Stage("first", datasets=[{"path": "a.jsonl"}], split=SPLIT)
    side_of: dict[str, set[str]] = {}
    for side in ("train", "validation", "test"):
        for row in result.rows(side):
            side_of.setdefault(row.messages[0].content, set()).add(side)
    assert side_of.pop("hello") == {"train", "validation", "test"}
    assert [len(found) for found in side_of.values()] == [1] * 200
    assert {side for found in side_of.values() for side in found} == {"train", "validation", "test"}
    groups = [row.group for row in result.rows()]
    assert len(set(groups)) == 400


def test_an_exchange_in_the_middle_ties_two_conversations() -> None:
    shared = ("how warm may the oil be", "ninety degrees at most")
    rows = [turns(f"one{n} two{n} three{n}", f"four{n} five{n} six{n}") for n in range(40)]
    rows += [
        turns(f"red{n} green{n} blue{n}", f"cyan{n} pink{n} gold{n}", *shared, f"up{n} down{n} left{n}", f"a{n} b{n} c{n}") for n in (1, 2)
    ]
    write_rows(Path("a.jsonl"), rows)
    result = Stage("first", datasets=[{"path": "a.jsonl"}], split=SPLIT)
    groups = [row.group for row in result.rows() if len(row.messages) == 6]
    assert len(groups) == 2
    assert len(set(groups)) == 1
