"""The log of a job."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from luthier.serve.jobs.logs import JobLog, tail

SECRET = "ghp_" + "b7Kq9ZtR2mXw4LpV8sNc1YdF6hJg3aEu5TQo"


def sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}


def test_files_are_put_aside_at_their_size_and_the_oldest_goes(tmp_path: Path) -> None:
    log = JobLog(tmp_path, 1_000, 3)
    for number in range(400):
        log.take(f"line {number}\n")
        log.settle()
    log.close()
    assert list(sizes(tmp_path)) == ["log", "log.1", "log.2"]
    assert all(size <= 1_000 for size in sizes(tmp_path).values())
    assert tail(tmp_path, 100_000).decode().splitlines()[-1] == "line 399"
    # Over the end of a file into the one before, from the beginning of a line on.
    lines = tail(tmp_path, 1_500).decode().splitlines()
    assert lines == [f"line {number}" for number in range(400 - len(lines), 400)]
    assert len("\n".join(lines)) > 1_400
    assert tail(tmp_path, 9) == b""
    assert tail(tmp_path, 10) == b"line 399\n"


def test_a_piece_larger_than_a_file_keeps_its_end(tmp_path: Path) -> None:
    log = JobLog(tmp_path, 1_000, 2)
    log.take("a\n")
    log.settle()
    log.take("word " * 1_000 + "end\n")
    log.close()
    assert all(size <= 1_000 for size in sizes(tmp_path).values())
    assert tail(tmp_path, 2_000).endswith(b"word word end\n")


def test_no_secret_reaches_it_in_whatever_pieces_it_comes(tmp_path: Path) -> None:
    log = JobLog(tmp_path, 1 << 20, 1)
    text = f"first\nexport GITHUB_TOKEN={SECRET}\nlast\n"
    for character in text:
        log.take(character)
    log.say(f"and of our own: {SECRET}")
    log.close()
    written = tail(tmp_path, 1 << 20).decode()
    assert SECRET[4:20] not in written
    assert written.startswith("first\nexport GITHUB_TOKEN=<GITHUB_TOKEN>\nlast\n[")


def test_a_full_disk_ends_nothing_and_is_told_once_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = JobLog(tmp_path, 1 << 20, 2)
    log.say("before")
    write = os.write

    def full(descriptor: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    log.take("lost line\n")
    log.settle()
    log.say("lost too")
    monkeypatch.setattr(os, "write", write)
    log.say("after")
    log.close()
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.partition("] ")[2] or line for line in lines] == ["before", "[41 bytes of this log could not be written]", "after"]


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "none", 100) == b""
