"""File trees into and out of the sandbox: a folder or a tar made ready once, and what a run left behind, read following nothing."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from luthier.core.errors import DataError, Problem
from luthier.core.files import sha256_bytes, sha256_json
from luthier.core.protocols import Limits, Tree, TreeEntry, TreeNode

# Folders within folders that are still read; each costs an open descriptor while it is.
MAX_DEPTH = 100
_CHUNK_BYTES = 1 << 18
_LIMITS = Limits()


def prepare(source: Path, limits: Limits = _LIMITS) -> Tree:
    """The tree in `source`: a folder, or a tar file (compressed or not; where all of it lies in one folder, that folder's content).

    Raises `DataError` for what cannot be laid safely and alike every time: absolute names or `..`, names below a link, devices, pipes
    and sockets, a name twice, or more than `limits.tree_bytes` or `limits.tree_entries`.
    """
    if source.is_dir():
        found = list(_folder_nodes(source))
    else:
        try:
            with tarfile.open(source) as archive:
                found = _without_top(list(_tar_nodes(archive, limits)))
        except (OSError, tarfile.TarError) as error:
            raise DataError(Problem("the file tree cannot be read", where=str(source), found=str(error))) from error
    size = sum(len(node.content) for node in found)
    if len(found) > limits.tree_entries or size > limits.tree_bytes:
        raise DataError(
            Problem(
                "the file tree is too large for the sandbox",
                where=str(source),
                found=f"{len(found)} names, {size} bytes",
                expected=f"at most {limits.tree_entries} names and {limits.tree_bytes} bytes",
            )
        )
    return tree_of(_checked(found, source))


def tree_of(nodes: list[TreeNode]) -> Tree:
    """A tree of `nodes`, whose folders stand before what lies in them, with its hash over everything that a program could see."""
    listed = [[node.path, node.kind, node.mode, node.mtime_ns, sha256_bytes(node.content)] for node in nodes]
    return Tree(tuple(nodes), sha256_json(sorted(listed)))


def reversed_names(tree: Tree) -> Tree:
    """The same tree with its names made in the opposite order: what a program shows in the folder's own order comes out otherwise."""
    # By depth first, so that every folder still stands before what lies in it.
    nodes = list(reversed(tree.nodes))
    nodes.sort(key=lambda node: len(PurePosixPath(node.path).parts))
    return Tree(tuple(nodes), tree.sha256)


def _folder_nodes(source: Path) -> Iterator[TreeNode]:
    waiting = [source]
    while waiting:
        folder = waiting.pop()
        status = folder.stat()
        name = folder.relative_to(source).as_posix()
        yield TreeNode("" if name == "." else name, "folder", stat.S_IMODE(status.st_mode), status.st_mtime_ns)
        for path in sorted(folder.iterdir()):
            status = path.lstat()
            name, mode = path.relative_to(source).as_posix(), stat.S_IMODE(status.st_mode)
            if stat.S_ISLNK(status.st_mode):
                yield TreeNode(name, "link", 0o777, status.st_mtime_ns, os.fsencode(path.readlink()))
            elif stat.S_ISDIR(status.st_mode):
                waiting.append(path)
            elif stat.S_ISREG(status.st_mode):
                yield TreeNode(name, "file", mode, status.st_mtime_ns, path.read_bytes())
            else:
                raise DataError(Problem("the file tree holds something that is no file, folder or link", where=str(path)))


def _tar_nodes(archive: tarfile.TarFile, limits: Limits) -> Iterator[TreeNode]:
    size = 0
    for count, member in enumerate(archive):
        where = f"{archive.name!s}: {member.name}"
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\0" in member.name:
            raise DataError(Problem("a name in the tar leads out of it", where=where))
        size += member.size
        if size > limits.tree_bytes or count > limits.tree_entries:
            raise DataError(
                Problem(
                    "the tar is too large for the sandbox", where=where, expected=f"{limits.tree_entries} names, {limits.tree_bytes} bytes"
                )
            )
        name, mode, time = ("" if str(path) == "." else str(path)), member.mode & 0o7777, int(member.mtime * 1e9)
        if member.isdir():
            yield TreeNode(name, "folder", mode, time)
        elif member.issym():
            yield TreeNode(name, "link", 0o777, time, os.fsencode(member.linkname))
        elif member.isfile() or member.islnk():
            stream = archive.extractfile(member)
            yield TreeNode(name, "file", mode, time, stream.read() if stream else b"")
        else:
            raise DataError(Problem("the tar holds a device or a pipe", where=where))


def _without_top(nodes: list[TreeNode]) -> list[TreeNode]:
    tops = {PurePosixPath(node.path).parts[:1] for node in nodes if node.path}
    if len(tops) != 1 or any(node.path and "/" not in node.path and node.kind != "folder" for node in nodes):
        return nodes
    return [
        TreeNode("/".join(PurePosixPath(node.path).parts[1:]), node.kind, node.mode, node.mtime_ns, node.content)
        for node in nodes
        if node.path
    ]


def _checked(nodes: list[TreeNode], source: Path) -> list[TreeNode]:
    """The nodes with every folder named and standing before its content; raises for a name twice or below what is no folder."""
    kinds: dict[str, str] = {}
    ordered: list[TreeNode] = []
    for node in nodes:
        parents = [str(parent) for parent in reversed(PurePosixPath(node.path).parents)] if node.path else []
        for parent in ("" if name == "." else name for name in parents):
            if kinds.setdefault(parent, "implied") not in ("folder", "implied"):
                raise DataError(Problem("a name in the file tree lies below a link or a file", where=str(source), found=node.path))
        if kinds.get(node.path, "implied") != "implied":
            raise DataError(Problem("a name stands twice in the file tree", where=str(source), found=node.path))
        if node.kind != "folder" and node.path in kinds:
            raise DataError(Problem("a name in the file tree lies below a link or a file", where=str(source), found=node.path))
        kinds[node.path] = node.kind
        ordered.append(node)
    ordered += [TreeNode(path, "folder", 0o755, 0) for path, kind in kinds.items() if kind == "implied"]
    folders = sorted((node for node in ordered if node.kind == "folder"), key=lambda node: len(PurePosixPath(node.path).parts))
    return [*folders, *(node for node in ordered if node.kind != "folder")]


def read_tree(root: int, limits: Limits) -> tuple[tuple[TreeEntry, ...], bool]:
    """What lies below the open folder `root`, sorted by path, and whether that is all.

    Nothing is followed and nothing but regular files is opened. Reading stops at `limits.tree_entries` names, at `limits.tree_bytes` of
    file lengths (a file with holes can claim any), and at `MAX_DEPTH` folders within each other. Whoever could still change the
    tree must be dead.
    """
    reader = _Reader(limits)
    reader.folder(root, "", 0)
    return tuple(sorted(reader.entries, key=lambda entry: entry.path)), reader.complete


class _Reader:
    def __init__(self, limits: Limits) -> None:
        self.entries: list[TreeEntry] = []
        self.complete = True
        self._names_left = limits.tree_entries
        self._bytes_left = limits.tree_bytes

    def folder(self, descriptor: int, path: str, depth: int) -> None:
        """Takes in what lies in the open folder `descriptor`."""
        with os.scandir(descriptor) as listing:
            for item in listing:
                if self._names_left <= 0:
                    self.complete = False
                    return
                self._names_left -= 1
                self._entry(descriptor, item.name, f"{path}/{item.name}" if path else item.name, depth)

    def _entry(self, parent: int, name: str, path: str, depth: int) -> None:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        mode = stat.S_IMODE(status.st_mode)
        shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if stat.S_ISLNK(status.st_mode):
            target = os.fsencode(os.readlink(name, dir_fd=parent)).decode("utf-8", "backslashreplace")
            self.entries.append(TreeEntry(shown, "link", 0o777, target))
        elif stat.S_ISDIR(status.st_mode):
            self.entries.append(TreeEntry(shown, "folder", mode))
            if depth >= MAX_DEPTH:
                self.complete = False
                return
            descriptor = self._open(parent, name, mode | 0o700, os.O_DIRECTORY)
            try:
                self.folder(descriptor, path, depth + 1)
            finally:
                os.close(descriptor)
        elif stat.S_ISREG(status.st_mode):
            self.entries.append(TreeEntry(shown, "file", mode, self._sha256(parent, name, mode, status.st_size)))
        else:
            self.entries.append(TreeEntry(shown, "other", mode))

    def _sha256(self, parent: int, name: str, mode: int, size: int) -> str:
        self._bytes_left -= size
        if self._bytes_left < 0:
            self.complete = False
            return ""
        descriptor = self._open(parent, name, mode | 0o400, 0)
        digest = hashlib.sha256()
        try:
            while chunk := os.read(descriptor, _CHUNK_BYTES):
                digest.update(chunk)
        finally:
            os.close(descriptor)
        return digest.hexdigest()

    def _open(self, parent: int, name: str, mode: int, flags: int) -> int:
        flags |= os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            return os.open(name, flags, dir_fd=parent)
        except PermissionError:
            # A plain user owns what the job made, but the job may have taken the right to read; no one is left to put a link here.
            os.chmod(name, mode, dir_fd=parent)
            return os.open(name, flags, dir_fd=parent)
