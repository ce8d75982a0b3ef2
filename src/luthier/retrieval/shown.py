"""Pieces of sources in front of a request, worded in one place: rows that train a model with what a search finds, and servers that ask it.

[1] PATH, lines 3 to 9:
```python
...
```

[2] ...

Which function opens the store?
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

# Goes up when the words around the pieces change: a model is asked in the form that it was trained with.
FORM = 1

_PIECE = re.compile(r"\[\d+\] [^\n]*, lines \d+ to \d+:\n(?P<fence>`{3,})[^\n]*\n.*?\n(?P=fence)\n\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ContextForm:
    """How much a request shows: at most so many `pieces`, each of at most so many `characters`."""

    pieces: int
    characters: int


# What a model is shown that was not trained with pieces, and what rows of a teacher show at most.
PLAIN, TAUGHT = ContextForm(4, 1_200), ContextForm(6, 4_000)


@dataclass(frozen=True, slots=True)
class Shown:
    """A piece of a source: `text` stands on the lines `lines` (first and last, from 1) of `path`."""

    path: str
    lines: tuple[int, int]
    text: str
    language: str = ""

    def cut(self, characters: int) -> Shown:
        """The piece up to the last whole line within so many characters; of a first line that is longer its beginning."""
        if len(self.text) <= characters:
            return self
        kept = self.text[: characters + 1]
        text = kept[:end] if (end := kept.rfind("\n")) > 0 else self.text[:characters]
        return replace(self, text=text, lines=(self.lines[0], min(self.lines[1], self.lines[0] + text.count("\n"))))


def with_pieces(pieces: Sequence[Shown], request: str) -> str:
    """`request` behind the numbered pieces; alone where there are none."""
    return "\n\n".join([*_worded(pieces), request])


def request_in(text: str) -> str:
    """What is asked in a text that `with_pieces` worded; any other text as it is."""
    end = 0
    while text.startswith("[", end) and (piece := _PIECE.match(text, end)) is not None:
        end = piece.end()
    return text[end:]


def fenced(text: str, language: str) -> str:
    """`text` in a fence of Markdown that it does not hold."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _worded(pieces: Iterable[Shown]) -> list[str]:
    return [
        f"[{number}] {piece.path}, lines {piece.lines[0]} to {piece.lines[1]}:\n{fenced(piece.text, piece.language)}"
        for number, piece in enumerate(pieces, 1)
    ]
