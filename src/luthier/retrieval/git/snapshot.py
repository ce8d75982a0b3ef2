"""A folder that is no repository as one commit in a git folder of Luthier's own, so that it is read as repositories are."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from luthier.core.errors import DataError, Problem
from luthier.core.state_folder import is_state_folder
from luthier.retrieval.git.program import Clock, Git, Progress
from luthier.retrieval.git.standin import write_git_folder
from luthier.retrieval.records import Excluded

_BRANCH = "refs/heads/snapshot"
# The same files give the same commit, whenever they are read.
_COMMIT = f"commit {_BRANCH}\ncommitter snapshot <> 0 +0000\ndata 0\n"
_EVERY_FILES = 500


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many files a folder may have, and how many bytes they; files above `max_file_bytes` and what lies in `without` are left out."""

    max_files: int
    max_bytes: int
    max_file_bytes: int
    without: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A bare repository at `folder` with the files of another one; `excluded` are those that cannot stand in it. `paths` are the others."""

    folder: Path
    paths: tuple[str, ...]
    excluded: tuple[Excluded, ...]


@contextmanager
def snapshot(folder: Path, bounds: Bounds, clock: Clock, progress: Progress) -> Iterator[Snapshot]:
    """The files below `folder`, for as long as they are read. Links are not followed; what git keeps of inner repositories is passed by.

    `DataError` where the folder is larger than its bounds, or takes longer than the clock gives.
    """
    with tempfile.TemporaryDirectory(prefix="luthier-git-") as scratch:
        git_folder = Path(scratch)
        write_git_folder(git_folder, f"ref: {_BRANCH}")
        for name in ("objects/pack", "objects/info", "refs/heads"):
            (git_folder / name).mkdir(parents=True, exist_ok=True)
        paths: list[str] = []
        excluded: list[Excluded] = []
        with tempfile.TemporaryFile() as stream:
            stream.write(_COMMIT.encode("ascii"))
            _write(stream, folder, bounds, clock, progress, paths, excluded)
            stream.seek(0)
            with Git(git_folder, clock).stream("fast-import", "--quiet", "--done", stdin=stream) as child:
                child.stdout.read()
        yield Snapshot(git_folder, tuple(paths), tuple(excluded))


def _write(
    stream: IO[bytes], folder: Path, bounds: Bounds, clock: Clock, progress: Progress, paths: list[str], excluded: list[Excluded]
) -> None:
    size = 0
    for path in _below(folder, bounds.without):
        clock.check()
        shown = path.relative_to(folder).as_posix()
        content = _content(path, bounds.max_file_bytes)
        if isinstance(content, Excluded):
            excluded.append(Excluded(os.fsencode(shown).decode("utf-8", "backslashreplace"), content.reason, content.detail))
            continue
        size += len(content)
        if len(paths) >= bounds.max_files:
            raise _too_large(clock.shown, f"more than {bounds.max_files:,} files")
        if size > bounds.max_bytes:
            raise _too_large(clock.shown, f"more than {bounds.max_bytes:,} bytes")
        stream.write(b"M 100644 inline " + _quoted(os.fsencode(shown)) + f"\ndata {len(content)}\n".encode("ascii") + content + b"\n")
        paths.append(shown)
        if len(paths) % _EVERY_FILES == 0:
            progress("reading files", len(paths), None)
    stream.write(b"done\n")


def _below(folder: Path, without: tuple[Path, ...]) -> Iterator[Path]:
    for here, inner, names in os.walk(folder):
        inner[:] = sorted(
            name for name in inner if name != ".git" and Path(here, name) not in without and not is_state_folder(Path(here, name))
        )
        for name in sorted((*names, *(name for name in inner if Path(here, name).is_symlink()))):
            if name != ".git":
                yield Path(here, name)


def _content(path: Path, max_bytes: int) -> bytes | Excluded:
    try:
        # A link or a pipe that takes the file's place between two looks is not followed, and not waited for.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return Excluded("", "special", "neither a file nor a folder")
            content = stream.read(max_bytes + 1)
    except OSError as error:
        if path.is_symlink():
            return Excluded("", "link", "links are not followed")
        return Excluded("", "unreadable", error.strerror or "it cannot be opened")
    return content if len(content) <= max_bytes else Excluded("", "too_large", f"more than {max_bytes:,} bytes")


def _quoted(path: bytes) -> bytes:
    """A path as fast-import reads it whatever is in it."""
    return b'"' + b"".join(bytes((byte,)) if 32 <= byte < 127 and byte not in b'"\\' else b"\\%03o" % byte for byte in path) + b'"'


def _too_large(shown: str, found: str) -> DataError:
    return DataError(Problem("the folder is larger than a source may be", where=shown, found=found, hint="name a folder within it"))
