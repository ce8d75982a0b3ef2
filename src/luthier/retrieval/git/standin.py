"""A git folder that stands in for another one: its objects and its branches, with Luthier's own configuration.

What a folder's `.git/config`, `hooks`, `info/attributes` and `info/grafts` say is never read by git, for git runs in the stand-in,
which has links to the objects and the references alone. A `.git` that leads out of its folder is followed only where the other end names
this folder.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from luthier.core.errors import DataError, Problem
from luthier.retrieval.git.program import Clock, Git, GitFailure, configuration

_HEAD = re.compile(r"ref: refs/[^\x00-\x20\x7f~^:?*\[\\]+|[0-9a-f]{40}|[0-9a-f]{64}")
_MAX_SMALL_FILE_BYTES = 1_000_000
_MAX_REFERENCES = 200_000


@dataclass(frozen=True, slots=True)
class Standin:
    """A folder's repository, readable. `worktree` is the folder where it has files of its own, `index` what git knows of them."""

    git: Git
    is_shallow: bool = False
    worktree: Path | None = None
    index: Path | None = None


@contextmanager
def stand_in(folder: Path, clock: Clock) -> Iterator[Standin]:
    """The repository in `folder`, for as long as it is read. `DataError` where there is none, or where it leads elsewhere."""
    own, common = _git_folders(folder, clock.shown)
    _check_links(own, common, clock.shown)
    with tempfile.TemporaryDirectory(prefix="luthier-git-") as scratch:
        git_folder = Path(scratch)
        written = _Written(git_folder, common, clock)
        object_format = written.value("extensions.objectformat", "sha1")
        is_reftable = (common / "reftable").is_dir()
        if object_format not in ("sha1", "sha256") or (is_reftable and own != common):
            raise _refused("the repository is kept in a way that is not read here", clock.shown, "clone it and name the clone")
        write_git_folder(git_folder, _head(own, clock.shown), object_format, "reftable" if is_reftable else "files")
        for name in ("objects", "refs", "packed-refs", "shallow", "reftable"):
            if (common / name).exists():
                (git_folder / name).symlink_to((common / name).resolve())
        shallow = common / "shallow"
        yield Standin(
            Git(git_folder, clock),
            is_shallow=shallow.is_file() and shallow.stat().st_size > 0,
            worktree=None if own == folder else folder,
            index=own / "index" if (own / "index").is_file() and own != folder else None,
        )


def write_git_folder(folder: Path, head: str, object_format: str = "sha1", ref_storage: str = "files") -> None:
    """Makes `folder` a git folder of Luthier's own, but for its objects and references."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "HEAD").write_text(f"{head}\n", encoding="utf-8")
    (folder / "config").write_text(configuration(object_format, ref_storage), encoding="utf-8")


class _Written:
    """Single values of the repository's configuration, read as a file: includes are not followed, nothing in it acts."""

    def __init__(self, scratch: Path, common: Path, clock: Clock) -> None:
        self._git = Git(scratch, clock)
        self._file = common / "config"

    def value(self, name: str, otherwise: str) -> str:
        if not self._file.is_file() or self._file.is_symlink() or self._file.stat().st_size > _MAX_SMALL_FILE_BYTES:
            return otherwise
        try:
            found = self._git.output("config", "--file", str(self._file.absolute()), "--no-includes", "--get", name)
        except GitFailure:  # No such value, or a file that is no configuration: then it says nothing.
            return otherwise
        return found.decode("utf-8", "replace").strip()


def _git_folders(folder: Path, shown: str) -> tuple[Path, Path]:
    """The git folder of `folder`, and the one with its objects: two where `folder` is a further work tree of another."""
    inner = folder / ".git"
    if inner.is_symlink():
        raise _leads_out(shown, "its `.git` is a link")
    if inner.is_file():
        return _linked_folders(folder, inner, shown)
    if inner.is_dir() and _is_git_folder(inner):
        return inner, inner
    if _is_git_folder(folder):
        return folder, folder
    above = next((parent for parent in folder.absolute().parents if (parent / ".git").exists()), None)
    below = f"{folder.absolute().relative_to(above).as_posix()}/**" if above else ""
    hint = f"name `{above}`, and read this part of it with `include: ['{below}']`" if above else "run `git init` and commit, or use `docs`"
    raise _refused("the folder is no git repository", shown, hint)


def _is_git_folder(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()


def _linked_folders(folder: Path, pointer: Path, shown: str) -> tuple[Path, Path]:
    """What a `.git` file leads to: a work tree's folder or a submodule's, both of which name the folder that leads to them."""
    text = _small_text(pointer)
    if not text.startswith("gitdir: "):
        raise _refused(
            "the folder is no git repository", shown, "its `.git` is a file that names no folder; name the folder of the repository itself"
        )
    own = (folder / text.removeprefix("gitdir: ").strip()).resolve()
    if (own / "commondir").is_file():
        common = (own / _small_text(own / "commondir").strip()).resolve()
        back = (own / _small_text(own / "gitdir").strip()).resolve()
        if own.parent == common / "worktrees" and back == pointer.resolve() and _is_git_folder(common):
            return own, common
        raise _leads_out(shown, "its `.git` names a work tree that does not name it back")
    if _is_git_folder(own):
        back_text = re.search(r"^\s*worktree\s*=\s*\"?([^\"\n]+)\"?\s*$", _small_text(own / "config"), re.MULTILINE)
        if back_text is not None and (own / back_text[1].strip()).resolve() == folder.resolve():
            return own, own
    raise _leads_out(shown, "its `.git` names a folder that does not name it back")


def _check_links(own: Path, common: Path, shown: str) -> None:
    """A link among the references could put another repository's history in the place of this one's."""
    for path in (own / "HEAD", own / "index", *(common / name for name in ("objects", "refs", "packed-refs", "shallow", "reftable"))):
        if path.is_symlink():
            raise _leads_out(shown, f"`{path.name}` in its git folder is a link")
    count = 0
    for top in ("refs", "reftable"):
        for folder, folders, files in os.walk(common / top):
            count += len(files)
            if any(Path(folder, name).is_symlink() for name in (*folders, *files)):
                raise _leads_out(shown, f"a link lies in `{top}` of its git folder")
            if count > _MAX_REFERENCES:
                raise _refused("the repository has too many branches and tags", shown, "run `git pack-refs --all` in it")


def _head(own: Path, shown: str) -> str:
    text = _small_text(own / "HEAD").strip()
    if _HEAD.fullmatch(text) is None or ".." in text:
        raise _refused("the repository's HEAD names no branch and no commit", shown, "check out a branch in it")
    return text


def _small_text(path: Path) -> str:
    if not path.is_file() or path.stat().st_size > _MAX_SMALL_FILE_BYTES:
        return ""
    return path.read_text(encoding="utf-8", errors="replace")


def _leads_out(shown: str, how: str) -> DataError:
    return _refused(f"the repository leads out of its folder: {how}", shown, "name the repository that it leads to, if you trust it")


def _refused(what: str, shown: str, hint: str) -> DataError:
    return DataError(Problem(what, where=shown, hint=hint))
