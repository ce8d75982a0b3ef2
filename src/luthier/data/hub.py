"""Reading hub data sets through `datasets`, at the commit that was identified."""

from __future__ import annotations

from collections.abc import Iterator

from luthier.core.errors import DataError, Problem
from luthier.core.optional import load
from luthier.data.readers import Row, without_nulls
from luthier.data.sources import HubDataset, unreachable


def read_hub(dataset: HubDataset, commit: str, where: str) -> Iterator[Row]:
    """The rows of a hub data set as `(row number from 1, row)`; `DataError` where it cannot be read."""
    datasets = load("datasets", extra="data", reason="it reads data sets from the hub")
    files = list(dataset.data_files) if dataset.data_files else None
    try:
        rows = datasets.load_dataset(dataset.id, name=dataset.name, split=dataset.split, revision=commit, data_files=files)
    except ValueError as error:  # An unknown configuration or split; the message lists the known ones.
        what = f"the hub data set `{dataset.id}` has no such part"
        raise DataError(Problem(what, where=where, found=" ".join(str(error).split())[:300], hint="mend `name` or `split`")) from error
    except OSError as error:
        raise unreachable(dataset, where, error) from error
    for number, row in enumerate(rows, 1):
        yield number, {name: without_nulls(value) for name, value in row.items()}
