"""Data sets on the hub: the commit that a name stands for, and the rows at that commit.

What a run trains on and what a suite asks both come through here, so that one id, part and commit are the same rows for both. The network
is used only for what a user named, and only when it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from luthier.core.errors import DataError, Problem
from luthier.core.optional import load
from luthier.core.records import JsonObject, without_nulls

_MAX_REASON = 300


@dataclass(frozen=True, slots=True)
class HubDataset:
    """A data set on the hub: its id, and which part of it is read. `revision` is a commit, branch or tag."""

    id: str
    name: str | None
    split: str
    revision: str | None
    data_files: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class HubSnapshot:
    """What the hub says of a data set: the commit that will be read, and the license on its card, if any."""

    commit: str
    license: str | None


@dataclass(frozen=True, slots=True)
class Advice:
    """What a user can do where the data set cannot be read, and where it has no part of this name: the keys differ with who names it."""

    unreadable: str
    no_part: str


def snapshot(dataset: HubDataset, where: str, advice: Advice) -> HubSnapshot:
    """The commit that `dataset` stands at and its license; from the local cache where the hub cannot be reached.

    Only the card is fetched. `DataError` at `where` names both readings of the id where neither a file nor the hub answers.
    """
    hub = load("huggingface_hub", extra="data", reason="it reads data sets from the hub")
    try:
        folder = hub.snapshot_download(dataset.id, repo_type="dataset", revision=dataset.revision, allow_patterns=["README.md"])
    except (OSError, ValueError, hub.errors.HTTPError) as error:
        raise _unreadable(dataset, where, advice, error) from error
    card = Path(folder) / "README.md"
    return HubSnapshot(Path(folder).name, _license_of(hub, card) if card.is_file() else None)


def read_hub(dataset: HubDataset, commit: str, where: str, advice: Advice) -> Iterator[tuple[int, JsonObject]]:
    """The rows of `dataset` at `commit` as `(row number from 1, row)`; `DataError` at `where` where they cannot be read."""
    datasets = load("datasets", extra="data", reason="it reads data sets from the hub")
    files = list(dataset.data_files) if dataset.data_files else None
    try:
        rows = datasets.load_dataset(dataset.id, name=dataset.name, split=dataset.split, revision=commit, data_files=files)
    except (OSError, datasets.exceptions.DatasetsError) as error:
        raise _unreadable(dataset, where, advice, error) from error
    except ValueError as error:  # An unknown configuration or split; the message lists the known ones.
        what = f"the hub data set `{dataset.id}` has no such part"
        raise DataError(Problem(what, where=where, found=_reason(error), hint=advice.no_part)) from error
    for number, row in enumerate(rows, 1):
        yield number, {name: without_nulls(value) for name, value in row.items()}


def _license_of(hub: ModuleType, card: Path) -> str | None:
    try:
        found = hub.DatasetCard.load(card).data.license
    except ValueError:  # The card's head is no YAML: the license is then not known.
        return None
    return ", ".join(str(part) for part in found) if isinstance(found, list) else found and str(found)


def _unreadable(dataset: HubDataset, where: str, advice: Advice, error: Exception) -> DataError:
    what = f"`{dataset.id}` is no local file or folder, and as a hub data set it cannot be read"
    return DataError(Problem(what, where=where, found=_reason(error), hint=advice.unreadable))


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:_MAX_REASON] or type(error).__name__
