"""The target `adapter`: proof that training's result is whole and opens, without loading it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from luthier.core.errors import IntegrityError
from luthier.core.files import read_json, sha256_file
from luthier.core.records import JsonObject
from luthier.core.weight_files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, TensorEntry, read_header


def check_adapter(folder: Path) -> JsonObject:
    """Hashes, size and shape of the adapter in `folder`, as `export/summary.json` keeps them.

    `IntegrityError` where a file is missing or cut, the configuration is no LoRA's, or a pair of matrices is not complete or
    not of one rank.
    """
    weights, settings_file = folder / ADAPTER_WEIGHTS, folder / ADAPTER_CONFIG
    for file in (weights, settings_file):
        if not file.is_file():
            raise IntegrityError(f"{file}: missing; training writes it, so run `luthier train` again")
    settings = read_json(settings_file)
    tensors = read_header(weights)
    _check_settings(settings, settings_file)
    return {
        "path": folder.name,
        "sha256": sha256_file(weights),
        "config_sha256": sha256_file(settings_file),
        "bytes": weights.stat().st_size,
        "tensors": len(tensors),
        "parameters": sum(entry.elements for entry in tensors.values()),
        "dtypes": sorted({entry.dtype for entry in tensors.values()}),
        "rank": settings["r"],
        "alpha": settings["lora_alpha"],
        "adapted_modules": _check_pairs(tensors, settings, weights),
        "tokenizer": tokenizer_files(folder),
    }


def tokenizer_files(folder: Path) -> list[str]:
    """The names of the tokenizer's files in `folder`."""
    return sorted(file.name for file in folder.iterdir() if file.name.startswith(("tokenizer", "chat_template", "special_tokens")))


def _check_settings(settings: JsonObject, path: Path) -> None:
    missing = [key for key in ("peft_type", "r", "lora_alpha", "target_modules") if settings.get(key) is None]
    if missing:
        raise IntegrityError(f"{path}: no {', '.join(missing)}; peft could not open this adapter")
    if settings["peft_type"] != "LORA":
        raise IntegrityError(f"{path}: peft_type is {settings['peft_type']}, LORA expected")


def _check_pairs(tensors: Mapping[str, TensorEntry], settings: JsonObject, path: Path) -> int:
    """The number of adapted modules. Each has A [rank, in] and B [out, rank], and with DoRA a vector [out]."""
    downs = {name: entry for name, entry in tensors.items() if ".lora_A." in name}
    ups = {name: entry for name, entry in tensors.items() if ".lora_B." in name}
    if not downs or {name.replace(".lora_A.", ".lora_B.") for name in downs} != set(ups):
        raise IntegrityError(f"{path}: lora_A and lora_B do not come in pairs ({len(downs)} and {len(ups)} tensors)")
    for name, down in downs.items():
        up = ups[name.replace(".lora_A.", ".lora_B.")]
        uniform = not settings.get("rank_pattern")
        if down.shape[0] != up.shape[1] or (uniform and down.shape[0] != settings["r"]):
            raise IntegrityError(f"{path}: `{name}` has rank {down.shape[0]}, its pair {up.shape[1]}, the configuration {settings['r']}")
    sizes = {name for name in tensors if name.endswith(".lora_magnitude_vector")}
    wanted = {name.replace(".lora_A.weight", ".lora_magnitude_vector") for name in downs} if settings.get("use_dora") else set()
    if sizes != wanted:
        raise IntegrityError(f"{path}: {len(wanted)} vectors of DoRA expected, {len(sizes & wanted)} of them there")
    return len(downs)
