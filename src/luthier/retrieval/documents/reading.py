"""Documents that an entry of `sources` names, read: text files as they stand, PDF and DOCX as the text that is in them."""

from __future__ import annotations

import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from luthier.config.row_sections import SourceEntry
from luthier.core.errors import DataError, Problem
from luthier.core.events import monotonic_seconds
from luthier.retrieval.documents.bounded import Bounded
from luthier.retrieval.documents.sections import language_of
from luthier.retrieval.named_files import Progress, content_of, decoded, find, source_name
from luthier.retrieval.outline import Unreadable
from luthier.retrieval.records import Excluded, Reading, SourceFile
from luthier.retrieval.repository.license_files import licenses_around
from luthier.retrieval.repository.licenses import license_at
from luthier.retrieval.unread import Unread, hand_on_files

BINARY = frozenset({"pdf", "docx"})
# Lines of this length are data that somebody stored as text; the parsers of these formats take time by the square of them.
MAX_LINE_CHARACTERS = 200_000
_BY_LINES = frozenset({"markdown", "rst", "text", "roff"})
_MANUAL = re.compile(r"^[.'][ \t]*(?:TH|Dt|SH|Sh)\b", re.MULTILINE)
_EVERY_FILES = 100


def read_documents(entry: SourceEntry, progress: Progress, unread: Unread | None = None) -> Reading:
    """The documents that `docs` names: files, folders and patterns. Each file that could not be read is in `excluded` with its reason.

    Every file was parsed once, in a process with bounds on time and memory, so that `sections` works for each that is handed on.
    `progress` is told every hundred files, `unread` gets every other file of the folders. `DataError` where a name leads nowhere, there are
    too many files, the source is larger than `max_bytes`, takes longer than `timeout_seconds`, or holds no document at all.
    """
    names = entry.docs or ()
    found = find(entry, "docs", names, lambda path: language_of(path) is not None)
    until = monotonic_seconds() + entry.timeout_seconds
    files: list[SourceFile] = []
    excluded = list(found.excluded)
    size = 0
    licenses = licenses_around(found, entry.max_file_bytes)
    with Bounded() as bounded:
        for number, (shown, path) in enumerate(found.files.items(), 1):
            try:
                license = license_at(path.as_posix(), licenses) or entry.license
                file = replace(_read(entry, shown, path, bounded), license=license, written=found.written[shown])
                files.append(file)
                size += len(file.text)
            except Unreadable as error:
                excluded.append(Excluded(shown, error.reason, error.detail))
            if number % _EVERY_FILES == 0:
                progress("documents", number, len(found.files))
            _check_bounds(entry, size, until)
    if not files:
        raise DataError(_nothing(names, excluded))
    excluded.sort(key=lambda left_out: (left_out.path, left_out.reason))
    if unread is not None:
        hand_on_files(found, [file.path for file in files if file.language not in BINARY], unread)
    notes = unread.notes() if unread is not None else ()
    return Reading(source_name(entry, names), ", ".join(names), None, entry.license, tuple(files), excluded=tuple(excluded), notes=notes)


def _check_bounds(entry: SourceEntry, size: int, until: float) -> None:
    if size > entry.max_bytes:
        what = f"the documents hold more than {entry.max_bytes:,} characters"
        raise DataError(Problem(what, where="sources: docs", hint="name fewer of them, or raise `max_bytes`"))
    if monotonic_seconds() > until:
        what = f"reading the documents takes longer than {entry.timeout_seconds:g} seconds"
        raise DataError(Problem(what, where="sources: docs", hint="name fewer of them, or raise `timeout_seconds`"))


def _nothing(names: tuple[str, ...], excluded: list[Excluded]) -> Problem:
    first = "; ".join(f"{left_out.path}: {left_out.reason} ({left_out.detail})" for left_out in excluded[:3])
    formats = "Markdown, reStructuredText, HTML, text, PDF, DOCX, notebooks or manual pages"
    hint = "name other files or folders, or mend `include`, `exclude` and `languages`"
    return Problem("no document could be read", where="sources: docs", found=first or ", ".join(names), expected=formats, hint=hint)


def _read(entry: SourceEntry, shown: str, path: Path, bounded: Bounded) -> SourceFile:
    language = language_of(shown) or "text"
    if entry.languages and language not in entry.languages:
        raise Unreadable("excluded", f"`{language}` is not among `languages`")
    content = content_of(path, entry.max_file_bytes)
    digest = sha256(content).hexdigest()
    if language in BINARY:
        return SourceFile(shown, language, bounded.text_of(language, content), sha256=digest)
    text = decoded(content)
    if not text.strip():
        raise Unreadable("empty", "no text")
    if language == "roff" and not _MANUAL.search(text):
        raise Unreadable("no_document", "its ending is that of a manual page, but it has no section")
    if language in _BY_LINES and max(map(len, text.split("\n"))) > MAX_LINE_CHARACTERS:
        raise Unreadable("long_line", f"a line of more than {MAX_LINE_CHARACTERS:,} characters")
    bounded.check(language, text)
    return SourceFile(shown, language, text, sha256=digest)
