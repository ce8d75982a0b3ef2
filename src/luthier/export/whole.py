"""A model that was trained without an adapter: proof that it is whole, and its copy for the target `merged`."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from luthier.config.keys.base import BaseSettings
from luthier.core.errors import IntegrityError
from luthier.core.files import link_or_copy, read_json, sha256_file
from luthier.core.records import JsonObject, Plan
from luthier.core.weight_files import MODEL_CONFIG, read_header
from luthier.export.adapter import tokenizer_files
from luthier.export.merge import compare, hold, logits_of, tolerance_for
from luthier.model import device
from luthier.model.base import load_base
from luthier.model.locate import ModelLocation

_INDEX = "model.safetensors.index.json"


def check_model(folder: Path) -> JsonObject:
    """Hashes, size and shape of the model in `folder`, as `export/summary.json` keeps them.

    `IntegrityError` where a file is missing or cut.
    """
    config = folder / MODEL_CONFIG
    files = sorted(folder.glob("*.safetensors"))
    wanted = sorted({folder / name for name in read_json(folder / _INDEX)["weight_map"].values()}) if (folder / _INDEX).is_file() else files
    if missing := [path for path in (config, *wanted) if not path.is_file()] or ([] if files else [folder / "model.safetensors"]):
        raise IntegrityError(f"{missing[0]}: missing; training writes it, so run `luthier train` again")
    entries = [entry for file in files for entry in read_header(file).values()]
    return {
        "path": folder.name,
        "sha256": {file.name: sha256_file(file) for file in files},
        "config_sha256": sha256_file(config),
        "bytes": sum(file.stat().st_size for file in files),
        "tensors": len(entries),
        "parameters": sum(entry.elements for entry in entries),
        "dtypes": sorted({entry.dtype for entry in entries}),
        "tokenizer": tokenizer_files(folder),
    }


def copy_model(model: Path, target: Path, settings: BaseSettings, plan: Plan, rows: Sequence[Sequence[int]]) -> JsonObject:
    """Copies the model to the folder `target` and returns its entry of `export/summary.json`.

    Both are asked `rows` (token ids), each read from disk; `MergeError` where their logits differ by more than the tolerance.
    """
    check_plan = replace(plan, tf32=False)
    device.apply(check_plan)
    link_or_copy(model, target)
    asked = replace(settings, attention="sdpa")
    expected, found = (logits_of(load_base(ModelLocation(folder.name, folder, ""), asked, check_plan), rows) for folder in (model, target))
    gc.collect()
    difference = compare(found, expected)
    tolerance = tolerance_for(plan.dtype, plan.dtype, expected)
    hold(difference, tolerance, plan.dtype)
    files = sorted(target.glob("*.safetensors"))
    return {
        **difference.to_json(),
        "tolerance": tolerance.maximum,
        "mean_tolerance": tolerance.mean,
        "tolerance_reason": tolerance.reason,
        "dtype": plan.dtype,
        "check_dtype": plan.dtype,
        "bytes": sum(file.stat().st_size for file in files),
        "sha256": {file.name: sha256_file(file) for file in files},
    }
