"""What the sandbox is made of, each part alone: trees in and out, and the filter of system calls."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from luthier.core.errors import DataError
from luthier.core.protocols import Limits, TreeEntry
from luthier.guard.confinement import syscalls
from luthier.guard.confinement.trees import MAX_DEPTH, prepare, read_tree, reversed_names

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS = 1, 38


def tar(path: Path, *members: tuple[str, bytes, str]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mtime, info.mode = kind, target, 1000, 0o640
            info.size = len(name) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(name.encode()) if kind == tarfile.REGTYPE else None)
    return path


FILE, FOLDER, LINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE


def test_a_tar_is_laid_without_its_one_folder(tmp_path: Path) -> None:
    source = tar(tmp_path / "a.tar", ("top", FOLDER, ""), ("top/a/b", FILE, ""), ("top/c", LINK, "/etc/passwd"))
    tree = prepare(source)
    assert [(node.path, node.kind, node.mode) for node in tree.nodes] == [
        ("", "folder", 0o640), ("a", "folder", 0o755), ("a/b", "file", 0o640), ("c", "link", 0o777),
    ]  # fmt: skip
    assert tree.nodes[2].content == b"top/a/b"
    assert tree.nodes[2].mtime_ns == 1000 * 10**9


def test_a_tar_of_several_names_keeps_them(tmp_path: Path) -> None:
    tree = prepare(tar(tmp_path / "a.tar", ("a/x", FILE, ""), ("b", FILE, "")))
    assert [node.path for node in tree.nodes] == ["", "a", "a/x", "b"]


@pytest.mark.parametrize(
    "members",
    [
        [("../x", FILE, "")],
        [("a/../../x", FILE, "")],
        [("/etc/x", FILE, "")],
        [("null", tarfile.CHRTYPE, "")],
        [("disk", tarfile.BLKTYPE, "")],
        [("pipe", tarfile.FIFOTYPE, "")],
        [("l", LINK, "/tmp"), ("l/x", FILE, "")],
        [("l/x", FILE, ""), ("l", LINK, "/tmp")],
        [("f", FILE, ""), ("f/x", FILE, "")],
        [("f", FILE, ""), ("f", FILE, "")],
    ],
)
def test_a_tar_that_leads_out_is_refused(tmp_path: Path, members: list[tuple[str, bytes, str]]) -> None:
    with pytest.raises(DataError):
        prepare(tar(tmp_path / "a.tar", ("beside", FILE, ""), *members))


def test_what_is_too_large_is_refused(tmp_path: Path) -> None:
    source = tar(tmp_path / "a.tar", *((f"n{number}", FILE, "") for number in range(30)))
    with pytest.raises(DataError, match="too large"):
        prepare(source, Limits(tree_entries=20))
    with pytest.raises(DataError, match="too large"):
        prepare(source, Limits(tree_bytes=20))
    with pytest.raises(DataError, match="cannot be read"):
        prepare(tmp_path / "absent.tar")
    (tmp_path / "no.tar").write_bytes(b"no tar")
    with pytest.raises(DataError, match="cannot be read"):
        prepare(tmp_path / "no.tar")


def peak_bytes(source: Path, limits: Limits) -> int:
    """The most memory that refusing the tree takes."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="too large"):
            prepare(source, limits)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_links_to_a_large_file_are_counted_before_they_are_read(tmp_path: Path) -> None:
    path, size = tmp_path / "a.tar", 1 << 20
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("large")
        info.size = size
        archive.addfile(info, io.BytesIO(bytes(size)))
        for number in range(300):
            link = tarfile.TarInfo(f"link{number}")
            link.type, link.linkname = tarfile.LNKTYPE, "large"
            archive.addfile(link)
    assert peak_bytes(path, Limits(tree_bytes=2 * size)) < 4 * size
    tree = prepare(path, Limits(tree_bytes=301 * size))
    assert sum(len(node.content) for node in tree.nodes) == 301 * size


def test_a_folder_is_measured_before_it_is_read(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"f{number:02}").write_bytes(bytes(1 << 20))
    assert peak_bytes(tmp_path, Limits(tree_bytes=2 << 20)) < 4 << 20
    (tmp_path / "f00").write_bytes(b"")
    assert peak_bytes(tmp_path, Limits(tree_entries=10)) < 12 << 20


