"""Files that an entry of `sources` names: single ones, folders, patterns; what is in folders and is not read, with its reason."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from luthier.config.row_sections import SourceEntry
from luthier.core.errors import DataError, Problem
from luthier.core.nearness import nearest
from luthier.core.state_folder import is_state_folder
from luthier.retrieval.outline import Unreadable
from luthier.retrieval.patterns import matches
from luthier.retrieval.records import Excluded

# Told what is being read, how many are done, and of how many.
Progress = Callable[[str, int, int | None], None]
_WILD = re.compile(r"[*?\[]")
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(slots=True)
class Found:
    """The files that an entry names, by the path that rows show (posix, below what the names have in common), and what was left out.

    `written` is each path as the run file names it; `root` is the folder that the files' paths begin in, `folders` are those that are
    named.
    """

    files: dict[str, Path] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    root: Path = Path()
    folders: list[Path] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)


def find(entry: SourceEntry, key: str, names: tuple[str, ...], is_wanted: Callable[[str], bool]) -> Found:
    """What `names`, the value of `key`, stand for; `is_wanted` tells by its path whether a file of a folder is one to read.

    Hidden files and folders, links, special files and the state of a server are left out of a folder; a pattern stands for none of them
    either, but for what it writes with a dot itself, and leads nowhere by `..`. `DataError` where a name leads nowhere, or where there
    are more than `max_files`.
    """
    named = [pair for number, name in enumerate(names) for pair in _named(f"{key}[{number}]", name)]
    root = _root([start for _, start in named])
    found = Found(root=root, folders=[start for _, start in named if start.is_dir()])
    for written, start in named:
        for path, *barred in _walk(start) if start.is_dir() else iter([(start, "", "")]):
            shown = path.relative_to(root).as_posix()
            reason, detail = barred if barred[0] else _unwanted(entry, shown, path == start or is_wanted(shown))
            if reason:
                found.excluded.append(Excluded(shown, reason, detail))
            else:
                found.files[shown] = path
                found.written.setdefault(shown, (written / path.relative_to(start)).as_posix())
            if len(found.files) > entry.max_files:
                what = f"more than {entry.max_files:,} files to read"
                hint = "name fewer, narrow them with `include`, or raise `max_files`"
                raise DataError(Problem(what, where=f"sources: {key}", found=str(start), hint=hint))
    found.files = dict(sorted(found.files.items()))
    return found


def _unwanted(entry: SourceEntry, shown: str, is_wanted: bool) -> tuple[str, str]:
    if (entry.include and not matches(shown, entry.include)) or matches(shown, entry.exclude):
        return "excluded", "by `include` or `exclude`"
    return ("", "") if is_wanted else ("no_document", "its ending is none that is read")


def _named(key: str, name: str) -> list[tuple[Path, Path]]:
    """The files or folders that one name, the value of `key`, stands for, as written and absolute, a pattern's by name."""
    path = Path(name).expanduser()
    try:
        if path.exists():
            return [(Path(name), path.absolute())]
        base = next((parent for parent in path.parents if not _WILD.search(str(parent))), Path())
        pattern = path.relative_to(base)
        fitting = sorted(base.glob(str(pattern))) if _WILD.search(name) and base.is_dir() else []
        found = [other for other in fitting if _is_meant(other, base, pattern)]
    except (OSError, ValueError):
        found = []
    if found:
        return [(other, other.absolute()) for other in found]
    what = "no file fits the pattern" if _WILD.search(name) else "there is no such file or folder"
    raise DataError(Problem(what, where=f"sources: {key}", found=name[:200], hint=_near(path)))


def _is_meant(path: Path, base: Path, pattern: Path) -> bool:
    """Whether a pattern below `base` stands for `path`: no link and no server's state on the way, no way up, nothing hidden but what it
    writes with a dot itself.
    """
    dotted = [part for part in pattern.parts if part.startswith(".")]
    here = base
    for part in path.relative_to(base).parts:
        here /= part
        if (
            part == ".."
            or here.is_symlink()
            or is_state_folder(here)
            or (part.startswith(".") and not any(fnmatchcase(part, written) for written in dotted))
        ):
            return False
    return path.is_file()


def _near(path: Path) -> str:
    try:
        others = sorted(other.name for other in path.parent.iterdir())
    except (OSError, ValueError):
        others = []
    best = nearest(path.name, others)
    return f"did you mean `{path.parent / best}`?" if best else f"paths start at the working directory, {Path.cwd()}"


def _root(starts: list[Path]) -> Path:
    """What paths are relative to: the one folder, or the innermost that holds all."""
    folders = [start if len(starts) == 1 and start.is_dir() else start.parent for start in starts]
    return Path(os.path.commonpath(folders)) if folders else Path()


def _walk(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """Every file of a folder, by name, with the reason code and detail where it is not to be read."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            yield here, "unreadable", error.strerror or "it cannot be opened"
            continue
        for entry in entries:
            path = Path(entry.path)
            if entry.name.startswith("."):
                yield path, "hidden", "its name begins with a dot"
            elif entry.is_symlink():
                yield path, "link", "links in a folder are not followed"
            elif entry.is_dir(follow_symlinks=False):
                if is_state_folder(path):
                    yield path, "state", "a server keeps its state there"
                else:
                    waiting.append(path)
            elif entry.is_file(follow_symlinks=False):
                yield path, "", ""
            else:
                yield path, "special", "neither a file nor a folder"


def content_of(path: Path, max_bytes: int) -> bytes:
    """The bytes of a file; `Unreadable` where it has more than `max_bytes`, or cannot be opened."""
    try:
        with open(path, "rb", opener=_opened) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise Unreadable("special", "neither a file nor a folder")
            content = stream.read(max_bytes + 1)
    except OSError as error:
        raise Unreadable("unreadable", error.strerror or "it cannot be opened") from error
    if len(content) > max_bytes:
        raise Unreadable("too_large", f"more than {max_bytes:,} bytes (`max_file_bytes`)")
    return content


def _opened(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NONBLOCK)  # A pipe that took the file's place would never open.


def decoded(content: bytes) -> str:
    """The text of UTF-8, or of UTF-16 with its mark, with plain line breaks; `Unreadable` for anything else."""
    encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if b"\0" in content[:8192]:
            raise Unreadable("binary", "bytes that are no text") from error
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable("invalid_utf8", f"line {line} holds the byte 0x{content[error.start]:02x}") from error
    if "\0" in text:
        raise Unreadable("binary", "text with a NUL")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def source_name(entry: SourceEntry, names: tuple[str, ...]) -> str:
    """How rows speak of a source: its `name`, else the last part of what it names first."""
    parts = [part for part in Path(names[0]).absolute().parts if not _WILD.search(part)]
    return entry.name or (parts[-1].strip("/") if parts else "") or names[0]
