"""Chunks as they are sent to an endpoint: without what may not leave the machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from luthier.data.teacher import tasks
from luthier.data.teacher.masking import sendable_together
from luthier.retrieval.records import Chunk
from luthier.retrieval.shown import fenced


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk as it is sent: without what may not leave the machine, its name and path too."""

    chunk: Chunk
    about: str
    text: str
    name: str
    path: str

    @property
    def shown(self) -> str:
        """What a request shows of it."""
        return f"{self.about}\n{tasks.data(self.text)}"


def pieces_of(wave: Sequence[Chunk], source: str) -> Iterator[tuple[Piece, bool]]:
    """Each chunk of the project `source` as it may leave the machine, and whether it may."""
    parts = [(tasks.about(chunk, source), chunk.text, chunk.full_name, chunk.path) for chunk in wave]
    for chunk, pieces in zip(wave, sendable_together(parts), strict=True):
        yield Piece(chunk, *(piece.text for piece in pieces)), all(piece.is_clean for piece in pieces)


def own_text(piece: Piece) -> str:
    """The chunk itself as an answer: code in a fence that it does not hold, a section as it stands."""
    if piece.chunk.kind == "section":
        return piece.text.strip()
    return fenced(piece.text, piece.chunk.language)
