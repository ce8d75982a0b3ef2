"""Keys of batches and of the length of the training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from luthier.config.keys.fields import MOST, Float, Int, key
from luthier.config.keys.tokens import TokenKeys


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """Sizes in sequences and tokens. With packing a sequence is a bin of up to `sequence_len` tokens that holds several rows.

    `pads` fills every forward pass up to its largest size; `embedding_noise` is NEFTune's alpha, 0 without noise.
    """

    sequence_len: int
    micro_batch_size: int
    accumulation_steps: int
    eval_micro_batch_size: int
    packing: bool
    eval_packing: bool
    shuffle: bool
    epochs: float
    max_steps: int | None
    seed: int
    groups_by_length: bool = False
    pads: bool = False
    embedding_noise: float = 0.0

    @property
    def least_tokens(self) -> int:
        """Tokens that every forward pass of training is filled up to; 0 where nothing is filled."""
        return self.sequence_len * self.micro_batch_size if self.pads else 0

    @property
    def least_eval_tokens(self) -> int:
        """The same of the evaluation."""
        return self.sequence_len * self.eval_micro_batch_size if self.pads else 0


class BatchKeys(TokenKeys):
    """Sizes and counts of batches."""

    sample_packing: bool = key(False, "train", "Put several rows into one sequence; they never see each other.")
    eval_sample_packing: bool | None = key(None, "train", "The same for the evaluation rows; as `sample_packing` where it is not given.")
    micro_batch_size: Annotated[Int, Field(ge=1, le=MOST)] | Literal["auto"] = key(
        1, "train", "Sequences in one forward pass; `auto` the most that fit the free memory, a divisor of `batch_size`."
    )
    eval_batch_size: Int | None = key(None, "train", "Sequences in one forward pass of the evaluation.", ge=1, le=MOST)
    gradient_accumulation_steps: Int | None = key(
        None, "train", "Micro batches in one optimizer step; 1 where neither it nor `batch_size` is given.", ge=1, le=MOST
    )
    batch_size: Int | None = key(None, "train", "Sequences in one optimizer step: micro batch times accumulation.", ge=1, le=MOST)
    curriculum_sampling: bool = key(False, "train", "Train rows in the order of the file; otherwise they are drawn at random.")
    group_by_length: bool = key(False, "train", "Draw rows of like length together; each epoch begins with the longest.")
    pad_to_sequence_len: bool = key(
        False, "train", "Fill each forward pass up to `sequence_len` tokens a sequence, so that every one has the same size."
    )
    neftune_noise_alpha: Float | None = key(
        None, "train", "Noise on the embeddings while training (NEFTune), by its alpha, as `5`.", ge=0, le=1e4
    )
    num_epochs: Float = key(1.0, "train", "Passes over the rows.", gt=0)
    max_steps: Int | None = key(
        None, "train", "Optimizer steps after which training ends, where the epochs do not end it before.", ge=1, le=MOST
    )
    seed: Int = key(42, ("data", "train"), "Seed of everything that is drawn.", ge=0, lt=1 << 32)

    def batch_settings(self, fitting: int | None = None) -> BatchSettings:
        """Sizes and counts of batches; the three batch keys are resolved to two.

        Under `micro_batch_size: auto` a micro batch is the `fitting` divisor of `batch_size`, all of it where none is given.
        """
        written = self.micro_batch_size
        micro = written if written != "auto" else fitting or self.batch_size or 1
        accumulation = self.gradient_accumulation_steps or (self.batch_size or micro) // micro
        return BatchSettings(
            sequence_len=self.sequence_len,
            micro_batch_size=micro,
            accumulation_steps=accumulation,
            eval_micro_batch_size=self.eval_batch_size or micro,
            packing=self.sample_packing,
            eval_packing=self.sample_packing if self.eval_sample_packing is None else self.eval_sample_packing,
            shuffle=not self.curriculum_sampling,
            epochs=self.num_epochs,
            max_steps=self.max_steps,
            seed=self.seed,
            groups_by_length=self.group_by_length,
            pads=self.pad_to_sequence_len,
            embedding_noise=self.neftune_noise_alpha or 0.0,
        )
