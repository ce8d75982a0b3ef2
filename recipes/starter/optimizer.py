"""Muon for the matrices, Adam for the rest, in single precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Keller Jordan's quintic, 5 steps (https://kellerjordan.github.io/posts/muon).
QUINTIC, ROUNDS = (3.4445, -4.7750, 2.0315), 5


def orthogonal(stack: Tensor) -> Tensor:
    """Each matrix of the stack [count, rows, columns] with its singular values brought near one."""
    a, b, c = QUINTIC
    flat = stack.size(-2) > stack.size(-1)
    x = stack.mT if flat else stack
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ROUNDS):
        square = x @ x.mT
        x = a * x + (b * square + c * (square @ square)) @ x
    return x.mT if flat else x


def optimizers(model: nn.Module, matrix_rate: float, other_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, Adam for embedding, norms and biases."""
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    matrices = [weight for name, weight in named if weight.ndim == 2 and "embed" not in name]
    others = [weight for name, weight in named if weight.ndim != 2 or "embed" in name]
    adam = torch.optim.AdamW(others, lr=other_rate, betas=(0.9, 0.95), weight_decay=0.0)
    return [Muon(matrices, matrix_rate), adam]


class Muon(torch.optim.Optimizer):
    """Momentum, then the nearest orthogonal matrix, scaled so that an update's size is that of Adam (Moonshot's 0.2)."""

    def __init__(self, matrices: list[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.1) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for settings in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for matrix in settings["params"]:
                by_shape.setdefault(matrix.shape, []).append(matrix)
            for shape, members in by_shape.items():
                updates = []
                for matrix in members:
                    held = self.state[matrix].setdefault("momentum", torch.zeros_like(matrix))
                    held.mul_(settings["momentum"]).add_(matrix.grad)
                    updates.append(matrix.grad.add(held, alpha=settings["momentum"]))
                turned = orthogonal(torch.stack(updates))
                scale = 0.2 * max(shape) ** 0.5 * settings["lr"]
                for matrix, update in zip(members, turned, strict=True):
                    matrix.mul_(1 - settings["lr"] * settings["weight_decay"]).add_(update, alpha=-scale)
