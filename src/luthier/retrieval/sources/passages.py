"""A file as passages, to be found and shown: every line that says something in one of them, and none of them long.

`chunks_of` cuts what can be spoken of, a class with all that is in it. Here a class is what it holds beside its methods, which are passages
of their own; lines that belong to no definition are passages too, by the name of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from luthier.retrieval.documents.sections import READERS
from luthier.retrieval.records import Chunk, Excluded, SourceFile
from luthier.retrieval.sources.cutting import VERSION as CUTTING_VERSION
from luthier.retrieval.sources.cutting import chunks_of, code_of

# Goes up when other passages come of the same file.
VERSION = f"{CUTTING_VERSION}.1"
# A longer one is parted, where a line is blank if it can be.
MOST_LINES, MOST_CHARACTERS = 60, 6_000
_LEAST_LINES = MOST_LINES // 2
# Lines of nothing but signs, such as a closing bracket, say nothing alone.
_LEAST_LETTERS = 8


def passages_of(file: SourceFile) -> tuple[Chunk, ...] | Excluded:
    """The passages of `file` in the order of their lines; why it is left out where it is a document that cannot be read."""
    chunks = chunks_of(file)
    if isinstance(chunks, Excluded):
        return chunks
    if file.language in READERS:
        return tuple(part for chunk in chunks for part in _parted(chunk))
    lines = code_of(file).text.replace("\r\n", "\n").split("\n")
    return tuple(part for chunk in _flat(file, list(chunks), lines) for part in _parted(chunk))


def _flat(file: SourceFile, chunks: list[Chunk], lines: list[str]) -> Iterator[Chunk]:
    """Each line in the innermost chunk that holds it, or in none."""
    owners: list[int] = [-1] * len(lines)
    # Outer chunks come first, so that inner ones take their lines.
    for number, chunk in sorted(enumerate(chunks), key=lambda pair: (pair[1].lines[0], -pair[1].lines[1])):
        owners[chunk.lines[0] - 1 : chunk.lines[1]] = [number] * (chunk.lines[1] - chunk.lines[0] + 1)
    told: set[int] = set()
    start = 0
    for end in range(1, len(lines) + 1):
        if end < len(lines) and owners[end] == owners[start]:
            continue
        owner, first = owners[start], start + 1
        start = end
        if owner < 0:
            outside = Chunk(file.path, file.language, "block", PurePosixPath(file.path).stem, "", (first, end), is_test=file.is_test)
            yield from _stretch(replace(outside, license=file.license), lines, first, end)
        elif chunks[owner].lines == (first, end):
            yield chunks[owner]
        elif owner not in told:
            told.add(owner)
            yield from _stretch(replace(chunks[owner], body="", calls=()), lines, first, end)
        else:
            rest = replace(chunks[owner], kind="block", signature="", doc="", body="", calls=())
            yield from _stretch(rest, lines, first, end)


def _stretch(chunk: Chunk, lines: list[str], first: int, last: int) -> Iterator[Chunk]:
    """`chunk` as lines `first` to `last`, without blank ones around them; none where they say nothing."""
    while first <= last and not lines[first - 1].strip():
        first += 1
    while last >= first and not lines[last - 1].strip():
        last -= 1
    text = "\n".join(lines[first - 1 : last])
    if sum(map(str.isalnum, text)) >= _LEAST_LETTERS:
        yield replace(chunk, text=text, lines=(first, last), body=text if not chunk.signature else chunk.body)


def _parted(chunk: Chunk) -> Iterator[Chunk]:
    """`chunk`, or its parts where it is long: the first says what it is, all have its name."""
    lines = chunk.text.split("\n")
    if len(lines) <= MOST_LINES and len(chunk.text) <= MOST_CHARACTERS:
        yield chunk
        return
    start = 0
    while start < len(lines):
        end = _end(lines, start)
        text = "\n".join(lines[start:end])
        place = (chunk.lines[0] + start, chunk.lines[0] + end - 1)
        if start == 0:
            yield replace(chunk, text=text, lines=place, body=text)
        elif sum(map(str.isalnum, text)) >= _LEAST_LETTERS:
            yield replace(chunk, text=text, lines=place, signature="", doc="", body=text, calls=())
        start = end


def _end(lines: list[str], start: int) -> int:
    """Where a part that begins at `start` ends: all that is left, or the last blank line in reach, or as far as it may go."""
    size, end = 0, start
    while end < len(lines) and end - start < MOST_LINES and (end == start or size + len(lines[end]) < MOST_CHARACTERS):
        size += len(lines[end]) + 1
        end += 1
    if end == len(lines):
        return end
    for at in range(end, start + _LEAST_LINES, -1):
        if not lines[at - 1].strip():
            return at
    return end
