"""The run folder: manifest, keys, siblings, the lock."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from luthier.core.errors import BusyError, IntegrityError
from luthier.core.files import write_text
from luthier.core.manifest import Manifest, StageRecord
from luthier.core.runs import RunFolder, find_runs, stage_key


def finished(path: Path, key: str, content: str = "rows") -> RunFolder:
    folder = RunFolder(path)
    write_text(folder.split("train"), content)
    folder.save_manifest(Manifest(path.name).with_stage("data", StageRecord(key, folder.output_hashes(["data"]), 1.5)))
    return folder


def test_complete_means_same_key_and_same_bytes(tmp_path: Path) -> None:
    folder = finished(tmp_path / "a", "key")
    assert folder.is_complete("data", "key")
    assert not folder.is_complete("data", "other")
    assert not folder.is_complete("train", "key")
    write_text(folder.split("train"), "changed")
    assert not folder.is_complete("data", "key")


def test_a_sibling_with_the_same_key_is_taken(tmp_path: Path) -> None:
    finished(tmp_path / "a", "key")
    other = RunFolder(tmp_path / "b")
    other.path.mkdir()
    assert other.take_from_sibling("data", "other") is None
    assert other.take_from_sibling("data", "key") == tmp_path / "a"
    assert other.is_complete("data", "key")
    assert other.manifest().stages["data"].taken_from == "a"
    write_text(other.split("train"), "changed")
    assert (tmp_path / "a" / "data" / "train.jsonl").read_text() == "rows"


def test_a_sibling_whose_work_was_shared_by_another_number_of_processes_is_not_taken(tmp_path: Path) -> None:
    folder = finished(tmp_path / "a", "key")
    record = folder.manifest().stages["data"]
    folder.save_manifest(folder.manifest().with_stage("data", replace(record, processes=2)))
    other = RunFolder(tmp_path / "b")
    other.path.mkdir()
    assert other.take_from_sibling("data", "key") is None
    assert other.take_from_sibling("data", "key", processes=2) == tmp_path / "a"
    assert other.manifest().stages["data"].processes == 2


def test_a_sibling_with_changed_bytes_is_not_taken(tmp_path: Path) -> None:
    write_text(finished(tmp_path / "a", "key").split("train"), "changed")
    other = RunFolder(tmp_path / "b")
    other.path.mkdir()
    assert other.take_from_sibling("data", "key") is None


@pytest.mark.parametrize(
    "change",
    [{"name": "train"}, {"version": 2}, {"fields": {"a": 2}}, {"inputs": {"f": "y"}}, {"packages": ("pydantic", "click")}],
    ids=lambda change: next(iter(change)),
)
def test_everything_that_matters_is_in_the_key(change: dict[str, object]) -> None:
    parts: dict[str, object] = {"name": "data", "version": 1, "fields": {"a": 1}, "inputs": {"f": "x"}, "packages": ("pydantic",)}
    assert stage_key(**parts) == stage_key(**parts)  # type: ignore[arg-type]
    assert stage_key(**{**parts, **change}) != stage_key(**parts)  # type: ignore[arg-type]


def test_two_processes_never_share_a_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a")
    script = f"from pathlib import Path; from luthier.core.runs import RunFolder\nwith RunFolder(Path({str(folder.path)!r})).lock(): pass"
    with folder.lock():
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert "BusyError" in done.stderr
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_lock_is_free_after_an_error(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a")
    with pytest.raises(BusyError), folder.lock(), RunFolder(tmp_path / "a").lock():
        pass
    with folder.lock():
        pass


def test_a_manifest_of_another_format_is_refused(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "manifest.json", '{"format": 99}')
    with pytest.raises(IntegrityError, match="another version"):
        RunFolder(tmp_path / "a").manifest()


def test_runs_are_found_by_their_resolved_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "resolved.yaml", "x: 1\n")
    write_text(tmp_path / "b" / "other", "")
    assert [run.path.name for run in find_runs(tmp_path)] == ["a"]
    assert find_runs(tmp_path / "absent") == []


def test_what_stands_apart_is_neither_hashed_nor_linked_nor_removed(tmp_path: Path) -> None:
    first, second = RunFolder(tmp_path / "a"), RunFolder(tmp_path / "b")
    for folder in (first, second):
        write_text(folder.evaluate / "gate.json", folder.path.name)
    write_text(first.evaluate / "s" / "scores.json", "{}")
    write_text(second.evaluate / "old" / "scores.json", "{}")
    record = StageRecord("key", first.output_hashes(("evaluate",)), 1.0)
    first.save_manifest(first.manifest().with_stage("evaluate", record))
    write_text(first.evaluate / "gate.json", "changed")
    assert first.is_complete("evaluate", "key")
    assert second.take_from_sibling("evaluate", "key") == first.path
    assert second.is_complete("evaluate", "key")
    found = {str(path.relative_to(second.evaluate)): path.read_text() for path in second.evaluate.rglob("*") if path.is_file()}
    assert found == {"gate.json": "b", "s/scores.json": "{}"}
    write_text(first.evaluate / "s" / "scores.json", "[]")
    assert not first.is_complete("evaluate", "key")


def test_who_only_looks_sees_whether_the_folder_is_held_and_holds_up_nobody(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a")
    assert not folder.is_held
    with folder.lock():
        assert RunFolder(tmp_path / "a").is_held
    assert not folder.is_held
    # One that looks at just the wrong moment has the lock for an instant.
    with (tmp_path / "a" / ".lock").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.02, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        with folder.lock():
            assert folder.is_held
