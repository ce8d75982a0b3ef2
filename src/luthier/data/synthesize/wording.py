"""How rows put things: templates chosen by hash, fences, references to a place, lists and sentences."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Container, Iterable, Sequence
from hashlib import blake2b
from typing import TypeVar

from luthier.retrieval.records import Chunk

T = TypeVar("T")

# What a fence is tagged with where it differs from the language's name.
_TAGS = {"c++": "cpp", "c_sharp": "csharp", "shell": "bash", "plain": "", "text": ""}
_FENCE = re.compile(r"^\s*(`{3,})", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")


def drawn(*key: object) -> int:
    """A number of 64 bits that hangs on `key` alone."""
    return int.from_bytes(blake2b("\x00".join(map(str, key)).encode("utf-8", "replace"), digest_size=8).digest(), "big")


def pick(options: Sequence[T], *key: object) -> T:
    """One of `options`, drawn by `key`: the same key and the same options give the same one."""
    return options[drawn(*key) % len(options)]


def worded(templates: Sequence[str], chunk: Chunk, **parts: str) -> str:
    """One of `templates`, drawn by where `chunk` stands and what it says, with `parts` in its slots."""
    # `replace` and not `format`: code in a part may hold braces, and a template may hold a brace of its own.
    text = pick(templates, templates[0], chunk.path, chunk.full_name, chunk.text)
    return re.sub(r"\{(\w+)\}", lambda slot: parts.get(slot[1], slot[0]), text)


def fenced(code: str, language: str) -> str:
    """`code` as a Markdown fence with the language's tag, longer than any fence inside; without blank lines around."""
    longest = max((len(mark[1]) for mark in _FENCE.finditer(code)), default=2)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{_TAGS.get(language, language)}\n{code.strip(chr(10)).rstrip()}\n{marks}"


def ticked(text: str) -> str:
    """`text` as inline code on one line."""
    plain = " ".join(text.split())
    return f"`` {plain} ``" if "`" in plain else f"`{plain}`"


def listed(items: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def bullets(items: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {item}" for item in items)


# What follows a name that a sentence is about: "ld compares two strings", "s is not empty".
_SAID_OF_A_NAME = re.compile(r"\S+\s+(?:will|can|may|must|should|could|are|[a-z]+s)\b")


def sentence(text: str, names: Container[str] = ()) -> str:
    """`text` with a capital letter first, unless that is code, and a full stop last, unless it ends another way.

    `names` are identifiers: a sentence that is about one of them keeps its small letter.
    """
    plain = text.strip()
    if not plain:
        return ""
    head = plain.split(None, 1)[0]
    if head.isalpha() and head.islower() and not (head in names and _SAID_OF_A_NAME.match(plain)):
        plain = plain[0].upper() + plain[1:]
    return plain if plain[-1] in ".!?:" or plain.endswith("```") else f"{plain}."


def first_sentence(text: str) -> str:
    """The first sentence of a prose text, on one line; the whole first paragraph where no sentence ends in it."""
    paragraph = " ".join(text.strip().split("\n\n", 1)[0].split())
    for end in re.finditer(r"[.!?](?=\s+[\"'`(*]?[A-Z`])", paragraph):
        before = paragraph[: end.end()]
        if not re.search(r"(?:\be\.g|\bi\.e|\betc|\bvs|\bcf|\b[A-Z])\.$", before) and before.count("`") % 2 == 0:
            return before
    return paragraph


def paragraphs(*parts: str) -> str:
    """The parts that are not empty, a blank line between them."""
    return _BLANK_LINES.sub("\n\n", "\n\n".join(part.strip("\n") for part in parts if part.strip()))


def lines_of(lines: tuple[int, int]) -> str:
    """`line 4` or `lines 4-9`."""
    return f"line {lines[0]}" if lines[0] == lines[1] else f"lines {lines[0]}-{lines[1]}"


def stands(chunk: Chunk) -> str:
    """The path of a chunk with its lines, as inline code, in the form `path:4-9`."""
    first, last = chunk.lines
    return f"`{chunk.path}:{first}`" if first == last else f"`{chunk.path}:{first}-{last}`"


def dedented(code: str) -> str:
    """Code without the indentation that all its lines share, and without blank lines around."""
    return textwrap.dedent(code.strip("\n")).rstrip()
