"""Keys of the adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luthier.config.keys.fields import MOST, Float, Int, Names, Section, key


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """The adapter: `all_linear` adapts every linear layer but the head, `targets` the modules named so (one entry may be a pattern)."""

    r: int
    alpha: int
    dropout: float
    targets: tuple[str, ...]
    all_linear: bool


class AdapterKeys(Section):
    """What is trained beside the frozen base."""

    adapter: Literal["lora", "qlora"] = key(..., "train", "Kind of adapter; `qlora` wants `load_in_4bit: true`.")
    lora_r: Int = key(16, "train", "Rank of the adapter.", ge=1, le=MOST)
    lora_alpha: Int = key(32, "train", "Scale of the adapter: its output is multiplied by alpha / r.", ge=1, le=MOST)
    lora_dropout: Float = key(0.0, "train", "Dropout before the adapter.", ge=0, lt=1)
    lora_target_modules: Names | None = key(None, "train", "Names of the adapted modules, or one pattern.")
    lora_target_linear: bool = key(False, "train", "Adapt every linear layer but the head; so too where no target is named.")

    def lora_settings(self) -> LoraSettings:
        """The adapter; without a target every linear layer but the head."""
        named = self.lora_target_modules or ()
        targets = tuple(target for target in named if target != "all-linear")
        return LoraSettings(
            r=self.lora_r,
            alpha=self.lora_alpha,
            dropout=self.lora_dropout,
            targets=targets,
            all_linear=self.lora_target_linear or not named or "all-linear" in named,
        )
