"""Optimizers and the course of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from bitsandbytes.optim import AdamW8bit

from luthier.config.keys.optimizer import OptimizerSettings, ScheduleSettings
from luthier.core.records import JsonObject
from luthier.model.adapters.weights import trainable

# 3 % of the steps but at most 100 warm up where nothing is said; a single step is stretched to two. Both are Axolotl's.
_WARMUP_SHARE = 0.03
_WARMUP_LIMIT = 100


def make_optimizer(model: torch.nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """AdamW over the model's trainable parameters; biases and norms are not decayed.

    The 8-bit names are one optimizer, bitsandbytes' AdamW with moments in blocks of 256 values, on the CPU and on CUDA; it
    keeps moments of tensors under 4,096 values in 32 bits.
    """
    decayed = [value for _, value in trainable(model) if value.ndim >= 2]
    others = [value for _, value in trainable(model) if value.ndim < 2]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return _MAKERS[settings.name]([group for group in groups if group["params"]], settings)


def _torch_adamw(groups: list[dict[str, object]], settings: OptimizerSettings) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(settings.beta1, settings.beta2), eps=settings.epsilon)


def _fused_adamw(groups: list[dict[str, object]], settings: OptimizerSettings) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(settings.beta1, settings.beta2), eps=settings.epsilon, fused=True)


def _adamw_8bit(groups: list[dict[str, object]], settings: OptimizerSettings) -> torch.optim.Optimizer:
    return AdamW8bit(groups, lr=settings.learning_rate, betas=(settings.beta1, settings.beta2), eps=settings.epsilon)


_MAKERS: Mapping[str, Callable[[list[dict[str, object]], OptimizerSettings], torch.optim.Optimizer]] = {
    "adamw_torch": _torch_adamw,
    "adamw_torch_fused": _fused_adamw,
    "adamw_torch_8bit": _adamw_8bit,
    "adamw_bnb_8bit": _adamw_8bit,
    "adamw_8bit": _adamw_8bit,
}


def optimizer_state(optimizer: torch.optim.Optimizer, model: torch.nn.Module) -> tuple[dict[str, torch.Tensor], JsonObject]:
    """The optimizer's memory as tensors named `parameter/entry` on the CPU, and its plain numbers under the same names."""
    tensors: dict[str, torch.Tensor] = {}
    numbers: JsonObject = {}
    for name, parameter in trainable(model):
        for entry, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, torch.Tensor):
                # A copy of its own: the 8-bit optimizer shares its code books between parameters, and safetensors refuses shared memory.
                tensors[f"{name}/{entry}"] = value.detach().clone(memory_format=torch.contiguous_format).cpu()
            else:
                numbers[f"{name}/{entry}"] = value
    return tensors, numbers


def load_optimizer_state(
    optimizer: torch.optim.Optimizer, model: torch.nn.Module, tensors: Mapping[str, torch.Tensor], numbers: JsonObject
) -> None:
    """Gives the optimizer back what `optimizer_state` took from it."""
    parameters = dict(trainable(model))
    fused = any(group.get("fused") for group in optimizer.param_groups)
    for key, number in numbers.items():
        name, _, entry = key.rpartition("/")
        optimizer.state[parameters[name]][entry] = number
    for key, tensor in tensors.items():
        name, _, entry = key.rpartition("/")
        stays = entry == "step" and not fused  # torch keeps a plain AdamW's step count on the CPU.
        optimizer.state[parameters[name]][entry] = tensor.clone() if stays else tensor.to(parameters[name].device, copy=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


class Schedule:
    """The learning rate's course: `factor(step)` is what the peak is multiplied by at optimizer step `step`, counted from 0.

    Linear warm-up from 0 over W steps, then cosine, linear, or constant to the end T, as transformers' schedules; `constant`
    has no warm-up.
    """

    def __init__(self, settings: ScheduleSettings, steps: int) -> None:
        self._settings, self._steps = settings, steps
        self.warmup_steps = 0 if settings.name == "constant" else _warmup_steps(settings, steps)

    def factor(self, step: int) -> float:
        """The share of the peak rate at `step`."""
        if self._settings.name == "constant":
            return 1.0
        if step < self.warmup_steps:
            return step / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self._steps - self.warmup_steps)
        if self._settings.name == "linear":
            return max(0.0, 1 - done)
        floor = self._settings.min_ratio
        return (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)) + floor


def _warmup_steps(settings: ScheduleSettings, steps: int) -> int:
    if settings.warmup_steps is not None:
        asked = settings.warmup_steps
    elif settings.warmup_ratio is not None:
        asked = int(settings.warmup_ratio * steps)
    else:
        asked = min(int(_WARMUP_SHARE * steps), _WARMUP_LIMIT)
    return 2 if asked == 1 else asked
