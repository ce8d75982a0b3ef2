"""Memory arithmetic of training: what lies on the device, part by part, from shapes and settings alone. Without torch.

Sizes: T tokens of a micro batch, h hidden width, q and k widths of all query and of all key heads, H heads, i width of the feed-forward
part, V vocabulary, w bytes of a value in the number format of the run (4 or 2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from luthier.config.keys.adapter import LoraSettings
from luthier.config.keys.base import Quantization
from luthier.config.keys.optimizer import OptimizerSettings
from luthier.model.shapes import BaseShapes, Matrix
from luthier.model.trained_shapes import TrainedTensor, adapted_matrices, adapter_tensors, base_tensors, optimizer_bytes

_FLOAT32_BYTES = 4
_WIDTH_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# Bytes of an optimizer's memory for each trained weight: AdamW's two moments, Lion's one, in float32 or in 8 bits. What depends on a
# weight's shape (Adafactor, Muon) is not told.
_MOMENT_BYTES = {
    **dict.fromkeys(("adamw_torch", "adamw_torch_fused", "paged_adamw", "paged_adamw_32bit"), 8),
    **dict.fromkeys(("adamw_torch_8bit", "adamw_bnb_8bit", "adamw_8bit", "paged_adamw_8bit"), 2),
    **dict.fromkeys(("lion", "lion_32bit", "paged_lion_32bit"), 4),
    **dict.fromkeys(("lion_8bit", "paged_lion_8bit"), 1),
}

# NF4 with double quantisation as bitsandbytes holds it: a byte for two weights, a byte for each block of 64, a float32 for each 256 of
# those, two tables of 16 and 256 float32 and one offset for each matrix.
_NF4_BLOCK, _NF4_NESTED_BLOCK, _NF4_TABLES_BYTES = 64, 256, 4 * (16 + 256 + 1)
# Logits of a chunk take 4 V bytes a token: 64 MB hold 110 tokens of a vocabulary of 151,936 or 2,048 of one of 8,192.
_CHUNK_BYTES = 64 << 20
_SMALLEST_CHUNK = 256
# On a CPU a chunk's product becomes the gradient some rows at a time, which stay in a core's cache meanwhile.
_BLOCK_BYTES = 2 << 20
# What a training process holds beside the other parts. On a CPU: measured, Python with torch 2.13, transformers, peft and bitsandbytes is
# 0.43 GB at its start and 0.57 GB by the end of a training of the starter model. On CUDA: an assumption, the context with the kernels that
# are loaded; it is no part of what torch tells as its peak.
PROCESS_BYTES = {"cpu": 540 << 20, "cuda": 600 << 20}
# What comes to a process that has imported these libraries, by the end of its first steps.
_LATER_BYTES = {"cpu": 110 << 20, "cuda": 600 << 20}
# What allocators hold in blocks that fit nothing that is asked for. On a CPU a share of what comes and goes in a step: measured with
# glibc's, 0.3 to 1.3 over four shapes. On CUDA a share of all: an assumption.
_UNUSED_SHARE = {"cpu": 0.5, "cuda": 0.05}
_OF_A_MOMENT = ("activations", "gradients of activations", "logits of a chunk", "weights in passing")
EVERY_LAYER = 1 << 30
# Tensors of the feed-forward width that an activation keeps for its gradient; written out in Python it keeps each step.
_KEPT_BY_ACTIVATION = {"gelu_new": 4, "gelu_fast": 4, "gelu_pytorch_tanh": 1}


@dataclass(frozen=True, slots=True)
class WholeCounts:
    """Numbers of weights where no adapter is trained: those with a gradient, those of them that change, and all.

    `held_bytes` is what all of them are held in before a step, None where the number format is not known yet. Norms and biases, and what is
    trained, are held in float32.
    """

    trained: int
    changed: int
    total: int
    held_bytes: int | None


def held_bytes(size: int, dtype: str, *, in_float32: bool) -> int:
    """Bytes of a weight of so many values."""
    return size * (_FLOAT32_BYTES if in_float32 else _WIDTH_BYTES[dtype])


def whole_note(counts: WholeCounts, dtype: str | None, optimizer: str) -> str:
    """What is trained without an adapter, and the memory that it takes before any activation; `dtype` None where it is not known yet."""
    trained, total, changed = counts.trained, counts.total, counts.changed
    held = f"trained weights {size_text(trained * _FLOAT32_BYTES)}"
    parts = [held if counts.held_bytes is None else f"weights {size_text(counts.held_bytes)}"]
    parts.append(f"gradients {size_text(trained * _FLOAT32_BYTES)}")
    moments = _MOMENT_BYTES.get(optimizer)
    if moments is not None:
        parts.append(f"moments of `{optimizer}` {size_text(trained * moments)}")
    if dtype not in ("float32", None):
        parts.append(f"weights in {dtype} for a pass {size_text(trained * _WIDTH_BYTES[dtype])}")
    what = f"all {total:,} weights are trained" if changed == total else f"{changed:,} of {total:,} weights are trained"
    whole = "" if changed == trained else f" with the other rows of theirs, {trained:,} in all"
    return f"{what}, held in float32{whole}: {', '.join(parts)}, beside activations"


def size_text(count: int) -> str:
    """A number of bytes to read."""
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


@dataclass(frozen=True, slots=True)
class Training:
    """What the memory of a training depends on beside the base's shapes and the batch. `lora` None trains weights of the base.

    The activations of the first `recomputed` layers are made again in the backward pass, of all layers where it is `EVERY_LAYER`.
    """

    dtype: str
    device: str
    quantization: Quantization
    attention: str | None
    lora: LoraSettings | None
    unfrozen: tuple[str, ...]
    optimizer: OptimizerSettings
    recomputed: int = 0

    @property
    def width(self) -> int:
        """Bytes of a value in the run's number format."""
        return _WIDTH_BYTES[self.dtype]

    def trained(self, base: BaseShapes) -> list[TrainedTensor]:
        """Every trained tensor."""
        return base_tensors(base, self.unfrozen) if self.lora is None else adapter_tensors(base, self.lora)


