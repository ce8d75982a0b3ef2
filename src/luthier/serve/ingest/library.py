"""The library: the sources that were taken in, a folder each below `serve.root`, and search over them.

All that is known of a source is in its one index file, which an ingest replaces by a rename: a reader sees what was there before, or what
is there now, and an ingest that was killed leaves what was there before.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from luthier.core.errors import DataError, LuthierError, Problem
from luthier.core.files import remove, remove_leftovers, temporary_name
from luthier.retrieval.index import Index
from luthier.retrieval.searching import Hit, WordSearch
from luthier.serve.ingest.records import Found, Source
from luthier.serve.state.root import ServeRoot

INDEX, EVENTS, LOCK = "index.sqlite", "events.jsonl", "lock"
FACT = "source"
NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_NO_NAME = re.compile(r"[^a-z0-9._-]+")
_MOST_NAME = 64


class UnknownSourceError(LuthierError):
    """No source of this name was taken in."""


class SourceInUseError(LuthierError):
    """Another ingest is at work on the source."""


class Library:
    """The sources below the state folder `root`. It keeps nothing open, and can be asked from several threads at once."""

    def __init__(self, root: ServeRoot | Path) -> None:
        self._root = root if isinstance(root, ServeRoot) else ServeRoot(root)

    def folder(self, name: str) -> Path:
        """Where the source of this name lies, or would; `UnknownSourceError` where it cannot be a name."""
        if NAME.fullmatch(name) is None:
            raise UnknownSourceError(f"there is no source `{name[:_MOST_NAME]}`")
        return self._root.sources / name

    def all(self) -> list[Source]:
        """The sources that were taken in, by name."""
        return [source for name in self._names() if (source := self._source(name)) is not None]

    def get(self, name: str) -> Source:
        """The source of this name; `UnknownSourceError` where there is none."""
        source = self._source(name)
        if source is None:
            raise UnknownSourceError(f"there is no source `{name[:_MOST_NAME]}`")
        return source

    def search(self, text: str, sources: Sequence[str] | None = None, limit: int = 5) -> list[Found]:
        """The `limit` pieces of `sources`, or of all, that fit the words of `text` best, best first.

        `UnknownSourceError` where one of `sources` is not there.
        """
        asked = self._names() if sources is None else list(dict.fromkeys(sources))
        with ExitStack() as stack:
            indexes: dict[str, Index] = {}
            for name in asked:
                index = self._open(name)
                if index is not None:
                    indexes[name] = stack.enter_context(closing(index))
                elif sources is not None:
                    raise UnknownSourceError(f"there is no source `{name[:_MOST_NAME]}`")
            commits = {name: Source.from_json(index.fact(FACT)).commit for name, index in indexes.items()}
            return [_found(hit, commits[hit.source]) for hit in WordSearch(indexes).search(text, limit)]

    def remove(self, name: str) -> None:
        """Deletes a source; `UnknownSourceError` where there is none, `SourceInUseError` while an ingest is at work on it."""
        self.get(name)
        with self.held(name) as folder:
            gone = temporary_name(folder)
            remove(gone)
            folder.rename(gone)
            remove(gone)

    @contextmanager
    def held(self, name: str) -> Iterator[Path]:
        """The folder of the source, made where there is none, for one that changes it; `SourceInUseError` where another one does."""
        folder = self.folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        with (folder / LOCK).open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SourceInUseError(f"the source `{name}` is being taken in right now") from None
            if not folder.is_dir() or os.fstat(lock.fileno()).st_nlink == 0:
                raise SourceInUseError(f"the source `{name}` was deleted just now")
            yield folder

    def _names(self) -> list[str]:
        folder = self._root.sources
        return sorted(path.name for path in folder.iterdir() if NAME.fullmatch(path.name)) if folder.is_dir() else []

    def _open(self, name: str) -> Index | None:
        """The index of a source; None where there is none, or one of another version of Luthier, which the next ingest replaces."""
        path = self.folder(name) / INDEX
        try:
            return Index.at(path)
        except DataError:
            return None

    def _source(self, name: str) -> Source | None:
        index = self._open(name)
        if index is None:
            return None
        with closing(index):
            return Source.from_json(index.fact(FACT))


def source_name(place: str) -> str:
    """The name of a source where none is given: the last part of its place, in letters that a name may have."""
    last = place.rstrip("/").replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".git").lower()
    found = _NO_NAME.sub("-", last).strip("-._")[:_MOST_NAME].rstrip("-._")
    return found or "source"


def checked_name(name: str) -> str:
    """`name`; `DataError` where it cannot be that of a source."""
    if NAME.fullmatch(name) is None:
        expected = f"at most {_MOST_NAME} small letters, digits, dots and dashes, a letter or digit at both ends"
        raise DataError(Problem("this cannot be the name of a source", where="name", found=name[:100], expected=expected))
    return name


def _found(hit: Hit, commit: str | None) -> Found:
    chunk = hit.chunk
    return Found(hit.source, chunk.path, chunk.lines, commit, chunk.text, round(hit.score, 3), chunk.full_name, chunk.kind, chunk.language)