def test_a_file_that_is_longer_than_it_says_is_refused() -> None:
    with pytest.raises(DataError, match="another length"):
        prepare(Path("/proc/sys/kernel/random"))


def test_what_cannot_be_read_of_a_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(b"x")

    def refused(path: Path, *arguments: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(DataError, match="cannot be read"):
        prepare(tmp_path)


def test_folders_that_only_names_imply_are_counted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too large"):
        prepare(tar(tmp_path / "a.tar", ("/".join("a" * 30) + "/x", FILE, ""), ("y", FILE, "")), Limits(tree_entries=20))
    with pytest.raises(DataError, match="too long"):
        prepare(tar(tmp_path / "b.tar", ("a/" * 3_000 + "x", FILE, "")))


@pytest.mark.parametrize("target", ["absent", "after", "l", "top/../x"])
def test_a_hard_link_to_no_file_before_it_is_refused(tmp_path: Path, target: str) -> None:
    source = tar(tmp_path / "a.tar", ("l", LINK, "l"), ("h", tarfile.LNKTYPE, target), ("after", FILE, ""))
    with pytest.raises(DataError, match="no file before it"):
        prepare(source)


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    whole, cut = tmp_path / "a.tar.gz", tmp_path / "cut.tar.gz"
    with tarfile.open(whole, "w:gz") as archive:
        info = tarfile.TarInfo("noise")
        info.size = 1 << 16
        archive.addfile(info, io.BytesIO(os.urandom(1 << 16)))
    cut.write_bytes(whole.read_bytes()[: 1 << 14])
    with pytest.raises(DataError, match="cannot be read"):
        prepare(cut)


def test_a_folder_and_a_tar_of_it_are_one_tree(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "f").write_bytes(b"x")
    (folder / "l").symlink_to("a/f")
    for path in (folder / "a" / "f", folder / "a", folder):
        os.utime(path, (5, 5))
    os.utime(folder / "l", (5, 5), follow_symlinks=False)
    with tarfile.open(tmp_path / "tree.tar", "w") as archive:
        archive.add(folder, "tree")
    assert prepare(folder).sha256 == prepare(tmp_path / "tree.tar").sha256
    (folder / "a" / "f").chmod(0o600)
    os.utime(folder / "a" / "f", (5, 5))
    assert prepare(folder).sha256 != prepare(tmp_path / "tree.tar").sha256


def test_a_pipe_in_a_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError):
        prepare(tmp_path)


def test_the_opposite_order_holds_the_same_names_and_folders_first(tmp_path: Path) -> None:
    source = tar(tmp_path / "a.tar", ("a/b/c", FILE, ""), ("a/d", FILE, ""), ("e", FILE, ""), ("f", FILE, ""))
    tree = prepare(source)
    other = reversed_names(tree)
    assert sorted(node.path for node in other.nodes) == sorted(node.path for node in tree.nodes)
    names = [node.path for node in other.nodes]
    assert names.index("f") < names.index("e") < names.index("a/d")
    for node in other.nodes:
        assert not node.path or names.index(str(Path(node.path).parent).replace(".", "")) < names.index(node.path)


def listing(folder: Path, limits: Limits = Limits()) -> tuple[dict[str, TreeEntry], bool]:  # noqa: B008
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        entries, complete = read_tree(descriptor, limits)
    finally:
        os.close(descriptor)
    return {entry.path: entry for entry in entries}, complete


def test_a_listing_follows_nothing_and_opens_only_files(tmp_path: Path) -> None:
    (tmp_path / "tree" / "d").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "tree" / "l").symlink_to("../secret")
    (tmp_path / "tree" / "up").symlink_to("..")
    os.mkfifo(tmp_path / "tree" / "pipe")
    Path(os.fsdecode(os.fsencode(tmp_path / "tree") + b"/\xff\n")).write_bytes(b"")
    entries, complete = listing(tmp_path / "tree")
    assert complete
    assert {path: (entry.kind, entry.content[:6]) for path, entry in entries.items()} == {
        "d": ("folder", ""), "l": ("link", "../sec"), "up": ("link", ".."), "pipe": ("other", ""), "\\xff\n": ("file", "e3b0c4"),
    }  # fmt: skip


