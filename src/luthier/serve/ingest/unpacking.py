"""What was sent, laid out as a folder: single files by their names, archives unpacked. It is hostile until shown otherwise.

Nothing is believed that an archive says of itself: bytes are counted as they come out of it, names are checked, and nothing but plain files
is made. Links are left out; what can only be there to do harm refuses the whole archive.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from luthier.core.errors import DataError, Problem

_BLOCK_BYTES = 1 << 16
# What a name of a file can have on the file systems that there are.
_MOST_NAME_BYTES, _MOST_PATH_BYTES, _MOST_DEPTH = 255, 2_000, 64
# Names of an archive in all, folders and links too, for each file that a source may have.
_NAMES_PER_FILE = 4
# Of a tar: what stands in front of a member to say more of it. Of a zip: its list of names. More is not read into memory.
_MOST_EXTRA_BYTES, _MOST_LIST_BYTES = 1 << 20, 16 << 20
_MOST_HEADERS_BYTES, _MOST_EMPTY = 256 << 20, 100
_EXTRA_TYPES = frozenset((tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK))
# Files that are a zip inside, and are read as they are, or not at all.
_ZIPS_INSIDE = frozenset((".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".epub", ".npz"))
_ZIP, _END_OF_ZIP = b"PK\x03\x04", b"PK\x05\x06"
_END_OF_ZIP_BYTES, _MOST_COMMENT_BYTES = 22, 1 << 16
_Compressed = gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile
_TAR_MAGIC_AT = 257
# What the readers of archives raise for one that is damaged, or packed in a way that they do not know.
_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError),
    *(EOFError, NotImplementedError, RuntimeError, ValueError),
)


@dataclass(slots=True)
class _Laying:
    """Where files go, and how much more may come: bytes and files, and names of any kind."""

    folder: Path
    bytes_left: int
    files_left: int
    names_left: int

    def take_name(self) -> None:
        """Counts a name of an archive."""
        self.names_left -= 1
        if self.names_left < 0:
            raise _refused("the archive holds too many names", "")

    def write(self, name: str, stream: IO[bytes]) -> None:
        """A file below the folder with all that comes out of `stream`."""
        self.files_left -= 1
        if self.files_left < 0:
            raise _refused("the upload holds more files than a source may have", name)
        path = self.folder / checked_path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as target:
                while block := stream.read(_BLOCK_BYTES):
                    self.bytes_left -= len(block)
                    if self.bytes_left < 0:
                        raise _refused("the upload holds more bytes than a source may have", name)
                    target.write(block)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise _refused("the upload holds two files of one name", name) from error


def lay_out(sent: Sequence[tuple[str, Path, int]], folder: Path, most_bytes: int, most_files: int) -> None:
    """Makes `folder` of what was sent: names that the client gave, files, and the bytes that came of each.

    `DataError` for what is refused, and for a file that no longer has its bytes; then the folder is half made.
    """
    laying = _Laying(folder, most_bytes, most_files, most_files * _NAMES_PER_FILE)
    folder.mkdir(parents=True)
    for name, path, size in sent:
        if not path.is_file() or path.stat().st_size != size:
            raise DataError(Problem("what was sent is not on the disk as it came", where="files", found=_shown(name), hint="send it again"))
        with path.open("rb") as stream, _read_errors(name):
            if stream.read(len(_ZIP)) == _ZIP and PurePosixPath(name).suffix.lower() not in _ZIPS_INSIDE:
                _unzip(stream, laying)
            elif not _untar(stream, laying):
                stream.seek(0)
                laying.write(name, stream)


def checked_path(name: str) -> PurePosixPath:
    """`name` as a path below a folder; `DataError` where it leads out of it, or is none that every system takes."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = [part for part in path.parts if part != "."]
    leads_out = path.is_absolute() or PureWindowsPath(name).drive != "" or ".." in parts
    size = len(name.encode("utf-8", "surrogatepass"))
    is_odd = not name.isprintable() or size > _MOST_PATH_BYTES or len(parts) > _MOST_DEPTH
    if not parts or leads_out or is_odd or any(len(part.encode("utf-8", "surrogatepass")) > _MOST_NAME_BYTES for part in parts):
        raise _refused("a name in the upload leads out of its folder" if leads_out else "a name in the upload is none of a file", name)
    return PurePosixPath(*parts)


