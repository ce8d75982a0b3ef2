"""The writer: whole or not at all; the hash memory: never a wrong answer."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from luthier.core import files
from luthier.core.errors import IntegrityError
from luthier.core.events import EventLog
from luthier.evaluate.asking.answers import Journal, RawAnswer
from luthier.evaluate.review.draw import Judgement, Notebook


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_text(path, "old")

    def fail(stream: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        files.write_with(path, fail)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o755, 0o666])
def test_a_file_with_rights_of_its_own_never_has_more(tmp_path: Path, mode: int) -> None:
    path, seen = tmp_path / "a", []
    left = tmp_path / f".a.{os.getpid()}.tmp"
    left.write_text("left by a kill")
    left.chmod(0o666)

    def write(stream: IO[bytes]) -> None:
        stream.write(b"new")
        stream.flush()
        seen.append(left.stat().st_mode & 0o777)

    before = os.umask(0o022)
    try:
        files.write_with(path, write, mode)
        files.write_bytes(tmp_path / "b", b"")
    finally:
        os.umask(before)
    assert seen == [mode & 0o600]
    assert (path.stat().st_mode & 0o777, (tmp_path / "b").stat().st_mode & 0o777) == (mode, 0o644)


def test_a_full_disk_is_told_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        files.write_text(tmp_path / "a.json", "text")
    assert caught.value.filename == str(tmp_path / "a.json")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_what_is_appended_is_told_with_its_file_too(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    (tmp_path / "anna.jsonl").symlink_to("/dev/full")
    (tmp_path / "answers").symlink_to("/dev/full")
    writers = {
        "events.jsonl": lambda path: EventLog(path).note("text"),
        "anna.jsonl": lambda path: Notebook(path.parent, "anna").append([Judgement("r1", "right")]),
        "answers": lambda path: Journal(path).write([RawAnswer("text", "stop", 1, 1)]),
    }
    for name, write in writers.items():
        with pytest.raises(OSError, match="No space") as caught:
            write(tmp_path / name)
        assert caught.value.filename == str(tmp_path / name)


def test_a_system_that_takes_a_part_is_handed_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: written(descriptor, content[:3]))
    Notebook(tmp_path, "anna").append([Judgement("r1", "right", "a comment")])
    monkeypatch.undo()
    assert Notebook(tmp_path, "anna").read() == {"r1": Judgement("r1", "right", "a comment")}


def test_equal_values_give_equal_bytes(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a", {"b": 1, "a": [1.5, "ü"]})
    files.write_json(tmp_path / "b", json.loads((tmp_path / "a").read_text()))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "a", float("nan"))


def test_jsonl_names_the_broken_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(IntegrityError, match=r"a\.jsonl:2"):
        list(files.read_jsonl(path))


def test_hash_memory_sees_a_change_of_the_same_size(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    memory = files.HashMemory(tmp_path / "memory.json")
    first = memory.sha256(path)
    memory.save()
    path.write_text("two")
    os.utime(path, ns=(1, 2))
    assert files.HashMemory(tmp_path / "memory.json").sha256(path) != first


def test_hash_memory_survives_rubbish(tmp_path: Path) -> None:
    (tmp_path / "memory.json").write_bytes(b"\xff{")
    (tmp_path / "a").write_text("x")
    assert files.HashMemory(tmp_path / "memory.json").sha256(tmp_path / "a") == files.sha256_bytes(b"x")


def test_tree_hash_covers_names_and_bytes(tmp_path: Path) -> None:
    memory = files.HashMemory(tmp_path / "memory.json")
    seen = set()
    for name, content in (("a", "1"), ("b", "1"), ("a", "2")):
        tree = tmp_path / f"tree{len(seen)}"
        (tree / "inner").mkdir(parents=True)
        (tree / "inner" / name).write_text(content)
        seen.add(memory.sha256_tree(tree))
    assert len(seen) == 3


def test_link_or_copy_keeps_bytes(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_text("x")
    files.link_or_copy(tmp_path / "a", tmp_path / "d")
    assert (tmp_path / "d" / "b" / "c").read_text() == "x"


def test_a_spool_has_no_name_and_gives_back_what_it_took(tmp_path: Path) -> None:
    with files.Spool(tmp_path) as spool:
        spool.writelines([b"one\n", b"two\n"])
        assert list(tmp_path.iterdir()) == []
        spool.seek(0)
        assert list(spool) == [b"one\n", b"two\n"]
    assert spool.closed


def test_threads_that_write_one_file_never_meet(tmp_path: Path) -> None:
    path, start = tmp_path / "a", threading.Barrier(16)

    def write(number: int) -> set[bytes]:
        content, read = bytes([65 + number]) * 50_000, set()
        start.wait()
        for _ in range(10):
            # In two portions, between which others have their turn.
            files.write_with(path, lambda stream: [stream.write(half) or stream.flush() for half in (content[:9], content[9:])])
            read.add(path.read_bytes())
        return read

    with ThreadPoolExecutor(16) as threads:
        read = set().union(*threads.map(write, range(16)))
    assert read <= {bytes([65 + number]) * 50_000 for number in range(16)}
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_what_a_thread_is_writing_is_no_leftover(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def write(stream: IO[bytes]) -> None:
        files.remove_leftovers(tmp_path)
        seen.append([file.name for file in tmp_path.iterdir()])

    thread = threading.Thread(target=lambda: files.write_with(tmp_path / "a", write))
    thread.start()
    thread.join()
    assert seen == [[f".a.{thread.native_id}.tmp"]]
    (tmp_path / f".a.{thread.native_id}.tmp").touch()
    # The system knows a thread a little longer than `join` waits.
    while Path("/proc", str(thread.native_id)).exists():
        time.sleep(0.001)
    files.remove_leftovers(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_leftovers_of_processes_that_are_gone_are_removed(tmp_path: Path) -> None:
    ours, gone, other = f".a.json.{os.getpid()}.tmp", ".a.json.999999999.tmp", ".a.tmp"
    for name in (ours, gone, other, "a.json"):
        (tmp_path / name).touch()
    files.remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {ours, other, "a.json"}
