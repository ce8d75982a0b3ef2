"""Finding chunks: by words, by the symbol that they define, and by the symbols that they use."""

from __future__ import annotations

from typing import Protocol

from luthier.retrieval.records import Chunk


class Index(Protocol):
    """What can be asked of the chunks of one source. Every answer is in a fixed order: equal chunks give equal answers."""

    def search(self, text: str, limit: int) -> list[Chunk]:
        """The `limit` chunks that fit the words of `text` best, best first."""
        ...

    def defined(self, name: str) -> list[Chunk]:
        """The chunks that define the bare or full `name`, in the order of path and line."""
        ...

    def uses(self, name: str) -> list[Chunk]:
        """The chunks that call the bare `name`, in the order of path and line; not the ones that define it."""
        ...
