"""Stretches of a turn's content that are trained or not: how a row names them, and where they lie when the content changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from luthier.core.records import Detail, JsonValue
from luthier.data.rows.fields import BadRow, kind, names_of

_WORD = re.compile(r"\w+|\W")
# How many words agree where a change ends, and how far from its start that is looked for.
_AGREEING, _FARTHEST_WORDS = 3, 200
_FIELDS = ("begin_offset", "end_offset", "train")


def read_details(value: JsonValue, column: str, number: int, content: str) -> tuple[Detail, ...]:
    """The stretches in `value`, Axolotl's list of `{begin_offset, end_offset, train}`, in order; both offsets count, from 0.

    `BadRow` where it is no such list, or a stretch lies outside turn `number`'s content or over another one.
    """
    if not isinstance(value, list):
        raise BadRow("wrong_type", f"turn {number}: expected a list in `{column}`, found {kind(value)}")
    found = sorted((_detail(item, column, number) for item in value), key=lambda detail: (detail.begin, detail.end))
    for detail in found:
        if not 0 <= detail.begin <= detail.end < len(content):
            known = f"the text has the characters 0 to {len(content) - 1}" if content else "the text is empty"
            raise BadRow("detail_out_of_range", f"turn {number}: `{column}` names {detail.begin} to {detail.end}; {known}")
    for first, second in pairwise(found):
        if second.begin <= first.end:
            stretches = f"{first.begin} to {first.end} and {second.begin} to {second.end}"
            raise BadRow("details_overlap", f"turn {number}: `{column}` names {stretches}, which overlap; `end_offset` counts too")
    return tuple(found)


def _detail(item: JsonValue, column: str, number: int) -> Detail:
    if not isinstance(item, dict) or not all(name in item for name in _FIELDS):
        found = names_of(item) if isinstance(item, dict) else kind(item)
        raise BadRow("wrong_type", f"turn {number}: expected `begin_offset`, `end_offset` and `train` in `{column}`, found {found}")
    begin, end, train = (item[name] for name in _FIELDS)
    if type(begin) is not int or type(end) is not int or not isinstance(train, bool):
        found = f"{kind(begin)}, {kind(end)} and {kind(train)}"
        raise BadRow("wrong_type", f"turn {number}: expected two whole numbers and true or false in `{column}`, found {found}")
    return Detail(begin, end, train)


def moved(details: Sequence[Detail], before: str, after: str) -> tuple[Detail, ...]:
    """The stretches of `before` where they lie in `after`, in which parts of the text were replaced; what is wholly gone is left out.

    A border inside a replaced part takes the whole of what stands there now.
    """
    changes = _changes(before, after)

    def place(position: int, is_end: bool) -> int:
        shift = 0
        for start, stop, new_start, new_stop in changes:
            if position < start:
                break
            if position < stop:
                return new_stop - 1 if is_end else new_start
            shift = new_stop - stop
        return position + shift

    found = [replace(detail, begin=place(detail.begin, False), end=place(detail.end, True)) for detail in details]
    return tuple(detail for detail in found if detail.begin <= detail.end)


def _changes(before: str, after: str) -> list[tuple[int, int, int, int]]:
    """The parts of `before` that were replaced, and what stands there in `after`, both as characters from and to.

    Word by word: after a difference both go on where the nearest words agree again, so that the time hangs on the number of differences.
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    places, new_places = ([0, *accumulate(map(len, words))] for words in (old, new))
    found = []
    at = new_at = 0
    while at < len(old) or new_at < len(new):
        if at < len(old) and new_at < len(new) and old[at] == new[new_at]:
            at, new_at = at + 1, new_at + 1
            continue
        stop, new_stop = _next_agreement(old, new, at, new_at)
        found.append((places[at], places[stop], new_places[new_at], new_places[new_stop]))
        at, new_at = stop, new_stop
    return found


def _next_agreement(old: Sequence[str], new: Sequence[str], at: int, new_at: int) -> tuple[int, int]:
    """The nearest places from which three words agree, or all that is left; the ends where there are none near."""
    for apart in range(1, _FARTHEST_WORDS):
        for step in range(apart + 1):
            here, there = at + step, new_at + apart - step
            if here <= len(old) and there <= len(new) and old[here : here + _AGREEING] == new[there : there + _AGREEING]:
                return here, there
    return len(old), len(new)
