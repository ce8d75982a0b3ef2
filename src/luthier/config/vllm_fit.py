"""What vLLM runs otherwise than it was trained, by the keys of a run file and by an adapter's own file.

It serves LoRA with one rank and one scale for all modules, neither DoRA nor whole modules, and quantises a base to 4 bits alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luthier.config.adapter_folder import PEFT_NAMES

_KEYS = ("peft_use_dora", "lora_modules_to_save", "lora_rank_pattern", "lora_alpha_pattern", "load_in_8bit")


def unfit_keys(values: Mapping[str, Any] | object) -> list[str]:
    """The keys, of a run file as it is written or resolved, that vLLM does not run as they say."""
    told = values.get if isinstance(values, Mapping) else lambda name: getattr(values, name)
    return [name for name in _KEYS if told(name)]


def unfit_fields(adapter: Mapping[str, Any]) -> list[str]:
    """The same of an `adapter_config.json`, by its own names."""
    return [PEFT_NAMES[key] for key in _KEYS if key in PEFT_NAMES and adapter.get(PEFT_NAMES[key])]
