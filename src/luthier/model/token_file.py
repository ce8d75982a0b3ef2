"""Tokenized rows on disk: one safetensors file with flat ids, marks and offsets, and the rows' names beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from luthier.core.files import read_json, write_bytes, write_json


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One row: `ids` int32 [tokens], `trained` bool [tokens]; the loss is taken where `trained`, on the prediction of that token."""

    id: str
    ids: NDArray[np.int32]
    trained: NDArray[np.bool_]


def save_rows(path: Path, rows: Sequence[TokenRow]) -> None:
    """Writes `path` (ids int32 [all tokens], trained uint8 [all tokens], offsets int64 [rows + 1]) and the ids beside it as JSON."""
    lengths = np.array([len(row.ids) for row in rows], dtype=np.int64)
    arrays = {
        "ids": np.concatenate([row.ids for row in rows]) if rows else np.zeros(0, dtype=np.int32),
        "trained": np.concatenate([row.trained for row in rows]).astype(np.uint8) if rows else np.zeros(0, dtype=np.uint8),
        "offsets": np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)]),
    }
    write_bytes(path, save(arrays))
    write_json(path.with_suffix(".ids.json"), [row.id for row in rows])


def load_rows(path: Path) -> list[TokenRow]:
    """The rows that `save_rows` wrote."""
    arrays = load_file(path)
    names = read_json(path.with_suffix(".ids.json"))
    offsets = arrays["offsets"]
    return [
        TokenRow(name, arrays["ids"][start:end], arrays["trained"][start:end].astype(np.bool_))
        for name, start, end in zip(names, offsets[:-1], offsets[1:], strict=True)
    ]
