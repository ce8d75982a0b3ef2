"""The life of an upload, from its first byte until nothing of it is left; and of the specs of what else was asked to be taken in.

What was sent is deleted when it was taken in, when it cannot be taken in, when its request comes to nothing, and when its job was
cancelled: whoever cancels wants it gone, and may send it again. A job that failed otherwise, by a process that was killed for example,
has it for a `POST /jobs/ID/retry`, for a week.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from luthier.core.files import remove, temporary_name
from luthier.serve.ingest.records import CONTENT, SENT
from luthier.serve.jobs.records import ACTIVE
from luthier.serve.state.root import ServeRoot

SPEC = "spec.json"
_KEPT_SECONDS = 7 * 86_400.0
_PREFIX = "upload-"
# So many folders are deleted in one go, that nobody waits for it.
_AT_ONCE = 20


class Uploads:
    """The uploads of one server, a folder each below `uploads` of its state."""

    def __init__(self, root: ServeRoot) -> None:
        self._root = root

    def new(self) -> Path:
        """An empty folder for an upload that begins to come."""
        folder = self._root.uploads / f"{_PREFIX}{secrets.token_hex(8)}"
        (folder / SENT).mkdir(parents=True)
        return folder

    def tidy(self, statuses: Mapping[str, str]) -> None:
        """Deletes what was sent for jobs that are cancelled, and all of what is a week old and no job may read, some of it at a time.

        `statuses` are those of jobs by the path of the spec that each takes in.
        """
        left = _AT_ONCE
        for folder in sorted(self._root.uploads.iterdir()) if self._root.uploads.is_dir() else ():
            status = statuses.get(str((folder / SPEC).resolve()))
            if left == 0 or status in ACTIVE:
                continue
            # A request may be removing the same.
            with suppress(FileNotFoundError):
                if time.time() - folder.stat().st_mtime > _KEPT_SECONDS:
                    remove(folder)
                    left -= 1
                elif status == "cancelled" and folder.name.startswith(_PREFIX) and (folder / SENT).is_dir():
                    delete_sent(folder)
                    left -= 1


def discard(folder: Path) -> None:
    """Deletes an upload that comes to nothing: it broke off, was refused, or is another copy of one that is known by its key."""
    remove(folder)


def delete_sent(folder: Path) -> None:
    """Deletes what was sent once nothing more can come of it: it was taken in, or cannot be."""
    for name in (SENT, CONTENT):
        gone = temporary_name(folder / name)
        # A job that is begun once more finds all of it or nothing.
        with suppress(FileNotFoundError):
            (folder / name).rename(gone)
        remove(gone)
