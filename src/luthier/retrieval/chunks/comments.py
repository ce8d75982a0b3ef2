"""Comments as documentation: which comment belongs to a definition, and what it says without its marks."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

# How much of a comment is looked at for the words of a license.
_LICENSE_CHARACTERS = 400
# A comment or docstring longer than this documents nothing: it is data.
_DOC_CHARACTERS = 50_000
_CODE_SHARE = 0.5

_BLOCK_OPEN = re.compile(r"(?:/\*[*!]*<?|\(\*+|\{-\s?\|?|--\[=*\[|=begin\b|<#|<!--)")
_BLOCK_CLOSE = re.compile(r"(?:\*+/|\*+\)|-\}|\]=*\]|^=end|#>|-->)\s*\Z", re.MULTILINE)
_BLOCK_LINE = re.compile(r"^[ \t]*\*+(?=\s|$)[ ]?", re.MULTILINE)
_STARRED = re.compile(r"\A[ \t]*\*+(?:\s|$)")
_LINE_MARK = re.compile(r"^[ \t]*(?://+[!<]?<?|#+[:!|']?|--+(?:[ ]?[|^])?|;+|%+|')", re.MULTILINE)
_TABS_FIRST = re.compile(r"^\t+")
_DOC_MARK = re.compile(r"\A(?:/\*[*!](?!/)|///(?!/)|//!|##(?!#)|\(\*\*(?!\))|\{-\s?\||--+\s?[|^]|=begin)")

# Marks of a comment that speaks of the file, wherever it stands.
_TAKEN_OUT = re.compile(
    r"(?://+|/\*(?!\*))\s*(?:@[\w.]+(?:\([^()\n]*\))?\s*)*(?:external|let|type|module)\s+(?:rec\s+)?\w+(?:<[^>\n]*>)?\s*[:=](?!=)"
)
_OF_FILE = re.compile(r"/\*\*\*(?=\s)|//!")

_LICENSE = re.compile(
    r"copyright\b|\(c\)\s*(?:19|20)\d\d|spdx-license-identifier|\blicen[sc]ed\s+under|all rights reserved|permission is hereby granted"
    r"|gnu (?:lesser |affero )?general public|@license\b|redistribution and use in source",
    re.IGNORECASE,
)
_DIRECTIVE = re.compile(
    r"^\s*(?:eslint|tslint|jshint|jscs|istanbul|c8|v8|prettier|stylelint|biome|flow|sourceMappingURL|@ts-|@flow|@noflow|@jsx|noqa|nolint|nosec"
    r"|pylint|pragma|type:\s*ignore|mypy:|ruff:|fmt:|isort:|pyright:|flake8|yapf|go:\w+|\+build|export \w+$|clang-format|clang-tidy|NOLINT"
    r"|rubocop|frozen_string_literal|encoding:|-\*-|coding[:=]|shellcheck|checkstyle|sonar|phpcs|@codeCoverage|suppress|cspell|spell-checker"
    r"|vim?:|<reference|#(?:end)?region|(?:end)?region\b|(?:TODO|FIXME|XXX|HACK|BUG)\b|!/)",
    re.IGNORECASE,
)
# Tags that wrap the words of a comment: those of C#'s XML, of Javadoc's HTML, and the mark of a file's comment.
_TAG = re.compile(
    r"</?(?:summary|remarks|para|returns|value|example|c|code|p|ul|li|pre|tt)>[ ]?"
    r"|<(?:see|paramref|typeparamref) (?:cref|name|langword)=\"(?P<named>[^\"]*)\" ?/>"
    r"|\A@(?:fileoverview|file|overview)\b[ ]*"
)
_RULE = re.compile(r"^[\s\-=*#~_+/<>|!]*[\-=*#_+/]{3}[\s\-=*#~_+/<>|!]*$")
_RULED = re.compile(r"^\s*[-=*#~_+/]{3,}.*[-=*#~_+/]{3,}\s*$")
_CODE = re.compile(
    r"[;{}\[(]\s*$|=>\s*$|^\s*[})\]]+[;,)]*\s*$|^\s*</?\w+[^>]*>|^\s*(?:let|const|var|return|import|from|def|func|fn|fun|if|for|while|else|elif|switch|case"
    r"|open|module|type|external|use|using|include|public|private|protected|static|print|local|end)\b.*[=(:;{]"
    r"|^\s*(?:return|import|pass|break|continue|yield)\b(?: \S+)?$"
    r"|^\s*[\w.$\[\]\"']+(?::\s*[\w<>\[\]]+)?\s*[-+*/|&]?=\s*\S|^\s*[\w.$:>-]+\(.*\)\s*[;,{:]?\s*$|^\s*(?:->|\|>|@|#include|#define|#if)|^\s*\w+:\s*\S+,\s*$"
)
_PROSE = re.compile(r"[A-Za-z][a-z'’]+[,]? (?:[A-Za-z'’`]+[,:;]? ){2,}[A-Za-z'’`]+")


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment at `start:end` of a text; `attribute` where it is a decorator between comment and definition instead."""

    start: int
    end: int
    attribute: bool = False


