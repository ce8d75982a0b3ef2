"""Names of the files that training's result and its checkpoints consist of."""

from __future__ import annotations

from pathlib import Path

# Weights of an adapter, and of a model of one file. A checkpoint of a training without an adapter has the whole model, or, where only some
# weights are trained, those.
ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG, MODEL_CONFIG = "adapter_config.json", "config.json"
MODEL_WEIGHTS = "model.safetensors"
PART_WEIGHTS = "trained.safetensors"
CHECKPOINT_WEIGHTS = (ADAPTER_WEIGHTS, MODEL_WEIGHTS, PART_WEIGHTS)


def weights_of(checkpoint: Path) -> Path:
    """The file of weights in a checkpoint's folder; the adapter's where there is none."""
    found = (checkpoint / name for name in CHECKPOINT_WEIGHTS)
    return next((path for path in found if path.is_file()), checkpoint / ADAPTER_WEIGHTS)
