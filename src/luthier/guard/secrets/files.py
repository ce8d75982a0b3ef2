"""Secrets in files and folders: what `luthier guard secrets` prints, and redaction in place."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from luthier.core.errors import Problem, UserError
from luthier.core.files import write_bytes
from luthier.core.records import JsonObject
from luthier.guard.secrets.findings import FAILED_KINDS, UNDECODABLE, UNREADABLE, Finding, merge
from luthier.guard.secrets.scan import mark, scan
from luthier.guard.secrets.strength import Strength

SKIPPED_FOLDERS = frozenset((".git",))
# A file with a zero byte this early is a binary file, as git has it.
HEAD_BYTES = 8_000
# Larger files are read in blocks that end with a line and share this much, so that a secret stands whole in one of them.
BLOCK_BYTES = 1 << 20
OVERLAP_BYTES = 1 << 16
_BATCH_FILES = 200
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

OnSkip = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class FileFindings:
    """The findings of one file, in bytes of the file; `scanner-error`, `undecodable` and `unreadable` as for texts."""

    path: Path
    findings: tuple[Finding, ...]

    def rows(self) -> Iterator[JsonObject]:
        """One row a finding: path, start, end and kind."""
        for finding in self.findings:
            yield {"path": str(self.path), "start": finding.start, "end": finding.end, "kind": finding.kind}


def scan_files(paths: Sequence[str | Path], strength: Strength | None = None, on_skip: OnSkip | None = None) -> Iterator[FileFindings]:
    """The files among `paths`, and in all folders below them, that have findings; a finding never holds the secret.

    Without `strength` it is the default of this installation, as in `scan.scan`.
    `on_skip(path, reason)` hears of each file that is not scanned: binary files (a zero byte in the first 8,000, no UTF-16 mark), symbolic
    links below a folder, and what is no file. Text that is no UTF-8 is a finding, as is a file or folder that cannot be read. Folders named
    `.git` are passed by. `UserError` where a path is not there.
    """
    missing = [str(path) for path in paths if not os.path.lexists(path)]
    if missing:
        raise UserError([Problem("there is no such file or folder", where=path) for path in missing])
    waiting: list[tuple[Path, str]] = []
    for path, reason in _walk([Path(path) for path in paths]):
        if reason == UNREADABLE:
            yield FileFindings(path, (Finding(0, 0, 1, UNREADABLE),))
            continue
        if reason:
            (on_skip or _ignore)(str(path), reason)
            continue
        try:
            with path.open("rb") as stream:
                text = _read(stream)
                if text is None:
                    (on_skip or _ignore)(str(path), "binary")
                elif isinstance(text, str):
                    waiting.append((path, text))
                else:
                    yield FileFindings(path, _scan_blocks(stream, strength))
        except OSError:
            yield FileFindings(path, (Finding(0, 0, 1, UNREADABLE),))
        if len(waiting) >= _BATCH_FILES:
            yield from _scan_waiting(waiting, strength)
            waiting = []
    yield from _scan_waiting(waiting, strength)


def _ignore(path: str, reason: str) -> None:
    """Where nobody asked."""


def _walk(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Each file once with an empty word, and what is passed by with the reason."""
    seen: set[Path] = set()
    for given in paths:
        for path, reason in _below(given):
            if path not in seen:
                seen.add(path)
                yield path, reason


def _below(given: Path) -> Iterator[tuple[Path, str]]:
    waiting = [given]
    while waiting:
        path = waiting.pop()
        try:
            reason, inner = _looked_at(path, is_given=path is given)
        except OSError:
            reason, inner = UNREADABLE, []
        if reason is not None:
            yield path, reason
        waiting += reversed(inner)


def _looked_at(path: Path, *, is_given: bool) -> tuple[str | None, list[Path]]:
    """Why a path is passed by, empty for a file that is not; of a folder None, and what is in it."""
    if path.is_symlink() and not is_given:
        return "symbolic link", []
    if path.is_dir():
        return None, sorted(path.iterdir()) if is_given or path.name not in SKIPPED_FOLDERS else []
    if path.is_file():
        return "", []
    return "no regular file" if path.exists() else UNREADABLE, []


def _read(stream: BinaryIO) -> str | bool | None:
    """The text of a small file, False for a large one, None for a binary one. Bytes that are no UTF-8 become lone surrogates."""
    data = stream.read(BLOCK_BYTES + 1)
    if b"\0" in data[:HEAD_BYTES] and not data.startswith(_UTF16_MARKS):
        return None
    return False if len(data) > BLOCK_BYTES else data.decode("utf-8", "surrogateescape")


def _scan_waiting(waiting: Sequence[tuple[Path, str]], strength: Strength | None) -> Iterator[FileFindings]:
    if not waiting:
        return
    for (path, text), findings in zip(waiting, scan([text for _, text in waiting], strength), strict=True):
        if findings and findings[0].kind == UNDECODABLE:
            size = len(text.encode("utf-8", "surrogateescape"))
            yield FileFindings(path, (Finding(0, size, 1, UNDECODABLE),))
        elif findings:
            yield FileFindings(path, findings)


def _scan_blocks(stream: BinaryIO, strength: Strength | None) -> tuple[Finding, ...]:
    """The findings of a large file; one over all of it where it is no UTF-8."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    found: list[Finding] = []
    lines_before = 0
    for offset, block, new_lines in _blocks(stream):
        try:
            text = block.decode("utf-8")
        except UnicodeDecodeError:
            return (Finding(0, size, 1, UNDECODABLE),)
        for item in scan([text], strength)[0]:
            found.append(Finding(item.start + offset, item.end + offset, item.line + lines_before, item.kind))
        lines_before += new_lines
    return merge(found)


def _blocks(stream: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """Blocks with their offset, and the number of line breaks between the start of each and the start of the next."""
    carried, offset = b"", 0
    while chunk := stream.read(BLOCK_BYTES):
        data = carried + chunk
        end = len(data) if len(chunk) < BLOCK_BYTES else _cut(data, len(data))
        start = _cut(data, max(0, end - OVERLAP_BYTES))
        yield offset, data[:end], data.count(b"\n", 0, start)
        carried, offset = data[start:], offset + start


def _cut(data: bytes, position: int) -> int:
    """The last start of a line at most `OVERLAP_BYTES` before `position`, or the last start of a character."""
    line = data.rfind(b"\n", max(0, position - OVERLAP_BYTES), position)
    if line >= 0:
        return line + 1
    # What follows the end is not known yet: the last character may be open.
    position -= position == len(data)
    while position > 0 and 0x80 <= data[position] < 0xC0:
        position -= 1
    return position


def redact_file(found: FileFindings, strength: Strength | None = None) -> tuple[Finding, ...]:
    """Writes a mark in place of each secret of a file, and returns what a second scan of it still finds; none where it is clean now.

    A file that could not be judged is left as it is and its findings returned.
    """
    if any(finding.kind in FAILED_KINDS for finding in found.findings):
        return found.findings
    path = found.path.resolve()
    data, parts, position = path.read_bytes(), [], 0
    for finding in found.findings:
        parts += [data[position : finding.start], mark(finding.kind).encode()]
        position = finding.end
    write_bytes(path, b"".join([*parts, data[position:]]), mode=stat.S_IMODE(path.stat().st_mode))
    return next((left.findings for left in scan_files([path], strength)), ())
