"""Names of the files that training's result and its checkpoints consist of, and the header of a file of weights."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from luthier.core.errors import IntegrityError

# Weights of an adapter, and of a model of one file. A checkpoint of a training without an adapter has the whole model, or, where only some
# weights are trained, those.
ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG, MODEL_CONFIG = "adapter_config.json", "config.json"
MODEL_WEIGHTS = "model.safetensors"
PART_WEIGHTS = "trained.safetensors"
CHECKPOINT_WEIGHTS = (ADAPTER_WEIGHTS, MODEL_WEIGHTS, PART_WEIGHTS)
# Widths of the element types that the safetensors format names.
_WIDTH_BYTES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2}
_WIDTH_BYTES |= {"I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8}
# The format's own limit; a larger length means that the file is something else.
_LARGEST_HEADER_BYTES = 100_000_000


def weights_of(checkpoint: Path) -> Path:
    """The file of weights in a checkpoint's folder; the adapter's where there is none."""
    found = (checkpoint / name for name in CHECKPOINT_WEIGHTS)
    return next((path for path in found if path.is_file()), checkpoint / ADAPTER_WEIGHTS)


def stamp(*places: Path) -> str:
    """What changes when a file in one of these folders, or one of these files, does: by names, sizes and times, without reading them.

    Empty where there is nothing.
    """
    told: list[str] = []
    for place in places:
        # A folder may be written anew in between.
        with suppress(OSError):
            for path in sorted(place.iterdir()) if place.is_dir() else [place]:
                facts = path.stat()
                told.append(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\0{facts.st_ino}")
    return hashlib.sha256("\n".join(told).encode("utf-8", "surrogateescape")).hexdigest()[:16] if told else ""


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
