"""Optimizers: which parameter is stepped by what and at which share of the learning rate, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from bitsandbytes.optim import AdamW as BitsandbytesAdamW
from bitsandbytes.optim import Lion
from peft.tuners.lora.layer import Embedding as LoraEmbedding
from transformers.optimization import Adafactor

from luthier.config.keys.optimizer import OptimizerSettings
from luthier.core.errors import ModelError, Problem
from luthier.core.records import JsonObject
from luthier.model.adapters.shards import divided_like, whole
from luthier.model.adapters.weights import trainable

Group = dict[str, Any]
# The rate of adapted embeddings under LoRA+; the paper's (arXiv 2402.12354) and peft's.
_EMBEDDING_RATE = 1e-6
# Whole modules that Muon leaves to AdamW by their names, as in Axolotl.
_NO_MATRICES = ("embed_tokens", "lm_head")


@dataclass(frozen=True, slots=True)
class _Part:
    """A parameter, its rate as a share of the learning rate, and its weight decay."""

    name: str
    value: torch.nn.Parameter
    share: float
    decay: float


def make_optimizer(model: torch.nn.Module, settings: OptimizerSettings) -> torch.optim.Optimizer:
    """The optimizer over the model's trainable parameters; biases and norms are not decayed.

    Each group of parameters holds its rate as a `share` of the learning rate, which `set_learning_rate` keeps. With LoRA+ the
    B matrices and what has one dimension step at a multiple of it and adapted embeddings at a rate of their own, as in
    `peft.optimizers.create_loraplus_optimizer`.

    The 8-bit names are bitsandbytes' with moments in blocks of 256 values, on the CPU and on CUDA; tensors under 4,096 values
    keep moments in 32 bits. Paged state may leave the GPU for main memory, where a CPU's state lies anyway. Adafactor is
    transformers', with the learning rate as its step size; Muon is PyTorch's.
    """
    return _MAKERS[settings.name](_parts(model, settings), settings)


def _parts(model: torch.nn.Module, settings: OptimizerSettings) -> list[_Part]:
    """Every trainable parameter, those with decay first."""
    embedded = _adapted_embeddings(model)
    if settings.embedding_rate is not None and not embedded:
        raise ModelError(
            Problem(
                "no embedding is adapted, so this rate is nobody's",
                where="loraplus_lr_embedding",
                found=f"{settings.embedding_rate:g}",
                hint="leave it out, or name the embedding in `lora_target_modules`",
            )
        )
    parts = []
    for name, value in trainable(model):
        share = 1.0
        if settings.loraplus_ratio is not None:
            if id(value) in embedded:
                share = (settings.embedding_rate or _EMBEDDING_RATE) / settings.learning_rate
            elif "lora_B" in name or value.ndim == 1:
                share = settings.loraplus_ratio
        parts.append(_Part(name, value, share, settings.weight_decay if value.ndim >= 2 else 0.0))
    return sorted(parts, key=lambda part: part.value.ndim < 2)


def _adapted_embeddings(model: torch.nn.Module) -> frozenset[int]:
    """The identities of parameters that adapt an embedding."""
    layers = [module for module in model.modules() if isinstance(module, LoraEmbedding)]
    return frozenset(id(value) for layer in layers for name, value in layer.named_parameters() if "lora_" in name)


def _groups(parts: Iterable[_Part], settings: OptimizerSettings) -> list[Group]:
    """Parameters of equal share and decay side by side, in the order of their first."""
    groups: dict[tuple[float, float], Group] = {}
    for part in parts:
        new: Group = {"params": [], "lr": settings.learning_rate * part.share, "share": part.share, "weight_decay": part.decay}
        groups.setdefault((part.share, part.decay), new)["params"].append(part.value)
    return list(groups.values())


def _arguments(settings: OptimizerSettings, *names: str) -> dict[str, Any]:
    """The written ones of `optim_args`."""
    return {name: value for name in names if (value := getattr(settings.arguments, name)) is not None}


def _torch_adamw(parts: list[_Part], settings: OptimizerSettings, fused: bool = False) -> torch.optim.Optimizer:
    betas = (settings.beta1, settings.beta2)
    return torch.optim.AdamW(
        _groups(parts, settings), lr=settings.learning_rate, betas=betas, eps=settings.epsilon, fused=True if fused else None
    )


def _fused_adamw(parts: list[_Part], settings: OptimizerSettings) -> torch.optim.Optimizer:
    return _torch_adamw(parts, settings, fused=True)


def _bitsandbytes(parts: list[_Part], settings: OptimizerSettings) -> torch.optim.Optimizer:
    """AdamW or Lion, in 8 or 32 bits, paged or not, by the name."""
    kind, more = (Lion, {}) if "lion" in settings.name else (BitsandbytesAdamW, {"eps": settings.epsilon})
    return kind(
        _groups(parts, settings),
        lr=settings.learning_rate,
        betas=(settings.beta1, settings.beta2),
        optim_bits=8 if settings.name.endswith("8bit") else 32,
        # On a CPU bitsandbytes would warn at the first step that there is nothing to page.
        is_paged=settings.name.startswith("paged") and any(part.value.is_cuda for part in parts),
        **more,
    )


def _adafactor(parts: list[_Part], settings: OptimizerSettings) -> torch.optim.Optimizer:
    """transformers' own, as its trainer and Axolotl set it: no step size of its own making, no first moment."""
    return Adafactor(_groups(parts, settings), lr=settings.learning_rate, scale_parameter=False, relative_step=False)


