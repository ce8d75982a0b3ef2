"""What to know before weights of the base are trained: how many they are, what that takes, and which ones a name means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.config.name_pattern import NamePattern
from luthier.config.paths import STARTER
from luthier.config.schema import RunConfig
from luthier.core.weight_files import read_header

if TYPE_CHECKING:
    from luthier.model.memory import WholeCounts

# "LoRA Without Regret" (Schulman and others, 2025) found the best rate of full fine-tuning at a tenth of LoRA's, mostly 1e-4 and more.
_RATE_OF_LORA = 1e-4


def whole_training(config: RunConfig) -> list[str]:
    """A line on what a training without an adapter trains and takes; a second one where the learning rate is one for adapters.

    With an adapter a line for each name of modules that are trained whole beside it. Weights and modules are counted where the base is
    the built-in one or a folder; the training says of every base what is to be known before its first step.
    """
    if config.adapter is not None:
        return _modules(config)
    what = "weights of the base that `unfrozen_parameters` means" if config.unfrozen_parameters else "every weight of the base"
    lines = [f"no `adapter` is written: {what} will be trained, and the result is a whole model. {_memory(config)}"]
    lines += [f"`{name}` in unfrozen_parameters means no weight in the files of {config.base_model}" for name in _idle_patterns(config)]
    if config.learning_rate >= _RATE_OF_LORA:
        lines.append(
            f"`learning_rate: {config.learning_rate:g}` is one for adapters: training all weights did best at about a tenth of it "
            "(LoRA Without Regret, 2025)"
        )
    return lines


def _modules(config: RunConfig) -> list[str]:
    if not config.lora_modules_to_save or not list(_folder(config).glob("*.safetensors")):
        return []
    from luthier.model.shapes import read_shapes
    from luthier.model.trained_shapes import whole_texts

    return whole_texts(read_shapes(_folder(config)), config.lora_modules_to_save)


def _memory(config: RunConfig) -> str:
    from luthier.model.memory import whole_note

    dtype = _dtype(config)
    counts = _counts(config, dtype)
    if counts is None or not counts.trained:
        return "Weights, gradients and AdamW's moments take 16 bytes for each (4 + 4 + 8), beside activations"
    return f"Of {config.base_model}, {whole_note(counts, dtype, config.optimizer)}"


def _dtype(config: RunConfig) -> str | None:
    """The number format that the run file asks for; None where the machine is to choose."""
    precision = config.precision_settings()
    if precision.fp16:
        return "float16"
    return None if precision.bf16 == "auto" else "bfloat16" if precision.bf16 else "float32"


def _counts(config: RunConfig, dtype: str | None) -> WholeCounts | None:
    """The weights by the base's files; None where they are not on this machine as a folder."""
    from luthier.model.memory import WholeCounts, held_bytes

    shapes = {name: entry.shape for file in _folder(config).glob("*.safetensors") for name, entry in read_header(file).items()}
    if not shapes:
        return None
    patterns = [NamePattern.parse(pattern) for pattern in config.unfrozen_parameters]
    trained = changed = total = held = 0
    for name, shape in shapes.items():
        size = math.prod(shape)
        meant = [pattern for pattern in patterns if pattern.matches(name)]
        is_trained = bool(meant) or not patterns
        total += size
        trained += size if is_trained else 0
        changed += _changed(meant, shape) if is_trained else 0
        held += held_bytes(size, dtype or "float32", in_float32=is_trained or len(shape) < 2)
    return WholeCounts(trained, changed, total, held if dtype is not None or trained == total else None)


def _changed(patterns: Sequence[NamePattern], shape: Sequence[int]) -> int:
    """How many values of a trained weight change: those of the rows that are named, all where none are."""
    named = [pattern.rows for pattern in patterns if pattern.rows is not None]
    if not named:
        return math.prod(shape)
    rows = {row for first, last in named for row in range(first, shape[0] if last is None else min(last, shape[0]))}
    return len(rows) * math.prod(shape[1:])


def _idle_patterns(config: RunConfig) -> list[str]:
    """Patterns that mean nothing in the base's files; none where these are not on this machine as a folder."""
    names = [name for file in _folder(config).glob("*.safetensors") for name in read_header(file)]
    patterns = {pattern: NamePattern.parse(pattern) for pattern in config.unfrozen_parameters}
    return [written for written, pattern in patterns.items() if names and not any(map(pattern.matches, names))]


def _folder(config: RunConfig) -> Path:
    """The base's folder, where it is one."""
    from luthier.model.locate import STARTER_FOLDER

    return STARTER_FOLDER if config.base_model == STARTER else Path(config.base_model).expanduser()
