"""Why a training breaks off: what a number that is not finite, or a loss that stays high, says to the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from luthier.config.keys.watching import WatchSettings
from luthier.core.errors import TrainingError
from luthier.model.adapters.shards import own_part
from luthier.train.watching.progress import Progress

_SHOWN_ROWS = 8


def not_finite(
    model: torch.nn.Module, seen: Progress, learning_rate: float, what: str, value: float, step: int, row_ids: Sequence[str]
) -> TrainingError:
    """Where a loss or a gradient is not finite: the likely cause and the rows, before the optimizer step. `seen` is what came before it."""
    weights = [(name, weight) for name, weight in model.named_parameters() if weight.is_floating_point()]
    broken = {name: weight.requires_grad for name, weight in weights if not torch.isfinite(own_part(weight)).all()}
    if broken:
        first = next(iter(broken))
        cause = f"the weights are not finite themselves ({first}): the base model's file is damaged"
        if any("lora_" in name for name in broken):
            cause = f"an earlier step made the adapter not finite ({first}): lower learning_rate"
            if not seen.step:
                cause = f"the adapter is not finite before its first step ({first}): the one in lora_model_dir is damaged, or its start is"
        elif seen.step and any(broken.values()):
            cause = f"an earlier step made the trained weights not finite ({first}): lower learning_rate"
    elif any(weight.dtype is torch.float16 for _, weight in weights):
        cause = "float16 ends at 65,504, and the base was not made for it: leave fp16 out (bf16: auto), or lower learning_rate"
    elif seen.first_loss is None:
        cause = "at the first step it is mostly a number format that the base was not made for (try bf16: false), or a damaged row"
    else:
        cause = f"the learning rate is mostly too high (learning_rate is {learning_rate:g}): lower it or warm up longer"
    rows = f" Rows of the batch: {_shown(row_ids)}." if row_ids else ""
    return TrainingError(
        f"{what} is {value} at step {step}, before the optimizer step. Likely cause: {cause}.{rows} "
        "Nothing of this step was kept; checkpoints before it are intact."
    )


def refuse_broken(weights: Mapping[str, torch.Tensor], step: int, learning_rate: float) -> None:
    """`TrainingError` where trained weights that are about to be saved after `step` are not finite."""
    for name, weight in weights.items():
        if weight.is_floating_point() and not torch.isfinite(weight).all():
            raise TrainingError(
                f"step {step} made the trained weights not finite ({name}). Likely cause: the learning rate is mostly too high "
                f"(learning_rate is {learning_rate:g}): lower it or warm up longer. Nothing of this step was kept; checkpoints before it "
                "are intact."
            )


def high_loss(watch: WatchSettings, seen: Progress, learning_rate: float, loss: float, step: int, row_ids: Sequence[str]) -> TrainingError:
    """Where one loss too many in a row is above the highest allowed one."""
    return TrainingError(
        f"the loss is {loss:.4f} at step {step}, and {seen.high_losses} steps in a row were above "
        f"`loss_watchdog_threshold: {watch.highest_loss:g}`. Rows of the batch: {_shown(row_ids)}. Look at these rows, or lower "
        f"learning_rate ({learning_rate:g}), or raise the threshold: with that alone the same command "
        "goes on from the newest checkpoint. Nothing of this step was kept; checkpoints before it are intact."
    )


def _shown(row_ids: Sequence[str]) -> str:
    more = f" and {len(row_ids) - _SHOWN_ROWS} more" if len(row_ids) > _SHOWN_ROWS else ""
    return ", ".join(row_ids[:_SHOWN_ROWS]) + more
