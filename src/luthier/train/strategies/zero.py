"""Several processes under DeepSpeed's ZeRO: optimizer state (1), gradients (2) and weights (3) are divided over them."""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from luthier.config.deepspeed import AUTO, section_of
from luthier.config.keys.batches import BatchSettings
from luthier.config.keys.processes import ZeroSettings
from luthier.core.errors import ConfigError, Problem
from luthier.core.optional import load
from luthier.core.records import JsonObject
from luthier.model.adapters.shards import keep_scales
from luthier.model.adapters.weights import has_adapter, trainable
from luthier.model.weights.trained import load_trained, trained_weights
from luthier.train.step.optim import set_learning_rate
from luthier.train.strategies.divided import Divided, Root
from luthier.train.strategies.processes import Processes
from luthier.train.strategies.strategy import Made


class Zero(Divided):
    """DeepSpeed's engine steps, sums gradients and divides; the run's own optimizer works on this process's flat pieces.

    It holds the model where its weights are divided, else the trained weights alone, so that no other is touched. Weights that are trained
    stay in float32, whatever the base is in.
    """

    def __init__(self, group: Processes, settings: ZeroSettings, batches: BatchSettings, device: torch.device) -> None:
        """`MissingExtraError` where DeepSpeed is not installed."""
        super().__init__(group)
        os.environ.setdefault("DS_ACCELERATOR", device.type)  # A machine may have a GPU that the run does not take.
        os.environ.setdefault("LOCAL_RANK", str(group.rank.local))
        self._deepspeed = load("deepspeed", "deepspeed", "the run file's `deepspeed`")
        logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
        self._settings, self._batches, self._device = settings, batches, device
        self._divides_weights = settings.divides("weights")
        self._engine: Any

    def wrap(self, model: PreTrainedModel | PeftModel, optimizer: torch.optim.Optimizer) -> torch.nn.Module:
        """The model itself, with the first process's trained weights, under DeepSpeed's engine."""
        self._model, self._optimizer = model, optimizer
        self._parameters = [value for _, value in trainable(model)]
        self._group.give([value.detach() for value in self._parameters])
        settings = engine_settings(self._settings, self._batches, model.config.get_text_config().hidden_size)
        # Names of sums that PyTorch 2.13 writes otherwise, once each; DeepSpeed is to change them.
        warnings.filterwarnings("ignore", message=r"`torch\.distributed\.\w+` is deprecated", category=FutureWarning)
        with self._group.told_when_lost():
            root = self._divided(model, settings) if self._divides_weights else Root(torch.nn.ParameterList(self._parameters))
            self._engine, *_ = self._deepspeed.initialize(model=root, optimizer=optimizer, config=settings, dist_init_required=False)
        return model

    def _divided(self, model: PreTrainedModel | PeftModel, settings: JsonObject) -> torch.nn.Module:
        """The model with its weights divided one by one, each on its way to the device."""
        root = Root(model)
        keep_scales(model, self._device)
        self._deepspeed.zero.Init(module=root, config_dict_or_path=settings, mem_efficient_linear=False)
        for module in root.modules():
            for name, value in module.named_buffers(recurse=False):
                module._buffers[name] = value.to(self._device)
        return root

    def forward(self, work: Callable[[], Made]) -> Made:
        """What `work` makes."""
        with self._group.told_when_lost():
            made: Made = self._engine(work)
        return made

    def backward(self, loss: torch.Tensor, *, is_last: bool) -> None:
        """Adds the gradient of `loss`, and sums it over the processes.

        DeepSpeed divides its sum by the number of processes, and the loop has divided already.
        """
        with self._group.told_when_lost():
            self._engine.set_gradient_accumulation_boundary(is_last)
            self._engine.backward(loss * self.processes, scale_wrt_gas=False)

    def grad_norm(self) -> float:
        """The norm over all pieces."""
        with self._group.told_when_lost():
            if not self._divides_weights:
                return float(self._engine.optimizer.scaled_global_norm())
            own = [self._deepspeed.utils.safe_get_local_grad(value).float() for value in self._parameters]
            norm = torch.nn.utils.get_total_norm(own).item()
            return math.sqrt(self._group.totals([norm * norm])[0])

    def step(self, max_norm: float, learning_rate: float, momentum: float | None = None) -> None:
        """Clips, steps each process's piece, and gives all of them the weights."""
        self._engine.optimizer.clip_grad = max_norm
        set_learning_rate(self._optimizer, learning_rate, momentum)
        with self._group.told_when_lost():
            self._engine.step()

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], JsonObject]:
        """Gathered from all processes under each weight's own name, as one process has them; kept by the first one."""
        with self._group.told_when_lost():
            weights = self._weights()
            tensors, numbers = self._moments()
        return (weights, tensors, numbers) if self.rank == 0 else ({}, {}, {})

    def _weights(self) -> dict[str, torch.Tensor]:
        if self._divides_weights and not has_adapter(self._model):
            found = {}
            for name, value in trainable(self._model):  # One by one: whole they may fit on no device.
                gathered = self._deepspeed.utils.safe_get_full_fp32_param(value)
                if self.rank == 0:
                    found[name] = gathered.cpu().clone()
            return found
        with self._gathered(self._parameters):
            return {name: value.clone() for name, value in trained_weights(self._model).items()}

    def _gathered(self, values: Sequence[torch.nn.Parameter], changes: bool = False) -> Any:
        """Whole weights within; what each process `changes` in them is kept of the first one's."""
        held = list(values) if self._divides_weights else []
        return self._deepspeed.zero.GatheredParameters(held, modifier_rank=0 if changes else None, enabled=bool(held))

    def _link_moments(self) -> None:
        """Lets each weight know its moments: DeepSpeed 0.19 does it after the step of the first group of weights, when others have none."""
        if self._divides_weights:
            return
        inner = self._engine.optimizer
        for flat, values in zip(inner.single_partition_of_fp32_groups, inner.bit16_groups, strict=True):
            for value in values:
                if value._hp_mapping is not None:
                    value._hp_mapping.set_optim_state_fragment(flat, self._optimizer.state[flat])

    def _moments(self) -> tuple[dict[str, torch.Tensor], JsonObject]:
        self._link_moments()
        tensors: dict[str, torch.Tensor] = {}
        numbers: JsonObject = {}
        for entry, sample in next(iter(self._optimizer.state.values()), {}).items():
            for name, value in trainable(self._model):
                if not isinstance(sample, torch.Tensor):
                    numbers[f"{name}/{entry}"] = sample
                elif not sample.ndim:
                    tensors[f"{name}/{entry}"] = sample.cpu().clone()
                else:
                    gathered = self._deepspeed.utils.safe_get_full_optimizer_state(value, entry)
                    if self.rank == 0:
                        tensors[f"{name}/{entry}"] = gathered.cpu().clone()
        return tensors, numbers

    def load(self, weights: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor], numbers: JsonObject) -> None:
        """Puts weights and optimizer back: each process takes its pieces."""
        self.load_weights(weights)
        entries: dict[str, Any] = {}
        for name, value in [*tensors.items(), *numbers.items()]:
            entries.setdefault(name.rpartition("/")[2], value)
        inner, is_divided = self._engine.optimizer, self._divides_weights
        fused = any(group.get("fused") for group in self._optimizer.param_groups)
        for flat in inner.fp32_partitioned_groups_flat if is_divided else inner.single_partition_of_fp32_groups:
            self._optimizer.state[flat] = {entry: _held(value, flat, fused) for entry, value in entries.items()}
        self._link_moments()
        parameters = dict(trainable(self._model))
        for key, tensor in tensors.items():
            name, _, entry = key.rpartition("/")
            if not tensor.ndim:
                continue
            if is_divided:
                part = self._part(tensor, parameters[name])
                self._deepspeed.utils.safe_set_local_optimizer_state(parameters[name], part, entry)
            else:
                self._deepspeed.utils.safe_set_full_optimizer_state(parameters[name], tensor, entry)

    def _part(self, tensor: torch.Tensor, value: torch.nn.Parameter) -> torch.Tensor:
        """This process's piece of a whole tensor, filled up with zeros as DeepSpeed's are."""
        size = value.ds_tensor.numel()
        flat = torch.zeros(size * self.processes, dtype=tensor.dtype)
        flat[: tensor.numel()] = tensor.reshape(-1)
        return flat[self.rank * size : (self.rank + 1) * size]

    def load_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Puts the weights back, and what the optimizer steps on with them."""
        with self._group.told_when_lost():
            if self._divides_weights and not has_adapter(self._model):
                for name, value in trainable(self._model):
                    with self._gathered([value], changes=True), torch.no_grad():
                        value.copy_(weights[name])
            else:
                with self._gathered(self._parameters, changes=True):
                    load_trained(self._model, weights)
            self._engine.optimizer.refresh_fp32_params()

    def settled(self) -> PreTrainedModel | PeftModel:
        """As other divided weights; those that lie whole in each process are there."""
        return super().settled() if self._divides_weights else self._model

    def _whole(self, value: torch.nn.Parameter) -> torch.Tensor:
        gathered: torch.Tensor = self._deepspeed.utils.safe_get_full_fp32_param(value)
        return gathered


def _held(value: Any, flat: torch.Tensor, fused: bool) -> Any:
    """What the optimizer holds of an entry for a flat piece: its moments are filled in later."""
    if not isinstance(value, torch.Tensor):
        return value
    if value.ndim:
        return torch.zeros_like(flat)
    return value.clone().to(flat.device if fused else "cpu")  # As torch keeps the count of steps.


def engine_settings(zero: ZeroSettings, batches: BatchSettings, width: int) -> JsonObject:
    """DeepSpeed's file as its engine takes it: "auto" filled from the run file, and what the loop does itself left out."""
    return {
        "zero_optimization": section_of(zero, width),
        "train_micro_batch_size_per_gpu": batches.micro_batch_size,
        # The loop says which pass of a step is its last; more than one, for the rehearsal is one more.
        "gradient_accumulation_steps": max(2, batches.accumulation_steps),
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
    }


def check_precision(zero: ZeroSettings, dtype: str) -> None:
    """`ConfigError` where DeepSpeed's file says another precision than `auto` came to on this machine."""
    asked = zero.written.get("bf16", {}).get("enabled", AUTO)
    if isinstance(asked, bool) and asked != (dtype == "bfloat16"):
        hint = f'write `bf16: {str(asked).lower()}` in the run file, or "auto" in DeepSpeed\'s file'
        where = "deepspeed.bf16.enabled"
        raise ConfigError(Problem("the run file comes to another precision on this machine", where, str(asked).lower(), dtype, hint))
