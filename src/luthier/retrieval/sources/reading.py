"""One front door to sources: what an entry of `sources` names is identified and read, whichever kind it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from luthier.config.row_sections import SourceEntry
from luthier.core.errors import DataError
from luthier.core.files import HashMemory, sha256_json
from luthier.retrieval.documents import reading as documents
from luthier.retrieval.documents.sections import language_of
from luthier.retrieval.named_files import Found, find
from luthier.retrieval.records import Reading
from luthier.retrieval.repository import reading as repository
from luthier.retrieval.repository.license_files import license_files
from luthier.retrieval.schemas import reading as schemas
from luthier.retrieval.tools import manuals
from luthier.retrieval.unread import Unread, looked_at

# Goes up when other files, commits, commands or tools are read of the same source: exclusions, languages, formats; or other reasons told.
VERSION = 7
# How readers, which do not know where their entry stands, name its keys.
_KEY = "sources: "
# A step in words, and how far it is.
Progress = Callable[[str, int], None]


@contextmanager
def _of_entry(entry: SourceEntry, where: str) -> Iterator[None]:
    """Errors name the entry at `where`: what a reader says of `sources: docs` is told of `sources[2].docs`, what it says of a repository
    of `sources[2].repo`."""
    try:
        yield
    except DataError as error:
        raise DataError([replace(problem, where=_place(entry, where, problem.where)) for problem in error.problems]) from error


def _place(entry: SourceEntry, where: str, named: str) -> str:
    if named.startswith(_KEY):
        return f"{where}.{named.removeprefix(_KEY)}"
    return f"{where}.repo: {named}" if entry.repo is not None else f"{where}: {named}"


def identify(entry: SourceEntry, hashes: HashMemory, where: str = "sources") -> str:
    """What the source is right now: `commit:<sha>` of a repository, `sha256:...` over names and hashes of files.

    `DataError` where there is nothing of the name; it names the entry by its key `where`. Of tools it is what is read of them.
    """
    with _of_entry(entry, where):
        return _identity(entry, hashes)


def _identity(entry: SourceEntry, hashes: HashMemory) -> str:
    if entry.repo is not None:
        return f"commit:{repository.identify(entry)[1]}"
    if entry.tools is not None:
        said = manuals.read_tools(entry, lambda step, done, total: None)
        told = [[file.path, file.text] for file in said.files] + [
            [command.path, command.task, command.command] for command in said.commands
        ]
        return f"sha256:{sha256_json(told)}"
    found = _found(entry)
    told = [[name, hashes.sha256(path)] for name, path in found.files.items()]
    # Which folder a license file is in decides for which files it holds; their names below it do not.
    told += [[os.path.relpath(path, found.root), hashes.sha256(path)] for path in license_files(found)]
    return f"sha256:{sha256_json(told)}"


def _found(entry: SourceEntry) -> Found:
    if entry.docs is not None:
        return find(entry, "docs", entry.docs, lambda path: language_of(path) is not None)
    return find(entry, "schemas", entry.schemas or (), lambda path: path.lower().endswith(schemas.ENDINGS))


def identify_around(entry: SourceEntry, hashes: HashMemory, where: str = "sources") -> str:
    """What stands around the files that are read of folders, which is looked through for secrets; empty where `identify` tells it all."""
    if entry.repo is not None or entry.tools is not None:
        return ""
    with _of_entry(entry, where):
        found = _found(entry)
    told = [[os.path.relpath(path, found.root), hashes.sha256(path)] for path in looked_at(found, entry.max_file_bytes)]
    return f"sha256:{sha256_json(told)}"


def read(
    entry: SourceEntry, cache: Path, progress: Progress, where: str = "sources", take_unread: Callable[[str], None] | None = None
) -> Reading:
    """The source, read. A repository behind a URL is kept in `cache`. `take_unread` gets the texts that are there and no row is made of.

    `DataError`, which names the entry by its key `where`, if it cannot be read or is larger than its limits.
    """

    def tell(step: str, done: int, _: int | None) -> None:
        progress(step, done)

    with _of_entry(entry, where):
        return _read(entry, cache, tell, Unread(take_unread, entry.max_file_bytes) if take_unread is not None else None)


def _read(entry: SourceEntry, cache: Path, tell: Callable[[str, int, int | None], None], unread: Unread | None) -> Reading:
    if entry.repo is not None:
        return repository.read_repository(entry, cache, tell, unread)
    if entry.docs is not None:
        return documents.read_documents(entry, tell, unread)
    if entry.tools is not None:
        return manuals.read_tools(entry, tell)
    return schemas.read_schemas(entry, tell, unread)