@dataclass(frozen=True, slots=True)
class Load:
    """The largest micro batch: its tokens, those of them that predict a trained token, and the tokens of its longest row."""

    tokens: int
    trained: int
    longest: int


def memory_parts(base: BaseShapes, training: Training, load: Load, process: int | None = None) -> dict[str, int]:
    """Bytes of each part at the moment of a step that takes most, by its name.

    That is the loss, when all that is kept for the backward pass is there beside the logits of a chunk, or the backward pass through one
    layer, when the logits are gone. `process` is what the process held before the base was read, where that is measured.
    """
    trained = training.trained(base)
    values = sum(tensor.size for tensor in trained)
    parts = {
        "base weights": base_bytes(base, training),
        "adapter": adapter_bytes(base, training),
        "gradients": values * _FLOAT32_BYTES,
        "optimizer state": optimizer_bytes(trained, training.optimizer),
        **_largest_moment(base, training, load),
    }
    return {**parts, "process": process_bytes(training.device, parts, process)}


def process_bytes(device: str, parts: Mapping[str, int], process: int | None = None) -> int:
    """What a process takes beside its other `parts`: Python with its libraries, and what the allocator cannot use."""
    held = PROCESS_BYTES[device] if process is None else process + _LATER_BYTES[device]
    scattered = sum(size for name, size in parts.items() if name != "process" and (device == "cuda" or name in _OF_A_MOMENT))
    return held + int(_UNUSED_SHARE[device] * scattered)


