"""Which chunks a teacher is asked about: evenly over the files, public and documented ones first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from luthier.core.files import sha256_json
from luthier.retrieval.records import Chunk

# Shorter pieces hold nothing to ask about; of longer ones a teacher reads the end badly, and pays for all.
SHORTEST_CHARACTERS = 120
LONGEST_CHARACTERS = 16_000


def chosen(chunks: Iterable[Chunk], seed: int) -> list[Chunk]:
    """The chunks that are worth asking about, in the order of asking: one of each file, then a second of each, and so on; tests last.

    In a file, and among the files' first, second and further ones, the public and documented come before the public or documented, and
    these before the rest; what else is equal is ordered by hash, so that a new file changes no order among the others.
    """
    by_file: dict[str, list[tuple[int, str, Chunk]]] = defaultdict(list)
    for chunk in chunks:
        if SHORTEST_CHARACTERS <= len(chunk.text) <= LONGEST_CHARACTERS:
            by_file[chunk.path].append((_rank(chunk), sha256_json([seed, chunk.path, chunk.kind, chunk.full_name, chunk.text]), chunk))
    placed = []
    for path, found in by_file.items():
        file = sha256_json([seed, path])
        for place, (rank, own, chunk) in enumerate(sorted(found, key=lambda entry: (entry[:2], entry[2].lines))):
            placed.append(((chunk.is_test, place, rank, file, own, chunk.lines), chunk))
    return [chunk for _, chunk in sorted(placed, key=lambda entry: entry[0])]


def _rank(chunk: Chunk) -> int:
    return 2 - int(chunk.is_public) - int(bool(chunk.doc) or chunk.kind == "section")
