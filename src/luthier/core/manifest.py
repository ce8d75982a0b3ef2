"""What a run folder says is done: each complete stage with its key and the hash of every output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from luthier.core.records import JsonObject

MANIFEST_FORMAT = 1


@dataclass(frozen=True, slots=True)
class StageRecord:
    """What the manifest keeps of a complete stage: its key, the hash of every output, and the run it was taken from, if any.

    `failed` counts requests to others that failed and may succeed another time: a stage that has some is done, and is tried again.
    `processes` shared the work, where their number changes the result.
    """

    key: str
    outputs: Mapping[str, str]
    seconds: float
    taken_from: str = ""
    failed: int = 0
    processes: int = 1

    def to_json(self) -> JsonObject:
        """The record as stored."""
        row: JsonObject = {"key": self.key, "seconds": round(self.seconds, 3), "outputs": dict(self.outputs)}
        if self.failed:
            row["failed"] = self.failed
        if self.processes > 1:
            row["processes"] = self.processes
        return {**row, "from": self.taken_from} if self.taken_from else row

    @staticmethod
    def from_json(row: JsonObject) -> StageRecord:
        """The record that `to_json` wrote."""
        return StageRecord(row["key"], row["outputs"], row["seconds"], row.get("from", ""), row.get("failed", 0), row.get("processes", 1))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is done in a run folder."""

    run: str
    stages: Mapping[str, StageRecord] = field(default_factory=dict)

    def with_stage(self, name: str, record: StageRecord | None) -> Manifest:
        """The manifest with stage `name` set to `record`, or without it where `record` is None."""
        stages = {key: value for key, value in self.stages.items() if key != name}
        return replace(self, stages=stages if record is None else {**stages, name: record})
