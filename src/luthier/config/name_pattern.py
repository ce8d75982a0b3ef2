"""Patterns of `unfrozen_parameters`, as Axolotl 0.19 reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ROWS = re.compile(r"^(.+)\[([0-9]*)(?::([0-9]*))?\]$")


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A pattern on names of weights, and the rows of a weight that it means: from the first to before the last, None for the end.

    It is a regular expression on the beginning of a name; `$` makes it the whole name. A dot is a dot, but before a `+`, where it is any
    character. `[10]`, `[10:]`, `[:20]` and `[10:20]` at its end are rows and no part of the expression.
    """

    written: str
    expression: re.Pattern[str]
    rows: tuple[int, int | None] | None

    @staticmethod
    def parse(written: str) -> NamePattern:
        """The pattern; `ValueError` with what is wrong where it is no regular expression, or its rows are none."""
        found = _ROWS.match(written)
        name, rows = (found[1], _rows(found[2], found[3])) if found else (written, None)
        try:
            return NamePattern(written, re.compile(re.sub(r"\.(?!\+)", r"\\.", name)), rows)
        except re.error as error:
            raise ValueError(str(error)) from error

    def matches(self, name: str) -> bool:
        """Whether the weight `name` is meant."""
        return self.expression.match(name) is not None


def _rows(start: str, end: str | None) -> tuple[int, int | None]:
    if end is None and start:
        return int(start), int(start) + 1
    first, last = int(start or 0), int(end) if end else None
    if last is not None and first >= last:
        raise ValueError(f"the rows {first} to {last} are none: the end has to be above the start")
    return first, last
