"""What an entry reads: files, folders and hub data sets, and what is said where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from luthier.config.row_sections import DatasetEntry
from luthier.core.errors import DataError
from luthier.core.files import HashMemory, sha256_bytes
from luthier.core.state_folder import MARK
from luthier.data.reading import data_sets
from luthier.data.reading.data_sets import file_format, identify, resolve
from luthier.retrieval.hub import Advice, HubDataset, HubSnapshot


def entry(path: object, **keys: Any) -> DatasetEntry:
    return DatasetEntry.model_validate({"path": str(path), **keys})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jsonl", "a/c.json", "a/d.csv.gz", "notes.txt", ".hidden.jsonl", ".git/e.jsonl", "dataset_info.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_file_and_a_folder(folder: Path) -> None:
    assert resolve(entry(folder / "b.jsonl")) == [folder / "b.jsonl"]
    assert resolve(entry(folder)) == [folder / "a/c.json", folder / "a/d.csv.gz", folder / "b.jsonl"]
    assert resolve(entry(folder, data_files=["b.jsonl", "*.json"])) == [
        folder / "b.jsonl",
        folder / "a/c.json",
        folder / "dataset_info.json",
    ]
    assert resolve(entry(folder / "b.jsonl", split="train")) == [folder / "b.jsonl"]


def test_the_state_of_a_server_is_no_data(folder: Path) -> None:
    (folder / "serve" / "logs").mkdir(parents=True)
    for name in ("rows.jsonl", "logs/server.jsonl"):
        (folder / "serve" / name).write_text("{}")
    assert len(resolve(entry(folder, data_files=["*.jsonl"]))) == 3
    (folder / "serve" / MARK).touch()
    assert resolve(entry(folder, data_files=["*.jsonl"])) == [folder / "b.jsonl"]
    assert resolve(entry(folder)) == [folder / "a/c.json", folder / "a/d.csv.gz", folder / "b.jsonl"]


def test_hashes_are_by_file(folder: Path) -> None:
    hashes = HashMemory(folder / ".hashes.json")
    assert identify(entry(folder / "b.jsonl"), hashes) == {(folder / "b.jsonl").as_posix(): sha256_bytes(b"b.jsonl")}
    assert len(identify(entry(folder), hashes)) == 3


@pytest.mark.parametrize(
    ("name", "keys", "expected"),
    [
        ("a.jsonl", {}, "json"),
        ("a.JSON", {}, "json"),
        ("a.csv.gz", {}, "csv"),
        ("a.parquet", {}, "parquet"),
        ("a.txt", {}, "json"),
        ("a.dat", {"ds_type": "csv"}, "csv"),
    ],
)
def test_file_formats(name: str, keys: dict[str, Any], expected: str) -> None:
    assert file_format(Path(name), entry(name, **keys)) == expected


ERRORS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "near name": ("b.json", {}, "datasets[2].path", "did you mean `{folder}/b.jsonl`?"),
    "no folder": ("none/b.jsonl", {}, "datasets[2].path", "paths start at the working directory"),
    "no such file in the folder": ("", {"data_files": "b.json"}, "datasets[2].data_files", "did you mean `b.jsonl`?"),
    "empty folder": (".git/empty", {}, "datasets[2].path", "its files must end in .jsonl"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_key_and_what_to_do(folder: Path, name: str) -> None:
    path, keys, where, hint = ERRORS[name]
    (folder / ".git/empty").mkdir()
    with pytest.raises(DataError) as raised:
        resolve(entry(folder / path, **keys), where="datasets[2].path")
    problem = raised.value.problems[0]
    assert problem.where == where
    assert hint.format(folder=folder) in problem.hint


def test_folders_of_save_to_disk_are_named(tmp_path: Path) -> None:
    (tmp_path / "data.arrow").write_text("x")
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(DataError, match="save_to_disk"):
        resolve(entry(tmp_path))


def test_hub_ids() -> None:
    assert resolve(entry("owner/name")) == HubDataset("owner/name", None, "train", None, None)
    assert resolve(entry("owner/name"), "test_datasets[0].path") == HubDataset("owner/name", None, "test", None, None)
    found = resolve(entry("owner/name", name="en", split="test", revision="v1", data_files="a.json"))
    assert found == HubDataset("owner/name", "en", "test", "v1", ("a.json",))


def test_a_hub_data_set_is_known_by_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def stand_in(dataset: HubDataset, where: str, advice: Advice) -> HubSnapshot:
        asked.append((dataset.id, where))
        assert "paths start at" in advice.unreadable
        return HubSnapshot("c0ffee", None)

    monkeypatch.setattr(data_sets, "snapshot", stand_in)
    assert identify(entry("owner/name"), HashMemory(tmp_path / "h"), "datasets[2].path") == {"owner/name": "commit:c0ffee"}
    assert asked == [("owner/name", "datasets[2].path")]


def test_asking_for_data_sets_loads_nothing_heavy() -> None:
    code = "import sys, json, luthier.data.reading.data_sets; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout))
    assert not loaded & {"pyarrow", "datasets", "huggingface_hub", "jinja2", "numpy", "torch"}
