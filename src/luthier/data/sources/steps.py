"""The steps of making rows that processes divide: files are scanned for secrets, cut into pieces, and asked for rows by the makers.

An item is a part of a step, and what comes of it depends on it alone, in whichever process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from luthier.config.row_sections import MakerName
from luthier.core.files import remove
from luthier.data.crew.sharing import Shared
from luthier.data.synthesize.made import Made, Material, Unfit
from luthier.data.synthesize.makers.registry import MAKERS
from luthier.guard.secrets.scan import scan
from luthier.guard.secrets.strength import Strength
from luthier.retrieval.chunks import apart
from luthier.retrieval.index import Index
from luthier.retrieval.records import Chunk, Reading, SourceFile
from luthier.retrieval.sources.cutting import chunks_of

# Characters of one item, about: worth its way, and no process waits long for another at the end of a step.
_PART_CHARACTERS = 400_000
# Sources below are done before another process has started, and its scanner has compiled its rules.
ALONE_CHARACTERS = 4_000_000
_CHUNKS_AT_ONCE = 2_000
# The makers that take longest come first, so that none of them is left to one process at the end.
_LONGEST: Sequence[MakerName] = ("complete", "question", "usage", "tests", "locate", "explain", "infill", "tools", "document")
_MATERIAL, _INDEX = "material", "index"
_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class Scan:
    """Texts to scan for secrets by `strength`: their findings, a tuple for each."""

    texts: tuple[str, ...]
    strength: Strength


@dataclass(frozen=True, slots=True)
class Cut:
    """Files to cut: for each its chunks, or why it is left out."""

    files: tuple[SourceFile, ...]


@dataclass(frozen=True, slots=True)
class Make:
    """A maker to ask for its rows of the material in `folder`, and for what it turns down."""

    maker: MakerName
    folder: Path


Crew = Shared[Scan | Cut | Make]


class Workbench:
    """What a process does with an item. It keeps the material that it has read, or that it was given."""

    def __init__(self) -> None:
        self.material: Material | None = None

    def __call__(self, item: Scan | Cut | Make) -> list[Any]:
        """The results of the item's parts, in their order."""
        if isinstance(item, Scan):
            return scan(item.texts, item.strength)
        if isinstance(item, Cut):
            return [chunks_of(file) for file in item.files]
        if self.material is None:
            apart.stop()  # Nothing more is parsed.
            self.material = _read(item.folder)
        return list(MAKERS[item.maker].make(self.material))


def is_large(count: int) -> bool:
    """Whether so many characters are worth being divided among processes."""
    return count >= ALONE_CHARACTERS


def characters(reading: Reading) -> int:
    """About how much there is to do on a source."""
    size = sum(len(file.text) for file in reading.files)
    return size + sum(len(change.diff) for commit in reading.commits for change in commit.changes)


def crew_for(reading: Reading, processes: int, bench: Workbench) -> Crew:
    """The processes for a source, `bench` at work in this one: this alone where the source is small."""
    return Crew(Workbench, processes if is_large(characters(reading)) else 1, bench)


def parts(items: Sequence[_Part], size_of: Callable[[_Part], int]) -> list[tuple[_Part, ...]]:
    """The items in their order, in parts of about equal size."""
    found: list[tuple[_Part, ...]] = []
    start = size = 0
    for end, item in enumerate(items, 1):
        size += size_of(item)
        if size >= _PART_CHARACTERS or end == len(items):
            found.append(tuple(items[start:end]))
            start, size = end, 0
    return found


def rows_of(
    makers: Sequence[MakerName], crew: Crew, bench: Workbench, folder: Path, done: Callable[[int], None]
) -> Iterator[tuple[MakerName, list[Made | Unfit]]]:
    """What each maker makes of the material on the bench, in the order of `makers`; `folder` is that of `working_folder`."""
    assert bench.material is not None
    ordered = sorted(makers, key=lambda maker: _LONGEST.index(maker) if maker in _LONGEST else len(_LONGEST))
    if crew.is_divided and not _write(bench.material, folder):
        crew = Crew(Workbench, 1, bench)
    made = dict(zip(ordered, crew.each([Make(maker, folder) for maker in ordered], done), strict=True))
    for maker in makers:
        yield maker, made.pop(maker)


@contextmanager
def working_folder(path: Path) -> Iterator[Path]:
    """A folder that no other user may read, for what processes hand each other; it is removed afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove(path)
    path.mkdir(mode=0o700)
    try:
        yield path
    finally:
        remove(path)


def index_file(folder: Path) -> Path:
    """Where the index of a material stands in its working folder."""
    return folder / _INDEX


def _write(material: Material, folder: Path) -> bool:
    """Puts the material where other processes find it, a part of its chunks at a time: none holds it twice.

    False where it is nested too deeply to be handed on.
    """
    with Connection(os.open(folder / _MATERIAL, os.O_WRONLY | os.O_CREAT, 0o600), readable=False) as stream:
        try:
            stream.send((material.name, material.files, material.commits, material.commands, material.tools, material.layout))
        except RecursionError:
            return False
        for start in range(0, len(material.chunks), _CHUNKS_AT_ONCE):
            stream.send(material.chunks[start : start + _CHUNKS_AT_ONCE])
    return True


def _read(folder: Path) -> Material:
    chunks: list[Chunk] = []
    with Connection(os.open(folder / _MATERIAL, os.O_RDONLY), writable=False) as stream, suppress(EOFError):
        name, files, commits, commands, tools, layout = stream.recv()
        while True:
            chunks += stream.recv()
    return Material(name, files, tuple(chunks), Index.at(index_file(folder)), commits, commands, tools, layout)
