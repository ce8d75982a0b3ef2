"""What is judged of an answer: one function for each kind of candidate, and no other place that cuts text."""

from __future__ import annotations

import re

from luthier.evaluate.instruments.markdown import blocks
from luthier.guard.shown.names import CONSOLES, SHELLS
from luthier.guard.shown.prompts import without_prompts

_NAMES = "|".join(map(re.escape, sorted(SHELLS | CONSOLES)))
_ONE_LINE_FENCE = re.compile(rf"```[ \t]*(?:(?P<name>{_NAMES})[ \t]+)?(?P<body>[^`\n]+?)[ \t]*```")
_INLINE = re.compile(r"(?<!`)(?P<mark>`{1,2})(?!`)(?P<body>.+?)(?<!`)(?P=mark)(?!`)", re.DOTALL)


def plain(text: str) -> str:
    """The whole answer without white space at its ends: what is judged of a model that is to answer with the command alone."""
    return text.strip()


def markdown_command(text: str) -> str:
    """The command in an answer written in Markdown, for a base model that explains.

    The first fenced block; without one, the longest inline code (the first among equals); without any, the whole answer. Prompts
    (`$ `, see `guard.shown.prompts`) in front of a block's lines are taken off, as are lines of a block that are comments alone or
    empty.
    """
    if (block := next(blocks(text), None)) is not None:
        return _block(block.body, block.name)
    if (fence := _ONE_LINE_FENCE.search(text)) is not None:
        return _block(fence["body"], fence["name"] or "")
    spans = [match["body"].strip() for match in _INLINE.finditer(text)]
    return without_prompts(max(spans, key=len)) if spans else text.strip()


def _block(body: str, name: str = "") -> str:
    lines = without_prompts("\n".join(line.rstrip() for line in body.strip("\n").splitlines()), name).split("\n")
    kept = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return "\n".join(kept).strip()
