"""The life of one row, from its source to its side or its rejection, told from the run folder alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from luthier.core.errors import DataError, Problem
from luthier.core.files import read_json
from luthier.core.records import Example, JsonObject, Origin, Reject
from luthier.core.runs import RunFolder
from luthier.data.rows.fields import place
from luthier.data.split.sides import SIDES

_LEAST_ID = 4
_LONGEST_SHOWN = 160
_AFTER_CLEANING = ("dedup", "near_dedup")


@dataclass(slots=True)
class Life:
    """What is known of one row. `steps` are sentences in their order; `row` is None for a row that was left out."""

    id: str
    steps: list[str] = field(default_factory=list)
    side: str = ""
    row: Example | None = None
    rejected: Reject | None = None

    def to_json(self) -> JsonObject:
        """The life as `--json` prints it."""
        told: JsonObject = {"id": self.id, "steps": self.steps, "side": self.side or None}
        if self.row is not None:
            told |= {"origin": self.row.origin.to_json(), "group": self.row.group or None}
        if self.rejected is not None:
            told["rejected"] = self.rejected.to_json()
            if self.rejected.origin is not None:
                told["origin"] = self.rejected.origin.to_json()
        return told


def lives(folder: RunFolder, wanted: str) -> list[Life]:
    """The lives of the rows whose id is, or begins with, `wanted`, or that stand at `file:line`; `DataError` where there is none."""
    if not folder.split("train").is_file():
        raise DataError(Problem("there are no rows yet", where=str(folder.data), hint="run `luthier data` on the run file first"))
    by_place = ":" in wanted
    if not by_place and len(wanted) < _LEAST_ID:
        hint = "ids stand in data/*.jsonl and data/rejected.jsonl"
        raise DataError(Problem(f"an id, or its first {_LEAST_ID} characters, or `file:line` is meant", found=wanted, hint=hint))
    changes = _changes(folder.changed)
    found = [_of_row(example, side, changes, folder) for side in SIDES for example in _rows(folder.split(side), wanted, by_place)]
    found += [_of_reject(reject, changes, folder) for reject in _rejects(folder.rejected, wanted)]
    if not found:
        hint = f"ids stand in {folder.data}/*.jsonl; one that was left out stands in {folder.rejected}"
        raise DataError(Problem("no row of this run has this id or place", found=wanted, hint=hint))
    return found


def _rows(path: Path, wanted: str, by_place: bool) -> Iterator[Example]:
    # The id stands at the start of a line; only what may match is parsed.
    start = b'{"id": "' + wanted.encode()
    name, _, number = wanted.rpartition(":")
    written = json.dumps(name, ensure_ascii=False)[1:-1].encode()
    if not path.is_file():
        return
    with path.open("rb") as stream:
        for line in stream:
            if by_place:
                if written in line and _stands_at((example := Example.from_json(json.loads(line))).origin, name, number):
                    yield example
            elif line.startswith(start):
                yield Example.from_json(json.loads(line))


def _stands_at(origin: Origin, name: str, number: str) -> bool:
    """Whether line `number` of the file `name` is one of those that a row is from."""
    if name not in (origin.file, origin.path) or not number.isdecimal():
        return False
    first, last = origin.lines or (origin.line, origin.line)
    return first is not None and last is not None and first <= int(number) <= last


def _rejects(path: Path, wanted: str) -> Iterator[Reject]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            reject = Reject.from_json(json.loads(line))
            name, _, number = wanted.rpartition(":")
            if ":" not in wanted:
                is_meant = reject.id.startswith(wanted)
            else:
                is_from = reject.origin is not None and _stands_at(reject.origin, name, number)
                is_meant = is_from or wanted in (reject.id, place(reject.file, reject.line))
            if is_meant:
                yield reject


def _changes(path: Path) -> dict[str, dict[str, int]]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8") as stream:
        return {row["id"]: row["changes"] for row in map(json.loads, stream)}


def _of_row(example: Example, side: str, changes: dict[str, dict[str, int]], folder: RunFolder) -> Life:
    life = Life(example.id, side=side, row=example, steps=_beginning(example.origin))
    life.steps += _cleaning(example.id, example.origin, changes, folder)
    if example.group:
        life.steps.append(f"stays with the rows of group {example.group}")
    life.steps += [_moved(move) for move in _report(folder).get("moves", ()) if move["id"] == example.id]
    life.steps.append(f"drawn into {side}")
    return life


def _beginning(origin: Origin) -> list[str]:
    """From where a row was read, by what it was made, and of which row."""
    where = place(origin.file, origin.line) if origin.file is not None else f"{origin.repo}/{origin.path}"
    if origin.lines is not None:
        where += f", lines {origin.lines[0]} to {origin.lines[1]}"
    commit = f" at commit {origin.commit}" if origin.commit else ""
    steps = [
        f"read from {where}{commit}" + (f", license {origin.license}" if origin.license else ""),
        f"made by `{origin.maker}`, version {origin.maker_version}",
    ]
    return [*steps, f"made of row {', '.join(origin.parents)}"] if origin.parents else steps


def _cleaning(row_id: str, origin: Origin, changes: dict[str, dict[str, int]], folder: RunFolder) -> list[str]:
    """What cleaning did with a row that it let pass."""
    if changed := changes.get(row_id.split("-", maxsplit=1)[0], {}):
        return [f"changed by cleaning: {what}, {count} x" for what, count in changed.items()]
    return ["passed cleaning unchanged" if _is_cleaned(folder) or origin.commit else "no cleaning rules were asked for"]


def _moved(move: JsonObject) -> str:
    return f"moved from {move['from']} to {move['to']}: {move['why']}"


def _of_reject(reject: Reject, changes: dict[str, dict[str, int]], folder: RunFolder) -> Life:
    life = Life(reject.id, rejected=reject)
    if reject.origin is not None:
        life.steps += _beginning(reject.origin)
        if reject.step in _AFTER_CLEANING:
            life.steps += _cleaning(reject.id, reject.origin, changes, folder)
    elif reject.file is not None:
        life.steps.append(f"read from {place(reject.file, reject.line)}")
    life.steps.append(f"left out by step `{reject.step}`: {reject.reason}: {reject.detail}")
    return life


def _report(folder: RunFolder) -> JsonObject:
    report: JsonObject = read_json(folder.data_report) if folder.data_report.is_file() else {}
    return report


def _is_cleaned(folder: RunFolder) -> bool:
    return bool(_report(folder).get("cleaned"))


def text_of(life: Life) -> str:
    """The life as the terminal shows it: a line for the id, one for each step, and the beginning of its first and last turn."""
    lines = [f"row {life.id}", *(f"  {number}. {step}" for number, step in enumerate(life.steps, 1))]
    if life.row is not None:
        shown = [life.row.messages[0], *life.row.messages[1:][-1:]]
        lines += [f"  {message.role}: {_short(message.content)}" for message in shown]
    return "\n".join(lines)


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _LONGEST_SHOWN else plain[: _LONGEST_SHOWN - 1] + "…"
