"""The writer: whole or not at all; the hash memory: never a wrong answer."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from luthier.core import files
from luthier.core.errors import IntegrityError


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_text(path, "old")

    def fail(stream: object) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        files.write_with(path, fail)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


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