@dataclass(slots=True)
class Comments:
    """The comments and attributes of a file, found by where they end."""

    text: str
    items: Sequence[Comment]
    _by_end: dict[int, Comment] = field(init=False, default_factory=dict)
    taken: set[int] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        for item in self.items:
            end = item.end
            while end > item.start and self.text[end - 1] in " \t\r\n\f":
                end -= 1
            self._by_end[end] = Comment(item.start, end, item.attribute)

    def before(self, position: int) -> tuple[int, int, str]:
        """Where the comments right before `position` start, where the attributes among them start, and what the comments say.

        A blank line ends the reach; a comment that trails code belongs to that code. A comment that documents nothing (a license, a rule
        across the page, code that was taken out) stays outside.
        """
        found: list[Comment] = []
        declared = at = position
        while (item := self._ending_before(at)) is not None:
            at = item.start
            if item.attribute:
                declared = at
            elif _OF_FILE.match(self.text, at) or _TAKEN_OUT.match(self.text, at):
                # What stands above a binding that was taken out speaks of that.
                break
            else:
                found.append(item)
        found.reverse()
        while found and _BLOCK_OPEN.match(self.text, found[0].start) and not self._said(found):
            found.pop(0)
        # Comments among or below the attributes stand inside the signature's lines already.
        doc = self._said(found)
        start = found[0].start if doc else declared
        self.taken.update(item.start for item in found)
        return min(start, declared), declared, doc

    def trimmed(self, start: int, position: int) -> int:
        """`position` moved back over white space and comments, but not beyond `start`."""
        while True:
            while position > start and self.text[position - 1] in " \t\r\n\f":
                position -= 1
            item = self._by_end.get(position)
            if item is None or item.start <= start:
                return position
            position = item.start

    def head(self, start: int) -> tuple[int, int, str] | None:
        """The first group of comments from `start` on that belongs to no definition, as start, end and what it says."""
        group: list[Comment] = []
        for item in self.items:
            if item.start < start or item.attribute:
                continue
            if item.start in self.taken:
                break
            if group and self.text.count("\n", group[-1].end, item.start) > (self.text[group[-1].end - 1] != "\n"):
                if doc := self._said(group):
                    return group[0].start, group[-1].end, doc
                group = []
            if self.text[start : item.start].strip() if not group else self.text[group[-1].end : item.start].strip():
                break
            group.append(item)
            start = item.start
        doc = self._said(group)
        return (group[0].start, group[-1].end, doc) if doc else None

    def _said(self, group: Sequence[Comment]) -> str:
        return documentation([self.text[item.start : item.end] for item in group]) if group else ""

    def _ending_before(self, position: int) -> Comment | None:
        text, at, lines = self.text, position, 0
        while at > 0 and text[at - 1] in " \t\r\n\f":
            at -= 1
            lines += text[at] == "\n"
        if lines > 1 or (item := self._by_end.get(at)) is None:
            return None
        if item.attribute:
            return item
        if lines == 0 and "\n" in text[item.start : item.end]:
            return item
        at = item.start
        while at > 0 and text[at - 1] in " \t":
            at -= 1
        return item if at == 0 or text[at - 1] in "\n\r" else None


