"""A source taken in: read, its secrets masked, cut into passages, and its index put in the place of the one before.

Of the index before is kept what would come out the same: passages of files whose text did not change, and which texts hold no secret. What
is kept equals what would be made anew, so that a source looks the same however often it was taken in.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from luthier.core.errors import DataError
from luthier.core.files import sha256_json
from luthier.core.records import JsonValue
from luthier.guard.secrets.rules import rules_digest
from luthier.guard.secrets.strength import default_strength
from luthier.retrieval.chunks import apart
from luthier.retrieval.git.program import Clock
from luthier.retrieval.index import Index, build
from luthier.retrieval.records import Chunk, Excluded, SourceFile
from luthier.retrieval.repository.reading import counted
from luthier.retrieval.sources.passages import VERSION, passages_of
from luthier.serve.ingest.library import FACT, INDEX
from luthier.serve.ingest.masking import Masking
from luthier.serve.ingest.reading import read
from luthier.serve.ingest.records import HEAD, Source, Spec

_FILES, _CLEAN = "files", "clean"
_EVERY_FILES = 100
_NOTHING = "nothing in it could be read as text, code or a document: nothing can be found in it"
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class _Before:
    """What an index holds that may be kept: passages by path, hashes of files as they were cut, and of texts without secrets."""

    passages: dict[str, tuple[Chunk, ...]]
    files: dict[str, str]
    clean: frozenset[str]


_NOTHING_BEFORE = _Before({}, {}, frozenset())


def take_in(spec: Spec, folder: Path, progress: Progress) -> Source:
    """The source, taken into `folder`. `DataError` where it cannot be read, or is larger than its limits; then nothing there changes."""
    scanners = f"{default_strength()}:{rules_digest()}"
    before = _before(folder / INDEX, scanners)
    masking = Masking(before.clean, default_strength(), progress)
    clock = Clock(spec.limits.seconds, spec.shown)
    reading = read(spec, progress, masking.take_unread)
    masked = masking.masked(reading.files)
    passages, unreadable = _passages(masked.files, before, clock, progress)
    hashes = {file.path: _digest(file) for file in masked.files if file.path in passages}
    chunks = [chunk for found in passages.values() for chunk in found]
    excluded = Counter(counted(reading)) + Counter(item.reason for item in (*masked.excluded, *unreadable))
    source = Source(
        name=spec.name,
        kind=spec.kind,
        place=spec.shown,
        commit=reading.commit,
        license=reading.license,
        files=len(hashes),
        pieces=len(chunks),
        languages=dict(sorted(Counter(file.language for file in masked.files if file.path in passages).items())),
        ingested=time.time(),
        changes=_changes(before.files, hashes),
        excluded=dict(sorted(excluded.items())),
        masked=dict(sorted(masked.kinds.items())),
        notes=(*map(masking.told, reading.notes), *([] if hashes else [_NOTHING])),
        asked="" if spec.commit == HEAD else spec.commit,
    )
    progress("writing the index", len(chunks))
    facts: dict[str, JsonValue] = {FACT: source.to_json(), _FILES: hashes, _CLEAN: {"scanners": scanners, "texts": sorted(masked.clean)}}
    build(chunks, folder / INDEX, facts).close()
    return source


def _before(path: Path, scanners: str) -> _Before:
    try:
        index = Index.at(path)
    except DataError:  # There is none, or it is of another version: all is made anew.
        return _NOTHING_BEFORE
    try:
        return _kept(index, scanners)
    except sqlite3.DatabaseError:  # It is damaged.
        return _NOTHING_BEFORE


def _kept(index: Index, scanners: str) -> _Before:
    with closing(index):
        passages: dict[str, list[Chunk]] = defaultdict(list)
        for chunk in index.chunks():
            passages[chunk.path].append(chunk)
        clean = index.fact(_CLEAN)
        texts = frozenset(clean["texts"]) if clean["scanners"] == scanners else frozenset()
        files = index.fact(_FILES)
        return _Before({path: tuple(passages[path]) for path in files}, files, texts)


def _passages(
    files: tuple[SourceFile, ...], before: _Before, clock: Clock, progress: Progress
) -> tuple[dict[str, tuple[Chunk, ...]], list[Excluded]]:
    """The passages of each file by path, and the files that could not be cut."""
    found: dict[str, tuple[Chunk, ...]] = {}
    unreadable: list[Excluded] = []
    try:
        for number, file in enumerate(files, 1):
            clock.check()
            if before.files.get(file.path) == _digest(file):
                found[file.path] = before.passages[file.path]
            elif isinstance(cut := passages_of(file), Excluded):
                unreadable.append(cut)
            else:
                found[file.path] = cut
            if number % _EVERY_FILES == 0 or number == len(files):
                progress("files cut into pieces", number)
    finally:
        apart.stop()
    return found, unreadable


def _digest(file: SourceFile) -> str:
    """What the passages of a file hang on."""
    return sha256_json([VERSION, file.path, file.language, file.is_test, file.license, file.text])


def _changes(before: dict[str, str], now: dict[str, str]) -> dict[str, int]:
    both = before.keys() & now.keys()
    unchanged = sum(before[path] == now[path] for path in both)
    return {
        "added": len(now.keys() - before.keys()),
        "changed": len(both) - unchanged,
        "removed": len(before.keys() - now.keys()),
        "unchanged": unchanged,
    }