def _largest_moment(base: BaseShapes, training: Training, load: Load) -> dict[str, int]:
    """What is there for a moment: at the loss, in the backward pass of the last layer, or of the last one that is made again."""
    sizes = _sizes_of_layers(base, training, load)
    inputs = load.tokens * base.sizes.hidden * training.width
    again = min(training.recomputed, len(sizes))
    backward = {"gradients of activations": _gradient_bytes(base, training, load), "weights in passing": _passing_bytes(base, training)}
    kept = again * inputs + sum(sizes[again:])
    head = {"activations": activation_bytes(base, training, load), "logits of a chunk": _logit_bytes(base, training, load)}
    moments = [head, {"activations": kept, **backward}]
    if again:
        moments.append({"activations": again * inputs + max(sizes[:again]), **backward})
    largest = max(moments, key=lambda moment: sum(moment.values()))
    return {name: largest.get(name, 0) for name in _OF_A_MOMENT}


def allocated_bytes(parts: Mapping[str, int], device: str) -> int:
    """What is to be held beside the measured peak: on CUDA that is what torch allocated, on a CPU the whole process."""
    return sum(size for name, size in parts.items() if device == "cpu" or name != "process")


def base_bytes(base: BaseShapes, training: Training) -> int:
    """The base as it is held: matrices of layers as their quantisation says, trained weights in float32, all else in w bytes.

    NF4: n/2 + n/64 + 4 n/(64 * 256) + 1,092 bytes for a matrix of n weights; LLM.int8: n + 4 O. Where only some weights are trained,
    norms and biases are float32 too.
    """
    return sum(parameter_bytes(base, training).values())


def parameter_bytes(base: BaseShapes, training: Training) -> dict[str, int]:
    """The bytes of each parameter of the base as it is held, by its name."""
    matrices = {f"{matrix.module}.weight": matrix for matrix in base.matrices}
    whole = {tensor.name for tensor in base_tensors(base, training.unfrozen)} if training.lora is None else set()
    found: dict[str, int] = {}
    for name, shape in base.parameters.items():
        matrix, size = matrices.get(name), math.prod(shape)
        if matrix is not None and training.quantization != "none":
            found[name] = _quantized_bytes(matrix, training.quantization)
        elif name in whole or (training.lora is None and len(shape) < 2):
            found[name] = size * _FLOAT32_BYTES
        else:
            found[name] = size * training.width
    return found


def packed_bytes(base: BaseShapes, training: Training, name: str, size: int) -> int:
    """The bytes of parameter `name` without what unpacks it: the part of its `size` that processes can divide."""
    is_packed = training.quantization == "nf4" and any(f"{matrix.module}.weight" == name for matrix in base.matrices)
    return math.ceil(math.prod(base.parameters[name]) / 2) if is_packed else size


def _quantized_bytes(matrix: Matrix, quantization: Quantization) -> int:
    if quantization == "int8":
        return matrix.size + _FLOAT32_BYTES * matrix.outputs
    blocks = math.ceil(matrix.size / _NF4_BLOCK)
    return math.ceil(matrix.size / 2) + blocks + _FLOAT32_BYTES * math.ceil(blocks / _NF4_NESTED_BLOCK) + _NF4_TABLES_BYTES


def adapter_bytes(base: BaseShapes, training: Training) -> int:
    """The adapter in float32, 4 bytes a value, and the factors that it started from, where it started from a part of the base."""
    if training.lora is None:
        return 0
    tensors = adapter_tensors(base, training.lora)
    kept = [tensor for tensor in tensors if tensor.name.endswith((".lora_A.weight", ".lora_B.weight"))]
    first = sum(tensor.size for tensor in kept) if training.lora.start.startswith(("pissa", "olora")) else 0
    return _FLOAT32_BYTES * (sum(tensor.size for tensor in tensors) + first)


def activation_bytes(base: BaseShapes, training: Training, load: Load) -> int:
    """What is kept of the forward pass for the backward pass, at its end.

    Each layer: queries, keys, values and the output of attention, w (2 q + 2 k) and 4 H; the input of each norm, 4 h; the inputs of what is
    adapted or trained, w h for attention and w h for the feed-forward part, w i for its last product; and w i for each step of the
    activation (three where it is gated). A layer that is made again keeps its input alone, w h. After the layers: 4 h of the last norm, and
    w h for each trained token.
    """
    sizes = _sizes_of_layers(base, training, load)
    again, width, hidden = min(training.recomputed, len(sizes)), training.width, base.sizes.hidden
    after = load.tokens * (4 * hidden + 4 + 2 * width * base.sizes.head_width) + load.trained * (width * hidden + 8)
    return again * load.tokens * hidden * width + sum(sizes[again:]) + after


