"""A data stage in a scratch folder: rows, a run file's settings, and what stands in the run folder afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from luthier.config.row_sections import CleanSection, DatasetEntry
from luthier.config.schema import GuardSection, RunConfig
from luthier.core.events import EventLog
from luthier.core.files import read_json, read_jsonl
from luthier.core.records import Example, JsonObject
from luthier.core.runs import RunFolder
from luthier.data import stage
from luthier.data.intake.prepare import Batch, Preparation, Settings, SourceFacts
from luthier.data.rows.fields import BadRow

Rows = list[dict[str, Any]]


def write_rows(path: Path, rows: Rows) -> str:
    """Writes rows as JSON Lines and gives the path as text."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def pairs(count: int, start: int = 0) -> Rows:
    """Rows that are neither equal nor near each other."""
    return [
        {"prompt": f"ask {number} of {number * 7} about {number * 13}", "completion": f"say {number} and {number * 3}"}
        for number in range(start, start + count)
    ]


def entry(path: str = "a.jsonl") -> DatasetEntry:
    """An entry of pairs."""
    return DatasetEntry.model_validate({"path": path, "type": "prompt_completion"})


def settings(**keys: Any) -> Settings:
    """What a preparation of one source of pairs is built from."""
    return Settings((SourceFacts(entry()),), keys.pop("clean", None), GuardSection(), **keys)


def cleaning(**keys: Any) -> CleanSection:
    """The section `clean`."""
    return CleanSection.model_validate(keys)


def batch(rows: list[JsonObject | BadRow], first: int = 1, file: str = "a.jsonl", source: int = 0) -> Batch:
    """Rows as they are read."""
    return Batch(source, file, list(range(first, first + len(rows))), list(rows))


def prepare(rows: list[JsonObject | BadRow], **keys: Any) -> Any:
    """One batch made ready in this process."""
    return Preparation(settings(**keys))(batch(rows))


class Stage:
    """A finished data stage in the folder `runs/NAME` of the working folder."""

    def __init__(self, name: str = "test", processes: int | None = 1, suite_items: tuple[Example, ...] = (), **keys: Any) -> None:
        self.events: list[JsonObject] = []
        self.folder = RunFolder(Path("runs", name).absolute())
        given = {"base_model": "starter", "adapter": "lora", "learning_rate": 1e-3, **keys}
        self.config = RunConfig.model_validate(given)
        stage.run(self.config, self.folder, EventLog(None, [self.events.append]), suite_items, processes)

    def rows(self, *sides: str) -> list[Example]:
        """The rows of some sides, of all where none is named."""
        return [Example.from_json(row) for side in sides or ("train", "validation", "test") for row in read_jsonl(self.folder.split(side))]

    @property
    def rejected(self) -> list[JsonObject]:
        """What was left out."""
        return list(read_jsonl(self.folder.rejected))

    @property
    def report(self) -> Any:
        """The report."""
        return read_json(self.folder.data_report)

    @property
    def provenance(self) -> Any:
        """The provenance."""
        return read_json(self.folder.provenance)

    def bytes(self) -> dict[str, bytes]:
        """Every file of the folder."""
        data = self.folder.data
        return {path.relative_to(data).as_posix(): path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file()}

    def notes(self) -> str:
        """What was said."""
        return "\n".join(event["message"] for event in self.events if event["event"] in ("note", "warning"))
