"""The target `adapter`: proof that training's result is whole and opens, without loading it."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from luthier.core.errors import IntegrityError
from luthier.core.files import read_json, sha256_file
from luthier.core.records import JsonObject

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
# Widths of the element types that the safetensors format names.
_WIDTH_BYTES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2}
_WIDTH_BYTES |= {"I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8}
# The format's own limit; a larger length means that the file is something else.
_LARGEST_HEADER_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor of a safetensors file: element type as the format names it, and shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, TensorEntry]:
    """The tensors of a safetensors file by name, read from its header alone.

    `IntegrityError` where the file is cut, is something else, or its tensors do not fill it without gap or overlap.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else _LARGEST_HEADER_BYTES
        if length >= min(size, _LARGEST_HEADER_BYTES):
            raise IntegrityError(f"{path}: not a safetensors file, or cut ({size} bytes)")
        try:
            header = json.loads(stream.read(length))
        except ValueError as error:
            raise IntegrityError(f"{path}: the safetensors header is no JSON ({error})") from error
    header.pop("__metadata__", None)
    tensors = {}
    end = 0
    for name, row in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        entry = TensorEntry(row["dtype"], tuple(row["shape"]))
        first, last = row["data_offsets"]
        if first != end or last - first != entry.elements * _WIDTH_BYTES.get(entry.dtype, 0):
            raise IntegrityError(f"{path}: tensor `{name}` does not fit its place in the file")
        tensors[name] = entry
        end = last
    if size != 8 + length + end:
        raise IntegrityError(f"{path}: {size} bytes, {8 + length + end} expected")
    return tensors


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
