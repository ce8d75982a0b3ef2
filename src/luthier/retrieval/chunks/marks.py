"""The rules of `plain.toml`, compiled when a file first asks for them; and a text with its comments and literals blanked out."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from luthier.retrieval.chunks.comments import Comment

_NO_NEWLINE = re.compile(r"[^\n]")


@dataclass(frozen=True, slots=True)
class Item:
    """What starts a definition, compiled from a row of `plain.toml`."""

    kind: str
    pattern: re.Pattern[str]
    opens: str


@dataclass(frozen=True, slots=True)
class Rules:
    """How one language is read: see the head of `plain.toml`."""

    marks: re.Pattern[str]
    line: tuple[str, ...]
    block: dict[str, str]
    nested: bool
    items: tuple[Item, ...]
    attribute: re.Pattern[str]
    goes_on: re.Pattern[str]
    function_if: re.Pattern[str]
    arrow: str
    file_is_module: bool
    same_name: bool
    calls: re.Pattern[str] | None
    keywords: frozenset[str]
    hidden_prefix: str
    hidden_words: re.Pattern[str] | None
    public_words: re.Pattern[str] | None


@cache
def rules(language: str) -> Rules:
    """The rules of `language`; those of `other` where it has no row."""
    rows = tomllib.loads(resources.files(__package__).joinpath("plain.toml").read_text(encoding="utf-8"))
    own = rows.get(language, {})
    row = {**rows["other"], **rows.get(own.get("same_as", ""), {}), **own}
    block = dict(row["block"])
    marks = [*(f"(?P<b{number}>{re.escape(mark)})" for number, mark in enumerate(block))]
    marks += [f"(?P<line>(?:{'|'.join(map(re.escape, row['line']))})[^\\n]*)"] if row["line"] else []
    marks += [f"(?:{literal})" for literal in row["strings"]]
    return Rules(
        marks=re.compile("|".join(marks), re.MULTILINE),
        line=tuple(row["line"]),
        block=block,
        nested=bool(row.get("nested", False)),
        items=tuple(Item(item["kind"], re.compile(item["pattern"]), item["opens"]) for item in row["item"]),
        attribute=re.compile(row["attribute"]),
        goes_on=re.compile(row["goes_on"]),
        function_if=re.compile(row["function_if"]),
        arrow=str(row.get("arrow", "")),
        file_is_module=bool(row.get("file_is_module", False)),
        same_name=bool(row.get("same_name", False)),
        calls=re.compile("|".join(row["calls"])) if row["calls"] else None,
        keywords=frozenset(row["keywords"]),
        hidden_prefix=str(row.get("hidden_prefix", "")),
        hidden_words=_words(row.get("hidden_words")),
        public_words=_words(row.get("public_words")),
    )


def _words(words: list[str] | None) -> re.Pattern[str] | None:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b") if words else None


def blanked(text: str, chosen: Rules) -> tuple[str, list[Comment]]:
    """`text` with comments and the inside of literals as blanks, of equal length and lines; and its comments."""
    parts: list[str] = []
    comments: list[Comment] = []
    at = 0
    closers = {mark: re.compile(f"{re.escape(mark)}|{re.escape(close)}") for mark, close in chosen.block.items()}
    while (match := chosen.marks.search(text, at)) is not None:
        start, end = match.span()
        if end == start:
            # A pattern that matches nothing must not stop the pass.
            end = min(start + 1, len(text))
            parts.append(text[at:end])
            at = end
            if at >= len(text):
                break
            continue
        group = match.lastgroup
        parts.append(text[at:start])
        if group is not None:
            if group != "line":
                end = _block_end(text, end, match.group(), closers[match.group()], chosen.nested)
            comments.append(Comment(start, end))
            parts.append(_NO_NEWLINE.sub(" ", text[start:end]))
        else:
            literal = match.group()
            parts.append(literal if len(literal) < 3 else literal[0] + _NO_NEWLINE.sub(" ", literal[1:-1]) + literal[-1])
        at = end
    parts.append(text[at:])
    return "".join(parts), comments


def _block_end(text: str, at: int, mark: str, closer: re.Pattern[str], nested: bool) -> int:
    depth = 1
    for match in closer.finditer(text, at):
        if match.group() != mark:
            depth -= 1
        elif nested:
            depth += 1
        if depth == 0:
            return match.end()
    return len(text)
