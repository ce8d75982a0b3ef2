"""The adapted layer: peft's, with own products where one adapter runs in training."""

from __future__ import annotations

import copy
from typing import Any

import torch
from bitsandbytes.nn import Linear8bitLt
from peft import LoraConfig
from peft.tuners.lora import Linear as PeftLoraLinear
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from luthier.model.adapters.products import AdaptedProduct, FrozenProduct, base_bias, row_norms

ADAPTER = "default"


def register_layers(config: LoraConfig) -> None:
    """Makes peft adapt linear layers with `LoraLinear`, by its door for layer classes of one's own.

    It is not written to the saved configuration.
    """
    config._register_custom_module({torch.nn.Linear: LoraLinear, Conv1D: LoraLinear})


class LoraLinear(PeftLoraLinear):
    """peft's LoRA layer with the products of a frozen base and one adapter in a single differentiable step, DoRA's too.

    The base is a linear layer, whole, NF4 or 8-bit, or GPT-2's `Conv1D`. Whatever else peft's layer can do (merged, disabled, several
    adapters, other variants) is left to peft.

    An adapter that starts from a part of the base's weight, `W = (W - s B0 A0) + s B0 A0`, keeps `first_a` A0 and `first_b` -B0 and
    leaves the base as it is: the layer is the base plus the LoRA adapter `[B, -B0] [A; A0]` of twice the rank, which is what is
    written to disk.
    """

    first_a: torch.Tensor | None
    first_b: torch.Tensor | None

    def __init__(self, base_layer: torch.nn.Module, adapter_name: str, config: LoraConfig, **kwargs: Any) -> None:
        turned = isinstance(base_layer, Conv1D)
        if config.fan_in_fan_out != turned:
            config = copy.copy(config)
            config.fan_in_fan_out = turned
        super().__init__(base_layer, adapter_name, config=config, **{**kwargs, "is_target_conv_1d_layer": turned})
        self.register_buffer("first_a", None, persistent=False)
        self.register_buffer("first_b", None, persistent=False)
        self._share: torch.Tensor | None = None

    def start_from(self, a: torch.Tensor, b: torch.Tensor) -> None:
        """Sets the factors to `a` [R, I] and `b` [O, R] and takes `s b a` out of the layer's output, which stays as it is."""
        with torch.no_grad():
            self.lora_A[ADAPTER].weight.copy_(a)
            self.lora_B[ADAPTER].weight.copy_(b)
        self.set_first(a, -b)

    def set_first(self, a: torch.Tensor, b: torch.Tensor) -> None:
        """Sets A0 and -B0."""
        weight = self.lora_A[ADAPTER].weight
        self.first_a, self.first_b = (part.detach().to(weight.device, weight.dtype, copy=True).contiguous() for part in (a, b))

    def factors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """A and B as they are written to disk: `[A; A0]` and `[B, -B0]` where the adapter starts from a part of the base."""
        a, b = self.lora_A[ADAPTER].weight, self.lora_B[ADAPTER].weight
        if self.first_a is None or self.first_b is None:
            return a, b
        return torch.cat([a, self.first_a]), torch.cat([b, self.first_b], dim=1)

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """`X W^T + b + s (X A^T) B^T`, `[..., I]` to `[..., O]`; with DoRA `m / |W + s B A| * X (W + s B A)^T + b`."""
        plain = not (args or kwargs or self.disable_adapters or self.merged) and self.active_adapters == [ADAPTER]
        is_dora = self.use_dora.get(ADAPTER, False)
        if not plain or self.lora_bias.get(ADAPTER) or (self.lora_variant and not is_dora):
            return super().forward(x, *args, **kwargs)
        if isinstance(self.get_base_layer(), Linear8bitLt) and not is_dora:
            return self._beside_int8(x)
        is_dropping = self.training and not isinstance(self.lora_dropout[ADAPTER], torch.nn.Identity)
        if is_dora:
            return self._dora(x, is_dropping)
        a, b = self.factors()
        base, scale = self.get_base_layer(), self.scaling[ADAPTER]
        if not is_dropping:
            return AdaptedProduct.apply(x, a, b, base, scale)
        a, b = self.lora_A[ADAPTER].weight, self.lora_B[ADAPTER].weight
        dropped = self.lora_dropout[ADAPTER](x)
        return self._base_product(x) + functional.linear(functional.linear(dropped, a.to(x.dtype)), b.to(x.dtype)) * scale

    def _beside_int8(self, x: torch.Tensor) -> torch.Tensor:
        """The base's product is bitsandbytes' own, which rounds X to 8 bits too; the rules refuse DoRA and a start from the base here."""
        scale = self.scaling[ADAPTER]
        y = self.get_base_layer()(x)
        a, b = self.lora_A[ADAPTER].weight, self.lora_B[ADAPTER].weight
        dropped = self.lora_dropout[ADAPTER](x)
        return y + functional.linear(functional.linear(dropped, a.to(x.dtype)), b.to(x.dtype)) * scale

    def _base_product(self, x: torch.Tensor, with_bias: bool = True) -> torch.Tensor:
        """The product of the base without what the adapter started from."""
        base = self.get_base_layer()
        if self.first_a is None:
            return FrozenProduct.apply(x, base, with_bias)
        return AdaptedProduct.apply(x, self.first_a, self.first_b, base, self.scaling[ADAPTER], with_bias)

    def _dora(self, x: torch.Tensor, is_dropping: bool) -> torch.Tensor:
        """With dropout, as in peft, the base's own product sees X whole, and what DoRA adds to it sees X dropped."""
        a, b = self.factors()
        base, scale = self.get_base_layer(), self.scaling[ADAPTER]
        if not a.requires_grad:
            return self._frozen_dora(x, a, b)
        share = self.lora_magnitude_vector[ADAPTER].weight / row_norms(base, a, b, scale)
        if not is_dropping:
            # The share stays float32: rounded to bfloat16 it would change every output by up to 0.4 %.
            turned = (AdaptedProduct.apply(x, a, b, base, scale, False) * share).to(x.dtype)
            bias = base_bias(base, x.dtype)
            return turned if bias is None else turned + bias
        dropped = self.lora_dropout[ADAPTER](x)
        whole = AdaptedProduct.apply(dropped, a, b, base, scale, False) * share
        return self._base_product(x) + (whole - self._base_product(dropped, with_bias=False)).to(x.dtype)

    def _frozen_dora(self, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """For answers, where the norms are made once and not for every token; an adapter that is frozen does not change them."""
        base, scale = self.get_base_layer(), self.scaling[ADAPTER]
        if self._share is None:
            self._share = self.lora_magnitude_vector[ADAPTER].weight.detach() / row_norms(base, a, b, scale)
        product, bias = base(x), base_bias(base, x.dtype)
        if bias is not None:
            product = product - bias
        turned = ((product + functional.linear(functional.linear(x, a.to(x.dtype)), b.to(x.dtype)) * scale) * self._share).to(x.dtype)
        return turned if bias is None else turned + bias
