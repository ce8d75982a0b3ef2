"""Memory of one of several processes that train together, or of one of several GPUs of a process: what it holds of the model, and what is
there whole for a moment."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from luthier.config.deepspeed import section_of
from luthier.config.keys.processes import Part, ZeroSettings
from luthier.config.training_settings import TrainingSettings
from luthier.model.memory import Load, Training, adapter_bytes, layer_of, memory_parts, packed_bytes, parameter_bytes, process_bytes
from luthier.model.shapes import BaseShapes
from luthier.model.trained_shapes import adapter_tensors, optimizer_bytes

_FLOAT32_BYTES = 4
# Gradients are summed in flat pieces of so many bytes.
PIECE_BYTES = 32 << 20
# FSDP2 gathers the next layer while one computes: two layers whole, and one in the flat piece that it arrives in. A gradient lies whole,
# and in the flat piece that it is sent in.
_LAYERS_AT_ONCE, _COPIES_OF_A_GRADIENT = 3, 2
# On a CPU the C library keeps what was gathered layer by layer: measured with glibc's, 2.3 times all layers after the first pass
# under FSDP2; under ZeRO-3 the peak of two processes is met with as much.
_KEPT_ON_A_CPU = 2
# safetensors makes the file's bytes beside the tensors, and the first checkpoint is read back.
_COPIES_OF_A_CHECKPOINT = 2
# What a process holds from one step to the next, and by which of `PARTS` it is divided and put into main memory.
_HELD: Mapping[str, Part] = {
    "base weights": "weights", "adapter": "weights", "gradients": "gradients", "weights to step": "state", "optimizer state": "state",
}  # fmt: skip
# What DeepSpeed 0.19 takes where its file says nothing, in values.
_DEFAULTS: Mapping[str, int] = {
    "reduce_bucket_size": 500_000_000,
    "stage3_prefetch_bucket_size": 50_000_000,
    "stage3_param_persistence_threshold": 100_000,
    "stage3_max_reuse_distance": 1_000_000_000,
}


@dataclass(frozen=True, slots=True)
class Buffers:
    """What DeepSpeed's engine takes beside a process's parts, counted in values.

    Gradients are summed `summed` values at a time, in `kept` buffers of that size, whatever the model's; where none is kept, in copies as
    large as what is summed. Of weights that are divided those of at most `persistent` values stay gathered, and `ahead` values are gathered
    before they are wanted, or stay until they are wanted again.
    """

    summed: int
    kept: int
    persistent: int = 0
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class Division:
    """How a training lies over `processes`: what is `divided` is a part in each, all else is whole in each.

    What is `offloaded` lies in main memory while a GPU computes. Of divided weights FSDP2 frees a layer behind its forward pass where it
    `reshards`; `reads_once`: the first process alone reads the base. `buffers` are those of DeepSpeed, which sums and gathers in its own
    way. One process may spread the base's layers over several `devices`.
    """

    processes: int = 1
    divided: frozenset[Part] = frozenset()
    offloaded: frozenset[Part] = frozenset()
    reshards: bool = True
    reads_once: bool = False
    buffers: Buffers | None = None
    devices: int = 1


ALONE = Division()


def division_of(settings: TrainingSettings, base: BaseShapes, processes: int, devices: int) -> Division:
    """What the run file's training divides over `processes`, or over the `devices` of one."""
    if processes == 1:
        return Division(devices=devices if settings.spreads else 1)
    return Division(
        processes,
        settings.divided,
        settings.offloaded,
        reshards=settings.shards is None or settings.shards.reshards,
        reads_once=settings.first_reads,
        buffers=None if settings.zero is None else _buffers(settings.zero, base.sizes.hidden),
    )


def _buffers(zero: ZeroSettings, width: int) -> Buffers:
    section: Mapping[str, Any] = {**_DEFAULTS, **section_of(zero, width)}
    # A buffer of each of two passes where they overlap; stage 3 has one for all.
    overlaps = section.get("overlap_comm", False) and zero.stage < 3
    kept = (2 if overlaps else 1) if section.get("contiguous_gradients", True) or (zero.stage < 3 and zero.offloaded) else 0
    if not zero.divides("weights"):
        return Buffers(section["reduce_bucket_size"], kept)
    # A weight stays where it is wanted again within the distance: that of a layer's two passes is twice what lies behind it.
    ahead = section["stage3_prefetch_bucket_size"] + section["stage3_max_reuse_distance"] // 2
    return Buffers(section["reduce_bucket_size"], kept, section["stage3_param_persistence_threshold"], ahead)