def _sizes_of_layers(base: BaseShapes, training: Training, load: Load) -> list[int]:
    """What each decoder layer keeps where it is not made again, in order."""
    kept = _kept_modules(base, training)
    return [_layer_bytes(base, training, load, layer, kept) for layer in _layers(base)]


def _layers(base: BaseShapes) -> list[list[Matrix]]:
    """The linear layers of each decoder layer, the first one first."""
    found: dict[str, list[Matrix]] = {}
    for matrix in base.matrices:
        found.setdefault(layer_of(matrix.module), []).append(matrix)
    return [found[number] for number in sorted(found, key=int)]


def layer_of(name: str) -> str:
    """The number of the decoder layer that a parameter or module belongs to; empty where it belongs to none."""
    return next((part for part in name.split(".") if part.isdigit()), "")


def _kept_modules(base: BaseShapes, training: Training) -> dict[str, int]:
    """Modules whose input is kept, with the rank of their adapter, 0 where they are trained whole."""
    if training.lora is None:
        return {tensor.name.removesuffix(".weight"): 0 for tensor in base_tensors(base, training.unfrozen)}
    return {matrix.module: rank for matrix, rank in adapted_matrices(base, training.lora)}


def _layer_bytes(base: BaseShapes, training: Training, load: Load, layer: Sequence[Matrix], kept: Mapping[str, int]) -> int:
    """The sum for one layer."""
    sizes, width = base.sizes, training.width
    queries, keys = sizes.heads * sizes.head_width, sizes.key_heads * sizes.head_width
    chosen = [matrix for matrix in layer if matrix.module in kept]
    values = 2 * queries + 2 * keys
    values += sizes.intermediate * (3 if base.is_gated else _KEPT_BY_ACTIVATION.get(sizes.activation, 1))
    more = 4 * sizes.heads + _norm_bytes(base, training, layer_of(layer[0].module))
    dropout = training.lora.dropout if training.lora is not None else 0.0
    if dropout:
        # Each adapter has an input of its own, with its mask: of one byte where one kernel drops, on CUDA.
        mask = 1 if training.device == "cuda" else width
        more += sum(matrix.inputs * (width + mask) + kept[matrix.module] * width for matrix in chosen)
    else:
        wide = [matrix for matrix in chosen if base.is_wide(matrix)]
        values += sizes.hidden * any(matrix.inputs == sizes.hidden for matrix in chosen if matrix not in wide)
        values += sizes.hidden * any(matrix.inputs == sizes.hidden for matrix in wide)
        values += sizes.intermediate * any(matrix.inputs == sizes.intermediate for matrix in wide)
    if training.lora is not None and training.lora.dora:
        values += sum(matrix.outputs for matrix in chosen)
    return load.tokens * (values * width + more) + _score_bytes(base, training, load)


def _norm_bytes(base: BaseShapes, training: Training, layer: str) -> int:
    """Per token: RMS norms keep their input in float32, layer norms, which have a bias, in w bytes; trained ones keep their result too."""
    sizes = base.sizes
    total = 0
    for name, shape in base.parameters.items():
        if len(shape) != 1 or not name.endswith(".weight") or layer_of(name) != layer:
            continue
        places = sizes.hidden
        if shape[0] == sizes.head_width != sizes.hidden:  # A norm of queries or of keys; one of each.
            places = sizes.head_width * (sizes.heads + sizes.key_heads) // 2
        is_layer_norm = f"{name.removesuffix('.weight')}.bias" in base.parameters
        total += places * (training.width if is_layer_norm else _FLOAT32_BYTES) + _FLOAT32_BYTES
        total += places * _FLOAT32_BYTES if training.lora is None and not is_layer_norm else 0
    return total


