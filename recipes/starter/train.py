"""The training loop: rows in file order, Muon and Adam, warm-up and a straight way down, stop and go on at any step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Qwen2ForCausalLM

from recipes.starter.optimizer import optimizers

STEPS = 3200


@dataclass(frozen=True, slots=True)
class Settings:
    """The numbers of a training run. Rates are peaks; both go up over the warm-up and then down to nothing."""

    steps: int = STEPS
    rows_per_step: int = 8
    matrix_rate: float = 2e-3
    other_rate: float = 4e-3
    warm_up_steps: int = 50
    falling_share: float = 0.48
    given_share: float = 0.25
    max_norm: float = 1.0
    log_every: int = 25
    save_every: int = 200
    probe_every: int = 500


Probe = Callable[[Qwen2ForCausalLM], dict[str, float]]


def rate_factor(step: int, steps: int, settings: Settings) -> float:
    up = (step + 1) / settings.warm_up_steps
    down = (steps - step) / (steps * settings.falling_share)
    return min(1.0, up, down)


def targets(ids: Tensor, weights: Tensor, step: int, given_share: float) -> Tensor:
    """Which of the flat targets count: all of the answers, and a fixed draw of what is only given."""
    flat = weights[:, 1:].flatten()
    drawn = torch.rand(len(flat), generator=torch.Generator().manual_seed(step)).to(flat.device)
    return (flat == 1) | ((drawn < given_share) & (flat > 0))


def batch_loss(model: Qwen2ForCausalLM, batch: list[Tensor], step: int, given_share: float) -> tuple[Tensor, Tensor]:
    """Mean loss over the counted targets, and over the answers among them."""
    ids, weights, owner = batch
    sees = (owner[:, :, None] == owner[:, None, :]).tril()[:, None]
    hidden = model.model(input_ids=ids, attention_mask=sees).last_hidden_state[:, :-1].flatten(0, 1)
    counted = targets(ids, weights, step, given_share)
    # Only the counted places pass through the vocabulary: it is a fifth of the work.
    losses = F.cross_entropy(F.linear(hidden[counted], model.lm_head.weight), ids[:, 1:].flatten()[counted], reduction="none")
    return losses.mean(), losses.detach()[weights[:, 1:].flatten()[counted] == 1].mean()


def train(model: Qwen2ForCausalLM, rows: dict[str, np.ndarray], folder: Path, settings: Settings, probe: Probe) -> None:
    """Trains the model in place to the end of the rows, going on from `folder`'s last checkpoint where one is."""
    device = next(model.parameters()).device
    steps = settings.steps
    if len(rows["ids"]) < steps * settings.rows_per_step:
        raise ValueError(f"{len(rows['ids'])} rows are too few for {steps} steps of {settings.rows_per_step}: draw more documents")
    held = optimizers(model, settings.matrix_rate, settings.other_rate)
    peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in held]
    start = load_checkpoint(folder, model, held)
    model.train()
    began, losses = time.monotonic(), []
    for step in range(start, steps):
        factor = rate_factor(step, steps, settings)
        for optimizer, rates in zip(held, peaks, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
        part = slice(step * settings.rows_per_step, (step + 1) * settings.rows_per_step)
        batch = [
            torch.from_numpy(rows["ids"][part].astype(np.int64)).to(device),
            torch.from_numpy(rows["weights"][part].astype(np.float32) / 100).to(device),
            torch.from_numpy(rows["owner"][part].astype(np.int64)).to(device),
        ]
        loss, answer_loss = batch_loss(model, batch, step, settings.given_share)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"loss is {loss.item()} at step {step}")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_norm)
        for optimizer in held:
            optimizer.step()
            optimizer.zero_grad()
        losses.append((loss.item(), answer_loss.item()))
        done = step + 1
        if done % settings.log_every == 0 or done == steps:
            rate = (done - start) * batch[0].numel() / (time.monotonic() - began)
            mean = np.mean(losses[-settings.log_every :], axis=0)
            left_minutes = (steps - done) * batch[0].numel() / rate / 60
            note(
                folder,
                f"step {done:5d}/{steps}  loss {mean[0]:.3f}  answers {mean[1]:.3f}  {rate:6.0f} tokens/s  {left_minutes:5.1f} min left",
            )
        if done % settings.probe_every == 0 or done == steps:
            model.eval()
            note(folder, f"step {done:5d}  probe " + "  ".join(f"{kind} {share:.2f}" for kind, share in probe(model).items()))
            model.train()
        if done % settings.save_every == 0 or done == steps:
            save_checkpoint(folder, model, held, done)
    model.eval()


def note(folder: Path, line: str) -> None:
    print(line, flush=True)
    with (folder / "log.txt").open("a", encoding="utf-8") as log:
        log.write(line + "\n")


def save_checkpoint(folder: Path, model: Qwen2ForCausalLM, held: list[torch.optim.Optimizer], done: int) -> None:
    """Writes weights and optimizer states as one safetensors file, then renames it: a killed run never leaves half a file."""
    tensors = {f"model.{name}": weight.detach().cpu().contiguous() for name, weight in model.named_parameters()}
    for number, optimizer in enumerate(held):
        for place, state in optimizer.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"optimizer.{number}.{place}.{name}"] = value.cpu().contiguous()
    tensors["done"] = torch.tensor(done)
    part = folder / "checkpoint.safetensors.part"
    save_file(tensors, part)
    part.replace(folder / "checkpoint.safetensors")


def load_checkpoint(folder: Path, model: Qwen2ForCausalLM, held: list[torch.optim.Optimizer]) -> int:
    """Loads the last checkpoint, if there is one. Returns the number of steps done."""
    file = folder / "checkpoint.safetensors"
    if not file.exists():
        return 0
    tensors = load_file(file)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(tensors[f"model.{name}"])
    for number, optimizer in enumerate(held):
        saved = optimizer.state_dict()
        for key, value in tensors.items():
            if key.startswith(f"optimizer.{number}."):
                _, _, place, name = key.split(".", 3)
                saved["state"].setdefault(int(place), {})[name] = value
        optimizer.load_state_dict(saved)
    return int(tensors["done"])
