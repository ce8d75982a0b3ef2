"""What readers of documents share: a document as headings and Markdown-like text in their order, and the sections cut from it."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from luthier.retrieval.records import Chunk, SourceFile

_BACKTICKS = re.compile(r"^\s*(`{3,})", re.MULTILINE)
_MAX_NAME = 200


class Unreadable(Exception):
    """Why a file cannot be read: a reason code as `Excluded` has it, and a detail. It never leaves `retrieval`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Block:
    """A heading of level 1 and above, or text of level 0, and the line (from 1) of the source on which it begins."""

    level: int
    text: str
    line: int


@dataclass(slots=True)
class _Frame:
    """What stands before the lines of an open quote or list item: `first` once, then `rest`."""

    first: str
    rest: str
    is_tight: bool = True
    fresh: bool = True


class Writer:
    """Takes a document piece by piece and hands it back as blocks. Text is plain but for code, fences, lists, quotes and tables."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._lines: list[str] = []
        self._line = 1
        self._frames: list[_Frame] = []
        # Of each open list the number of its next item, None where it has bullets, and whether an item stands in it already.
        self._lists: list[tuple[int | None, bool]] = []

    @property
    def is_nested(self) -> bool:
        """Whether a list or a quote is open: a heading in there is no heading of the document."""
        return bool(self._frames or self._lists)

    def heading(self, level: int, text: str, line: int) -> None:
        """A heading; in a list or a quote it is a paragraph."""
        text = " ".join(text.split())
        if self.is_nested:
            self.paragraph(text)
            return
        self._flush()
        self._blocks.append(Block(max(level, 1), text, line))
        self._line = line

    def paragraph(self, text: str) -> None:
        """Running text; empty text is nothing."""
        lines = [line.rstrip() for line in text.strip("\n").split("\n")]
        if any(lines):
            self._put(lines)

    def fence(self, code: str, language: str = "") -> None:
        """Code as it stands, in a fence longer than any in it."""
        code = code.strip("\n")
        if not code.strip():
            return
        longest = max((len(found.group(1)) for found in _BACKTICKS.finditer(code)), default=2)
        mark = "`" * max(3, longest + 1)
        self._put([mark + language, *code.split("\n"), mark])

    def table(self, rows: list[list[str]]) -> None:
        """A table whose first row is its head; cells on one line."""
        cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
        cells = [row for row in cells if any(row)]
        if not cells:
            return
        width = max(len(row) for row in cells)
        lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in cells]
        self._put([lines[0], "|" + " --- |" * width, *lines[1:]])

    def open_list(self, start: int | None = None) -> None:
        """A list begins: numbered from `start`, or with bullets."""
        self._lists.append((start, False))

    def close_list(self) -> None:
        """The innermost list ends."""
        self._lists.pop()

    def open_item(self) -> None:
        """An item of the innermost list begins."""
        number, has_items = self._lists[-1]
        mark = "- " if number is None else f"{number}. "
        self._lists[-1] = (None if number is None else number + 1, True)
        # A list stands apart from the text above it, but not from the item that it is in.
        self._frames.append(_Frame(mark, " " * len(mark), is_tight=has_items or bool(self._frames)))

    def open_quote(self) -> None:
        """A quote begins."""
        self._frames.append(_Frame("> ", "> ", is_tight=False))

    def open_indent(self, is_tight: bool = True) -> None:
        """Text set in begins; where it `is_tight` it belongs to the line above, as what a term means does."""
        self._frames.append(_Frame("  ", "  ", is_tight))

    def close(self) -> None:
        """The innermost item, quote or indented text ends."""
        self._frames.pop()

    def blocks(self) -> list[Block]:
        """Everything taken so far."""
        self._flush()
        return self._blocks

    def _put(self, lines: list[str]) -> None:
        opens_item = bool(self._frames) and self._frames[-1].fresh
        if self._lines and not (opens_item and self._frames[-1].is_tight):
            self._lines.append("".join(frame.rest for frame in self._frames if not frame.fresh).rstrip())
        for line in lines:
            prefix = "".join(frame.first if frame.fresh else frame.rest for frame in self._frames)
            for frame in self._frames:
                frame.fresh = False
            self._lines.append((prefix + line).rstrip())

    def _flush(self) -> None:
        if self._lines:
            self._blocks.append(Block(0, "\n".join(self._lines), self._line))
            self._lines = []


def sections_of(file: SourceFile, blocks: list[Block], title: str = "") -> tuple[Chunk, ...]:
    """The sections of `file`: a heading and the text under it, down to the next heading of any level.

    `text` is the source of these lines. Text before the first heading is named `title`, or like the file. A heading without text of its
    own gives no section; it stands in the scope of those below it.
    """
    if not blocks:
        return ()
    source = file.text.split("\n")
    named = title or PurePosixPath(file.path).stem
    found: list[Chunk] = []
    above: list[tuple[int, str]] = []
    starts = [index for index, block in enumerate(blocks) if block.level]
    bounds = [*([0] if not starts or starts[0] else []), *starts, len(blocks)]
    for begin, end in itertools.pairwise(bounds):
        head, parts = blocks[begin], blocks[begin:end]
        name = named
        if head.level:
            parts = parts[1:]
            name = head.text[:_MAX_NAME] or named
            above = [entry for entry in above if entry[0] < head.level]
        body = "\n\n".join(part.text for part in parts).strip("\n")
        scope = " > ".join(entry[1] for entry in above)
        if head.level:
            above.append((head.level, name))
        if not body.strip():
            continue
        first = head.line
        last = blocks[end].line - 1 if end < len(blocks) else len(source)
        while last > first and not source[last - 1].strip():
            last -= 1
        text = "\n".join(source[first - 1 : last])
        found.append(_section(file, name, scope, body, text, (first, max(first, last))))
    return tuple(found)


def _section(file: SourceFile, name: str, scope: str, body: str, text: str, lines: tuple[int, int]) -> Chunk:
    return Chunk(file.path, file.language, "section", name, text, lines, scope=scope, body=body, is_test=file.is_test, license=file.license)