def process_parts(
    base: BaseShapes, training: Training, load: Load, division: Division, process: int | None = None, *, is_first: bool = True
) -> dict[str, int]:
    """Bytes of each part in one process, by its name, at the moment that takes most; the first one also gathers and writes checkpoints.

    The whole base is read into main memory first: on CUDA that is not counted, and on a CPU it is less than what the steps take. Of a
    process with several devices they are those of the device that takes most.
    """
    parts = memory_parts(base, training, load, process)
    if division.devices > 1:
        return _of_a_device(base, training, parts, division.devices, process)
    if division.processes == 1:
        return parts
    held, passing = held_parts(base, training, division), _passing(base, training, division)
    step = {**parts, **held, **passing}
    step["process"] = process_bytes(training.device, step, process)
    if training.device == "cuda" or not is_first:
        return step
    trained = training.trained(base)
    whole_state = _FLOAT32_BYTES * sum(tensor.size for tensor in trained) + optimizer_bytes(trained, training.optimizer)
    # What was gathered stays with the C library; DeepSpeed keeps its part of the gradients.
    writing = {**held, "gathered weights": passing.get("gathered weights", 0), "process": parts["process"]}
    writing |= {} if division.buffers is not None else {"gradients": 0}
    writing["checkpoint being written"] = _COPIES_OF_A_CHECKPOINT * whole_state
    return max(step, {**dict.fromkeys(step, 0), **writing}, key=lambda moment: sum(moment.values()))


def held_parts(base: BaseShapes, training: Training, division: Division) -> dict[str, int]:
    """Bytes of what one process holds from one step to the next: on the GPU, or on a CPU all of it.

    Gradients are those of all passes of a step. `weights to step` are the copy of its part of the trained weights that DeepSpeed steps.
    """
    there, kept = _held(base, training, division)
    return there if training.device == "cuda" else {name: size + kept.get(name, 0) for name, size in there.items()}


def offloaded_bytes(base: BaseShapes, training: Training, division: Division) -> int:
    """What one process keeps in main memory of a training on a GPU."""
    return 0 if training.device == "cpu" else sum(_held(base, training, division)[1].values())


def state_bytes(base: BaseShapes, training: Training, division: Division) -> int:
    """The optimizer's state in one process, on the device that computes."""
    return held_parts(base, training, division)["optimizer state"]


def _held(base: BaseShapes, training: Training, division: Division) -> tuple[dict[str, int], dict[str, int]]:
    """What one process holds beside its device, where it has one, and in main memory."""
    trained = training.trained(base)
    values = _FLOAT32_BYTES * sum(tensor.size for tensor in trained)
    sizes = parameter_bytes(base, training)
    packed = sum(packed_bytes(base, training, name, size) for name, size in sizes.items())
    # What unpacks a weight in 4 bits is held by every process, on its device.
    scales = sum(sizes.values()) - packed
    whole = {
        "base weights": packed,
        "adapter": adapter_bytes(base, training),
        "gradients": values,
        "optimizer state": optimizer_bytes(trained, training.optimizer),
    }
    if division.buffers is not None:
        whole["weights to step"] = values
    parts = {name: math.ceil(size / division.processes) if _HELD[name] in division.divided else size for name, size in whole.items()}
    kept = {name: size for name, size in parts.items() if _HELD[name] in division.offloaded}
    there = {name: 0 if name in kept else size for name, size in parts.items()}
    there["base weights"] += scales
    if division.buffers is not None and kept:
        # DeepSpeed's part of the gradients as it is stepped, and of the weights on their way to the device.
        kept["gradients"] = kept.get("gradients", 0) + parts["weights to step"]
        kept["weights to step"] += 0 if "weights" in division.divided else parts["weights to step"]
    return there, kept


