"""What the data stage tells of its sources and its counts: `report.json` and `provenance.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from luthier.config.schema import DatasetEntry
from luthier.core.files import sha256_json
from luthier.core.records import JsonObject
from luthier.data import formats
from luthier.data.rows import RejectLog
from luthier.data.split import Division, side_counts


@dataclass(slots=True)
class SourceRecord:
    """One data-set entry and what came of it. `key` is its place in the run file; `hashes` are by file, or the hub's commit by id.

    `accepted` counts the rows that reached a side; what is missing to `read` stands in the rejects.
    """

    key: str
    entry: DatasetEntry
    hashes: dict[str, str]
    format: str
    commit: str | None = None
    license: str | None = None
    read: int = 0
    accepted: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def sha256(self) -> str:
        """The hash of the one file, the hash over names and hashes of several, or `commit:<sha>`."""
        values = list(self.hashes.values())
        return values[0] if len(values) == 1 else sha256_json(sorted(self.hashes.items()))

    def _head(self) -> JsonObject:
        return {
            "key": self.key,
            "path": self.entry.path,
            "type": formats.maker_of(self.entry),
            "format": self.format,
            "sha256": self.sha256,
        }

    def report(self) -> JsonObject:
        """The source in `report.json`."""
        return {**self._head(), "read": self.read, "accepted": self.accepted}

    def provenance(self) -> JsonObject:
        """The source in `provenance.json`."""
        row = {**self._head(), "files": self.hashes, "rows": self.accepted, "license": self.license}
        if self.commit is not None:
            row["commit"] = self.commit
        return {**row, "maker": formats.maker_of(self.entry), "maker_version": formats.VERSION}


def report_of(sources: list[SourceRecord], rejects: RejectLog, division: Division, duplicates: int, validation_rows: int) -> JsonObject:
    """`report.json`: `read` is `accepted` and all `rejected` together; `validation_rows` come from `test_datasets`."""
    splits = side_counts(division.sides)
    splits["validation"] += validation_rows
    row: JsonObject = {
        "sources": [source.report() for source in sources],
        "read": sum(source.read for source in sources),
        "accepted": sum(source.accepted for source in sources),
        "rejected": dict(sorted(rejects.counts.items())),
        "examples": dict(sorted(rejects.examples.items())),
        "duplicates": duplicates,
        "splits": splits,
        "groups": division.count,
    }
    if division.largest is not None:
        row["largest_group"] = {**asdict(division.largest), "share": round(division.largest.share, 6)}
    notes = [*(note for source in sources for note in source.notes), *division.notes, *division.warnings]
    return {**row, "notes": notes}
