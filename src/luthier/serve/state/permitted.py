"""What the server may read and fetch for those who ask it: one judgement for sources that are taken in, run files and jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.config.serve_section import ServeAllow
from luthier.core.errors import DataError, Problem
from luthier.retrieval.git.addresses import Address
from luthier.retrieval.git.reaching import checked_url


@dataclass(frozen=True, slots=True)
class Permitted:
    """`folders` may be read, but for `root`, the server's own state; `hosts` are asked for repositories. All paths are whole ones."""

    root: Path
    folders: tuple[Path, ...]
    hosts: tuple[str, ...]

    @classmethod
    def of(cls, root: Path, folders: Sequence[str], hosts: Sequence[str]) -> Permitted:
        """The same from what was written; paths start here, or at the home folder where they begin with `~`."""
        return cls(root.absolute(), tuple(at_home(folder).absolute() for folder in folders), tuple(hosts))

    @classmethod
    def by(cls, root: Path, allow: ServeAllow) -> Permitted:
        """What `serve.allow` says."""
        return cls.of(root, allow.folders, allow.hosts)

    def is_open(self, path: Path) -> bool:
        """Whether a path leads into one of the folders and not into the state, once every link is followed."""
        return any(is_below(path, folder) for folder in self.folders) and not is_below(path, self.root)

    def folder(self, place: str) -> Path:
        """The folder `place` as it really is; `DataError` where it is none, or may not be read.

        Whether there is anything at a place outside is not told.
        """
        path = at_home(place)
        if not self.is_open(path):
            hint = "name a folder below one of `serve.allow.folders`, outside of `serve.root`"
            raise DataError(Problem("folders are not read there", where="folder", found=place[:200], hint=hint))
        if not path.is_dir():
            raise DataError(Problem("there is no such folder", where="folder", found=place[:200], hint="name a folder that is there"))
        return path.resolve()

    def repository(self, url: str) -> Address:
        """What `url` names; `DataError` unless it is fetched by https from one of the hosts."""
        return checked_url(url, self.hosts)


def at_home(text: str) -> Path:
    """A path, from the home folder where it begins with `~`; one of a user that nobody is stays as it is written."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


def is_below(path: Path, folder: Path) -> bool:
    """Whether a path leads into a folder once links are followed; one that no system would follow does not."""
    try:
        path.exists()
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # A name too long, a null character, a circle of links.
        return False
