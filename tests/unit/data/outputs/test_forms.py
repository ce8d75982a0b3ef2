"""Rows in other forms: they open with the libraries they are written for, hold what the JSON Lines hold, and repeat byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyarrow import ipc, parquet

from data_parts import Stage, pairs, write_rows

CALL = {"id": "call-1", "type": "function", "function": {"name": "lookup", "arguments": {"name": "Zoë", "limit": 3, "deep": [{"a": None}]}}}
TOOL = {"type": "function", "function": {"name": "lookup", "description": "Looks up", "parameters": {"type": "object", "properties": {}}}}
ENTRY = {"path": "a.jsonl", "train_on_eos": "last", "message_field_training_detail": "parts"}


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.chdir(tmp_path)
    return made()


def made(name: str = "test") -> Stage:
    calling = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who is it?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call-1", "content": "12"},
        {"role": "assistant", "content": "Twelve.", "parts": [{"begin_offset": 0, "end_offset": 5, "train": True}]},
    ]
    plain = [
        {"messages": [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]} for row in pairs(20)
    ]
    write_rows(Path("a.jsonl"), [{"messages": calling, "tools": [TOOL]}, *plain])
    return Stage(name, datasets=[ENTRY], split={"validation": 0.2}, data_formats=["datasets", "parquet", "sample"])


def stored(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON Lines hold it, from one as Arrow holds it."""
    messages = []
    for message in row["messages"]:
        turn = {name: value for name, value in message.items() if value is not None}
        for call in turn.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        messages.append(turn)
    told = {**row, "messages": messages, "origin": json.loads(row["origin"])}
    if row["tools"] is not None:
        told["tools"] = json.loads(row["tools"])
    return {name: value for name, value in told.items() if value is not None}


def lines(result: Stage, side: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.folder.split(side).read_text().splitlines()]


def test_parquet_and_arrow_hold_the_rows_of_each_side(result: Stage) -> None:
    folder = result.folder.data
    for side in ("train", "validation", "test"):
        rows = lines(result, side)
        assert [stored(row) for row in parquet.read_table(folder / "parquet" / f"{side}.parquet").to_pylist()] == rows
        with (folder / "datasets" / side / "data-00000-of-00001.arrow").open("rb") as stream:
            assert [stored(row) for row in ipc.open_stream(stream).read_all().to_pylist()] == rows
    assert any(message.get("tool_calls") for side in ("train", "validation") for row in lines(result, side) for message in row["messages"])


def test_what_is_trained_is_kept(result: Stage) -> None:
    rows = [row for side in ("train", "validation", "test") for row in lines(result, side)]
    assert {(row["train_on_eos"], row["train_on_eot"]) for row in rows} == {("last", "last")}
    detailed = [message for row in rows for message in row["messages"] if "train_detail" in message]
    assert [message["train_detail"] for message in detailed] == [[{"begin_offset": 0, "end_offset": 5, "train": True}]]


def test_datasets_opens_the_folder(result: Stage) -> None:
    datasets = pytest.importorskip("datasets")
    opened = datasets.load_from_disk(str(result.folder.data / "datasets"))
    assert {side: len(rows) for side, rows in opened.items()} == result.report["splits"]
    assert [stored(row) for row in opened["train"]] == lines(result, "train")


def test_two_writes_give_equal_bytes(result: Stage) -> None:
    first = result.bytes()
    assert {"datasets/train/state.json", "parquet/test.parquet", "sample.md"} < set(first)
    assert made("other").bytes() == first


def test_the_sample_reads_what_the_rows_say(result: Stage) -> None:
    text = (result.folder.data / "sample.md").read_text()
    assert text.count("\n### ") == 21
    assert '> calls `lookup` with `{"name": "Zoë", "limit": 3, "deep": [{"a": null}]}`' in text
    assert f"### {result.rows('train')[0].id}\n\n`{{" in text
