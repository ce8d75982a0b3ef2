"""What an entry reads: files, folders and hub data sets, and what is said where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from luthier.config.schema import DatasetEntry
from luthier.core.errors import DataError
from luthier.core.files import HashMemory, sha256_bytes
from luthier.data import hub, sources
from luthier.data.sources import HubDataset, file_format, identify, resolve, snapshot

COMMIT = "0123456789abcdef0123456789abcdef01234567"


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


DATASET = HubDataset("owner/name", "en", "train", None, None)


@pytest.fixture
def fake_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Stands in for the hub's two client packages, for tests never ask the network."""
    calls: list[dict[str, Any]] = []

    def install(card: str | None = None, rows: Any = (), error: Exception | None = None) -> list[dict[str, Any]]:
        def answer(result: Any) -> Callable[..., Any]:
            def call(hub_id: str, **keys: Any) -> Any:
                calls.append({"id": hub_id, **keys})
                if error is not None:
                    raise error
                return result

            return call

        snapshot_folder = tmp_path / COMMIT
        snapshot_folder.mkdir()
        if card is not None:
            (snapshot_folder / "README.md").write_text(card)
        real = pytest.importorskip("huggingface_hub")
        modules = {
            "huggingface_hub": SimpleNamespace(snapshot_download=answer(str(snapshot_folder)), DatasetCard=real.DatasetCard),
            "datasets": SimpleNamespace(load_dataset=answer(rows)),
        }
        for module in (sources, hub):
            monkeypatch.setattr(module, "load", lambda package, extra, reason="": modules[package])
        return calls

    return install


def test_the_commit_and_the_license_come_from_the_hub(fake_hub: Any, tmp_path: Path) -> None:
    calls = fake_hub(card="---\nlicense: mit\n---\n# Rows\n")
    assert snapshot(DATASET) == sources.HubSnapshot(COMMIT, "mit")
    assert calls[0]["repo_type"] == "dataset"
    assert identify(entry("owner/name"), HashMemory(tmp_path / "h")) == {"owner/name": f"commit:{COMMIT}"}


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        (None, None),
        ("# Rows\n", None),
        ("---\nlicense: [mit, cc-by-4.0]\n---\n", "mit, cc-by-4.0"),
    ],
)
def test_a_card_may_name_no_license_or_several(fake_hub: Any, card: str | None, expected: str | None) -> None:
    fake_hub(card=card)
    assert snapshot(DATASET).license == expected


def test_offline_both_possibilities_are_named(fake_hub: Any) -> None:
    fake_hub(error=ConnectionError("no route"))
    for ask in (lambda: snapshot(DATASET, "datasets[1].path"), lambda: list(hub.read_hub(DATASET, COMMIT, "datasets[1].path"))):
        with pytest.raises(DataError) as raised:
            ask()
        problem = raised.value.problems[0]
        assert problem.where == "datasets[1].path"
        assert "no local file or folder, and as a hub data set it cannot be read" in problem.what
        assert problem.found == "no route"


def test_hub_rows_are_counted_from_one_without_nulls_inside(fake_hub: Any) -> None:
    calls = fake_hub(rows=[{"messages": [{"role": "user", "name": None}], "x": None}, {"messages": []}])
    found = list(hub.read_hub(DATASET, COMMIT, "path"))
    assert found == [(1, {"messages": [{"role": "user"}], "x": None}), (2, {"messages": []})]
    assert calls == [{"id": "owner/name", "name": "en", "split": "train", "revision": COMMIT, "data_files": None}]


def test_an_unknown_split_of_a_hub_data_set_is_named(fake_hub: Any) -> None:
    fake_hub(error=ValueError("Unknown split train. Should be one of ['a']"))
    with pytest.raises(DataError, match=r"Should be one of \['a'\]"):
        list(hub.read_hub(DATASET, COMMIT, "datasets[0].path"))


def test_asking_for_sources_loads_nothing_heavy() -> None:
    code = "import sys, json, luthier.data.sources; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout))
    assert not loaded & {"pyarrow", "datasets", "huggingface_hub", "jinja2", "numpy", "torch"}
