"""The license files that hold for single documents and schemas: those of their folders, and of the folders above."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from luthier.retrieval.named_files import Found, content_of, decoded
from luthier.retrieval.outline import Unreadable
from luthier.retrieval.repository.licenses import is_license_file, licenses_by_folder


def license_files(found: Found) -> Iterator[Path]:
    """License files in the folders of the files that were found and above, up to their root, or to the top of its checkout."""
    root = found.root
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    folders = {folder for path in found.files.values() for folder in path.parents if folder.is_relative_to(top)}
    for folder in sorted(folders):
        with suppress(OSError):
            entries = [entry for entry in os.scandir(folder) if is_license_file(entry.name) and entry.is_file(follow_symlinks=False)]
            yield from sorted(Path(entry.path) for entry in entries)


def licenses_around(found: Found, max_bytes: int) -> dict[str, str | None]:
    """The license of each folder that has a license file, by its absolute path; one that cannot be read tells nothing."""
    texts: dict[str, str] = {}
    for path in license_files(found):
        with suppress(Unreadable):
            texts[path.as_posix()] = decoded(content_of(path, max_bytes))
    return licenses_by_folder(texts, {})
