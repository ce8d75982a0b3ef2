"""PDF files as blocks, by pypdf: text page by page, headings from the file's outline, else one for each page.

What needs most of the time is the parser's walk through foreign bytes; callers run this in a process that can be ended.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from typing import Any

from pypdf import PdfReader
from pypdf.errors import PdfReadError, PyPdfError

from luthier.retrieval.outline import Block, Unreadable

MAX_PAGES = 1000
MAX_CHARACTERS = 5_000_000
_MAX_OUTLINE = 5000
_MAX_OUTLINE_DEPTH = 6
_HYPHENATED = re.compile(r"(?<=[a-z])-\n(?=[a-z])")
_SPACES = re.compile(r"[ \t\u00a0]+")
_PAGE_NUMBER = re.compile(r"(?:page\s+)?\d{1,4}(?:\s*(?:/|of)\s*\d{1,4})?$", re.IGNORECASE)
_LEAST_PAGES_FOR_HEADERS = 4


def read_bytes(content: bytes) -> list[Block]:
    """The blocks of the PDF `content`; `Unreadable` where it is encrypted, broken, too long, or holds pictures alone."""
    # What pypdf notes of broken files says nothing that a reason code does not.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(io.BytesIO(content), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("encrypted", "the PDF asks for a password")
        count = len(reader.pages)
        if count > MAX_PAGES:
            raise Unreadable("too_large", f"{count:,} pages; at most {MAX_PAGES:,} are read")
        pages = _without_headers(_texts(reader))
        headings = _headings(reader)
    except Unreadable:
        raise
    except RecursionError as error:
        raise Unreadable("nested_too_deeply", "objects nested too deeply") from error
    except (PyPdfError, PdfReadError, ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError, OSError) as error:
        raise Unreadable("broken", f"pypdf cannot read it: {str(error)[:200] or type(error).__name__}") from error
    if not any(pages):
        raise Unreadable("no_text", "no page holds text; pictures of pages are not read")
    return list(_blocks(pages, headings))


def _texts(reader: PdfReader) -> list[list[str]]:
    """The lines of each page."""
    pages: list[list[str]] = []
    characters = 0
    for page in reader.pages:
        text = page.extract_text().encode("utf-8", "ignore").decode("utf-8").replace("\0", "")
        characters += len(text)
        if characters > MAX_CHARACTERS:
            raise Unreadable("too_large", f"more than {MAX_CHARACTERS:,} characters of text")
        text = _HYPHENATED.sub("", _SPACES.sub(" ", text))
        pages.append([line.strip() for line in text.split("\n")])
    return pages


def _without_headers(pages: list[list[str]]) -> list[list[str]]:
    """Pages without their numbers, and without first and last lines that most pages share."""
    filled = [page for page in pages if any(page)]
    ends = [{line for line in (*page[:2], *page[-2:]) if line} for page in filled]
    known: dict[str, int] = {}
    for lines in ends:
        for line in lines:
            known[line] = known.get(line, 0) + 1
    many = {line for line, count in known.items() if len(filled) >= _LEAST_PAGES_FOR_HEADERS and count > len(filled) / 2}
    return [_without_ends(page, many) for page in pages]


def _without_ends(page: list[str], many: set[str]) -> list[str]:
    def is_furniture(index: int, line: str) -> bool:
        return (index < 2 or index >= len(page) - 2) and (line in many or bool(_PAGE_NUMBER.match(line)))

    kept = [line for index, line in enumerate(page) if not is_furniture(index, line)]
    while kept and not kept[-1]:
        kept.pop()
    return kept


def _headings(reader: PdfReader) -> dict[int, list[tuple[int, str]]]:
    """By page (from 0) the levels and titles that the outline names; nothing where it has none or a broken one."""
    found: dict[int, list[tuple[int, str]]] = {}
    try:
        for number, (level, item) in enumerate(_flat(reader.outline, 1)):
            page = reader.get_destination_page_number(item)
            title = " ".join(str(item.title or "").replace("\0", "").split())
            if number >= _MAX_OUTLINE:
                break
            if title and page is not None and page >= 0:
                found.setdefault(page, []).append((level, title))
    except (PyPdfError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return {}
    return found


def _flat(outline: list[Any], level: int) -> Iterator[tuple[int, Any]]:
    for item in outline:
        if isinstance(item, list):
            if level < _MAX_OUTLINE_DEPTH:
                yield from _flat(item, level + 1)
        else:
            yield level, item


def _blocks(pages: list[list[str]], headings: dict[int, list[tuple[int, str]]]) -> Iterator[Block]:
    for number, lines in enumerate(pages):
        if not headings:
            if any(lines):
                yield from (Block(1, f"Page {number + 1}", 1), Block(0, "\n".join(lines), 1))
            continue
        start = 0
        for level, title in headings.get(number, []):
            begin, height = _find(lines, title, start)
            yield from _text(lines[start:begin])
            yield Block(level, title, 1)
            start = begin + height
        yield from _text(lines[start:])


def _text(lines: list[str]) -> Iterator[Block]:
    if any(lines):
        yield Block(0, "\n".join(lines).strip("\n"), 1)


def _find(lines: list[str], title: str, start: int) -> tuple[int, int]:
    """Where `title` stands as a line from `start` on, numbered or on two lines too, and on how many; `start` and 0 where it does not."""
    wanted = _letters(title)
    for index in range(start, len(lines)):
        for height in (1, 2):
            shown = _letters(" ".join(lines[index : index + height]))
            if wanted and (shown == wanted or shown.lstrip("0123456789") == wanted):
                return index, height
    return start, 0


def _letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())
