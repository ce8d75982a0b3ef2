"""One entry of the run file that brings rows: what it is, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from luthier.config.row_sections import DatasetEntry, SourceEntry
from luthier.core.files import sha256_json
from luthier.core.records import JsonObject
from luthier.data.reading import formats


@dataclass(slots=True)
class SourceRecord:
    """One entry of `datasets` or `sources` and what came of it. `key` is its place in the run file; `hashes` are by file or id.

    `accepted` counts the rows that reached a side; what is missing to `read` stands in the rejects. `made` is what was read of an entry of
    `sources` and made of it.
    """

    key: str
    entry: DatasetEntry | SourceEntry
    hashes: dict[str, str]
    format: str
    commit: str | None = None
    license: str | None = None
    made: JsonObject | None = None
    read: int = 0
    usable: int = 0
    accepted: int = 0
    bare: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def sha256(self) -> str:
        """The hash of the one file, the hash over names and hashes of several, or `commit:<sha>`."""
        values = list(self.hashes.values())
        return values[0] if len(values) == 1 else sha256_json(sorted(self.hashes.items()))

    @property
    def path(self) -> str:
        """What the entry names."""
        if isinstance(self.entry, DatasetEntry):
            return self.entry.path
        named = self.entry.repo or self.entry.docs or self.entry.tools or self.entry.schemas or ()
        return named if isinstance(named, str) else ", ".join(named)

    @property
    def type(self) -> str:
        """The entry's format, or what kind of source it is."""
        return formats.maker_of(self.entry) if isinstance(self.entry, DatasetEntry) else self.format

    def _head(self) -> JsonObject:
        return {"key": self.key, "path": self.path, "type": self.type, "format": self.format, "sha256": self.sha256}

    def report(self) -> JsonObject:
        """The source in `report.json`."""
        row = {**self._head(), "read": self.read, "accepted": self.accepted}
        return row if self.made is None else {**row, "made": self.made}

    def provenance(self) -> JsonObject:
        """The source in `provenance.json`."""
        row = {**self._head(), "files": self.hashes, "rows": self.accepted, "license": self.license}
        if self.commit is not None:
            row["commit"] = self.commit
        if self.made is not None:
            kept = ("makers", "licenses", "languages", "excluded", "unfit", "over_budget", "teacher")
            return {**row, **{name: self.made[name] for name in kept if name in self.made}}
        return {**row, "maker": self.type, "maker_version": formats.VERSION}
