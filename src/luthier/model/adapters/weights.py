"""What training changes, and the tensors that an adapter is: their names on disk, out of a model and back into one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from luthier.core.errors import ModelError, Problem
from luthier.model.adapters.layers import ADAPTER, LoraLinear
from luthier.model.adapters.shards import divided_like, whole

if TYPE_CHECKING:
    from typing_extensions import TypeIs


def has_adapter(model: PreTrainedModel | PeftModel) -> TypeIs[PeftModel]:
    """Whether an adapter is what is trained of the model, and written; else it is weights of the model itself."""
    return isinstance(model, PeftModel)


def base_of(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The model of transformers that an adapter lies on, or that has none."""
    base: PreTrainedModel = model.get_base_model() if has_adapter(model) else model
    return base


def trainable(model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    """Name and value of every parameter that training changes, in the model's order."""
    return [(name, value) for name, value in model.named_parameters() if value.requires_grad]


def adapter_weights(model: PeftModel) -> dict[str, torch.Tensor]:
    """The adapter's tensors on the CPU under the names of `adapter_model.safetensors`; divided ones are gathered from all processes.

    An adapter that started from a part of the base's weights is written as the LoRA adapter of twice the rank that it is to the
    base as published: `[B, -B0] [A; A0]`.
    """
    found: dict[str, torch.Tensor] = dict(_named(model))
    for prefix, layer in started_layers(model):
        found[f"{prefix}.lora_A.weight"], found[f"{prefix}.lora_B.weight"] = layer.factors()
    made = {name: whole(value.detach()).cpu().contiguous() for name, value in found.items()}
    # safetensors refuses memory that two names share.
    return made | {tied: made[tied].clone() for _, tied in _tied(model)}


def load_weights(model: PeftModel, weights: dict[str, torch.Tensor]) -> None:
    """Copies tensors named as by `adapter_weights` into the adapter; a missing or foreign name is a `ModelError`."""
    own = _named(model)
    if own.keys() != weights.keys():
        names = sorted(own.keys() ^ weights.keys())
        raise ModelError(Problem("the checkpoint's adapter is not this run's", found=", ".join(names[:3])))
    weights = dict(weights)
    for prefix, layer in started_layers(model):
        a, b, rank = f"{prefix}.lora_A.weight", f"{prefix}.lora_B.weight", layer.r[ADAPTER]
        layer.set_first(weights[a][rank:], weights[b][:, rank:])
        weights[a], weights[b] = weights[a][:rank], weights[b][:, :rank]
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(divided_like(weights[name], value))


def _named(model: PeftModel) -> dict[str, torch.nn.Parameter]:
    """Every trained parameter under the name that peft writes it with; a tied one has two."""
    named = {_stored(name): value for name, value in trainable(model)}
    return named | {tied: named[name] for name, tied in _tied(model)}


def _tied(model: PeftModel) -> list[tuple[str, str]]:
    """For each trained parameter that stands in a second place, its name there and in the first one."""
    first: dict[int, str] = {}
    found = []
    for name, value in model.named_parameters(remove_duplicate=False):
        if not value.requires_grad:
            continue
        stored = _stored(name)
        if first.setdefault(id(value), stored) != stored:
            found.append((first[id(value)], stored))
    return found


def _stored(name: str) -> str:
    """A parameter's name as peft writes it: without the adapter's own name, and some without their last part."""
    short = name.replace(f".modules_to_save.{ADAPTER}.", ".").replace(f".{ADAPTER}.", ".")
    return short.removesuffix(".weight") if short.endswith(".lora_magnitude_vector.weight") else short


def started_layers(model: PeftModel) -> list[tuple[str, LoraLinear]]:
    """The layers whose adapter started from a part of the base's weight."""
    return [(name, layer) for name, layer in model.named_modules() if isinstance(layer, LoraLinear) and layer.first_a is not None]
