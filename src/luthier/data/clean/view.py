"""A row as the rules look at it: who asks what, what is answered, and what of that is prose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from luthier.core.records import INPUT_ROLE, TEXT_ROLE, Message
from luthier.data.clean.records import Row
from luthier.guard.shown.names import block_name
from luthier.retrieval.shown import request_in

_FENCE = re.compile(r"[ \t>]*(?:[-*+] |\d+[.)] )?[ \t]*(`{3,}|~{3,})[ \t]*([^`\n]*)$")
_INLINE_CODE = re.compile(r"(`+)(?!`)[^\n]{1,400}?(?<!`)\1(?!`)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code: the first word behind the fence in small letters, and what stands inside."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Split:
    """A text apart: prose and code. `is_open`: the last fence is never closed, and all behind it is code."""

    prose: str
    blocks: tuple[Block, ...] = ()
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What rules ask of a row. `answer` is the last turn of the assistant, `request` the user's turn in front of it with its input.

    `prose` is the answer without its code. `is_raw`: the row is raw text, such as source code to be completed; it has neither request nor
    answer, and `answer` is empty.
    """

    row: Row
    request: str
    answer: str
    prose: str
    is_open: bool
    has_calls: bool
    is_raw: bool


def view(row: Row) -> View:
    """The view of `row`."""
    messages = row.fields.messages
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message.role == "assistant":
            split = split_code(message.content)
            return View(
                row, _request(messages[:index]), message.content, split.prose, split.is_open, bool(message.tool_calls), is_raw=False
            )
    return View(row, "", "", "", is_open=False, has_calls=False, is_raw=any(message.role == TEXT_ROLE for message in messages))


def _request(before: tuple[Message, ...]) -> str:
    for index in range(len(before) - 1, -1, -1):
        message = before[index]
        if message.role == INPUT_ROLE and index and before[index - 1].role == "user":
            return f"{request_in(before[index - 1].content)}\n{message.content}"
        if message.role in ("user", INPUT_ROLE):
            return request_in(message.content)
    return ""


def split_code(text: str) -> Split:
    """`text` apart: its prose without fenced blocks, and the blocks."""
    if "```" not in text and "~~~" not in text:
        return Split(text)
    prose: list[str] = []
    blocks: list[Block] = []
    fence, name, body = "", "", list[str]()
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if not fence and found is not None:
            fence, name, body = found[1], block_name(found[2].strip()), []
        elif fence and found is not None and found[1].startswith(fence) and not found[2].strip():
            blocks.append(Block(name, "\n".join(body)))
            fence = ""
        elif fence:
            body.append(line)
        else:
            prose.append(line)
    if fence:
        blocks.append(Block(name, "\n".join(body)))
    return Split("\n".join(prose), tuple(blocks), bool(fence))


def without_inline_code(prose: str) -> str:
    """`prose` with each `code` in backticks as one blank."""
    return _INLINE_CODE.sub(" ", prose) if "`" in prose else prose


def texts(message: Message) -> Iterator[str]:
    """What a turn says in words: its content and its reasoning."""
    if message.content:
        yield message.content
    if message.reasoning:
        yield message.reasoning
