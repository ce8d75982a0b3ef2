"""LoRA adapters: stock `peft` models with a faster product inside.

Shapes: T tokens, I input width, O output width, R rank. The base product is `X W^T + b`, the adapter adds `s (X A^T) B^T`
with `A [R, I]`, `B [O, R]`.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import Linear as PeftLoraLinear
from safetensors.torch import save
from torch.nn import functional
from transformers import PreTrainedModel

from luthier.config.keys.adapter import LoraSettings
from luthier.core.errors import ModelError, Problem
from luthier.core.files import write_bytes, write_json

ADAPTER = "default"


def add_lora(model: PreTrainedModel, settings: LoraSettings, seed: int) -> PeftModel:
    """`model` with a fresh adapter: A drawn from `seed` alone, B zero, both float32; everything else is frozen.

    A target that names nothing in the model is a `ModelError` with the names that exist.
    """
    targets = target_modules(model, settings)
    config = LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets if isinstance(targets, str) else sorted(targets),
        bias="none",
        task_type="CAUSAL_LM",
    )
    # peft's door for layer classes of one's own; it is not written to the saved configuration.
    config._register_custom_module({torch.nn.Linear: LoraLinear})
    try:
        with warnings.catch_warnings():
            # peft asks transformers for a name that transformers has renamed; nobody who trains can mend it.
            warnings.simplefilter("ignore", FutureWarning)
            adapted = get_peft_model(model, config, autocast_adapter_dtype=True)
    except ValueError as error:
        raise _no_such_target(model, settings) from error
    _draw_weights(adapted, seed)
    return adapted


def load_adapter(model: PreTrainedModel, folder: Path) -> PeftModel:
    """`model` with the adapter in `folder`, frozen, in peft's own layers."""
    if not (folder / "adapter_config.json").is_file():
        raise ModelError(Problem("no adapter here", found=str(folder), expected="adapter_config.json and adapter_model.safetensors"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return PeftModel.from_pretrained(model, str(folder), use_safetensors=True)


def adapter_weights(model: PeftModel) -> dict[str, torch.Tensor]:
    """The adapter's tensors on the CPU under the names of `adapter_model.safetensors`."""
    mark = f".{ADAPTER}."
    return {name.replace(mark, "."): value.detach().cpu().contiguous() for name, value in trainable(model)}


def load_weights(model: PeftModel, weights: dict[str, torch.Tensor]) -> None:
    """Copies tensors named as by `adapter_weights` into the adapter; a missing or foreign name is a `ModelError`."""
    mark = f".{ADAPTER}."
    own = {name.replace(mark, "."): value for name, value in trainable(model)}
    if own.keys() != weights.keys():
        names = sorted(own.keys() ^ weights.keys())
        raise ModelError(Problem("the checkpoint's adapter is not this run's", found=", ".join(names[:3])))
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(weights[name])


def trainable(model: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    """Name and value of every parameter that training changes, in the model's order."""
    return [(name, value) for name, value in model.named_parameters() if value.requires_grad]


def target_modules(model: PreTrainedModel, settings: LoraSettings) -> set[str] | str:
    """What peft is told to adapt: full names of modules, or one regular expression.

    `all_linear` takes every linear layer, NF4 ones too, but the output head. One target that is no plain name is a regular
    expression on full names, as in peft.
    """
    if not settings.all_linear and len(settings.targets) == 1 and not re.fullmatch(r"[\w.]+", settings.targets[0]):
        return settings.targets[0]
    linear = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    chosen = {name for name in linear if any(name == target or name.endswith(f".{target}") for target in settings.targets)}
    if any(not any(name == target or name.endswith(f".{target}") for name in chosen) for target in settings.targets):
        raise _no_such_target(model, settings)
    if settings.all_linear:
        head = model.get_output_embeddings()
        chosen |= {name for name in linear if model.get_submodule(name) is not head}
    # Short names, as other tools write them, where they choose the same modules.
    short = {name.rsplit(".", 1)[-1] for name in chosen}
    return short if {name for name, _ in model.named_modules() if name.rsplit(".", 1)[-1] in short} == chosen else chosen


def _no_such_target(model: PreTrainedModel, settings: LoraSettings) -> ModelError:
    names = sorted({name.rsplit(".", 1)[-1] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)})
    return ModelError(
        Problem(
            "no linear layer of the base model has this name",
            where="lora_target_modules",
            found=", ".join(settings.targets),
            expected=f"among {', '.join(names)}",
        )
    )


def _draw_weights(model: PeftModel, seed: int) -> None:
    """Draws every A uniformly within sqrt(1 / I), as peft does (Kaiming with a = sqrt 5), from one generator in the model's order."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in trainable(model):
            if ".lora_A." in name:
                bound = value.shape[1] ** -0.5
                value.copy_(torch.empty(value.shape).uniform_(-bound, bound, generator=generator))
            else:
                value.zero_()


class LoraLinear(PeftLoraLinear):
    """peft's LoRA layer with the products of a frozen base and one adapter in a single differentiable step.

    Whatever else peft's layer can do (merged, disabled, several adapters, variants) is left to peft.
    """

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """`X W^T + b + s (X A^T) B^T`, `[..., I]` to `[..., O]`."""
        plain = not (args or kwargs or self.disable_adapters or self.merged or self.lora_variant) and self.active_adapters == [ADAPTER]
        if not plain or self.lora_bias.get(ADAPTER):
            return super().forward(x, *args, **kwargs)
        base = self.get_base_layer()
        a, b = self.lora_A[ADAPTER].weight, self.lora_B[ADAPTER].weight
        dropout = self.lora_dropout[ADAPTER]
        if self.training and not isinstance(dropout, torch.nn.Identity):
            dropped = dropout(x)
            product = _FrozenProduct.apply(x, base)
            return product + functional.linear(functional.linear(dropped, a.to(x.dtype)), b.to(x.dtype)) * self.scaling[ADAPTER]
        return _AdaptedProduct.apply(x, a, b, base, self.scaling[ADAPTER])


def base_weight(layer: torch.nn.Linear, dtype: torch.dtype) -> torch.Tensor:
    """The frozen weight `[O, I]` of a layer, unpacked where it is NF4."""
    if isinstance(layer, Linear4bit):
        return dequantize_4bit(layer.weight.data.view(-1, 1), layer.weight.quant_state).to(dtype)
    return layer.weight.to(dtype)


class _FrozenProduct(torch.autograd.Function):
    """`X W^T + b` with a gradient for X alone; an NF4 weight is unpacked in both directions instead of being kept."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, base: torch.nn.Linear) -> torch.Tensor:
        ctx.base = base
        return functional.linear(x, base_weight(base, x.dtype), None if base.bias is None else base.bias.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, None]:
        return (grad @ base_weight(ctx.base, grad.dtype) if ctx.needs_input_grad[0] else None), None


class _AdaptedProduct(torch.autograd.Function):
    """The base product and the adapter's. Only X and the two factors are kept for the backward pass.

    In float32 and float64 with many tokens the factors are added to the weight first, `W + s B A`: one product less in each
    direction, equal to rounding. In bfloat16 they stay apart, as the small update would be lost in the weight's 8 bits.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor, base: torch.nn.Linear, scale: float) -> torch.Tensor:
        ctx.base, ctx.scale = base, scale
        ctx.save_for_backward(x, a, b)
        flat = x.reshape(-1, x.shape[-1])
        weight = base_weight(base, x.dtype)
        bias = None if base.bias is None else base.bias.to(x.dtype)
        if _is_joined(flat, b):
            y = functional.linear(flat, torch.addmm(weight, b, a, alpha=scale), bias)
        else:
            y = functional.linear(flat, weight, bias)
            y.addmm_(flat @ a.t().to(x.dtype), b.t().to(x.dtype), alpha=scale)
        return y.view(*x.shape[:-1], y.shape[-1])

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor, None, None]:
        x, a, b = ctx.saved_tensors
        flat, dy = x.reshape(-1, x.shape[-1]), grad.reshape(-1, grad.shape[-1])
        small_a, small_b = a.to(dy.dtype), b.to(dy.dtype)
        inner = dy @ small_b  # [T, R], the gradient of X A^T without its scale
        grad_a = torch.mm(inner.t(), flat).mul_(ctx.scale).to(a.dtype)
        grad_b = (
            torch.mm((flat @ small_a.t()).t(), dy).mul_(ctx.scale).to(b.dtype).t()
        )  # The wide side last: a quarter faster than its transpose.
        if not ctx.needs_input_grad[0]:
            return None, grad_a, grad_b, None, None
        weight = base_weight(ctx.base, dy.dtype)
        if _is_joined(flat, b):
            dx = dy @ torch.addmm(weight, b, a, alpha=ctx.scale)
        else:
            dx = torch.addmm(torch.mm(dy, weight), inner, small_a, alpha=ctx.scale)
        return dx.view(x.shape), grad_a, grad_b, None, None


def _is_joined(flat: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether adding the factors to the weight costs less than keeping them apart: `I O` against `T (I + O)` multiplications per rank."""
    outputs, inputs = b.shape[0], flat.shape[1]
    return flat.dtype == b.dtype and 2 * inputs * outputs < flat.shape[0] * (inputs + outputs)


def save_adapter(model: PeftModel, folder: Path, base_name: str) -> None:
    """Writes `adapter_config.json` and `adapter_model.safetensors` as stock peft reads them; equal adapters give equal bytes."""
    save_adapter_config(model, folder, base_name)
    write_bytes(folder / "adapter_model.safetensors", save(adapter_weights(model), metadata={"format": "pt"}))


def save_adapter_config(model: PeftModel, folder: Path, base_name: str) -> None:
    """Writes `adapter_config.json`. `base_name` is the base model as the user named it, a hub id or a folder."""
    config = {key: sorted(value) if isinstance(value, set) else value for key, value in model.peft_config[ADAPTER].to_dict().items()}
    config |= {"base_model_name_or_path": base_name, "inference_mode": True}
    write_json(folder / "adapter_config.json", dict(sorted(config.items())))
