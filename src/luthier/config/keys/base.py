"""Keys of the base model, and what the model rooms take of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luthier.config.keys.fields import Section, key

# How the base's linear layers are held: as in its files, as NF4 with double quantisation, or as LLM.int8().
Quantization = Literal["none", "nf4", "int8"]
# The key that asks for it.
QUANTIZED_BY = {"nf4": "load_in_4bit", "int8": "load_in_8bit"}


@dataclass(frozen=True, slots=True)
class BaseSettings:
    """The base model. `attention` None means attention by rows over packed tokens."""

    base_model: str
    revision: str | None
    tokenizer: str | None
    quantization: Quantization
    attention: str | None


class BaseKeys(Section):
    """Which base model is loaded, and how."""

    base_model: str = key(..., "train", "A hub id, a folder, or `starter`, the model inside the package.", min_length=1)
    revision_of_model: str | None = key(None, "train", "Commit, branch or tag of a hub base model.")
    tokenizer_config: str | None = key(None, "train", "A hub id or folder with another tokenizer.")
    load_in_4bit: bool = key(False, "train", "Load the base's linear layers as NF4 with double quantisation.")
    load_in_8bit: bool = key(False, "train", "Load the base's linear layers in 8 bits (LLM.int8).")
    attn_implementation: Literal["sdpa", "eager"] | None = key(
        None, "train", "Attention; by rows over packed tokens where it is not given."
    )

    @property
    def quantization(self) -> Quantization:
        """How the base's linear layers are held."""
        return "nf4" if self.load_in_4bit else "int8" if self.load_in_8bit else "none"

    def base_settings(self) -> BaseSettings:
        """Which base model is loaded, and how."""
        return BaseSettings(
            base_model=self.base_model,
            revision=self.revision_of_model,
            tokenizer=self.tokenizer_config,
            quantization=self.quantization,
            attention=self.attn_implementation,
        )
