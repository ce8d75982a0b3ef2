"""Credentials by the shapes that their issuers publish, from `issued.toml`: one table for run files and for the scanner of texts."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("issued.toml")
# Looked for before any anchor, for few texts have one: every shape is at least this long, or has one of these words in it.
_LONG_RUN = re.compile(r"[\w+/=.~%-]{15}")
_SPACED_SHAPES = ("PRIVATE KEY", "OpenVPN Static key")
# Below this it costs more to look for lines than to look through all of them.
_LONG_TEXT = 2_000
# What takes an end of line in an expression.
_OVER_LINES = re.compile(r"\\s|\[\^|\\n|PRIVATE KEY")


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of credential. A text holds none of it without one of `anchors`; a group `secret` of an expression is the credential."""

    kind: str
    anchors: tuple[str, ...]
    expressions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Issued:
    """A credential in a text: characters `start` to `end` (exclusive)."""

    kind: str
    start: int
    end: int


@cache
def shapes() -> tuple[Shape, ...]:
    """All shapes, in the table's order."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return tuple(Shape(kind, tuple(row["anchors"]), tuple(row["expressions"])) for kind, row in table.items())


@cache
def _anchored() -> tuple[tuple[str, int], ...]:
    """Every anchor with the number of its shape: one flat walk over them is most of what a text without any costs."""
    return tuple((anchor, number) for number, shape in enumerate(shapes()) for anchor in shape.anchors)


# Compiled when first needed: a run file seldom has any anchor, and all of them together take a tenth of a second.
_compiled = cache(re.compile)


def issued(text: str) -> Iterator[Issued]:
    """The credentials in `text`, kind by kind; what two kinds describe comes twice. Linear in the length of the text."""
    if _LONG_RUN.search(text) is None and not any(words in text for words in _SPACED_SHAPES):
        return
    for number in dict.fromkeys([number for anchor, number in _anchored() if anchor in text]):
        shape = shapes()[number]
        lines = _lines(text, shape.anchors)
        for written in shape.expressions:
            expression = _compiled(written)
            group = "secret" if "secret" in expression.groupindex else 0
            for first, last in lines if _OVER_LINES.search(written) is None else ((0, len(text)),):
                for match in expression.finditer(text, first, last):
                    yield Issued(shape.kind, *match.span(group))


def _lines(text: str, anchors: tuple[str, ...]) -> list[tuple[int, int]]:
    """Where a shape of one line can stand: of a long text the lines with an anchor and a long run, for most have none."""
    if len(text) < _LONG_TEXT or "." in anchors:
        return [(0, len(text))]
    lines: set[tuple[int, int]] = set()
    for anchor in anchors:
        at = text.find(anchor)
        while at >= 0:
            end = text.find("\n", at)
            end = end if end >= 0 else len(text)
            start = text.rfind("\n", 0, at) + 1
            if _LONG_RUN.search(text, start, end) is not None:
                lines.add((start, end))
            at = text.find(anchor, end)
    return sorted(lines)
