"""Several processes, each of which holds a part of every weight (FSDP2): gathered layer by layer for a pass, and freed behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

import torch
from peft import PeftModel
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, OffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from luthier.config.keys.processes import ShardSettings
from luthier.core.errors import ModelError, Problem
from luthier.core.records import JsonObject
from luthier.model.adapters.shards import keep_scales, whole
from luthier.model.adapters.weights import base_of, trainable
from luthier.model.weights.trained import trained_weights
from luthier.train.step.optim import optimizer_state
from luthier.train.strategies.divided import Divided, Root
from luthier.train.strategies.processes import Processes
from luthier.train.strategies.strategy import Made

# What PyTorch 2.11 says of weights that are no floating-point numbers.
_NO_INTEGERS = "only Tensors of floating point dtype can require gradients"


class Sharded(Divided):
    """Each decoder layer is divided over the processes, with its adapter; what is left is divided as one more part.

    Gradients are summed as they are divided, at each backward pass.
    """

    def __init__(self, group: Processes, settings: ShardSettings, device: torch.device) -> None:
        super().__init__(group)
        self._settings, self._device = settings, device
        self._root: torch.nn.Module
        self._divided: list[FSDPModule] = []

    def place(self, model: PreTrainedModel | PeftModel) -> None:
        """Divides the weights, once all processes have the first one's trained ones."""
        if self._settings.first_reads:
            self._agree_on_weights(model)
        else:
            self._group.give([value.detach() for _, value in trainable(model)])
        keep_scales(model, self._device)
        mesh = init_device_mesh(self._device.type, (self.processes,))
        reshards, offload = self._settings.reshards, self._offload()
        self._root = Root(model)
        with self._group.told_when_lost():
            try:
                for layer in wrapped_modules(model, self._settings.layers):
                    self._receive(layer)
                    fully_shard(layer, mesh=mesh, reshard_after_forward=reshards, offload_policy=offload)
                self._receive(self._root)
                fully_shard(self._root, mesh=mesh, offload_policy=offload)
            except RuntimeError as error:
                if _NO_INTEGERS not in str(error):
                    raise
                hint = (
                    "install PyTorch 2.13 or later, or leave `fsdp_version` and `fsdp_config` out: each process holds the whole base then"
                )
                what = "this PyTorch cannot divide a quantised base over processes"
                raise ModelError(Problem(what, "load_in_4bit", f"PyTorch {torch.__version__}", hint=hint)) from error
        self._divided = [module for module in self._root.modules() if isinstance(module, FSDPModule)]
        for module in self._divided:
            # The loop divides, by the trained tokens of all; nothing is to be divided by the number of processes.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)

    def _agree_on_weights(self, model: torch.nn.Module) -> None:
        """What is given has to have the same form in each process."""
        form = [(name, str(value.dtype), tuple(value.shape)) for name, value in (*model.named_parameters(), *model.named_buffers())]
        told = self.gather(sha256(repr(form).encode()).digest())
        if len(set(told)) > 1:
            hint = "take it out: each process then reads the base itself"
            what = "the weights that were read do not have the form that config.json tells"
            raise ModelError(Problem(what, where="fsdp_config.cpu_ram_efficient_loading", hint=hint)).as_shared()

    def _receive(self, module: torch.nn.Module) -> None:
        """The first process's values, where the others have read none; layer by layer, so that they never hold more than one whole."""
        if self._settings.first_reads:
            values = [*module.parameters(), *module.buffers()]
            self._group.give([value.detach() for value in values if not isinstance(value, DTensor)])

    def _offload(self) -> OffloadPolicy:
        """Without a GPU there is no memory to copy to, and nothing is pinned."""
        return (
            CPUOffloadPolicy(pin_memory=self._settings.pins and self._device.type == "cuda") if self._settings.offloads else OffloadPolicy()
        )

    def wrap(self, model: PreTrainedModel | PeftModel, optimizer: torch.optim.Optimizer) -> torch.nn.Module:
        """The model itself; its weights are parts by now."""
        self._model, self._optimizer = model, optimizer
        self._parameters = [value for _, value in trainable(model)]
        return model

    def forward(self, work: Callable[[], Made]) -> Made:
        """What `work` makes, with what no layer holds gathered; where no backward pass follows it is freed at once."""
        with self._group.told_when_lost():
            made: Made = self._root(work)
        if not torch.is_grad_enabled():
            for module in self._divided:
                module.reshard()
        return made

    def backward(self, loss: torch.Tensor, *, is_last: bool) -> None:
        """Adds the gradient of `loss`, summed over the processes."""
        with self._group.told_when_lost():
            super().backward(loss, is_last=is_last)

    def grad_norm(self) -> float:
        """The norm over all parts."""
        with self._group.told_when_lost():
            grads = [value.grad for value in self._parameters if value.grad is not None]
            self._norm = whole(torch.nn.utils.get_total_norm(grads))
            return self._norm.item()

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], JsonObject]:
        """Gathered from all processes; kept by the first one."""
        keeps = self.rank == 0
        with self._group.told_when_lost():
            tensors, numbers = optimizer_state(self._optimizer, self._model, keeps)
            weights = trained_weights(self._model, keeps)
        return (weights, tensors, numbers) if keeps else ({}, {}, {})

    def _whole(self, value: torch.nn.Parameter) -> torch.Tensor:
        return whole(value.detach())


def wrapped_modules(model: PreTrainedModel | PeftModel, names: Sequence[str]) -> list[torch.nn.Module]:
    """The modules that are divided each by itself: those of the classes `names`, or the decoder's layers where none is named.

    A class that no module has is a `ModelError` with those of the layers.
    """
    base = base_of(model)
    layers = [module for module in base.get_decoder().modules() if isinstance(module, torch.nn.ModuleList)]
    blocks = max(layers, key=len, default=torch.nn.ModuleList())
    if not names:
        return list(blocks)
    found = [module for module in model.modules() if type(module).__name__ in names]
    missing = sorted(set(names) - {type(module).__name__ for module in found})
    if missing:
        known = sorted({type(module).__name__ for module in blocks})
        where = "fsdp_config.transformer_layer_cls_to_wrap"
        raise ModelError(Problem("the base has no such layer", where, ", ".join(missing), ", ".join(known), "leave it out to take these"))
    return found
