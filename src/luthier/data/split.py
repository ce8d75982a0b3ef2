"""Dividing rows so that nothing asked or answered on one side stands on another, and the check that this holds.

Rows are nodes; an equal request and an equal answer are edges; a connected component is a group and goes to one side as a whole. The
side is drawn by a hash of the seed and the smallest row id in the group: it depends neither on the order of the rows nor on other groups.
A row that joins a group may give it another smallest id, and with it another side; rows of other groups never do.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import ceil
from pathlib import Path
from random import Random

from luthier.config.schema import SplitSection
from luthier.core.errors import DataError, IntegrityError, Problem
from luthier.core.files import read_jsonl
from luthier.core.records import Message
from luthier.data.dedup import turn_keys

SIDES = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)

# A group above this share of the rows makes the shares coarse; the user is told, but not of the few rows of a tiny set.
_LARGE_GROUP = 0.1
_LARGE_GROUP_ROWS = 10
# An answer that so many rows share, and more than so many, is told with it: it is what ties them together.
_SHARED_ANSWER = 0.05
_SHARED_ANSWER_ROWS = 20


@dataclass(frozen=True, slots=True)
class RowKeys:
    """For each row its id and the digests of its request and answer (None where it has none), at equal positions."""

    ids: Sequence[str]
    requests: Sequence[bytes | None]
    answers: Sequence[bytes | None]


@dataclass(frozen=True, slots=True)
class Largest:
    """The largest group: its name, its rows, its share of all rows, and how many rows share the commonest answer."""

    group: str
    rows: int
    share: float
    rows_with_one_answer: int


@dataclass(slots=True)
class Division:
    """The side of each row (an index into `SIDES`), and each row's group where groups were drawn."""

    sides: bytearray
    groups: list[str] = field(default_factory=list)
    count: int = 0
    largest: Largest | None = None
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def divide(rows: RowKeys, split: SplitSection) -> Division:
    """The division of `rows` by groups; shares hold as nearly as whole groups allow."""
    groups = group_rows(rows)
    sizes = Counter(groups)
    side_of = {group: _drawn_side(group, split) for group in sizes}
    division = Division(bytearray(), groups, len(sizes), _largest(rows, sizes))
    _fill_empty_sides(side_of, sizes, split, division)
    division.sides = bytearray(side_of[group] for group in groups)
    largest = division.largest
    if largest is not None and largest.share > _LARGE_GROUP and largest.rows >= _LARGE_GROUP_ROWS:
        division.notes.append(_large_group_note(largest, len(rows.ids)))
    return division


def group_rows(rows: RowKeys) -> list[str]:
    """The group of each row: the smallest id among the rows that equal requests and answers tie to it, over any number of steps."""
    parents = array("q", range(len(rows.ids)))

    def root(number: int) -> int:
        while parents[number] != number:
            parents[number] = number = parents[parents[number]]
        return number

    for digests in (rows.requests, rows.answers):
        first: dict[bytes, int] = {}
        for number, digest in enumerate(digests):
            if digest is None:
                continue
            other = first.setdefault(digest, number)
            if other != number:
                low, high = sorted((root(other), root(number)))
                parents[high] = low
    smallest: dict[int, str] = {}
    for number, row_id in enumerate(rows.ids):
        top = root(number)
        if top not in smallest or row_id < smallest[top]:
            smallest[top] = row_id
    return [smallest[root(number)] for number in range(len(rows.ids))]


def _draw(group: str, seed: int) -> float:
    """A number in [0, 1) that only the seed and the group's name decide."""
    return int.from_bytes(sha256(f"{seed}:{group}".encode()).digest()[:8]) / 2**64


def _drawn_side(group: str, split: SplitSection) -> int:
    drawn = _draw(group, split.seed)
    if drawn < split.test:
        return TEST
    return VALIDATION if drawn < split.test + split.validation else TRAIN


