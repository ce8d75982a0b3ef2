"""A whole model on disk, as plain transformers opens it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import GenerationConfig, PreTrainedModel

from luthier.core.files import read_json, write_json
from luthier.core.records import JsonObject
from luthier.core.weight_files import MODEL_CONFIG

SHARD_BYTES = 4_000_000_000
GENERATION_CONFIG = "generation_config.json"


@dataclass(frozen=True, slots=True)
class Tail:
    """What a tuned model's folder needs beside weights and configuration: end-of-answer ids, and the id that pads."""

    eos_ids: tuple[int, ...]
    pad_id: int | None


def save_model(model: PreTrainedModel, target: Path, dtype: torch.dtype, tail: Tail, shard_bytes: int = SHARD_BYTES) -> None:
    """Turns `model`, which is used up, to `dtype` and writes weights, `config.json` and `generation_config.json` to `target`.

    Weights over `shard_bytes` are written as several files with `model.safetensors.index.json`. A full disk is a `SafetensorError`.
    """
    stored = model.generation_config.to_diff_dict() if model.generation_config is not None else {}
    stored.pop("_from_model_config", None)
    # transformers refuses to save what some published bases carry (a temperature beside greedy search): it is written below instead.
    model.generation_config = GenerationConfig()
    model.to(dtype)
    model.config.dtype = dtype
    model.config.use_cache = True
    target.mkdir(parents=True, exist_ok=True)
    with _without_deepspeeds_words():
        model.save_pretrained(target, max_shard_size=shard_bytes)
    settings = read_json(target / MODEL_CONFIG)
    settings["eos_token_id"] = tail.eos_ids[0] if len(tail.eos_ids) == 1 else list(tail.eos_ids)
    settings["pad_token_id"] = tail.pad_id
    write_json(target / MODEL_CONFIG, settings)
    write_json(target / GENERATION_CONFIG, generation_settings(stored, tail))


@contextmanager
def _without_deepspeeds_words() -> Iterator[None]:
    """transformers imports DeepSpeed, where it is installed, to see whether it holds the model; that tells its guess at the device.

    It tells it on standard output, where a command's answer stands.
    """

    def is_silent(_: logging.LogRecord) -> bool:
        return False

    log = logging.getLogger("DeepSpeed")
    log.addFilter(is_silent)
    try:
        yield
    finally:
        log.removeFilter(is_silent)


def generation_settings(stored: JsonObject, tail: Tail) -> JsonObject:
    """The base's generation settings with the ids that end and pad the tuned model's answers."""
    ids: JsonObject = {"eos_token_id": tail.eos_ids[0] if len(tail.eos_ids) == 1 else list(tail.eos_ids)}
    if tail.pad_id is not None:
        ids["pad_token_id"] = tail.pad_id
    return {**stored, **ids}
