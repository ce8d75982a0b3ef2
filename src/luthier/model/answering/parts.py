"""What a model is opened with. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from luthier.config.keys.base import BaseSettings
from luthier.config.keys.tokens import TokenSettings
from luthier.core.records import Plan
from luthier.core.weight_files import ADAPTER_CONFIG
from luthier.model.locate import ModelLocation


@dataclass(frozen=True, slots=True)
class ModelParts:
    """What a model is opened with: its base, what was trained on it, the settings and the plan, and how it is worded.

    `tuned` is a folder with an adapter or with a model; None asks the base alone. `templates` are the wordings that rows name
    (`data/templates.json`); of `tokens` the default system text counts, which the tuned model was trained with. The tokenizer lies beside
    what was trained; a checkpoint's folder has none: `tokenizer_folder` then has it.
    """

    location: ModelLocation
    tuned: Path | None
    settings: BaseSettings
    plan: Plan
    templates: Mapping[str, str] = field(default_factory=dict)
    tokens: TokenSettings | None = None
    tokenizer_folder: Path | None = None

    @property
    def own_tokenizer(self) -> Path:
        """The folder of the tokenizer that both models are asked with."""
        return self.tokenizer_folder or self.tuned or self.location.path

    @property
    def is_adapted(self) -> bool:
        """Whether what was trained is an adapter, which shares its base with others."""
        return self.tuned is not None and (self.tuned / ADAPTER_CONFIG).is_file()