def test_a_listing_is_bounded(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / str(number)).write_bytes(b"12345678")
    assert listing(tmp_path)[1]
    entries, complete = listing(tmp_path, Limits(tree_entries=10))
    assert (len(entries), complete) == (10, False)
    entries, complete = listing(tmp_path, Limits(tree_bytes=80))
    assert not complete
    assert sum(entry.content != "" for entry in entries.values()) == 10


def test_a_hole_costs_nothing_and_depth_ends(tmp_path: Path) -> None:
    with (tmp_path / "hole").open("wb") as stream:
        stream.truncate(1 << 40)
    entries, complete = listing(tmp_path)
    assert not complete
    assert entries["hole"].content == ""
    (tmp_path / "hole").unlink()
    (tmp_path.joinpath(*["d"] * (MAX_DEPTH + 5))).mkdir(parents=True)
    entries, complete = listing(tmp_path)
    assert (len(entries), complete) == (MAX_DEPTH + 1, False)


def verdict(program: bytes, architecture: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    """What the filter says of one call: the classic BPF machine, as far as the filter uses it."""
    steps = [struct.unpack("=HBBI", program[start : start + 8]) for start in range(0, len(program), 8)]
    data = struct.pack("=IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    position = accumulator = 0
    while True:
        code, if_true, if_false, value = steps[position]
        position += 1
        if code == 0x06:
            return value
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
            continue
        holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
        position += if_true if holds else if_false


@pytest.mark.parametrize(
    ("machine", "architecture", "numbers"),
    [
        ("x86_64", 0xC000003E, {
            "read": 0, "clone": 56, "clone3": 435, "ioctl": 16, "mount": 165, "ptrace": 101, "keyctl": 250, "bpf": 321,
            "userfaultfd": 323, "unshare": 272, "execve": 59, "openat": 257, "memfd_create": 319, "socket": 41,
        }),
        ("aarch64", 0xC00000B7, {
            "read": 63, "clone": 220, "clone3": 435, "ioctl": 29, "mount": 40, "ptrace": 117, "keyctl": 219, "bpf": 280,
            "userfaultfd": 282, "unshare": 97, "execve": 221, "openat": 56, "memfd_create": 279, "socket": 198,
        }),
    ],
)  # fmt: skip
def test_the_filter(machine: str, architecture: int, numbers: dict[str, int]) -> None:
    program = syscalls.program(machine)

    def ask(name: str, *arguments: int) -> int:
        return verdict(program, architecture, numbers[name], arguments)

    for name in ("read", "execve", "openat", "socket"):
        assert ask(name) == ALLOW
    for name in ("mount", "ptrace", "keyctl", "bpf", "userfaultfd", "unshare", "memfd_create"):
        assert ask(name) == ERRNO | EPERM
    assert ask("clone3") == ERRNO | ENOSYS
    assert ask("clone", 17) == ALLOW  # fork: SIGCHLD alone
    assert ask("clone", 0x3D0F00) == ALLOW  # a thread
    for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert ask("clone", flag | 17) == ERRNO | EPERM
    assert ask("ioctl", 0, 0x5401) == ALLOW
    assert ask("ioctl", 0, 0x5412) == ask("ioctl", 0, 0x541C) == ERRNO | EPERM
    # The upper half of a 64-bit argument is no way round: the kernel reads the lower half of a request too.
    assert ask("ioctl", 0, 0x1_0000_5412) == ERRNO | EPERM
    assert [verdict(program, architecture, number) for number in (424, 425, 427, 428, 433, 434, 441, 442, 443)] == [
        ALLOW, *[ERRNO | EPERM] * 4, ALLOW, ALLOW, ERRNO | EPERM, ALLOW,
    ]  # fmt: skip
    assert verdict(program, architecture, 0x40000000) == KILL
    assert verdict(program, 0x40000003, 3) == KILL


def test_a_machine_without_a_table_has_no_filter() -> None:
    assert syscalls.program("riscv64") == b""
