"""The library: the sources that were taken in, a folder each below `serve.root`, and search over them.

All that is known of a source is in its one index file, which an ingest replaces by a rename: a reader sees what was there before, or what
is there now, and an ingest that was killed leaves what was there before.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
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
MOST_NAME_CHARACTERS = 64
NAME = re.compile(rf"[a-z0-9](?:[a-z0-9._-]{{0,{MOST_NAME_CHARACTERS - 2}}}[a-z0-9])?")
_NO_NAME = re.compile(r"[^a-z0-9._-]+")


class UnknownSourceError(LuthierError):
    """No source of this name was taken in."""


class UnreadableSourceError(UnknownSourceError):
    """What was taken in under this name is of another version of Luthier, or damaged."""


class SourceInUseError(LuthierError):
    """Another ingest is at work on the source."""


class Library:
    """The sources below the state folder `root`. It keeps nothing open, and can be asked from several threads at once."""

    def __init__(self, root: ServeRoot | Path) -> None:
        self._root = root if isinstance(root, ServeRoot) else ServeRoot(root)

    def folder(self, name: str) -> Path:
        """Where the source of this name lies, or would; `UnknownSourceError` where it cannot be a name."""
        if NAME.fullmatch(name) is None:
            raise _unknown(name)
        return self._root.sources / name

    def all(self) -> list[Source]:
        """The sources that were taken in and can be read, by name."""
        found = (self._source(name) for name in self._names())
        return [source for source in found if isinstance(source, Source)]

    def unreadable(self) -> list[str]:
        """The names of those that cannot be read: another version of Luthier took them in, or they are damaged."""
        return [name for name in self._names() if isinstance(self._source(name), UnreadableSourceError)]

    def get(self, name: str) -> Source:
        """The source of this name; `UnknownSourceError` where there is none, `UnreadableSourceError` where it cannot be read."""
        source = self._source(name)
        if source is None:
            raise _unknown(name)
        if isinstance(source, UnreadableSourceError):
            raise source
        return source

    def search(self, text: str, sources: Sequence[str] | None = None, limit: int = 5) -> list[Found]:
        """The `limit` pieces of `sources`, or of all, that fit the words of `text` best, best first.

        `UnknownSourceError` where one of `sources` is not there, or cannot be read; of all, those that cannot be read are left out.
        """
        asked = self._names() if sources is None else list(dict.fromkeys(sources))
        with ExitStack() as stack:
            indexes: dict[str, Index] = {}
            commits: dict[str, str | None] = {}
            for name in asked:
                try:
                    opened = self._opened(name)
                    if opened is None:
                        raise _unknown(name)
                except UnknownSourceError:
                    if sources is not None:
                        raise
                    continue
                indexes[name], commits[name] = stack.enter_context(closing(opened[0])), opened[1].commit
            return [_found(hit, commits[hit.source]) for hit in WordSearch(indexes).search(text, limit)]

    def remove(self, name: str) -> None:
        """Deletes a source, also one that cannot be read.

        `UnknownSourceError` where there is none, `SourceInUseError` while an ingest is at work on it.
        """
        if not (self.folder(name) / INDEX).is_file():
            raise _unknown(name)
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

    def _opened(self, name: str) -> tuple[Index, Source] | None:
        """The index of a source, and what it tells of it; None where there is none, `UnreadableSourceError` where it cannot be read."""
        path = self.folder(name) / INDEX
        if not path.is_file():
            return None
        try:
            index = Index.at(path)
            try:
                return index, Source.from_json(index.fact(FACT))
            except BaseException:
                index.close()
                raise
        except (DataError, sqlite3.DatabaseError) as error:
            why = f"the source `{name}` cannot be read: another version of Luthier took it in, or it is damaged"
            raise UnreadableSourceError(f"{why}; take it in again, or delete it") from error

    def _source(self, name: str) -> Source | UnreadableSourceError | None:
        try:
            opened = self._opened(name)
        except UnreadableSourceError as error:
            return error
        if opened is None:
            return None
        opened[0].close()
        return opened[1]


def _unknown(name: str) -> UnknownSourceError:
    return UnknownSourceError(f"there is no source `{name[:MOST_NAME_CHARACTERS]}`")


def source_name(place: str) -> str:
    """The name of a source where none is given: the last part of its place, in letters that a name may have."""
    last = place.rstrip("/").replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".git").lower()
    found = _NO_NAME.sub("-", last).strip("-._")[:MOST_NAME_CHARACTERS].rstrip("-._")
    return found or "source"


def checked_name(name: str) -> str:
    """`name`; `DataError` where it cannot be that of a source."""
    if NAME.fullmatch(name) is None:
        expected = f"at most {MOST_NAME_CHARACTERS} small letters, digits, dots and dashes, a letter or digit at both ends"
        raise DataError(Problem("this cannot be the name of a source", where="name", found=name[:100], expected=expected))
    return name


def _found(hit: Hit, commit: str | None) -> Found:
    chunk = hit.chunk
    return Found(hit.source, chunk.path, chunk.lines, commit, chunk.text, round(hit.score, 3), chunk.full_name, chunk.kind, chunk.language)
