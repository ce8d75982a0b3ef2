"""What is judged of an answer: one function for each kind of candidate, and no other place that cuts text."""

from __future__ import annotations

import re

# A fence opens with three or more backticks or tildes (CommonMark 0.31, section 4.5) and closes with as many, or with the text.
_FENCE = re.compile(r"^[ \t]*(?P<mark>`{3,}|~{3,})[^\n`]*\n(?P<body>.*?)(?:^[ \t]*(?P=mark)[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_ONE_LINE_FENCE = re.compile(r"```[ \t]*(?:(?:bash|sh|shell|console|zsh)[ \t]+)?(?P<body>[^`\n]+?)[ \t]*```")
_INLINE = re.compile(r"(?<!`)(?P<mark>`{1,2})(?!`)(?P<body>.+?)(?<!`)(?P=mark)(?!`)", re.DOTALL)
_PROMPT = re.compile(r"^[$>%][ \t]+")


def plain(text: str) -> str:
    """The whole answer without white space at its ends: what is judged of a model that is to answer with the command alone."""
    return text.strip()


def markdown_command(text: str) -> str:
    """The command in an answer written in Markdown, for a base model that explains.

    The first fenced block; without one, the longest inline code (the first among equals); without any, the whole answer. A prompt
    (`$ `) in front of each line of a block is taken off, as are lines of a block that are comments alone or empty.
    """
    if (fence := _FENCE.search(text)) is not None:
        return _block(fence["body"])
    if (fence := _ONE_LINE_FENCE.search(text)) is not None:
        return _block(fence["body"])
    spans = [match["body"].strip() for match in _INLINE.finditer(text)]
    return _PROMPT.sub("", max(spans, key=len)) if spans else text.strip()


def _block(body: str) -> str:
    lines = [_PROMPT.sub("", line.rstrip()) for line in body.strip("\n").splitlines()]
    kept = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return "\n".join(kept).strip()
