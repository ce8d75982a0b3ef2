"""Rows in other forms beside JSON Lines: a folder of Hugging Face `datasets`, Parquet files, and a sample to read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from shutil import rmtree
from typing import Any

import pyarrow
from pyarrow import parquet

from luthier.config.row_sections import RowFormat
from luthier.core.files import read_jsonl, sha256_file, sha256_json, write_bytes, write_json, write_text, write_with
from luthier.core.records import Example, JsonObject
from luthier.data.split.sides import SIDES

SAMPLE_ROWS = 30
_BATCH_ROWS = 10_000
_CALL = pyarrow.struct([("name", pyarrow.string()), ("arguments", pyarrow.string())])
_DETAIL = pyarrow.struct([("begin_offset", pyarrow.int64()), ("end_offset", pyarrow.int64()), ("train", pyarrow.bool_())])
_MESSAGE = pyarrow.struct(
    [
        ("role", pyarrow.string()),
        ("content", pyarrow.string()),
        ("tool_calls", pyarrow.list_(pyarrow.struct([("id", pyarrow.string()), ("type", pyarrow.string()), ("function", _CALL)]))),
        ("tool_call_id", pyarrow.string()),
        ("name", pyarrow.string()),
        ("reasoning", pyarrow.string()),
        ("train", pyarrow.bool_()),
        ("train_detail", pyarrow.list_(_DETAIL)),
    ]
)
# What has no fixed shape is JSON text: arguments of a call, tools, the origin.
SCHEMA = pyarrow.schema(
    [
        ("id", pyarrow.string()),
        ("messages", pyarrow.list_(_MESSAGE)),
        ("tools", pyarrow.string()),
        ("origin", pyarrow.string()),
        ("group", pyarrow.string()),
        ("template", pyarrow.string()),
        ("train_on_eos", pyarrow.string()),
        ("train_on_eot", pyarrow.string()),
    ]
)


def write_formats(folder: Path, formats: Sequence[RowFormat]) -> None:
    """Writes the rows of `folder`'s JSON Lines in each of `formats`: `parquet/`, `datasets/`, `sample.md`. Equal rows give equal bytes."""
    if "parquet" in formats:
        for side in SIDES:
            _write_parquet(folder / f"{side}.jsonl", folder / "parquet" / f"{side}.parquet")
    if "datasets" in formats:
        _write_datasets(folder, folder / "datasets")
    if "sample" in formats:
        write_text(folder / "sample.md", sample_text(folder))


def _columns(row: JsonObject) -> JsonObject:
    messages = []
    for message in row["messages"]:
        calls = [
            {"id": call.get("id"), "type": "function", "function": {"name": name, "arguments": _json(call["function"]["arguments"])}}
            for call in message.get("tool_calls", ())
            if (name := call["function"]["name"])
        ]
        messages.append({**message, "tool_calls": calls or None})
    return {
        "id": row["id"],
        "messages": messages,
        "tools": _json(row["tools"]) if row.get("tools") else None,
        "origin": _json(row["origin"]),
        "group": row.get("group"),
        "template": row.get("template"),
        "train_on_eos": row.get("train_on_eos"),
        "train_on_eot": row.get("train_on_eot"),
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _batches(path: Path) -> Iterator[pyarrow.RecordBatch]:
    rows = read_jsonl(path)
    while batch := list(islice(rows, _BATCH_ROWS)):
        yield pyarrow.RecordBatch.from_pylist([_columns(row) for row in batch], schema=SCHEMA)


def _write_parquet(source: Path, target: Path) -> None:
    def write(stream: Any) -> None:
        with parquet.ParquetWriter(stream, SCHEMA, compression="zstd") as writer:
            for batch in _batches(source):
                writer.write_batch(batch)

    write_with(target, write)


def _write_datasets(folder: Path, target: Path) -> None:
    """The folder that `datasets.load_from_disk` opens as a `DatasetDict`, in the layout of `datasets` 5.

    Written here and not by the library, whose folders hold a fingerprint drawn anew each time.
    """
    rmtree(target, ignore_errors=True)
    for side in SIDES:
        part = target / side
        file = part / "data-00000-of-00001.arrow"

        def write(stream: Any, source: Path = folder / f"{side}.jsonl") -> None:
            with pyarrow.ipc.new_stream(stream, SCHEMA) as writer:
                for batch in _batches(source):
                    writer.write_batch(batch)

        write_with(file, write)
        state: JsonObject = {
            "_data_files": [{"filename": file.name}],
            "_fingerprint": sha256_json([sha256_file(file)])[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": side,
        }
        write_json(part / "state.json", state)
        write_json(part / "dataset_info.json", {"citation": "", "description": "", "homepage": "", "license": ""})
    write_bytes(target / "dataset_dict.json", (json.dumps({"splits": list(SIDES)}) + "\n").encode())


def sample_text(folder: Path) -> str:
    """The first rows of each side as Markdown that a person reads: where each is from, and its turns."""
    lines = ["# Sample of the rows", ""]
    for side in SIDES:
        rows = [Example.from_json(row) for row in islice(read_jsonl(folder / f"{side}.jsonl"), SAMPLE_ROWS)]
        lines += [f"## {side}, the first {len(rows)}", ""]
        for row in rows:
            lines += _read_aloud(row)
    return "\n".join(lines)


def _read_aloud(row: Example) -> list[str]:
    origin = json.dumps(row.origin.to_json(), ensure_ascii=False)
    lines = [f"### {row.id}", "", f"`{origin}`", ""]
    for message in row.messages:
        lines += [f"**{message.role}**", "", *(f"> {line}" for line in message.content.splitlines())]
        lines += [f"> calls `{call.name}` with `{_json(call.arguments)}`" for call in message.tool_calls]
        lines.append("")
    return lines
