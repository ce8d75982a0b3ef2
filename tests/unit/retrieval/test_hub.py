"""Data sets on the hub: commit, license and rows, and what is said where they cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from luthier.core.errors import DataError
from luthier.core.records import JsonObject
from luthier.retrieval import hub
from luthier.retrieval.hub import Advice, HubDataset, HubSnapshot, read_hub, snapshot

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ADVICE = Advice("check the network", "mend `split`")
DATASET = HubDataset("owner/name", "en", "train", None, None)


class Broken(Exception):
    """Stands for the error of `datasets` that is no error of the system: a file that breaks off on its way."""


def rows_of(where: str) -> list[tuple[int, JsonObject]]:
    return list(read_hub(DATASET, COMMIT, where, ADVICE))


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
            "huggingface_hub": SimpleNamespace(
                snapshot_download=answer(str(snapshot_folder)), DatasetCard=real.DatasetCard, errors=real.errors
            ),
            "datasets": SimpleNamespace(load_dataset=answer(rows), exceptions=SimpleNamespace(DatasetsError=Broken)),
        }
        monkeypatch.setattr(hub, "load", lambda package, extra, reason="": modules[package])
        return calls

    return install


def test_the_commit_and_the_license_come_from_the_hub(fake_hub: Any) -> None:
    calls = fake_hub(card="---\nlicense: mit\n---\n# Rows\n")
    assert snapshot(DATASET, "path", ADVICE) == HubSnapshot(COMMIT, "mit")
    assert calls[0]["repo_type"] == "dataset"


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
    assert snapshot(DATASET, "path", ADVICE).license == expected


def test_offline_both_possibilities_are_named(fake_hub: Any) -> None:
    fake_hub(error=ConnectionError("no route"))
    for ask in (lambda: snapshot(DATASET, "datasets[1].path", ADVICE), lambda: rows_of("datasets[1].path")):
        with pytest.raises(DataError) as raised:
            ask()
        problem = raised.value.problems[0]
        assert problem.where == "datasets[1].path"
        assert "no local file or folder, and as a hub data set it cannot be read" in problem.what
        assert (problem.found, problem.hint) == ("no route", "check the network")


def test_hub_rows_are_counted_from_one_without_nulls_inside(fake_hub: Any) -> None:
    calls = fake_hub(rows=[{"messages": [{"role": "user", "name": None}], "x": None}, {"messages": []}])
    found = rows_of("path")
    assert found == [(1, {"messages": [{"role": "user"}], "x": None}), (2, {"messages": []})]
    assert calls == [{"id": "owner/name", "name": "en", "split": "train", "revision": COMMIT, "data_files": None}]


def test_an_unknown_split_of_a_hub_data_set_is_named(fake_hub: Any) -> None:
    fake_hub(error=ValueError("Unknown split train. Should be one of ['a']"))
    with pytest.raises(DataError, match=r"Should be one of \['a'\]\n  mend `split`"):
        rows_of("datasets[0].path")


def test_a_file_that_breaks_off_on_its_way_is_told_as_the_hub_that_cannot_be_reached(fake_hub: Any) -> None:
    fake_hub(error=Broken("An error occurred while generating the dataset"))
    with pytest.raises(DataError, match="generating the dataset\\n  check the network"):
        rows_of("datasets[0].path")