def documentation(comments: Sequence[str]) -> str:
    """What adjacent comments say, without marks and common indentation; empty where that documents nothing.

    Where some of them carry a mark of documentation (`///`, `/**`), only those are read.
    """
    marked = [comment for comment in comments if _DOC_MARK.match(comment)]
    chosen = marked or [comment for comment in comments if not comment.startswith("#!")]
    if sum(map(len, chosen)) > _DOC_CHARACTERS:
        return ""
    text = _TAG.sub(lambda tag: tag["named"] or "", _together(chosen))
    if _LICENSE.search(text[:_LICENSE_CHARACTERS]):
        return ""
    lines = text.split("\n")
    if any(_RULED.match(line) and not _RULE.match(line) for line in lines) or _boxed(lines):
        return ""
    kept = _dedented([line for line in lines if not _DIRECTIVE.match(line) and not (_RULE.match(line) and len(line.strip()) > 2)])
    return "" if not re.search(r"\w", kept) or (not marked and is_code(kept)) else kept


def _together(comments: Sequence[str]) -> str:
    """Adjacent comments without marks. Those of one line each share one margin, so that what stands deeper (Go's examples) stays so."""
    if any(_BLOCK_OPEN.match(comment.strip()) for comment in comments):
        return "\n".join(unmarked(comment) for comment in comments)
    lines = [line for comment in comments for line in comment.replace("\r\n", "\n").strip().split("\n")]
    # Tabs right behind the mark are steps in from the blank that prose has there.
    return _dedented([_TABS_FIRST.sub(lambda tabs: " " + "    " * len(tabs[0]), _LINE_MARK.sub("", line)) for line in lines])


def unmarked(comment: str) -> str:
    """One comment without its marks and common indentation."""
    comment = comment.replace("\r\n", "\n").strip()
    if opened := _BLOCK_OPEN.match(comment):
        inner = _BLOCK_CLOSE.sub("", comment[opened.end() :])
        lines = inner.split("\n")
        rest = [line for line in lines[1:] if line.strip()]
        if rest and sum(1 for line in rest if _STARRED.match(line)) * 2 >= len(rest):
            inner = "\n".join([lines[0], *(_BLOCK_LINE.sub("", line) for line in lines[1:])])
        return inspect.cleandoc(inner)
    return _dedented([_LINE_MARK.sub("", line) for line in comment.split("\n")])


def docstring(literal: str) -> str:
    """What a Python string literal says as a docstring: without quotes, prefix and common indentation; escapes as they are written."""
    opened = re.match(r"(?is)\A[ru]{0,2}('''|\"\"\"|'|\")", literal)
    if opened is None or len(literal) > _DOC_CHARACTERS:
        return ""
    return inspect.cleandoc(literal[opened.end() : -len(opened.group(1))].replace("\r\n", "\n")).strip()


def is_code(text: str) -> bool:
    """Whether a plain comment reads as code that was taken out rather than as prose."""
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines or any(_PROSE.search(line[:500]) and not _CODE.search(line[:500]) for line in lines):
        return False
    return sum(1 for line in lines if _CODE.search(line[:500])) >= len(lines) * _CODE_SHARE


def _boxed(lines: list[str]) -> bool:
    """Whether a few words stand between two rules across the page: a headline, which speaks of what follows it down to the next."""
    filled = [line for line in lines if line.strip()]
    rules = [bool(_RULE.match(line)) and len(line.strip()) > 4 for line in filled]
    return len(filled) <= 4 and len(filled) > 1 and rules[0] and rules[-1]


def _dedented(lines: list[str]) -> str:
    filled = [line for line in lines if line.strip()]
    margin = min((len(line) - len(line.lstrip()) for line in filled), default=0)
    return "\n".join(line[margin:].rstrip() if line.strip() else "" for line in lines).strip("\n").rstrip()
