"""Texts of a source that no row is made of: handed on for the secrets in them alone, which may stand in what rows are made of."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from luthier.core.state_folder import is_state_folder
from luthier.retrieval.named_files import Found, content_of
from luthier.retrieval.outline import Unreadable

# Of files that hold no text whatever they are called for; others are told by their bytes.
BINARY_ENDINGS = frozenset(
    (
        ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".ico", ".icns", ".webp", ".avif", ".tif", ".tiff", ".psd", ".mp3", ".mp4", ".wav", ".ogg",
        ".flac", ".mov", ".avi", ".webm", ".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar", ".jar", ".war", ".whl",
        ".egg", ".so", ".dylib", ".dll", ".exe", ".o", ".a", ".lib", ".obj", ".class", ".pyc", ".pyo", ".pyd", ".wasm", ".ttf", ".otf",
        ".woff", ".woff2", ".eot", ".db", ".sqlite", ".sqlite3", ".parquet", ".arrow", ".npy", ".npz", ".pkl", ".pickle", ".pt", ".pth",
        ".onnx", ".safetensors", ".gguf", ".bin", ".dat", ".xls", ".xlsx", ".ppt", ".pptx", ".doc", ".odt", ".ods", ".epub", ".mo", ".gpg",
        ".p12", ".pfx", ".jks", ".keystore",
    )
)  # fmt: skip
# What is looked through of files, and of changes in the history: half a minute each of one core, at most.
MOST_FILE_BYTES, MOST_HISTORY_BYTES = 64 << 20, 32 << 20
# Names below folders beyond this many are not looked at.
_MOST_NAMES = 1_000_000
# A file with a zero byte this early is a binary file, as git has it.
_HEAD_BYTES = 8_000
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


class Unread:
    """Hands each text to `take`, one at a time, and counts what is not looked at: above `max_file_bytes`, or beyond what is looked through.

    `seen` are the objects of a repository that were read, or handed on.
    """

    def __init__(self, take: Callable[[str], None], max_file_bytes: int) -> None:
        self._take = take
        self.max_file_bytes = max_file_bytes
        self._left_bytes = MOST_HISTORY_BYTES
        self.seen: set[str] = set()
        self._skipped: Counter[str] = Counter()

    def content(self, content: bytes) -> None:
        """Hands on the text of a file, unless it is binary. What is no UTF-8 is read byte by byte."""
        encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "utf-8")
        if encoding != "utf-16" and b"\0" in content[:_HEAD_BYTES]:
            return
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            text = content.decode("latin-1")
        self._take(text.replace("\r\n", "\n"))

    def change(self, text: str) -> None:
        """Hands on a piece of the history: a message, a diff."""
        self._left_bytes -= len(text)
        if self._left_bytes >= 0:
            self._take(text)
        else:
            self._skipped["of the history beyond what is looked through"] += 1

    def chosen(self, sized: Iterable[tuple[str, int]], most_bytes: int) -> list[str]:
        """The names of files to hand on, small ones first and those whose ending is that of a binary file last, and counts the others."""
        found = []
        for name, size in sorted(sized, key=lambda pair: (Path(pair[0]).suffix.lower() in BINARY_ENDINGS, pair[1], pair[0])):
            if size > self.max_file_bytes:
                self._skipped["above `max_file_bytes`"] += 1
            elif size > most_bytes:
                self._skipped["beyond what is looked through"] += 1
            else:
                most_bytes -= size
                found.append(name)
        return found

    def notes(self) -> tuple[str, ...]:
        """A note where something was not looked at."""
        told = ", ".join(f"{count:,} {why}" for why, count in sorted(self._skipped.items()))
        return (f"texts that no row is made of and that were not looked through for secrets: {told}",) if told else ()


def hand_on_files(found: Found, read: Iterable[str], unread: Unread) -> None:
    """Hands on every file that `found` names and of its folders, hidden ones too, but those whose path is among `read`."""
    for path in _chosen(found, set(read), unread):
        try:
            unread.content(content_of(path, unread.max_file_bytes))
        except Unreadable:
            continue


def looked_at(found: Found, max_file_bytes: int) -> list[Path]:
    """The files that may be handed on, or are read."""
    return _chosen(found, set(), Unread(lambda text: None, max_file_bytes))


def _chosen(found: Found, read: set[str], unread: Unread) -> list[Path]:
    done = {found.files[shown].as_posix() for shown in read}
    sizes: dict[str, int] = {}
    for path in (*found.files.values(), *_below(found.folders)):
        if (name := path.as_posix()) not in done and name not in sizes and path.is_file():
            sizes[name] = path.stat().st_size
    return [Path(name) for name in unread.chosen(sizes.items(), MOST_FILE_BYTES)]


def _below(folders: Iterable[Path]) -> Iterator[Path]:
    """The regular files below `folders`, but for what git keeps, the state of a server and what links lead to."""
    names = 0
    for start in folders:
        for here, inner, files in os.walk(start):
            inner[:] = sorted(name for name in inner if name != ".git" and not is_state_folder(Path(here, name)))
            for name in sorted(files):
                names += 1
                if names > _MOST_NAMES:
                    return
                if not (path := Path(here, name)).is_symlink():
                    yield path
