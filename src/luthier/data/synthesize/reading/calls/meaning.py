"""Which definition each call of a chunk means. An edge is made where the text tells it, and nowhere else.

It tells by an import or a qualifier, by the type of a receiver that the same function declares or constructs, or by a definition of the
same file or package that nothing hides. What is only called alike is no edge: a name says nothing of whose method it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from luthier.data.synthesize.reading.calls.golang import Go
from luthier.data.synthesize.reading.calls.nearby import Nearby
from luthier.data.synthesize.reading.calls.python import Python
from luthier.data.synthesize.reading.calls.rescript import ReScript
from luthier.data.synthesize.reading.calls.scripts import LANGUAGES, Scripts
from luthier.data.synthesize.reading.calls.sources import Mention, Sources
from luthier.retrieval.records import Chunk, Layout, SourceFile


class _Reader(Protocol):
    def target(self, user: Chunk, mention: Mention) -> Chunk | None: ...


_READERS: dict[str, Callable[[Sources], _Reader]] = {"python": Python, "go": Go, "rescript": ReScript, **dict.fromkeys(LANGUAGES, Scripts)}


class Meaning:
    """The meaning of the calls in one material; each chunk is read once, when first asked for."""

    def __init__(self, files: Iterable[SourceFile], chunks: Iterable[Chunk], layout: Layout) -> None:
        self._sources = Sources(files, chunks, layout)
        self._readers: dict[Callable[[Sources], _Reader], _Reader] = {}
        self._edges: dict[tuple[str, tuple[int, int], str], list[tuple[int, Chunk]]] = {}

    def edges(self, user: Chunk) -> list[tuple[int, Chunk]]:
        """The calls of a chunk that have a meaning: the line, counted from 0 in its text, and the definition, which is another chunk."""
        key = (user.path, user.lines, user.full_name)
        if key not in self._edges:
            reader = self._reader(user.language)
            mentions = reader.mentions(user) if isinstance(reader, ReScript) else self._sources.mentions(user)
            found = ((mention.line, reader.target(user, mention)) for mention in mentions)
            # A later definition may use the one that it takes the place of: nobody could tell the two apart by name.
            self._edges[key] = [(line, one) for line, one in found if one is not None and (one.path, one.full_name) != key[::2]]
        return self._edges[key]

    def named(self, chunk: Chunk, name: str) -> Chunk | None:
        """The definition that a name means at the head of a chunk, such as that of a class which it derives from."""
        *before, last = name.split(".")
        found = self._reader(chunk.language).target(chunk, Mention(last, tuple(before), self._sources.span(chunk.path, chunk.lines)[0], 0))
        return None if found is chunk else found

    def module(self, chunk: Chunk, name: str) -> tuple[str, str] | None:
        """The ReScript module that a path of names means at the head of a chunk, as its file and its scope in that."""
        reader = self._reader(chunk.language)
        return reader.module(chunk, tuple(name.split("."))) if isinstance(reader, ReScript) else None

    def _reader(self, language: str) -> _Reader:
        kind = _READERS.get(language, Nearby)
        if kind not in self._readers:
            self._readers[kind] = kind(self._sources)
        return self._readers[kind]
