"""What a job takes in, read: a repository at a commit, or a folder as it stands, with the PDF and DOCX files in it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from luthier.config.row_sections import SourceEntry
from luthier.core.files import remove
from luthier.core.records import JsonObject
from luthier.retrieval.documents.bounded import Bounded
from luthier.retrieval.documents.reading import BINARY
from luthier.retrieval.documents.sections import language_of
from luthier.retrieval.git.program import Clock
from luthier.retrieval.git.snapshot import Bounds, snapshot
from luthier.retrieval.named_files import content_of
from luthier.retrieval.outline import Unreadable
from luthier.retrieval.records import Excluded, Reading, SourceFile
from luthier.retrieval.sources import reading as sources
from luthier.serve.ingest.fetching import fetched
from luthier.serve.ingest.records import CONTENT, SENT, Spec
from luthier.serve.ingest.unpacking import lay_out
from luthier.serve.state.permitted import Permitted

Progress = Callable[[str, int], None]
TakeUnread = Callable[[str], None]


def read(spec: Spec, progress: Progress, take_unread: TakeUnread) -> Reading:
    """The source. `take_unread` gets its texts that nothing is kept of, for the secrets in them.

    `DataError` where it may not be read, cannot be, or is larger than its limits.
    """
    if spec.kind == "repository":
        with fetched(spec, progress) as clone:
            return _repository(spec, clone, spec.commit, progress, take_unread)
    if spec.kind == "upload":
        return _folder(spec, _laid_out(spec), progress, take_unread)
    folder = Permitted.of(Path(spec.without), spec.folders, spec.hosts).folder(spec.place)
    if (folder / ".git").exists():
        return _repository(spec, folder, spec.commit, progress, take_unread)
    return _folder(spec, folder, progress, take_unread)


def _repository(spec: Spec, folder: Path, commit: str, progress: Progress, take_unread: TakeUnread) -> Reading:
    entry = _entry(spec, repo=str(folder), commit=commit)
    with tempfile.TemporaryDirectory(prefix="luthier-git-") as scratch:
        return sources.read(entry, Path(scratch), progress, spec.name, take_unread)


def _laid_out(spec: Spec) -> Path:
    """The folder that an upload makes; where all of it lies in one folder, as archives of repositories have it, that one."""
    place = Path(spec.place)
    content = place / CONTENT
    remove(content)
    lay_out([(name, place / SENT / file, size) for name, file, size in spec.sent], content, spec.limits.bytes, spec.limits.files)
    inner = list(content.iterdir())
    return inner[0] if len(inner) == 1 and inner[0].is_dir() else content


def _folder(spec: Spec, folder: Path, progress: Progress, take_unread: TakeUnread) -> Reading:
    """A folder that is no repository: its texts, and the documents among its binary files."""
    limits = spec.limits
    clock = Clock(limits.seconds, spec.shown)
    without = (Path(spec.without),) if spec.kind == "folder" else ()
    bounds = Bounds(limits.files, limits.bytes, limits.file_bytes, without)
    with snapshot(folder, bounds, clock, lambda step, done, _: progress(step, done)) as shot:
        reading = _repository(spec, shot.folder, "HEAD", progress, take_unread)
        documents = frozenset(path for path in shot.paths if language_of(path) in BINARY)
    excluded = [item for item in (*reading.excluded, *shot.excluded) if item.path not in documents]
    files = list(reading.files)
    with Bounded() as bounded:
        for path in sorted(documents):
            clock.check()
            try:
                content = content_of(folder / path, limits.file_bytes)
                language = language_of(path) or ""
                files.append(SourceFile(path, language, bounded.text_of(language, content), reading.license))
            except Unreadable as error:
                excluded.append(Excluded(path, error.reason, error.detail))
    return replace(reading, commit=None, files=tuple(files), excluded=tuple(excluded))


def _entry(spec: Spec, **keys: object) -> SourceEntry:
    limits = spec.limits
    settings: JsonObject = {
        "name": spec.name,
        "max_files": limits.files,
        "max_bytes": limits.bytes,
        "max_file_bytes": limits.file_bytes,
        "timeout_seconds": limits.seconds,
        # Answers cite files; the history is not looked at.
        "max_commits": 0,
    }
    return SourceEntry.model_validate({**settings, **keys})
