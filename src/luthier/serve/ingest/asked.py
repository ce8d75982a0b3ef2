"""What a client asks to be taken in, checked and written down for the job that does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from luthier.config.serve_section import ServeAllow, ServeLimits
from luthier.core.errors import DataError, Problem
from luthier.core.files import sha256_json, sync_folder
from luthier.serve.ingest.fetching import of_the_request
from luthier.serve.ingest.library import Library, checked_name, source_name
from luthier.serve.ingest.receiving import Received
from luthier.serve.ingest.records import HEAD, Kind, Limits, Spec
from luthier.serve.ingest.uploads import SPEC, Uploads
from luthier.serve.state.permitted import Permitted
from luthier.serve.state.root import ServeRoot

PROGRAM = "luthier.serve.ingest.program"
# Larger files are data, whatever their name says.
_FILE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job to be: `command` are the arguments after `python`, `folder` is where its event stream grows."""

    title: str
    command: tuple[str, ...]
    folder: Path


class Asking:
    """Turns what is asked into jobs, within what the server allows. `DataError` names the field that is wrong. `uploads` are its own."""

    def __init__(self, root: ServeRoot, allow: ServeAllow, limits: ServeLimits) -> None:
        self._root, self._library, self.uploads = root, Library(root), Uploads(root)
        self._permitted = Permitted.by(root.path, allow)
        self._limits = Limits(limits.source_bytes, limits.source_files, _FILE_BYTES, limits.source_seconds)

    def folder(self, folder: str, name: str | None, commit: str | None) -> Wanted:
        """A folder of this machine; at `commit` where it is a repository."""
        path = self._permitted.folder(folder)
        if commit is not None and not (path / ".git").exists():
            raise DataError(Problem("the folder is no repository, and has no commits", where="commit", found=commit[:100]))
        return self._wanted(self._spec(name or source_name(str(path)), "folder", str(path), commit or HEAD))

    def repository(self, url: str, name: str | None, commit: str | None) -> Wanted:
        """A repository at a URL."""
        with of_the_request():
            place = self._permitted.repository(url)
        return self._wanted(self._spec(name or source_name(place.shown), "repository", place.url or "", commit or HEAD))

    def upload(self, folder: Path, received: Received) -> Wanted:
        """What came into `folder`."""
        given = received.fields.get("name") or None
        first = received.files[0][0] if len(received.files) == 1 else "upload"
        spec = self._spec(given or source_name(_without_ending(first)), "upload", str(folder.resolve()), HEAD, received.files)
        return self._wanted(spec, folder)

    def _spec(self, name: str, kind: Kind, place: str, commit: str, sent: tuple[tuple[str, str, int], ...] = ()) -> Spec:
        shown = place if kind != "upload" else "upload"
        may = self._permitted
        folders, without = tuple(map(str, may.folders)), str(may.root.resolve())
        spec = Spec(checked_name(name), kind, place, shown, commit, folders, may.hosts, self._limits, without, sent)
        held = next((source for source in self._library.all() if source.name == name), None)
        if held is not None and (held.kind, held.place) != (kind, shown):
            hint = "give another name, or delete that source first"
            raise DataError(Problem(f"a source of this name was taken in from {held.place}", where="name", found=name, hint=hint))
        return spec

    def _wanted(self, spec: Spec, folder: Path | None = None) -> Wanted:
        """The job of a spec. What is asked a second time while it is under way is the same job, for its command is the same."""
        path = (folder or self._root.uploads / f"{spec.name}-{sha256_json(asdict(spec))[:16]}") / SPEC
        spec.write(path)
        sync_folder(self._root.uploads)
        command = ("-m", PROGRAM, str(self._root.path.resolve()), str(path.resolve()))
        return Wanted(f"ingest {spec.name}", command, self._library.folder(spec.name))

    def tidy(self, statuses: Mapping[tuple[str, ...], str]) -> None:
        """Deletes what was sent and asked where it is over; `statuses` are those of all ingests by their commands."""
        self.uploads.tidy({command[-1]: status for command, status in statuses.items() if command[1:2] == (PROGRAM,)})


def _without_ending(name: str) -> str:
    for ending in (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name.rpartition(".")[0] or name
