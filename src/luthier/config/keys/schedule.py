"""Keys of the course of the learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luthier.config.keys.fields import MOST, Float, Int, Section, key
from luthier.config.keys.optimizer import OptimizerKeys

# Schedules of this version, by transformers' names and Axolotl's. Adding one means a function, a name here, a row in
# `config.optimizer_rules`, and a test.
ScheduleName = Literal[
    "cosine",
    "linear",
    "constant",
    "constant_with_warmup",
    "cosine_with_min_lr",
    "cosine_warmup_with_min_lr",
    "cosine_with_restarts",
    "polynomial",
    "inverse_sqrt",
    "warmup_stable_decay",
    "one_cycle",
]
Ramp = Literal["linear", "cosine", "1-sqrt"]


class ScheduleArguments(Section):
    """What only some schedules have, under the names of transformers' functions and of PyTorch's `OneCycleLR`."""

    num_cycles: Float | None = key(
        None, "train", "Waves of the cosine: restarts (1) with `cosine_with_restarts`, 0.5 is a half wave elsewhere.", gt=0
    )
    min_lr: Float | None = key(None, "train", "Floor of `cosine_with_min_lr` and `cosine_warmup_with_min_lr` as a rate.", ge=0)
    min_lr_rate: Float | None = key(None, "train", "The same floor as a share of the peak.", ge=0, le=1)
    warmup_lr_rate: Float | None = key(None, "train", "Where `cosine_warmup_with_min_lr` begins, as a share of the peak.", ge=0, le=1)
    power: Float | None = key(None, "train", "Power of `polynomial` (1).", gt=0)
    lr_end: Float | None = key(None, "train", "Last rate of `polynomial` (1e-7).", ge=0)
    timescale: Int | None = key(
        None, "train", "Steps over which `inverse_sqrt` decays; the warm-up's, or 10,000 without one.", ge=1, le=MOST
    )
    num_decay_steps: Int | None = key(None, "train", "Last steps of `warmup_stable_decay`, in which the rate falls.", ge=1, le=MOST)
    num_stable_steps: Int | None = key(
        None, "train", "Steps at the peak of `warmup_stable_decay`; what is left where it is not given.", ge=0, le=MOST
    )
    warmup_type: Ramp | None = key(None, "train", "Form of the rise of `warmup_stable_decay` (linear).")
    decay_type: Ramp | None = key(None, "train", "Form of the fall of `warmup_stable_decay` (cosine).")
    min_lr_ratio: Float | None = key(None, "train", "First and last rate of `warmup_stable_decay` as a share of the peak (0).", ge=0, le=1)
    pct_start: Float | None = key(None, "train", "Share of the steps in which `one_cycle` rises, in place of a warm-up.", ge=0, le=1)
    anneal_strategy: Literal["cos", "linear"] | None = key(None, "train", "Form of `one_cycle` (cos).")
    div_factor: Float | None = key(None, "train", "The peak of `one_cycle` over its first rate (25).", gt=0)
    final_div_factor: Float | None = key(None, "train", "The first rate of `one_cycle` over its last (10,000).", gt=0)
    three_phase: bool | None = key(None, "train", "Let `one_cycle` fall as fast as it rose, and then to its last rate (false).")
    cycle_momentum: bool | None = key(None, "train", "Let `one_cycle` move the momentum against the rate (true).")
    base_momentum: Float | None = key(None, "train", "Momentum of `one_cycle` at the peak (0.85).", ge=0, lt=1)
    max_momentum: Float | None = key(None, "train", "Momentum of `one_cycle` at both ends (0.95).", ge=0, lt=1)


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """Course of the learning rate; without `warmup_ratio` and `warmup_steps` the smaller of 3 % and 100 steps.

    Rates are shares of the peak: `min_ratio` is the floor, or the last one. From the share `constant_ratio` of the steps on a
    cosine stays at its floor. `div_factor` is the peak over the first rate of `one_cycle`.
    """

    name: ScheduleName
    warmup_ratio: float | None
    warmup_steps: int | None
    min_ratio: float
    constant_ratio: float | None = None
    quadratic_warmup: bool = False
    div_factor: float = 25.0
    arguments: ScheduleArguments = ScheduleArguments()  # noqa: RUF009 - frozen.


class ScheduleKeys(OptimizerKeys):
    """Course of the learning rate, beside the optimizer's keys, for its peak is `learning_rate`."""

    lr_scheduler: ScheduleName = key("cosine", "train", "Course of the learning rate.")
    lr_scheduler_kwargs: ScheduleArguments = key(ScheduleArguments(), "train", "What only some courses have.")
    cosine_min_lr_ratio: Float | None = key(None, "train", "Floor of the cosine as a share of the peak.", ge=0, le=1)
    cosine_constant_lr_ratio: Float | None = key(
        None, "train", "Share of the steps from which on the cosine stays at its floor.", gt=0, le=1
    )
    lr_quadratic_warmup: bool = key(False, "train", "Let the cosine's warm-up rise with the square of the step.")
    lr_div_factor: Float | None = key(None, "train", "The peak of `one_cycle` over its first rate; 25 where it is not given.", gt=0)
    warmup_ratio: Float | None = key(None, "train", "Share of the steps that warm up.", ge=0, le=1)
    warmup_steps: Int | None = key(None, "train", "Steps that warm up; the smaller of 3 % and 100 where neither is given.", ge=0)

    def schedule_settings(self) -> ScheduleSettings:
        """Course of the learning rate."""
        return ScheduleSettings(
            name=self.lr_scheduler,
            warmup_ratio=self.warmup_ratio,
            warmup_steps=self.warmup_steps,
            min_ratio=self._least_share(),
            constant_ratio=self.cosine_constant_lr_ratio,
            quadratic_warmup=self.lr_quadratic_warmup,
            div_factor=self.lr_div_factor or self.lr_scheduler_kwargs.div_factor or 25.0,
            arguments=self.lr_scheduler_kwargs,
        )

    def _least_share(self) -> float:
        """The floor or the last rate as a share of the peak."""
        more = self.lr_scheduler_kwargs
        if self.lr_scheduler in ("cosine_with_min_lr", "cosine_warmup_with_min_lr"):
            return more.min_lr_rate if more.min_lr_rate is not None else (more.min_lr or 0.0) / self.learning_rate
        if self.lr_scheduler == "polynomial":
            return (1e-7 if more.lr_end is None else more.lr_end) / self.learning_rate
        if self.lr_scheduler == "warmup_stable_decay":
            return more.min_lr_ratio or 0.0
        return self.cosine_min_lr_ratio or 0.0
