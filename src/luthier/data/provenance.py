"""What the data stage tells of its sources, its steps and its counts: `report.json` and `provenance.json`."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from luthier.config.row_sections import DatasetEntry, SourceEntry
from luthier.core.files import sha256_file, sha256_json
from luthier.core.records import JsonObject
from luthier.core.runs import package_versions
from luthier.core.stages import STAGES
from luthier.data.reading import formats
from luthier.data.rows.rejects import DUPLICATE, NEAR_DUPLICATE, RejectLog
from luthier.data.split.sides import Division

TOOLS = ("luthier", *STAGES["data"].packages)


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


@dataclass(slots=True)
class Steps:
    """How many rows each step took in and gave on, in order."""

    rows: list[JsonObject] = field(default_factory=list)

    def add(self, step: str, taken_in: int, given_on: int) -> None:
        """Adds a step."""
        self.rows.append({"step": step, "in": taken_in, "out": given_on})


def report_of(
    sources: Sequence[SourceRecord],
    rejects: RejectLog,
    division: Division,
    steps: Steps,
    changes: Counter[str],
    counts: Counter[str],
    more: Mapping[str, object],
) -> JsonObject:
    """`report.json`: `read` is `accepted` and all `rejected` together; `more` are further fields, which come last."""
    read = sum(source.read for source in sources)
    row: JsonObject = {
        "sources": [source.report() for source in sources],
        "read": read,
        "accepted": sum(source.accepted for source in sources),
        "rejected": dict(sorted(rejects.counts.items())),
        "rules": rejects.rules(read),
        "examples": dict(sorted(rejects.examples.items())),
        "steps": steps.rows,
        "changes": dict(sorted(changes.items())),
        "duplicates": rejects.counts[DUPLICATE],
        "near_duplicates": rejects.counts[NEAR_DUPLICATE],
        "groups": division.count,
        **more,
    }
    if counts:
        row["shell"] = {name.partition(":")[2]: number for name, number in sorted(counts.items())}
    if division.largest is not None:
        row["largest_group"] = {**asdict(division.largest), "share": round(division.largest.share, 6), "ties": division.largest_ties}
    return row


def provenance_of(
    sources: Sequence[SourceRecord], report: JsonObject, outputs: Sequence[Path], folder: Path, judges_shell: bool
) -> JsonObject:
    """`provenance.json`: inputs with hashes, tools with versions, counts of each step, what commands passed, the hash of each output.

    `shell` is None where `clean.shell` does not ask for commands to be looked for.
    """
    shell = report.get("shell", {})
    linted = shell.get("shellchecked", 0)
    # Where commands are not looked for, nobody knows how many dangerous ones there are.
    judged = {"rows": shell.get("rows", 0), "dangerous_commands_left": shell.get("dangerous", 0)} if judges_shell else None
    return {
        "sources": [source.provenance() for source in sources],
        "python": platform.python_version(),
        "tools": package_versions(TOOLS),
        "steps": report["steps"],
        "rejected": report["rejected"],
        "splits": report["splits"],
        "shell": judged and {**judged, "shellcheck_pass_rate": round(shell.get("shellcheck_passed", 0) / linted, 6) if linted else None},
        "outputs": {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(outputs)},
    }
