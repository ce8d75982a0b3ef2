"""What a run writes to the disk at most, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping

from luthier.config.schema import RunConfig
from luthier.core.records import JsonObject
from luthier.model.locate import ModelLocation
from luthier.model.trained_shapes import optimizer_bytes
from luthier.train.memory.fitting import Sizing

_FLOAT32_BYTES = 4


def disk_needs(config: RunConfig, location: ModelLocation, sizing: Sizing, stages: Mapping[str, str]) -> JsonObject:
    """`{parts, needed_bytes, basis}` of the stages that are to do; rows and answers are small beside it and not counted."""
    trained = sizing.training.trained(sizing.base)
    weights = _FLOAT32_BYTES * sum(tensor.size for tensor in trained)
    parts: dict[str, int] = {}
    if stages.get("train") == "to do":
        # One is written before the oldest goes.
        kept = config.save_total_limit + 1
        parts = {"checkpoints": kept * (weights + optimizer_bytes(trained, sizing.training.optimizer)), "result": weights}
    if stages.get("export") == "to do" and "merged" in config.export:
        parts["merged model"] = sum(file.stat().st_size for file in location.path.glob("*.safetensors"))
    return {
        "parts": parts,
        "needed_bytes": sum(parts.values()),
        "basis": f"{config.save_total_limit} checkpoints and the one being written, in float32; without rows and answers",
    }