def _sgd(parts: list[_Part], settings: OptimizerSettings) -> torch.optim.Optimizer:
    return torch.optim.SGD(_groups(parts, settings), lr=settings.learning_rate, **_arguments(settings, "momentum", "dampening", "nesterov"))


def _rmsprop(parts: list[_Part], settings: OptimizerSettings) -> torch.optim.Optimizer:
    more = _arguments(settings, "momentum", "alpha", "eps", "centered")
    return torch.optim.RMSprop(_groups(parts, settings), lr=settings.learning_rate, **more)


def _muon(parts: list[_Part], settings: OptimizerSettings) -> torch.optim.Optimizer:
    """Matrices by Muon, embeddings (undecayed), heads and what is no matrix by AdamW, all at one learning rate, as in Axolotl."""
    matrices = [part for part in parts if _is_matrix(part)]
    others = [_Part(part.name, part.value, 1.0, 0.0) for part in parts if not _is_matrix(part)]
    more = _arguments(settings, "nesterov")
    if settings.arguments.mu is not None:
        more["momentum"] = settings.arguments.mu
    if settings.arguments.adjust_lr == "spectral_norm":
        matrices = [_by_spectral_norm(part) for part in matrices]
    else:
        more["adjust_lr_fn"] = "match_rms_adamw"
    made: list[torch.optim.Optimizer] = []
    if matrices:
        made.append(torch.optim.Muon(_groups(matrices, settings), lr=settings.learning_rate, **more))
    if others:
        made.append(_torch_adamw(others, settings))
    return made[0] if len(made) == 1 else Several(made)


def _is_matrix(part: _Part) -> bool:
    is_whole = part.name.endswith("modules_to_save.default.weight") or any(name in part.name for name in _NO_MATRICES)
    return part.value.ndim == 2 and not is_whole


def _by_spectral_norm(part: _Part) -> _Part:
    """The part with the rate sqrt(m / n) of a matrix [m, n] as in Axolotl; PyTorch's own factor is no less than 1.

    Its decay is set so that the product with the rate stays what it was.
    """
    rows, columns = part.value.shape
    narrow = min(1.0, rows / columns) ** 0.5
    return _Part(part.name, part.value, part.share * narrow, part.decay / narrow)


