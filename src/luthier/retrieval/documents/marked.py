r"""The Markdown-like text that PDF and DOCX files are turned into when they are read: cut at its headings, otherwise as it stands.

A line that begins with `#` and is no heading is written with a backslash before it, which is taken away again here.
"""

from __future__ import annotations

import re

from luthier.retrieval.outline import Block

_HEADING = re.compile(r"(#{1,6}) (\S.*)$")
_ESCAPED = re.compile(r"\\(?=\\*#)")


def written(blocks: list[Block]) -> str:
    """`blocks` as such a text."""
    parts = []
    for block in blocks:
        parts.append(f"{'#' * min(block.level, 6)} {block.text}" if block.level else "\n".join(_guarded(block.text.split("\n"))))
    return "\n\n".join(parts) + "\n"


def _guarded(lines: list[str]) -> list[str]:
    return [f"\\{line}" if re.match(r"\\*#", line) else line for line in lines]


def read(text: str) -> tuple[list[Block], str]:
    """The blocks of such a text; it has no title apart from its headings."""
    blocks: list[Block] = []
    waiting: list[str] = []
    first = 1
    for number, line in enumerate(text.split("\n"), 1):
        heading = _HEADING.match(line)
        if heading is None:
            first = first if waiting else number
            waiting.append(_ESCAPED.sub("", line, count=1) if line.startswith("\\") else line)
            continue
        _add(blocks, waiting, first)
        waiting = []
        blocks.append(Block(len(heading.group(1)), heading.group(2), number))
    _add(blocks, waiting, first)
    return blocks, ""


def _add(blocks: list[Block], lines: list[str], first: int) -> None:
    body = "\n".join(lines).strip("\n")
    if body.strip():
        blocks.append(Block(0, body, first))
