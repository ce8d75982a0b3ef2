"""The first weights of an adapter: drawn from the seed, or taken from the base's own weights."""

from __future__ import annotations

import math

import torch
from peft import PeftModel

from luthier.config.keys.adapter import LoraSettings
from luthier.core.errors import ModelError, Problem
from luthier.model.adapters.layers import ADAPTER, LoraLinear
from luthier.model.adapters.products import base_weight, row_norms


def first_weights(model: PeftModel, settings: LoraSettings, seed: int) -> None:
    """Gives every adapted layer its first factors, in the model's order, and with DoRA the norms that belong to them.

    Random numbers come from one generator with `seed` alone. `ModelError` where the base's weights cannot be taken apart so.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, layer in model.named_modules():
        if not isinstance(layer, LoraLinear):
            continue
        if settings.start in ("default", "random", "gaussian"):
            _draw(layer, settings.start, generator)
        else:
            layer.start_from(*_parts(layer, name, settings.start, generator))
        if layer.use_dora.get(ADAPTER):
            magnitude = layer.lora_magnitude_vector[ADAPTER].weight
            magnitude.data = row_norms(layer.get_base_layer(), *layer.factors(), layer.scaling[ADAPTER]).to(magnitude.device)


def _draw(layer: LoraLinear, start: str, generator: torch.Generator) -> None:
    """A within sqrt(1 / I), uniformly, as peft does (Kaiming with a = sqrt 5), and B zero.

    `random` draws B too, within sqrt(1 / R); `gaussian` draws A with a standard deviation of 1 / R.
    """
    a, b = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
    rank, inputs = a.shape
    with torch.no_grad():
        if start == "gaussian":
            a.copy_(torch.empty(a.shape).normal_(std=1 / rank, generator=generator))
        else:
            a.copy_(_uniform(a.shape, inputs, generator))
        if start == "random":
            b.copy_(_uniform(b.shape, rank, generator))
        else:
            b.zero_()


def _uniform(shape: torch.Size, fan_in: int, generator: torch.Generator) -> torch.Tensor:
    bound = fan_in**-0.5
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def _parts(layer: LoraLinear, name: str, start: str, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A0 and B0 from the base's weight, in float32.

    PiSSA (arXiv 2404.02948): the R largest singular values, halved between the factors, `s B0 A0` their part of W; with
    `pissa_niter_N` by a randomised decomposition with N subspace iterations. OLoRA (arXiv 2406.01775): the first R columns of Q and
    rows of R of `W = Q R`.
    """
    weight = base_weight(layer.get_base_layer(), torch.float32)
    rank, scale = layer.r[ADAPTER], layer.scaling[ADAPTER]
    if rank > min(weight.shape):
        what = f"`{name.removeprefix('base_model.model.')}` is {weight.shape[0]} x {weight.shape[1]} and has no {rank} parts to start from"
        hint = "lower lora_r, or give the module a rank of its own in lora_rank_pattern"
        raise ModelError(Problem(what, where="peft_init_lora_weights", found=start, hint=hint))
    if start == "olora":
        q, r = torch.linalg.qr(weight)
        return r[:rank], q[:, :rank]
    if start == "pissa":
        left, values, right = torch.linalg.svd(weight, full_matrices=False)
        left, values, right = left[:, :rank], values[:rank], right[:rank]
    else:
        # torch draws here from its global source alone; the seed that is set for it comes from the adapter's own.
        drawn = int(torch.randint(1 << 31, (1,), generator=generator))
        with torch.random.fork_rng():
            torch.manual_seed(drawn)
            left, values, turned = torch.svd_lowrank(weight, rank, niter=int(start.removeprefix("pissa_niter_")))
        right = turned.t()
    root = (values / scale).sqrt()
    return root.unsqueeze(1) * right, left * root


def doubled(rank: int, alpha: float, rslora: bool) -> tuple[int, float]:
    """Rank and alpha of the written adapter `[B, -B0] [A; A0]`: twice the rank, the same scale."""
    return 2 * rank, alpha * (math.sqrt(2) if rslora else 2)
