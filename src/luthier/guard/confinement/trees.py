"""File trees into and out of the sandbox: a folder or a tar made ready once, and what a run left behind, read following nothing."""

from __future__ import annotations

import hashlib
import lzma
import os
import stat
import tarfile
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from luthier.core.errors import DataError, Problem
from luthier.core.files import sha256_bytes, sha256_json
from luthier.core.protocols import Limits, Tree, TreeEntry, TreeNode

# Folders within folders that are still read; each costs an open descriptor while it is.
MAX_DEPTH = 100
_CHUNK_BYTES = 1 << 18
# The longest name that Linux takes: PATH_MAX.
_PATH_BYTES = 4096
# What the decompressors raise beside OSError, and what numbers in a header that mean nothing raise here.
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, ValueError, OverflowError)
_LIMITS = Limits()


def prepare(source: Path, limits: Limits = _LIMITS) -> Tree:
    """The tree in `source`: a folder, or a tar file (compressed or not; where all of it lies in one folder, that folder's content).

    Raises `DataError` for what cannot be read, for what cannot be laid safely and alike every time (absolute names or `..`, names below a
    link, devices, pipes and sockets, a name twice), and for more than `limits.tree_bytes` or `limits.tree_entries`, which is told before
    that much is in memory. A hard link in a tar counts as the file that it is another name of.
    """
    room = _Room(source, limits)
    try:
        if source.is_dir():
            found = list(_folder_nodes(source, room))
        else:
            with tarfile.open(source) as archive:
                found = _without_top(list(_tar_nodes(archive, room)))
    except (OSError, tarfile.TarError, *_DAMAGED) as error:
        raise DataError(Problem("the file tree cannot be read", where=str(source), found=str(error))) from error
    return tree_of(_checked(found, source, room))


class _Room:
    """What `limits` leave for a tree while it is read."""

    def __init__(self, source: Path, limits: Limits) -> None:
        self._source, self._limits = source, limits
        # The tree's own folder, and the one that a tar lies in, are no names in it.
        self.names_left = limits.tree_entries + 1
        self.bytes_left = limits.tree_bytes

    def take(self, name: str, size: int) -> None:
        """Takes the room of one name with `size` bytes; `DataError` where there is none."""
        self.names_left -= 1
        self.bytes_left -= size
        if self.names_left < 0 or self.bytes_left < 0:
            raise self.too_large(name)
        if len(os.fsencode(name)) > _PATH_BYTES:
            raise DataError(Problem("a name in the file tree is too long", where=str(self._source), found=f"{name[:80]}..."))

    def check_names(self, count: int) -> None:
        """`DataError` where `count` names are more than the sandbox takes."""
        if count > self._limits.tree_entries:
            raise self.too_large(f"{count} names")

    def too_large(self, found: str) -> DataError:
        """The error for a tree that is found too large at a name, or by a count."""
        expected = f"at most {self._limits.tree_entries} names and {self._limits.tree_bytes} bytes"
        return DataError(
            Problem("the file tree is too large for the sandbox", where=str(self._source), found=found[:200], expected=expected)
        )


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


def _folder_nodes(source: Path, room: _Room) -> Iterator[TreeNode]:
    waiting = [source]
    while waiting:
        folder = waiting.pop()
        status = folder.stat()
        name = folder.relative_to(source).as_posix()
        yield TreeNode("" if name == "." else name, "folder", stat.S_IMODE(status.st_mode), status.st_mtime_ns)
        for path in sorted(islice(folder.iterdir(), room.names_left + 1)):
            status = path.lstat()
            name, mode = path.relative_to(source).as_posix(), stat.S_IMODE(status.st_mode)
            if stat.S_ISLNK(status.st_mode):
                target = os.fsencode(path.readlink())
                room.take(name, len(target))
                yield TreeNode(name, "link", 0o777, status.st_mtime_ns, target)
            elif stat.S_ISDIR(status.st_mode):
                room.take(name, 0)
                waiting.append(path)
            elif stat.S_ISREG(status.st_mode):
                room.take(name, status.st_size)
                yield TreeNode(name, "file", mode, status.st_mtime_ns, _content(path, status.st_size))
            else:
                raise DataError(Problem("the file tree holds something that is no file, folder or link", where=str(path)))


def _content(path: Path, size: int) -> bytes:
    """The bytes of a file of `size`; `DataError` where it has another length, as one that is written to meanwhile, or a file of `/proc`."""
    with path.open("rb") as stream:
        content = stream.read(size + 1)
    if len(content) != size:
        raise DataError(Problem("a file in the tree has another length than it says", where=str(path), hint="is it being written to?"))
    return content


def _tar_nodes(archive: tarfile.TarFile, room: _Room) -> Iterator[TreeNode]:
    files: dict[str, bytes] = {}
    for member in archive:
        where = f"{archive.name!s}: {member.name[:200]}"
        room.take(member.name, member.size)
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or "\0" in member.name:
            raise DataError(Problem("a name in the tar leads out of it", where=where))
        name, mode, time = ("" if str(path) == "." else str(path)), member.mode & 0o7777, int(member.mtime * 1e9)
        if member.isdir():
            yield TreeNode(name, "folder", mode, time)
        elif member.issym():
            yield TreeNode(name, "link", 0o777, time, os.fsencode(member.linkname))
        elif member.isfile():
            stream = archive.extractfile(member)
            files[name] = stream.read() if stream else b""
            yield TreeNode(name, "file", mode, time, files[name])
        elif member.islnk():
            target = str(PurePosixPath(member.linkname))
            if target not in files:
                raise DataError(Problem("a hard link in the tar names no file before it", where=where, found=member.linkname[:200]))
            # Laid, it is a file of its own, though here both are the same bytes.
            room.bytes_left -= len(files[target])
            if room.bytes_left < 0:
                raise room.too_large(member.name)
            files[name] = files[target]
            yield TreeNode(name, "file", mode, time, files[name])
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


def _checked(nodes: list[TreeNode], source: Path, room: _Room) -> list[TreeNode]:
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
        room.check_names(len(kinds) - ("" in kinds))
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
