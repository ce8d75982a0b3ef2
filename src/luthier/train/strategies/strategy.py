"""How a model is held and stepped: the second seam of training. The loop calls these alone, so that several processes can join here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from luthier.core.records import JsonObject
from luthier.model.adapters.weights import trainable
from luthier.model.weights.trained import load_trained, trained_weights
from luthier.train.step.batches import MicroBatch
from luthier.train.step.optim import load_optimizer_state, optimizer_state, set_learning_rate

# The loss's scale among the optimizer's numbers, whose names end in `/entry`.
_SCALING = "loss_scaling"

# A micro batch that this process runs, and whether it counts: where all processes have to pass through the model equally often, one
# without a batch of its own repeats another's, whose loss is taken times zero.
Portion = tuple[MicroBatch, bool]
Made = TypeVar("Made")


class Strategy(Protocol):
    """What the loop needs of one process or of many. What is told "of all processes" has to be called by all of them, in one order."""

    rank: int
    processes: int

    def place(self, model: PreTrainedModel | PeftModel) -> None:
        """Puts the weights where the strategy holds them, before an optimizer is made of them."""
        ...

    def wrap(self, model: PreTrainedModel | PeftModel, optimizer: torch.optim.Optimizer) -> torch.nn.Module:
        """The model as the objective runs it; the strategy keeps it and its optimizer."""
        ...

    def forward(self, work: Callable[[], Made]) -> Made:
        """What `work` makes of a pass through the model, which passes nowhere else."""
        ...

    def share(self, batches: Sequence[MicroBatch]) -> list[Portion]:
        """This process's part of micro batches that all processes divide among them."""
        ...

    def totals(self, numbers: Sequence[float]) -> list[float]:
        """The sum of each number over all processes, equal in each to the last bit."""
        ...

    def gather(self, told: bytes) -> list[bytes]:
        """What each of all processes tells, in their order."""
        ...

    def once(self, work: Callable[[], None]) -> None:
        """Lets the first of all processes work; the others wait, and where it fails all do."""
        ...

    def backward(self, loss: torch.Tensor, *, is_last: bool) -> None:
        """Adds the gradient of `loss`; `is_last`: a step follows, and no other pass before it."""
        ...

    def grad_norm(self) -> float:
        """The global norm of the gradient that the next step will use, once it is summed over all processes."""
        ...

    def overflow(self) -> float | None:
        """The loss's scale where it made the gradient not finite: the next step is skipped, and the scale halved. Else None."""
        ...

    def step(self, max_norm: float, learning_rate: float, momentum: float | None = None) -> None:
        """Clips to `max_norm` (0 is no clipping), steps the optimizer, and clears the gradient; a schedule may give a momentum."""
        ...

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], JsonObject]:
        """Every trained weight, and the optimizer's tensors and numbers, on the CPU; empty in all processes but the first."""
        ...

    def load(self, weights: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor], numbers: JsonObject) -> None:
        """Takes back what `state` gave."""
        ...

    def load_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Takes back the trained weights alone, once no step follows."""
        ...

    def settled(self) -> PreTrainedModel | PeftModel:
        """The model of the first of all processes as one that can be written, once no pass follows."""
        ...


class Single:
    """The strategy of one process, and of each of several that hold the same weights."""

    rank = 0
    processes = 1

    def __init__(self, scaled: bool = False) -> None:
        """`scaled`: products are in float16, though no weight may be."""
        self._scaled = scaled
        self._scaler: torch.amp.GradScaler | None = None
        self._model: PreTrainedModel | PeftModel
        self._optimizer: torch.optim.Optimizer
        self._parameters: list[torch.nn.Parameter] = []
        self._norm: torch.Tensor | None = None

    def place(self, model: PreTrainedModel | PeftModel) -> None:
        """They are there."""

    def forward(self, work: Callable[[], Made]) -> Made:
        """What `work` makes."""
        return work()

    def wrap(self, model: PreTrainedModel | PeftModel, optimizer: torch.optim.Optimizer) -> torch.nn.Module:
        """The model itself. One that computes in float16 has its loss scaled, by 65,536 at first as in PyTorch."""
        self._model, self._optimizer = model, optimizer
        is_half = self._scaled or any(value.dtype is torch.float16 for value in model.parameters())
        self._scaler = torch.amp.GradScaler(next(model.parameters()).device.type) if is_half else None
        self._parameters = [value for _, value in trainable(model)]
        return model

    def share(self, batches: Sequence[MicroBatch]) -> list[Portion]:
        """All of them."""
        return [(batch, True) for batch in batches]

    def totals(self, numbers: Sequence[float]) -> list[float]:
        """The numbers themselves."""
        return list(numbers)

    def gather(self, told: bytes) -> list[bytes]:
        """What was told, alone."""
        return [told]

    def once(self, work: Callable[[], None]) -> None:
        """Works."""
        work()

    def backward(self, loss: torch.Tensor, *, is_last: bool) -> None:
        """Adds the gradient of `loss`."""
        (loss if self._scaler is None else self._scaler.scale(loss)).backward()

    def grad_norm(self) -> float:
        """The Euclidean norm over all gradients, once they are divided by the loss's scale."""
        if self._scaler is not None:
            self._scaler.unscale_(self._optimizer)
        self._norm = torch.nn.utils.get_total_norm([value.grad for value in self._parameters if value.grad is not None])
        return self._norm.item()

    def overflow(self) -> float | None:
        """The loss's scale where the gradient is not finite; at a scale of 1 it is the gradient's own fault."""
        scale = 1.0 if self._scaler is None else self._scaler.get_scale()
        return scale if scale > 1 and self._norm is not None and not torch.isfinite(self._norm) else None

    def step(self, max_norm: float, learning_rate: float, momentum: float | None = None) -> None:
        """Clips by the norm that `grad_norm` measured, steps, and frees the gradients; after an overflow only the scale changes."""
        if self.overflow() is None:
            if max_norm and self._norm is not None:
                torch.nn.utils.clip_grads_with_norm_(self._parameters, max_norm, self._norm)
            set_learning_rate(self._optimizer, learning_rate, momentum)
            self._optimizer.step()
        if self._scaler is not None:
            self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        self._norm = None

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], JsonObject]:
        """The trained weights, the optimizer's tensors, and its numbers with the loss's scale."""
        tensors, numbers = optimizer_state(self._optimizer, self._model)
        if self._scaler is not None:
            numbers[_SCALING] = dict(self._scaler.state_dict())
        return trained_weights(self._model), tensors, numbers

    def load(self, weights: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor], numbers: JsonObject) -> None:
        """Puts weights and optimizer back."""
        self.load_weights(weights)
        if self._scaler is not None:
            self._scaler.load_state_dict(numbers[_SCALING])
        own = {name: number for name, number in numbers.items() if name != _SCALING}
        load_optimizer_state(self._optimizer, self._model, tensors, own)

    def load_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Puts the weights back."""
        load_trained(self._model, weights)

    def settled(self) -> PreTrainedModel | PeftModel:
        """The model, as it is."""
        return self._model
