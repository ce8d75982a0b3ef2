"""Uploads laid out: what archives may hold, and those that are refused."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.core.errors import DataError
from luthier.serve.ingest.unpacking import checked_path, lay_out

FILES = {"shop/a.py": b"a = 1\n", "shop/deep/b.md": b"# B\n"}


def zipped(files: dict[str, bytes], change: Callable[[zipfile.ZipInfo], None] = lambda member: None) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)
            member.compress_type = zipfile.ZIP_DEFLATED
            change(member)
            archive.writestr(member, content)
    return stream.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w", change: Callable[[tarfile.TarInfo], None] = lambda member: None) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            change(member)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def laid(tmp_path: Path, *sent: tuple[str, bytes], most_bytes: int = 10_000, most_files: int = 20) -> dict[str, bytes]:
    paths = []
    for number, (name, content) in enumerate(sent):
        path = tmp_path / str(number)
        path.write_bytes(content)
        paths.append((name, path, len(content)))
    content = tmp_path / "content"
    lay_out(paths, content, most_bytes, most_files)
    assert not [path for path in content.rglob("*") if path.is_symlink()]
    return {path.relative_to(content).as_posix(): path.read_bytes() for path in content.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("shop.zip", zipped(FILES)),
        ("shop.whl", zipped(FILES)),
        ("shop.tar", tarred(FILES)),
        ("shop.tar.gz", tarred(FILES, "w:gz")),
        ("shop.tgz", tarred(FILES, "w:gz")),
        ("shop.tar.bz2", tarred(FILES, "w:bz2")),
        ("shop.tar.xz", tarred(FILES, "w:xz")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_archives_are_told_by_their_bytes(tmp_path: Path, name: str, content: bytes) -> None:
    assert laid(tmp_path, (name, content)) == FILES


def test_single_files_keep_their_names_and_what_is_no_archive_its_bytes(tmp_path: Path) -> None:
    document, compressed = zipped({"word/document.xml": b"<x/>"}), gzip.compress(b"one text")
    sent = [("src/a.py", b"a = 1\n"), ("b.docx", document), ("c.gz", compressed), ("empty.txt", b"")]
    assert laid(tmp_path, *sent) == dict(sent)


def test_links_are_left_out(tmp_path: Path) -> None:
    def as_link(member: zipfile.ZipInfo) -> None:
        if member.filename == "link":
            member.external_attr = (stat.S_IFLNK | 0o777) << 16

    assert laid(tmp_path, ("a.zip", zipped({"a.py": b"1", "link": b"/etc/passwd"}, as_link))) == {"a.py": b"1"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_of_a_tar_are_left_out_and_nothing_is_written_through_them(tmp_path: Path, kind: bytes) -> None:
    def change(member: tarfile.TarInfo) -> None:
        if member.name == "out":
            member.type, member.linkname, member.size = kind, str(tmp_path), 0

    assert laid(tmp_path, ("a.tar", tarred({"out": b"", "out/escaped.py": b"1"}, change=change))) == {"out/escaped.py": b"1"}
    assert not (tmp_path / "escaped.py").exists()


OUT = ["../a.py", "/etc/a.py", "a/../../b.py", "..", "C:\\a.py", "..\\a.py", "\\\\host\\a.py"]
NONE = ["x" * 300, "a\n.py", "d/" * 70 + "a"]


@pytest.mark.parametrize("name", [*OUT, *NONE])
@pytest.mark.parametrize("pack", [zipped, tarred, None])
def test_names_that_lead_out_or_are_none_refuse_it_all(tmp_path: Path, name: str, pack: Callable[[dict[str, bytes]], bytes] | None) -> None:
    sent = (name, b"1") if pack is None else ("archive", pack({"good.py": b"1", name: b"1"}))
    with pytest.raises(DataError, match="a name in the upload"):
        laid(tmp_path, sent)
    assert {path.name for path in tmp_path.iterdir()} <= {"0", "content"}


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_refuse_it_all(tmp_path: Path, kind: bytes) -> None:
    def change(member: tarfile.TarInfo) -> None:
        member.type, member.size = kind, 0

    with pytest.raises(DataError, match="neither file nor folder"):
        laid(tmp_path, ("a.tar", tarred({"device": b""}, change=change)))


def test_a_device_of_a_zip_refuses_it_all(tmp_path: Path) -> None:
    def change(member: zipfile.ZipInfo) -> None:
        member.external_attr = (stat.S_IFIFO | 0o600) << 16

    with pytest.raises(DataError, match="neither file nor folder"):
        laid(tmp_path, ("a.zip", zipped({"pipe": b""}, change)))


BOMB = b"\0" * 5_000_000


@pytest.mark.parametrize(
    "content",
    [zipped({"bomb": BOMB}), tarred({"bomb": BOMB}, "w:gz"), tarred({"bomb": BOMB}, "w:xz"), BOMB[:20_000]],
    ids=["zip", "gzip", "xz", "none"],
)
def test_what_grows_beyond_its_limit_is_stopped_there(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match="more bytes than a source may have"):
        laid(tmp_path, ("bomb", content))
    written = sum(path.stat().st_size for path in (tmp_path / "content").rglob("*") if path.is_file())
    assert written <= 10_000


def test_many_small_ones_are_counted_together(tmp_path: Path) -> None:
    files = {f"{number}.txt": b"x" * 600 for number in range(20)}
    with pytest.raises(DataError, match="more bytes"):
        laid(tmp_path, ("a.zip", zipped(files)))


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_too_many_files_or_names(tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]) -> None:
    with pytest.raises(DataError, match="more files"):
        laid(tmp_path, ("a", pack({f"{number}": b"" for number in range(21)})))


def test_too_many_names_of_folders_and_links(tmp_path: Path) -> None:
    def change(member: tarfile.TarInfo) -> None:
        member.type = tarfile.DIRTYPE

    with pytest.raises(DataError, match="too many names"):
        laid(tmp_path, ("a", tarred({f"{number}": b"" for number in range(81)}, change=change)))


def test_a_list_of_names_that_would_fill_the_memory(tmp_path: Path) -> None:
    content = bytearray(zipped(FILES))
    at = content.rfind(b"PK\x05\x06")
    content[at + 12 : at + 16] = (1 << 30).to_bytes(4, "little")
    with pytest.raises(DataError, match="too many names"):
        laid(tmp_path, ("a.zip", bytes(content)))


def test_a_header_that_would_fill_the_memory(tmp_path: Path) -> None:
    member = tarfile.TarInfo("pax")
    member.type, member.size = tarfile.XHDTYPE, 1 << 33
    with pytest.raises(DataError, match="says too much"):
        laid(tmp_path, ("a.tar", member.tobuf(tarfile.GNU_FORMAT) + b"\0" * 1024))


def test_two_files_of_one_name(tmp_path: Path) -> None:
    for sent in ([("a", b"1"), ("a", b"2")], [("a", b"1"), ("a/b", b"2")]):
        with pytest.raises(DataError, match="two files of one name"):
            laid(tmp_path, *sent)
        for path in sorted((tmp_path / "content").rglob("*"), reverse=True):
            path.unlink()
        (tmp_path / "content").rmdir()


@pytest.mark.parametrize(
    "content",
    [
        zipped(FILES)[:-30],
        b"PK\x03\x04" + b"broken" * 100,
        tarred({"a": b"x" * 3_000}, "w:gz")[:-60],
        b"\x1f\x8b\x08" + b"\xff" * 600,
        zipped({"a": b"x" * 3_000}).replace(b"x", b"y"),
    ],
    ids=["cut zip", "no zip", "cut tar", "no gzip", "changed zip"],
)
def test_a_damaged_archive_is_told(tmp_path: Path, content: bytes) -> None:
    if zipfile.is_zipfile(io.BytesIO(content)):  # Its bytes are changed within.
        content = content[:40] + bytes([content[40] ^ 255]) + content[41:]
    with pytest.raises(DataError, match="cannot be read"):
        laid(tmp_path, ("a", content))


def test_an_encrypted_zip_is_told(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.py": b"a = 1"}))
    content[6] |= 1
    content[content.find(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(DataError, match="encrypted"):
        laid(tmp_path, ("a.zip", bytes(content)))


@given(st.text(max_size=60))
def test_a_name_leads_below_the_folder_or_is_refused(name: str) -> None:
    try:
        path = checked_path(name)
    except DataError:
        return
    folder = Path("/root/of/it")
    assert (folder / path).resolve().is_relative_to(folder)
    assert (folder / path).resolve() != folder