def _passing(base: BaseShapes, training: Training, division: Division) -> dict[str, int]:
    """What is there for a moment because there are several processes: weights that are gathered, and gradients that are summed."""
    sizes = parameter_bytes(base, training)
    packed = {name: packed_bytes(base, training, name, size) for name, size in sizes.items()}
    adapter = () if training.lora is None else adapter_tensors(base, training.lora)
    weights = {**packed, **{tensor.name: _FLOAT32_BYTES * tensor.size for tensor in adapter}}
    trained = {tensor.name: _FLOAT32_BYTES * tensor.size for tensor in training.trained(base)}
    found = {} if division.buffers is None else _summed(training, division, division.buffers, trained)
    if not division.divided:
        return {"sum of gradients": min(sum(trained.values()), PIECE_BYTES)}
    if "weights" not in division.divided:
        return found
    by_layer, grads = _by_layer(weights.items()), _by_layer(trained.items())
    layers = [size for layer, size in by_layer.items() if layer]
    if division.buffers is not None:
        gathered = _gathered(base, division.buffers, weights)
    else:
        whole_grads = grads.get("", 0) + max((size for layer, size in grads.items() if layer), default=0)
        found["gradients in passing"] = _COPIES_OF_A_GRADIENT * whole_grads
        gathered = _LAYERS_AT_ONCE * max(layers) if division.reshards else sum(layers) + max(layers)
        gathered += by_layer.get("", 0)
    if training.device == "cpu":
        gathered = max(gathered, _KEPT_ON_A_CPU * sum(layers) + by_layer.get("", 0))
    return {**found, "gathered weights": gathered}


def _summed(training: Training, division: Division, buffers: Buffers, trained: Mapping[str, int]) -> dict[str, int]:
    """The gradients of `trained` weights, each with its bytes, on their way through DeepSpeed's buffers."""
    at_once = _FLOAT32_BYTES * buffers.summed
    filled = min(at_once, sum(trained.values()))
    # On a CPU the system gives memory as it is written to.
    held = buffers.kept * (at_once if training.device == "cuda" else filled)
    found = {"sum of gradients": held if buffers.kept else filled}
    if "gradients" in division.divided:
        # Those that wait until enough of them are there lie in the buffer, where there is one; stage 3 sums in a copy.
        copies = (0 if buffers.kept else 1) + (1 if "weights" in division.divided else 0)
        found["gradients in passing"] = max(trained.values()) + copies * filled
    return found


def _gathered(base: BaseShapes, buffers: Buffers, weights: Mapping[str, int]) -> int:
    """What DeepSpeed gathers of `weights`, each with its bytes: small ones for good; of large ones those that compute and those ahead."""
    values = {name: min(size, math.prod(base.parameters.get(name, (size // _FLOAT32_BYTES,)))) for name, size in weights.items()}
    large = {name: size for name, size in weights.items() if values[name] > buffers.persistent}
    all_large = sum(large.values())
    width = all_large / max(1, sum(values[name] for name in large))
    # What no layer holds is the embeddings or the head.
    at_once = sum(max((size for name, size in large.items() if bool(layer_of(name)) is inside), default=0) for inside in (True, False))
    return sum(weights.values()) - all_large + min(all_large, at_once + int(buffers.ahead * width))


def _of_a_device(base: BaseShapes, training: Training, parts: Mapping[str, int], devices: int, process: int | None) -> dict[str, int]:
    """The parts of one of a process's devices: accelerate lays whole layers side by side, as evenly as they go.

    What is there at the loss, or in a layer's backward pass, is there on one device whole.
    """
    layers = [size for layer, size in _by_layer(parameter_bytes(base, training).items()).items() if layer]
    spread = {name: math.ceil(parts[name] / devices) for name in ("base weights", "adapter", "gradients", "optimizer state", "activations")}
    spread["base weights"] = min(parts["base weights"], spread["base weights"] + max(layers))
    found = {**parts, **spread}
    return {**found, "process": process_bytes(training.device, found, process)}


def _by_layer(sizes: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The sum of each decoder layer, by its number; what belongs to none stands under no name."""
    found: defaultdict[str, int] = defaultdict(int)
    for name, size in sizes:
        found[layer_of(name)] += size
    return found
