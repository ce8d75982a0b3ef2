"""Keys of the optimizer and of the course of the learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luthier.config.keys.fields import Float, Int, Section, key

# Optimizers and schedules of this version. Adding one means a function, a name here, and a test.
OptimizerName = Literal["adamw_torch", "adamw_torch_fused", "adamw_torch_8bit", "adamw_bnb_8bit", "adamw_8bit"]
ScheduleName = Literal["cosine", "linear", "constant"]


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """The optimizer; `max_grad_norm` 0 means no clipping."""

    name: OptimizerName
    learning_rate: float
    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float
    max_grad_norm: float


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """Course of the learning rate; without `warmup_ratio` and `warmup_steps` the smaller of 3 % and 100 steps."""

    name: ScheduleName
    warmup_ratio: float | None
    warmup_steps: int | None
    min_ratio: float


class OptimizerKeys(Section):
    """Optimizer and learning rate."""

    learning_rate: Float = key(..., "train", "Peak learning rate.", gt=0)
    optimizer: OptimizerName = key("adamw_torch_fused", "train", "The optimizer.")
    adam_beta1: Float = key(0.9, "train", "Decay of the first moment.", ge=0, lt=1)
    adam_beta2: Float = key(0.999, "train", "Decay of the second moment.", ge=0, lt=1)
    adam_epsilon: Float = key(1e-8, "train", "Added to the denominator.", gt=0)
    weight_decay: Float = key(0.0, "train", "Decoupled weight decay.", ge=0)
    max_grad_norm: Float = key(1.0, "train", "Gradients are clipped to this norm; 0 switches clipping off.", ge=0)
    lr_scheduler: ScheduleName = key("cosine", "train", "Course of the learning rate.")
    cosine_min_lr_ratio: Float | None = key(None, "train", "Floor of the cosine as a share of the peak.", ge=0, le=1)
    warmup_ratio: Float | None = key(None, "train", "Share of the steps that warm up.", ge=0, le=1)
    warmup_steps: Int | None = key(None, "train", "Steps that warm up; the smaller of 3 % and 100 where neither is given.", ge=0)

    def optimizer_settings(self) -> OptimizerSettings:
        """Optimizer and clipping."""
        return OptimizerSettings(
            name=self.optimizer,
            learning_rate=self.learning_rate,
            beta1=self.adam_beta1,
            beta2=self.adam_beta2,
            epsilon=self.adam_epsilon,
            weight_decay=self.weight_decay,
            max_grad_norm=self.max_grad_norm,
        )

    def schedule_settings(self) -> ScheduleSettings:
        """Course of the learning rate."""
        return ScheduleSettings(
            name=self.lr_scheduler,
            warmup_ratio=self.warmup_ratio,
            warmup_steps=self.warmup_steps,
            min_ratio=self.cosine_min_lr_ratio or 0.0,
        )
