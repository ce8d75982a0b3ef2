"""Keys of the optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from luthier.config.keys.fields import Float, Section, key

# Optimizers of this version. Adding one means a function, a name here, a row in `config.optimizer_rules`, and a test.
OptimizerName = Literal[
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_torch_8bit",
    "adamw_bnb_8bit",
    "adamw_8bit",
    "paged_adamw",
    "paged_adamw_32bit",
    "paged_adamw_8bit",
    "lion",
    "lion_32bit",
    "lion_8bit",
    "paged_lion_32bit",
    "paged_lion_8bit",
    "adafactor",
    "muon",
    "sgd",
    "rmsprop",
]


class OptimizerArguments(Section):
    """What only some optimizers have; a value that is not written is the optimizer's own default."""

    momentum: Float | None = key(None, "train", "Momentum of `sgd` and `rmsprop`; none where it is not written.", ge=0, lt=1)
    dampening: Float | None = key(None, "train", "Dampening of the momentum of `sgd`.", ge=0, le=1)
    nesterov: bool | None = key(None, "train", "Nesterov momentum of `sgd` (false) and `muon` (true).")
    alpha: Float | None = key(None, "train", "Decay of the mean square of `rmsprop` (0.99).", ge=0, lt=1)
    eps: Float | None = key(None, "train", "Added to the denominator of `rmsprop` (1e-8).", gt=0)
    centered: bool | None = key(None, "train", "Divide `rmsprop` by the gradient's variance instead of its mean square.")
    mu: Float | None = key(None, "train", "Momentum of `muon` (0.95).", ge=0, lt=1)
    adjust_lr: Literal["spectral_norm", "rms_norm"] | None = key(
        None,
        "train",
        "What the rate of `muon` is multiplied by for a matrix [m, n]: 0.2 sqrt(max(m, n)), which suits AdamW's rates (`rms_norm`, where "
        "nothing is written), or sqrt(m / n).",
    )


def read_arguments(value: Any) -> Any:
    """Axolotl's text form `momentum=0.9, nesterov=true` as a mapping; anything else as it is."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.replace(" ", "").split(",") if part]
    if any(not name or not separator for name, separator, _ in pairs):
        raise ValueError("a mapping, or text such as `momentum=0.9,nesterov=true`, is meant")
    return {name: text for name, _, text in pairs}


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """The optimizer; `max_grad_norm` 0 means no clipping.

    With `loraplus_ratio` the second matrices of LoRA step that many times as far, and adapted embeddings at `embedding_rate`
    (1e-6 where it is None).
    """

    name: OptimizerName
    learning_rate: float
    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float
    max_grad_norm: float
    arguments: OptimizerArguments = OptimizerArguments()  # noqa: RUF009 - frozen.
    loraplus_ratio: float | None = None
    embedding_rate: float | None = None


class OptimizerKeys(Section):
    """Optimizer and learning rate."""

    learning_rate: Float = key(..., "train", "Peak learning rate.", gt=0, le=1e38)
    optimizer: OptimizerName = key("adamw_torch_fused", "train", "The optimizer.")
    optim_args: Annotated[OptimizerArguments, BeforeValidator(read_arguments)] = key(
        OptimizerArguments(), "train", "What only some optimizers have, as a mapping or as `name=value,name=value`."
    )
    adam_beta1: Float = key(0.9, "train", "Decay of the first moment of AdamW and Lion.", ge=0, lt=1)
    adam_beta2: Float = key(0.999, "train", "Decay of the second moment of AdamW, of the kept momentum of Lion.", ge=0, lt=1)
    adam_epsilon: Float = key(1e-8, "train", "Added to the denominator of AdamW.", gt=0)
    weight_decay: Float = key(0.0, "train", "Decoupled weight decay; `sgd` and `rmsprop` add it to the gradient.", ge=0)
    max_grad_norm: Float = key(1.0, "train", "Gradients are clipped to this norm; 0 switches clipping off.", ge=0)
    loraplus_lr_ratio: Float | None = key(
        None, "train", "LoRA+: the rate of the adapter's B matrices as a multiple of `learning_rate`; 16 is usual.", gt=0
    )
    loraplus_lr_embedding: Float | None = key(None, "train", "LoRA+: the rate of adapted embeddings; 1e-6 where it is not given.", gt=0)

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
            arguments=self.optim_args,
            loraplus_ratio=self.loraplus_lr_ratio,
            embedding_rate=self.loraplus_lr_embedding,
        )
