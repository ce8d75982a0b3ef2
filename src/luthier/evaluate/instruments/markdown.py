"""Fenced blocks of an answer in Markdown: one reading for all kinds of suites."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# A fence opens with three or more backticks or tildes (CommonMark 0.31, section 4.5) and closes with as many or more, or with the text.
_FENCE = re.compile(
    r"^[ \t]*(?P<mark>`{3,}|~{3,})[ \t]*(?P<name>[\w+.-]*)[^\n`]*\n(?P<body>.*?)(?:^[ \t]*(?P=mark)[`~]*[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the first word behind its opening fence in small letters, or nothing, and what stands between the fences."""

    name: str
    body: str


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of `text` in their order; one that is never closed goes to the text's end."""
    for match in _FENCE.finditer(text):
        yield Block(match["name"].lower(), match["body"])


def outside_blocks(text: str) -> str:
    """`text` with an empty line in place of each fenced block."""
    return _FENCE.sub("\n", text)