def _score_bytes(base: BaseShapes, training: Training, load: Load) -> int:
    """Scores that are written out: T rows of keys for each head, in float32 for the softmax and in w bytes; a mask of the flat batch."""
    sizes = base.sizes
    if training.attention == "sdpa":
        return 0
    written = training.attention == "eager" or sizes.softcap or (sizes.window and load.longest > sizes.window)
    if not written:
        return 0
    length = load.tokens if training.attention == "eager" else load.longest
    each = _FLOAT32_BYTES + (training.width if training.width < _FLOAT32_BYTES else 0) + (training.width if sizes.softcap else 0)
    return load.tokens * length * sizes.heads * each


def _gradient_bytes(base: BaseShapes, training: Training, load: Load) -> int:
    """Gradients of one layer's activations in the backward pass: w (2 h + 3 i), or w (2 h + 2 i) where nothing is gated, for each token."""
    sizes = base.sizes
    return load.tokens * training.width * (2 * sizes.hidden + (3 if base.is_gated else 2) * sizes.intermediate)


def _logit_bytes(base: BaseShapes, training: Training, load: Load) -> int:
    """Logits of one chunk in float32, and in w bytes where that is another format; three times where the head is adapted.

    On a CPU, but for an adapted head, a chunk is held in w bytes alone, and a block of it in float32. A head that is trained whole has its
    gradient twice for a moment; beside an adapter it computes in float32.
    """
    vocabulary = base.sizes.vocabulary
    tokens = min(load.trained, head_chunk_tokens(vocabulary))
    is_adapted = training.lora is not None and any(matrix == base.head for matrix, _ in adapted_matrices(base, training.lora))
    is_whole = not is_adapted and _is_head_trained(base, training)
    width = _FLOAT32_BYTES if is_whole and training.lora is not None else training.width
    gradient = base.head.size * _FLOAT32_BYTES if is_whole else 0
    if training.device == "cpu" and not is_adapted:
        return vocabulary * (tokens * width + min(tokens, head_block_tokens(vocabulary)) * _FLOAT32_BYTES) + gradient
    each = (3 if is_adapted else 1) * _FLOAT32_BYTES + (width if width < _FLOAT32_BYTES else 0)
    return tokens * vocabulary * each + gradient


def _is_head_trained(base: BaseShapes, training: Training) -> bool:
    """Whether the head's own weight is trained: by its name, or as the embeddings' where both are one and stay so."""
    names = {tensor.name.replace(".modules_to_save.default", "") for tensor in training.trained(base) if tensor.is_whole}
    stays = base.is_tied and (training.lora is None or training.lora.tied)
    return f"{base.head.module}.weight" in names or (stays and base.embedding in names)


def head_chunk_tokens(vocabulary: int) -> int:
    """Tokens whose logits are made at once."""
    return max(_SMALLEST_CHUNK, _CHUNK_BYTES // (4 * vocabulary))


def head_block_tokens(vocabulary: int) -> int:
    """Tokens of a chunk whose softmax is made at once on a CPU."""
    return max(1, _BLOCK_BYTES // (4 * vocabulary))


def _passing_bytes(base: BaseShapes, training: Training) -> int:
    """Weights that are there for one product: the largest matrix unpacked (w), or with its adapter added in float32; for DoRA's norms twice
    in float32. Without an adapter the weights in w bytes of a whole pass, where they are held in float32."""
    largest = max((matrix.size for matrix in base.matrices), default=0)
    if training.lora is None:
        trained = sum(tensor.size for tensor in training.trained(base))
        return trained * training.width if training.width < _FLOAT32_BYTES else 0
    if training.lora.dora:
        return 2 * largest * _FLOAT32_BYTES
    unpacked = largest * training.width if training.quantization != "none" else 0
    return unpacked + (largest * _FLOAT32_BYTES if training.width == _FLOAT32_BYTES else 0)
