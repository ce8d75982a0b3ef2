"""Keys of several processes that train together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from luthier.config.keys.fields import Float, Names, Section, key

# What several processes may divide, in the order in which ZeRO's stages take it on.
Part = Literal["state", "gradients", "weights"]
PARTS: tuple[Part, ...] = ("state", "gradients", "weights")


@dataclass(frozen=True, slots=True)
class ShardSettings:
    """How weights are divided over processes: `layers` are class names, or empty for the decoder's own.

    `offloads` keeps parts, gradients and optimizer state in main memory, which is pinned where `pins`. `first_reads`: the first process
    alone reads the base.
    """

    reshards: bool
    layers: tuple[str, ...]
    offloads: bool = False
    pins: bool = True
    first_reads: bool = False


@dataclass(frozen=True, slots=True)
class ZeroSettings:
    """DeepSpeed's file: what of the training is divided by its `stage`, and all else that stands in it, as it is written."""

    stage: int
    written: Mapping[str, Any]

    def divides(self, part: Part) -> bool:
        """Whether each process holds a part of it alone."""
        return PARTS.index(part) < self.stage

    @property
    def offloaded(self) -> frozenset[Part]:
        """What lies in main memory: the optimizer's state, with the gradients where each process keeps its part of them alone."""
        device = (self.written["zero_optimization"].get("offload_optimizer") or {}).get("device")
        kept: tuple[Part, ...] = ("state", "gradients")
        return frozenset(part for part in kept if device == "cpu" and self.divides(part))


class ShardSection(Section):
    """How weights are divided over the processes (FSDP2)."""

    reshard_after_forward: bool = key(True, "none", "Free a layer's gathered weights behind the forward pass, and gather them again.")
    transformer_layer_cls_to_wrap: Names = key((), "none", "Classes of the modules that are divided each by itself; the decoder's layers.")
    offload_params: bool = key(
        False, "none", "Keep divided weights, gradients and optimizer state in main memory; the optimizer steps there."
    )
    cpu_offload_pin_memory: bool = key(True, "none", "Pin that memory, from which GPUs copy faster and which the system cannot swap out.")
    cpu_ram_efficient_loading: bool = key(False, "none", "The first process alone reads the base, and gives the others their parts.")


class ProcessKeys(Section):
    """How several processes train together."""

    ddp_timeout: Float = key(
        1800.0, "none", "Longest wait for another process of the training, in seconds; at the first exchange 300 at most.", gt=0, le=604_800
    )
    device_map: Literal["auto"] | None = key(None, "none", "Spread the base over the GPUs that one process sees.")
    fsdp_version: Literal[2] | None = key(None, "none", "Divide every weight over the processes, by FSDP2.")
    fsdp_config: ShardSection | None = key(None, "none", "Divide every weight over the processes, in this way.")

    deepspeed: dict[str, Any] | None = key(None, "none", "DeepSpeed's file for ZeRO-1, 2 or 3, by its path or as it stands there.")

    def zero_settings(self) -> ZeroSettings | None:
        """What DeepSpeed divides; None where it takes no part."""
        if self.deepspeed is None:
            return None
        return ZeroSettings(int(self.deepspeed["zero_optimization"]["stage"]), self.deepspeed)

    def shard_settings(self) -> ShardSettings | None:
        """How weights are divided; None where each process holds them whole."""
        if self.fsdp_version is None and self.fsdp_config is None:
            return None
        section = self.fsdp_config or ShardSection()
        return ShardSettings(
            reshards=section.reshard_after_forward,
            layers=section.transformer_layer_cls_to_wrap,
            offloads=section.offload_params,
            pins=section.cpu_offload_pin_memory,
            first_reads=section.cpu_ram_efficient_loading,
        )