class Several(torch.optim.Optimizer):
    """Several optimizers, each over its own parameters, as one: their groups and their state are side by side."""

    def __init__(self, optimizers: list[torch.optim.Optimizer]) -> None:
        self.optimizers = optimizers
        super().__init__([group for optimizer in optimizers for group in optimizer.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Lets the parts read and write the state and the groups of the whole."""
        groups = iter(self.param_groups)
        for optimizer in self.optimizers:
            optimizer.state = self.state
            optimizer.param_groups = [next(groups) for _ in optimizer.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of each."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back what `state_dict` gave."""
        super().load_state_dict(state_dict)
        self._share()


_MAKERS: Mapping[str, Callable[[list[_Part], OptimizerSettings], torch.optim.Optimizer]] = {
    "adamw_torch": _torch_adamw,
    "adamw_torch_fused": _fused_adamw,
    "adamw_torch_8bit": _bitsandbytes,
    "adamw_bnb_8bit": _bitsandbytes,
    "adamw_8bit": _bitsandbytes,
    "paged_adamw": _bitsandbytes,
    "paged_adamw_32bit": _bitsandbytes,
    "paged_adamw_8bit": _bitsandbytes,
    "lion": _bitsandbytes,
    "lion_32bit": _bitsandbytes,
    "lion_8bit": _bitsandbytes,
    "paged_lion_32bit": _bitsandbytes,
    "paged_lion_8bit": _bitsandbytes,
    "adafactor": _adafactor,
    "muon": _muon,
    "sgd": _sgd,
    "rmsprop": _rmsprop,
}


def optimizer_state(
    optimizer: torch.optim.Optimizer, model: torch.nn.Module, keeps: bool = True
) -> tuple[dict[str, torch.Tensor], JsonObject]:
    """The optimizer's memory as tensors named `parameter/entry` on the CPU, and its plain numbers under the same names.

    Divided tensors are gathered from all processes, of which only those with `keeps` hold them.
    """
    tensors: dict[str, torch.Tensor] = {}
    numbers: JsonObject = {}
    for name, parameter in trainable(model):
        for entry, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, torch.Tensor):
                gathered = whole(value.detach())
                if not keeps:
                    continue
                # A copy of its own: the 8-bit optimizer shares its code books between parameters, and safetensors refuses shared memory.
                tensors[f"{name}/{entry}"] = gathered.clone(memory_format=torch.contiguous_format).cpu()
            else:
                numbers[f"{name}/{entry}"] = value
    return tensors, numbers


def load_optimizer_state(
    optimizer: torch.optim.Optimizer, model: torch.nn.Module, tensors: Mapping[str, torch.Tensor], numbers: JsonObject
) -> None:
    """Gives the optimizer back what `optimizer_state` took from it."""
    parameters = dict(trainable(model))
    fused = {id(value) for group in optimizer.param_groups if group.get("fused") for value in group["params"]}
    for key, number in numbers.items():
        name, _, entry = key.rpartition("/")
        optimizer.state[parameters[name]][entry] = number
    for key, tensor in tensors.items():
        name, _, entry = key.rpartition("/")
        parameter = parameters[name]
        if entry == "step" and id(parameter) not in fused:
            held = tensor.clone()  # torch keeps the step count of what is not fused on the CPU.
        elif entry in ("state1", "state2") and getattr(optimizer, "is_paged", False):
            held = optimizer.get_state_buffer(parameter, dtype=tensor.dtype)  # type: ignore[attr-defined]  # Paged again, not on the GPU.
            held.copy_(tensor)
        else:
            held = divided_like(tensor.clone(), parameter)
        optimizer.state[parameter][entry] = held


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float, momentum: float | None = None) -> None:
    """Sets the rate of the next step, of which each group takes its share; and the momentum (AdamW's and Lion's beta1) if one is given."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("share", 1.0)
        if momentum is not None and "betas" in group:
            group["betas"] = (momentum, *group["betas"][1:])
        elif momentum is not None:
            group["momentum"] = momentum
