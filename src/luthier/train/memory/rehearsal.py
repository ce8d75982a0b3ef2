"""A dry run before the first step: the largest batch forward and backward and one evaluation batch. A lack of memory shows now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from luthier.config.keys.batches import BatchSettings
from luthier.core.events import monotonic_seconds
from luthier.model.base import set_training
from luthier.model.token_file import TokenRow
from luthier.train.step.checkpoint import random_states, set_random_states
from luthier.train.step.objective import Objective
from luthier.train.strategies.strategy import Strategy


@dataclass(frozen=True, slots=True)
class LargestRows:
    """The rows of the largest micro batch of training, and of the evaluation."""

    train: Sequence[TokenRow]
    evaluation: Sequence[TokenRow]


def rehearse(
    model: torch.nn.Module, objective: Objective[Any], strategy: Strategy, rows: LargestRows, settings: BatchSettings, state_bytes: int
) -> float:
    """Seconds of one micro batch of training and one of the evaluation, without the optimizer's step.

    Weights, optimizer and random sources are afterwards what they were. `state_bytes` are taken beside it, for what of the optimizer's
    state the first step makes on the device of this process. An error for a lack of memory passes through.
    """
    states, started = random_states(), monotonic_seconds()
    device = next(model.parameters()).device
    try:
        beside = torch.empty(state_bytes, dtype=torch.uint8, device=device)
        set_training(model, True)
        batch = objective.batch(rows.train, settings.least_tokens)
        # Times zero: a strategy may keep its sums where no gradient is seen.
        strategy.backward(strategy.forward(lambda: objective.loss_sum(batch)) * 0.0, is_last=False)
        if rows.evaluation:
            set_training(model, False)
            with torch.no_grad():
                held_out = objective.batch(rows.evaluation, settings.least_eval_tokens)
                strategy.forward(lambda: objective.loss_sum(held_out)).item()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        del beside
    finally:
        for value in model.parameters():
            value.grad = None
        set_random_states(states)
    return monotonic_seconds() - started
