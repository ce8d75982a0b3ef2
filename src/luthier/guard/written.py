"""Commands of a file with the lines that they stand on: what goes over a line's end is one command."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from luthier.guard.syntax.nodes import ShellSyntaxError
from luthier.guard.syntax.parser import first_lines, parse

# What is not closed within so many lines or characters is none of a command's text: its first line is judged alone.
MAX_LINES = 1000
MAX_CHARACTERS = 1 << 17
# So many characters may be parsed in joins that come to nothing before they are limited by the size of the file, so that no file costs
# more than time linear in its size.
FRUITLESS_CHARACTERS = 1 << 20

# Outside quotes: an escape, an opening quote, a comment, a here-string or the mark of a here-document.
_OUTSIDE = re.compile(
    r"""\\.?|\$?'|"|`|(?:(?<=[ \t;&|()])|^)#|<<<|<<(?P<tabs>-?)[ \t]*(?P<end>(?:[^\s;&|<>()"'\\`]|\\.|'[^']*'|"[^"]*")+)""", re.DOTALL
)
_INSIDE = {mark: re.compile(rf"\\.|{mark[-1]}", re.DOTALL) for mark in ('"', "`", "$'")}
_INSIDE["'"] = re.compile("'")
_QUOTING = re.compile(r"[\"'\\]")
# An arithmetic expression is looked for so far in front of a `<<`.
_ARITHMETIC_CHARACTERS = 200
_COMMENT = re.compile(r"[ \t]*#")


class Written(NamedTuple):
    """A command as written, and its first and last line, counted from 1."""

    text: str
    first: int
    last: int


def written_commands(lines: Iterable[str]) -> Iterator[Written]:
    """The commands of a file whose lines, without their ends, are `lines`; blank lines and comments are none.

    Lines belong together over a backslash at the end, an open quote, a here-document, and where the parser says that more is wanted: a
    compound command, a function, an open parenthesis, `|`, `&&` and `||` at the end. What nothing closes within `MAX_LINES`, or what does
    not parse together, comes line by line. A command comes as soon as it is complete; in one of many lines a few may be read ahead.
    """
    reader = _Reader(iter(lines))
    number = 0
    while count := reader.count():
        taken = reader.take(count)
        if taken[0].strip() and not _COMMENT.match(taken[0]):
            yield Written("\n".join(taken), number + 1, number + count)
        number += count


def is_unfinished(text: str) -> bool:
    """Whether a shell would ask for more of `text`: a backslash at its end, an open quote, a here-document, a compound command."""
    quote, continues, announced, open_ones = "", False, list[tuple[str, bool]](), deque[tuple[str, bool]]()
    for line in text.split("\n"):
        if open_ones:
            end, strips_tabs = open_ones[0]
            if (line.lstrip("\t") if strips_tabs else line) == end:
                open_ones.popleft()
            continue
        quote, continues, found = _read(line, quote)
        announced += found
        if not quote and not continues:
            open_ones.extend(announced)
            announced = []
    return bool(quote or continues or open_ones or announced) or _wants_more(text)


class _Reader:
    """Lines of a source, read as they are needed."""

    def __init__(self, source: Iterator[str]) -> None:
        self._source = source
        self._waiting: deque[str] = deque()
        # What is left, in characters, for joins that come to nothing; every line that is taken adds its own.
        self._effort = FRUITLESS_CHARACTERS

    def take(self, count: int) -> list[str]:
        """The next `count` lines, which are not seen again."""
        taken = [self._waiting.popleft() for _ in range(count)]
        self._effort = min(FRUITLESS_CHARACTERS, self._effort + sum(len(line) + 1 for line in taken))
        return taken

    def line(self, index: int) -> str | None:
        """The line `index` lines on; None behind the end."""
        while len(self._waiting) <= index:
            if (following := next(self._source, None)) is None:
                return None
            self._waiting.append(following)
        return self._waiting[index]

    def count(self) -> int:
        """How many lines the next command takes; 0 at the end."""
        first = self._quoted(0)
        if first == 0 or not _wants_more(self._text(first)):
            return first
        count, spent, step = first, 0, 1
        while count < MAX_LINES:
            wanted = min(count + step, MAX_LINES)
            while count < wanted and (more := self._quoted(count)):
                count += more
            text = self._text(count)
            spent += len(text)
            if len(text) > MAX_CHARACTERS or spent > self._effort:
                break
            try:
                return first_lines(text)
            except RecursionError:
                break
            except ShellSyntaxError as error:
                if not error.wants_more or count < wanted:
                    break
            step = max(1, count // 2)
        self._effort -= spent
        return first

    def _text(self, count: int) -> str:
        return "\n".join(islice(self._waiting, count))

    def _quoted(self, start: int) -> int:
        """How many lines from `start` on backslashes, quotes and here-documents hold together; 0 at the end."""
        quote, count = "", 0
        ends: list[tuple[str, bool]] = []
        while count < MAX_LINES and (text := self.line(start + count)) is not None:
            count += 1
            quote, continues, found = _read(text, quote)
            ends += found
            if quote or (continues and self.line(start + count) is not None):
                continue
            for end, strips_tabs in ends:
                following = self._after_document(start + count, end, strips_tabs)
                if following is None:
                    return count
                count = following - start
            return count
        # A quote that nothing closes takes no other line; a command that goes on and on is cut.
        return min(count, 1) if quote else count

    def _after_document(self, start: int, end: str, strips_tabs: bool) -> int | None:
        """The line behind the end of a here-document that begins at line `start`; None where it does not end."""
        for index in range(start, start + MAX_LINES):
            text = self.line(index)
            if text is None:
                return None
            if (text.lstrip("\t") if strips_tabs else text) == end:
                return index + 1
        return None


def _wants_more(text: str) -> bool:
    """Whether `text` does not parse because it ends too early."""
    if len(text) > MAX_CHARACTERS:
        return False
    try:
        parse(text)
    except ShellSyntaxError as error:
        return error.wants_more
    except RecursionError:
        return False
    return False


def _read(text: str, quote: str) -> tuple[str, bool, list[tuple[str, bool]]]:
    """The quote that is open at the end of a line, whether a backslash continues it, and the here-documents that it announces."""
    ends: list[tuple[str, bool]] = []
    position = 0
    while True:
        found = (_INSIDE[quote] if quote else _OUTSIDE).search(text, position)
        if found is None:
            return quote, False, ends
        mark, position = found.group(), found.end()
        if quote:
            quote = "" if mark == quote[-1] else quote
        elif mark == "#":
            return "", False, ends
        elif mark == "\\":
            return "", True, ends
        elif mark in ("'", '"', "`", "$'"):
            quote = mark
        elif found["end"] and not _is_arithmetic(text, found.start()):
            ends.append((_QUOTING.sub("", found["end"]), bool(found["tabs"])))


def _is_arithmetic(text: str, position: int) -> bool:
    """Whether `<<` at a position is a shift: it stands in `((...))`."""
    before = text[max(0, position - _ARITHMETIC_CHARACTERS) : position]
    return "((" in before and "))" not in before[before.rfind("((") :]
