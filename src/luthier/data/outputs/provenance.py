"""What the data stage tells of its sources, its steps and its counts: `report.json` and `provenance.json`."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from luthier.core.files import sha256_file
from luthier.core.records import JsonObject
from luthier.core.runs import package_versions
from luthier.core.stages import STAGES
from luthier.data.clean.codes import COMMANDS_LOOKED_AT
from luthier.data.intake.source_record import SourceRecord
from luthier.data.rows.rejects import DUPLICATE, NEAR_DUPLICATE, RejectLog
from luthier.data.split.sides import Division

TOOLS = ("luthier", *STAGES["data"].packages)


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
    for what in ("shell", "contaminated"):
        told = {name.partition(":")[2]: number for name, number in sorted(counts.items()) if name.startswith(f"{what}:")}
        if told:
            row[what] = told
    if division.largest is not None:
        row["largest_group"] = {**asdict(division.largest), "share": round(division.largest.share, 6), "ties": division.largest_ties}
    return row


def provenance_of(
    sources: Sequence[SourceRecord], report: JsonObject, outputs: Sequence[Path], folder: Path, sees_commands: bool
) -> JsonObject:
    """`provenance.json`: inputs with hashes, tools with versions, counts of each step, what commands passed, the hash of each output.

    Of dangerous commands in the rows that cleaning kept, `dangerous_commands_left` are those that an answer gives, 0 where the policy
    rejects them; apart from them those that an answer names in prose, and those that a request, an input or a tool's result shows.
    Without `sees_commands` the counts of `shell` are None: nobody knows how many there are. `not_looked_at` says why commands of some
    rows, or of all, were not looked at, and is None where they were in every row; `looked_at` says in which places they were looked for.
    """
    shell = report.get("shell", {})
    linted = shell.get("shellchecked", 0)
    counts = {
        "rows": "rows",
        "dangerous_commands_left": "dangerous",
        "dangerous_commands_named": "dangerous_named",
        "dangerous_commands_in_requests": "dangerous_in_requests",
        "not_settled": "not_settled",
    }
    return {
        "sources": [source.provenance() for source in sources],
        "python": platform.python_version(),
        "tools": package_versions(TOOLS),
        "steps": report["steps"],
        "rejected": report["rejected"],
        "splits": report["splits"],
        "shell": {
            **{name: shell.get(counted, 0) if sees_commands else None for name, counted in counts.items()},
            "shellcheck_pass_rate": round(shell.get("shellcheck_passed", 0) / linted, 6) if linted else None,
            "looked_at": COMMANDS_LOOKED_AT if sees_commands else None,
            "not_looked_at": report.get("commands_not_looked_at"),
        },
        "outputs": {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(outputs)},
    }
