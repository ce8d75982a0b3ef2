"""Keys of batches and of the length of the training."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.config.keys.fields import MOST, Float, Int, key
from luthier.config.keys.tokens import TokenKeys


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """Sizes in sequences and tokens. With packing a sequence is a bin of up to `sequence_len` tokens that holds several rows."""

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


class BatchKeys(TokenKeys):
    """Sizes and counts of batches."""

    sample_packing: bool = key(False, "train", "Put several rows into one sequence; they never see each other.")
    eval_sample_packing: bool | None = key(None, "train", "The same for the evaluation rows; as `sample_packing` where it is not given.")
    micro_batch_size: Int = key(1, "train", "Sequences in one forward pass.", ge=1, le=MOST)
    eval_batch_size: Int | None = key(None, "train", "Sequences in one forward pass of the evaluation.", ge=1, le=MOST)
    gradient_accumulation_steps: Int | None = key(
        None, "train", "Micro batches in one optimizer step; 1 where neither it nor `batch_size` is given.", ge=1, le=MOST
    )
    batch_size: Int | None = key(None, "train", "Sequences in one optimizer step: micro batch times accumulation.", ge=1, le=MOST)
    curriculum_sampling: bool = key(False, "train", "Train rows in the order of the file; otherwise they are drawn at random.")
    num_epochs: Float = key(1.0, "train", "Passes over the rows.", gt=0)
    max_steps: Int | None = key(
        None, "train", "Optimizer steps after which training ends, where the epochs do not end it before.", ge=1, le=MOST
    )
    seed: Int = key(42, ("data", "train"), "Seed of everything that is drawn.", ge=0, lt=1 << 32)

    def batch_settings(self) -> BatchSettings:
        """Sizes and counts of batches; the three batch keys are resolved to two."""
        micro = self.micro_batch_size
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
        )