def _fill_empty_sides(side_of: dict[str, int], sizes: Counter[str], split: SplitSection, division: Division) -> None:
    """Gives a wanted side that the draw left empty the smallest group of the fullest side that can spare one."""
    wanted = [TRAIN, *([TEST] if split.test else []), *([VALIDATION] if split.validation else [])]
    for side in wanted:
        if side in side_of.values():
            continue
        rows = Counter(dict.fromkeys(range(len(SIDES)), 0))
        for group, other in side_of.items():
            rows[other] += sizes[group]
        held = Counter(side_of.values())
        # Without training rows there is no run: training may take another side's last group.
        spared = 0 if side == TRAIN else 1
        donors = [other for other in range(len(SIDES)) if held[other] > spared]
        if not donors:
            division.warnings.append(f"no rows are left for {SIDES[side]}: the rows form {len(sizes)} group(s) that must stay whole")
            continue
        donor = max(donors, key=lambda other: (held[other] > 1, rows[other], -other))
        spare = [group for group, other in side_of.items() if other == donor]
        moved = min(spare, key=lambda group: (sizes[group], _draw(group, split.seed)))
        side_of[moved] = side
        text = f"the draw left {SIDES[side]} without rows; group {moved} ({sizes[moved]} rows) was moved there from {SIDES[donor]}"
        division.notes.append(text)


def _largest(rows: RowKeys, sizes: Counter[str]) -> Largest | None:
    if not sizes:
        return None
    group = min(sizes, key=lambda name: (-sizes[name], name))
    answers = Counter(digest for digest in rows.answers if digest is not None)
    return Largest(group, sizes[group], sizes[group] / len(rows.ids), max(answers.values(), default=0))


def _large_group_note(largest: Largest, rows: int) -> str:
    note = f"the largest group holds {largest.rows} of {rows} rows ({largest.share:.0%}), which stay on one side"
    shared = largest.rows_with_one_answer
    if shared > _SHARED_ANSWER_ROWS and shared > _SHARED_ANSWER * rows:
        note += f"; one answer alone is shared by {shared} rows"
    return f"{note}; see `largest_group` in data/report.json"


def hold_out(count: int, val_set_size: float, seed: int) -> Division:
    """Axolotl's `val_set_size`: the last rows of a seeded shuffle; a share below 1 is rounded up, otherwise it is a number of rows."""
    held_out = ceil(val_set_size * count) if val_set_size < 1 else int(val_set_size)
    if held_out >= count:
        hint = "write a smaller number, or a share below 1"
        found = f"{val_set_size:g} of {count} rows"
        raise DataError(Problem("`val_set_size` leaves no rows to train on", where="val_set_size", found=found, hint=hint))
    order = list(range(count))
    Random(seed).shuffle(order)
    sides = bytearray(count)
    for number in order[count - held_out :] if held_out else ():
        sides[number] = VALIDATION
    return Division(sides)


def part(rows: RowKeys, division: Division, side: int) -> RowKeys:
    """The rows of one side."""
    numbers = [number for number, drawn in enumerate(division.sides) if drawn == side]
    return RowKeys(
        [rows.ids[number] for number in numbers],
        [rows.requests[number] for number in numbers],
        [rows.answers[number] for number in numbers],
    )


def overlap(first: RowKeys, second: RowKeys) -> tuple[int, int]:
    """How many rows of `second` have a request, and how many an answer, that also stands in `first`."""
    requests, answers = set(first.requests) - {None}, set(first.answers) - {None}
    return sum(digest in requests for digest in second.requests), sum(digest in answers for digest in second.answers)


def check_sides(paths: Sequence[Path]) -> None:
    """Reads the written files again and raises `IntegrityError` where a request or an answer stands on two sides."""
    seen: tuple[dict[bytes, Path], dict[bytes, Path]] = ({}, {})
    for path in paths:
        for row in read_jsonl(path):
            digests = turn_keys([Message.from_json(message) for message in row["messages"]])
            for what, known, digest in zip(("request", "answer"), seen, digests, strict=True):
                if digest is not None and known.setdefault(digest, path) != path:
                    raise IntegrityError(f"{path}: the {what} of row {row['id']} also stands in {known[digest].name}; the split leaks")


def side_counts(sides: Iterable[int]) -> dict[str, int]:
    """Rows on each side, by its name."""
    counts = Counter(sides)
    return {name: counts[side] for side, name in enumerate(SIDES)}
