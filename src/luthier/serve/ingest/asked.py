"""What a client asks to be taken in, checked and written down for the job that does it."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from luthier.config.serve_section import ServeAllow, ServeLimits
from luthier.core.errors import DataError, Problem
from luthier.core.files import remove, sha256_json
from luthier.serve.ingest.fetching import checked_url
from luthier.serve.ingest.folders import allowed_folder
from luthier.serve.ingest.library import Library, checked_name, source_name
from luthier.serve.ingest.receiving import Received
from luthier.serve.ingest.records import SENT, Kind, Limits, Spec
from luthier.serve.state.root import ServeRoot

PROGRAM = "luthier.serve.ingest.program"
_SPEC = "spec.json"
# Larger files are data, whatever their name says.
_FILE_BYTES = 1_000_000
# What was asked so long ago is asked again rather than taken up.
_KEPT_SECONDS = 7 * 86_400.0
_COMMIT = "HEAD"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job to be: `command` are the arguments after `python`, `folder` is where its event stream grows."""

    title: str
    command: tuple[str, ...]
    folder: Path


class Asking:
    """Turns what is asked into jobs, within what the server allows. `DataError` names the field that is wrong."""

    def __init__(self, root: ServeRoot, allow: ServeAllow, limits: ServeLimits) -> None:
        self._root, self._library = root, Library(root)
        self._folders = tuple(str(Path(folder).expanduser().resolve()) for folder in allow.folders)
        self._hosts = tuple(allow.hosts)
        self._limits = Limits(limits.source_bytes, limits.source_files, _FILE_BYTES, limits.source_seconds)

    def folder(self, folder: str, name: str | None, commit: str | None) -> Wanted:
        """A folder of this machine; at `commit` where it is a repository."""
        path = allowed_folder(folder, self._folders, str(self._root.path))
        if commit is not None and not (path / ".git").exists():
            raise DataError(Problem("the folder is no repository, and has no commits", where="commit", found=commit[:100]))
        return self._wanted(self._spec(name or source_name(str(path)), "folder", str(path), commit or _COMMIT))

    def repository(self, url: str, name: str | None, commit: str | None) -> Wanted:
        """A repository at a URL."""
        place = checked_url(url, self._hosts)
        return self._wanted(self._spec(name or source_name(place.shown), "repository", place.url or "", commit or _COMMIT))

    def new_upload(self) -> Path:
        """An empty folder for an upload that begins to come. What earlier ones left behind is removed."""
        self._tidy()
        folder = self._root.uploads / f"upload-{secrets.token_hex(8)}"
        (folder / SENT).mkdir(parents=True)
        return folder

    def upload(self, folder: Path, received: Received) -> Wanted:
        """What came into `folder`."""
        given = received.fields.get("name") or None
        first = received.files[0][0] if len(received.files) == 1 else "upload"
        spec = self._spec(given or source_name(_without_ending(first)), "upload", str(folder.resolve()), _COMMIT, received.files)
        return self._wanted(spec, folder)

    def _spec(self, name: str, kind: Kind, place: str, commit: str, sent: tuple[tuple[str, str], ...] = ()) -> Spec:
        shown = place if kind != "upload" else "upload"
        without = str(self._root.path.resolve())
        spec = Spec(checked_name(name), kind, place, shown, commit, self._folders, self._hosts, self._limits, without, sent)
        held = next((source for source in self._library.all() if source.name == name), None)
        if held is not None and (held.kind, held.place) != (kind, shown):
            hint = "give another name, or delete that source first"
            raise DataError(Problem(f"a source of this name was taken in from {held.place}", where="name", found=name, hint=hint))
        return spec

    def _wanted(self, spec: Spec, folder: Path | None = None) -> Wanted:
        """The job of a spec. What is asked a second time while it is under way is the same job, for its command is the same."""
        self._tidy()
        path = (folder or self._root.uploads / f"{spec.name}-{sha256_json(asdict(spec))[:16]}") / _SPEC
        spec.write(path)
        command = ("-m", PROGRAM, str(self._root.path.resolve()), str(path.resolve()))
        return Wanted(f"ingest {spec.name}", command, self._library.folder(spec.name))

    def _tidy(self) -> None:
        """Removes what was asked long ago."""
        if not self._root.uploads.is_dir():
            return
        for folder in self._root.uploads.iterdir():
            # Another request may be removing the same.
            with suppress(FileNotFoundError):
                if time.time() - folder.stat().st_mtime > _KEPT_SECONDS:
                    remove(folder)


def _without_ending(name: str) -> str:
    for ending in (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name.rpartition(".")[0] or name
