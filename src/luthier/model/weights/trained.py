"""What training changes and what a checkpoint holds of it: an adapter, or weights of the base itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from luthier.config.name_pattern import NamePattern
from luthier.core.errors import ModelError, Problem
from luthier.core.files import write_json
from luthier.core.weight_files import MODEL_CONFIG, MODEL_WEIGHTS, PART_WEIGHTS
from luthier.model.adapters.shards import divided_like, whole
from luthier.model.adapters.weights import adapter_weights, has_adapter, load_weights, trainable

_SHOWN_NAMES = 4


def unfreeze(model: PreTrainedModel, patterns: Sequence[str]) -> list[RowGuard]:
    """Sets the weights of `model` that are trained, all of them or those that `patterns` mean, and holds them in float32.

    In bfloat16, with 8 bits, an optimizer's step that is under about a 500th of a weight would be lost. Weights of norms and biases are
    held in float32 too, trained or not. A pattern that means no weight, or rows that a weight does not have, are a `ModelError`. The
    guards of weights of which only some rows are trained work once an optimizer is given to them.
    """
    named = dict(model.named_parameters())
    parsed = [NamePattern.parse(pattern) for pattern in patterns]
    for pattern in parsed:
        if not any(pattern.matches(name) for name in named):
            raise _no_such_weight(pattern, model, named)
    guards = []
    for name, value in named.items():
        meant = [pattern for pattern in parsed if pattern.matches(name)]
        value.requires_grad_(bool(meant) or not parsed)
        if value.requires_grad or value.ndim < 2:
            value.data = value.data.float()
        stays = _stays(meant, name, value)
        if stays is not None:
            guards.append(RowGuard(value, stays))
    return guards


def _stays(patterns: Iterable[NamePattern], name: str, value: torch.Tensor) -> torch.Tensor | None:
    """The numbers of the rows that stay as they are; None where no pattern names rows. A pattern without rows adds none, as in Axolotl."""
    named = [pattern for pattern in patterns if pattern.rows is not None]
    if not named:
        return None
    stays = torch.ones(len(value), dtype=torch.bool)
    for pattern in named:
        first, last = pattern.rows or (0, None)
        last = len(value) if last is None else last
        if first >= last or last > len(value):
            found = f"{pattern.written}, and `{name}` has {len(value):,} rows"
            raise ModelError(Problem("there are no such rows", where="unfrozen_parameters", found=found))
        stays[first:last] = False
    return stays.nonzero().flatten()


def _no_such_weight(pattern: NamePattern, model: PreTrainedModel, names: Iterable[str]) -> ModelError:
    every = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    known = sorted(names)
    hint = "a name is matched from its beginning"
    if "\\" in pattern.written:
        hint = "a dot is a dot already: write no backslash before it"
    elif tied := next((name for name in sorted(every - set(known)) if pattern.matches(name)), None):
        first = next(name for name, value in model.named_parameters() if value is model.get_parameter(tied))
        hint = f"`{tied}` is the same weight as `{first}`: name that one"
    # Numbers of layers would fill the list with one name.
    kinds = {re.sub(r"\d+", "0", name): name for name in reversed(known)}
    near = get_close_matches(pattern.written, kinds, n=_SHOWN_NAMES, cutoff=0.3) or sorted(kinds)[:_SHOWN_NAMES]
    shown = ", ".join(kinds[name] for name in near)
    what = "no weight of the base model is meant by this pattern"
    return ModelError(Problem(what, where="unfrozen_parameters", found=pattern.written, expected=f"such as {shown}", hint=hint))


class RowGuard:
    """Keeps the rows `stays` of a weight as they are: they have no gradient, and weight decay does not move them."""

    def __init__(self, weight: torch.nn.Parameter, stays: torch.Tensor) -> None:
        self._weight, self._stays = weight, stays.to(weight.device)
        self._kept = weight.detach()[self._stays].clone()
        weight.register_post_accumulate_grad_hook(self._clear)

    @property
    def staying(self) -> int:
        """How many values stay."""
        return self._kept.numel()

    def watch(self, optimizer: torch.optim.Optimizer) -> None:
        """Puts the rows back after each step of `optimizer`."""
        optimizer.register_step_post_hook(self._put_back)

    def _clear(self, weight: torch.Tensor) -> None:
        if weight.grad is not None:
            weight.grad.index_fill_(0, self._stays, 0.0)

    def _put_back(self, *_: object) -> None:
        with torch.no_grad():
            self._weight.index_copy_(0, self._stays, self._kept)


def trained_weights(model: PreTrainedModel | PeftModel, keeps: bool = True) -> dict[str, torch.Tensor]:
    """The trained tensors on the CPU under the names that they have on disk; a tied one stands there once.

    Divided ones are gathered from all processes, of which only those with `keeps` hold them.
    """
    if has_adapter(model):
        return adapter_weights(model)
    found = {}
    for name, value in trainable(model):
        gathered = whole(value.detach())
        if keeps:
            found[name] = gathered.cpu().contiguous()
    return found


def load_trained(model: PreTrainedModel | PeftModel, weights: dict[str, torch.Tensor]) -> None:
    """Copies tensors named as by `trained_weights` into the model; a missing or foreign name is a `ModelError`."""
    if has_adapter(model):
        load_weights(model, weights)
        return
    own = dict(trainable(model))
    if own.keys() != weights.keys():
        names = sorted(own.keys() ^ weights.keys())
        raise ModelError(Problem("the checkpoint's weights are not this run's", found=", ".join(names[:3])))
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(divided_like(weights[name], value))


def is_whole(model: PreTrainedModel) -> bool:
    """Whether every weight of the model is trained."""
    return all(value.requires_grad for value in model.parameters())


def checkpoint_file(model: PreTrainedModel) -> str:
    """The name of the weights' file in a checkpoint: that of a model where all weights are trained, else another, for it is no model."""
    return MODEL_WEIGHTS if is_whole(model) else PART_WEIGHTS


def write_model_config(model: PreTrainedModel, folder: Path) -> None:
    """Writes `config.json` beside the float32 weights of a checkpoint that is a whole model; nothing where it is a part."""
    if is_whole(model):
        settings = model.config.to_diff_dict() | {"architectures": [type(model).__name__], "dtype": "float32", "use_cache": True}
        write_json(folder / MODEL_CONFIG, settings)
