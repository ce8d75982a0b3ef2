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
        for written in shape.expressions:
            expression = _compiled(written)
            group = "secret" if "secret" in expression.groupindex else 0
            for match in expression.finditer(text):
                yield Issued(shape.kind, *match.span(group))