def _unzip(stream: IO[bytes], laying: _Laying) -> None:
    _check_list(stream)
    with zipfile.ZipFile(stream) as archive:
        for member in archive.infolist():
            laying.take_name()
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.is_dir():
                checked_path(member.filename)
            elif kind == stat.S_IFLNK:
                continue
            elif kind not in (0, stat.S_IFREG):
                raise _refused("the archive holds what is neither file nor folder nor link", member.filename)
            elif member.flag_bits & 1:
                raise _refused("the archive is encrypted", member.filename)
            else:
                with archive.open(member) as content:
                    laying.write(member.filename, content)


def _check_list(stream: IO[bytes]) -> None:
    """Refuses a zip whose list of names would fill the memory before the first one could be counted."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - _END_OF_ZIP_BYTES - _MOST_COMMENT_BYTES))
    tail = stream.read()
    at = tail.find(_END_OF_ZIP)
    while at >= 0:
        if int.from_bytes(tail[at + 12 : at + 16], "little") > _MOST_LIST_BYTES:
            raise _refused("the archive holds too many names", "")
        at = tail.find(_END_OF_ZIP, at + 1)
    stream.seek(0)


class _Member(tarfile.TarInfo):
    """A member of a tar, whose extra words are bounded."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        """The member of a header."""
        found = super().frombuf(buf, encoding, errors)
        if found.size < 0 or (found.type in _EXTRA_TYPES and found.size > _MOST_EXTRA_BYTES):
            raise _refused("the archive says too much about a file", found.name)
        return found


class _Counted:
    """A stream of which no more than so many bytes come out."""

    def __init__(self, stream: IO[bytes] | _Compressed, most_bytes: int) -> None:
        self._stream, self._left, self._empty = stream, most_bytes, 0

    def read(self, size: int) -> bytes:
        """The next bytes."""
        found = self._stream.read(size)
        self._left -= len(found)
        if self._left < 0:
            raise _refused("the archive holds more bytes than a source may have", "")
        # Some headers have their reader ask for ever for what is not there.
        self._empty += not found
        if self._empty > _MOST_EMPTY:
            raise _refused("the archive ends before what it says", "")
        return found


def _decompressed(stream: IO[bytes], head: bytes) -> _Compressed | None:
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(stream)
    return lzma.LZMAFile(stream) if head.startswith(b"\xfd7zXZ\x00") else None


def _untar(stream: IO[bytes], laying: _Laying) -> bool:
    """Lays a tar out, compressed or not; false where it is none."""
    stream.seek(0)
    head = stream.read(8)
    stream.seek(0)
    inner = _decompressed(stream, head) or stream
    start = inner.read(_TAR_MAGIC_AT + 5)
    if start[_TAR_MAGIC_AT:] != b"ustar":
        return False
    inner.seek(0)
    # Beside the files: a header for each, and what fills its last block.
    counted: IO[bytes] = _Counted(inner, 2 * laying.bytes_left + _MOST_HEADERS_BYTES)  # type: ignore[assignment]
    with tarfile.open(fileobj=counted, mode="r|", tarinfo=_Member, errorlevel=2) as archive:
        for member in archive:
            laying.take_name()
            if member.isdir():
                if member.name not in (".", "./"):
                    checked_path(member.name)
            elif member.issym() or member.islnk():
                continue
            elif not member.isreg():
                raise _refused("the archive holds what is neither file nor folder nor link", member.name)
            elif (content := archive.extractfile(member)) is not None:
                laying.write(member.name, content)
    return True


@contextmanager
def _read_errors(name: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise DataError(
            Problem("the archive cannot be read", where="files", found=_shown(name), hint=f"pack it again ({error})")
        ) from error


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name[:200])


def _refused(what: str, name: str) -> DataError:
    return DataError(Problem(what, where="files", found=_shown(name)))
