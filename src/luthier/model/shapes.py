"""The shapes of a base model by its `config.json` and the headers of its safetensors files: no weight is read. Without torch.

No family is known by name: a matrix of a layer is a two-dimensional weight whose name holds a number, and a bias tells which side of it is
the output.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.core.errors import ModelError, Problem
from luthier.core.files import read_json
from luthier.core.weight_files import MODEL_CONFIG, read_header

Shape = tuple[int, ...]
# What config.json calls each size; the first name that is there counts.
_FIELDS = {
    "hidden": ("hidden_size", "n_embd"),
    "layers": ("num_hidden_layers", "n_layer"),
    "heads": ("num_attention_heads", "n_head"),
    "key_heads": ("num_key_value_heads",),
    "head_width": ("head_dim",),
    "intermediate": ("intermediate_size", "n_inner"),
    "vocabulary": ("vocab_size",),
    "activation": ("hidden_act", "hidden_activation", "activation_function"),
    "window": ("sliding_window",),
    "softcap": ("attn_logit_softcapping",),
}
_HEAD = "lm_head"


@dataclass(frozen=True, slots=True)
class Matrix:
    """A linear layer's weight: the module's full name, its widths, and whether it belongs to a decoder layer."""

    module: str
    outputs: int
    inputs: int
    in_layer: bool = True

    @property
    def size(self) -> int:
        """Number of weights."""
        return self.outputs * self.inputs


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes that `config.json` names. `window` and `softcap` are 0 where attention has none."""

    hidden: int
    layers: int
    heads: int
    key_heads: int
    head_width: int
    intermediate: int
    vocabulary: int
    activation: str = ""
    window: int = 0
    softcap: float = 0.0


@dataclass(frozen=True, slots=True)
class BaseShapes:
    """A base model's parameters by name, each once, its linear layers, and its sizes.

    `embedding` is the name of the matrix of input embeddings; `head` is the output head, whose weight is that same matrix where `is_tied`.
    """

    sizes: Sizes
    parameters: Mapping[str, Shape]
    matrices: tuple[Matrix, ...]
    embedding: str
    head: Matrix
    is_tied: bool

    @property
    def count(self) -> int:
        """Number of all weights, tied ones once."""
        return sum(math.prod(shape) for shape in self.parameters.values())

    @property
    def is_gated(self) -> bool:
        """Whether the layers' feed-forward part multiplies two products: three matrices of its width and not two."""
        return sum(self.is_wide(matrix) for matrix in self.matrices) >= 3 * self.sizes.layers

    def is_wide(self, matrix: Matrix) -> bool:
        """Whether `matrix` belongs to the feed-forward part of a layer."""
        return {matrix.inputs, matrix.outputs} == {self.sizes.hidden, self.sizes.intermediate}


def read_shapes(folder: Path) -> BaseShapes:
    """The shapes of the model in `folder`; `ModelError` where its files do not tell them."""
    config = read_json(folder / MODEL_CONFIG)
    config = config.get("text_config") or config
    found = {name: entry.shape for file in sorted(folder.glob("*.safetensors")) for name, entry in read_header(file).items()}
    # Masks and frequencies that older files hold are no parameters.
    parameters = {name: shape for name, shape in found.items() if 1 <= len(shape) <= 3 and not name.endswith((".inv_freq", ".attn.bias"))}
    parameters |= {name: shape for name, shape in found.items() if name.endswith(".attn.bias") and len(shape) == 1}
    sizes = _sizes(config, folder)
    tables = [name for name, shape in parameters.items() if len(shape) == 2 and shape[0] == sizes.vocabulary and not _in_layer(name)]
    heads = [name for name in tables if _module(name).rsplit(".", 1)[-1] == _HEAD]
    embeddings = [name for name in tables if name not in heads]
    if not embeddings:
        what = "the base's files hold no matrix of embeddings with `vocab_size` rows"
        raise ModelError(Problem(what, where="base_model", found=str(folder), hint="memory is told for causal language models"))
    is_tied = not heads or config.get("tie_word_embeddings") is True
    if is_tied:
        parameters = {name: shape for name, shape in parameters.items() if name not in heads}
    matrices = tuple(_matrix(name, shape, parameters) for name, shape in parameters.items() if len(shape) == 2 and _in_layer(name))
    rows, width = parameters[embeddings[0]]
    head = Matrix(_module(heads[0]) if heads else _HEAD, rows, width, in_layer=False)
    return BaseShapes(sizes, parameters, matrices, embeddings[0], head, is_tied)


def _sizes(config: Mapping[str, Any], folder: Path) -> Sizes:
    values: dict[str, Any] = {
        name: next((config[field] for field in fields if config.get(field) is not None), None) for name, fields in _FIELDS.items()
    }
    for name in ("hidden", "layers", "heads", "vocabulary"):
        if values[name] is None:
            what = f"`config.json` names no `{_FIELDS[name][0]}`"
            raise ModelError(Problem(what, where="base_model", found=str(folder), hint="memory is told for causal language models"))
    one_head = config.get("multi_query") is True
    window = values["window"] if config.get("use_sliding_window") is not False else None
    return Sizes(
        hidden=values["hidden"],
        layers=values["layers"],
        heads=values["heads"],
        key_heads=1 if one_head else values["key_heads"] or values["heads"],
        head_width=values["head_width"] or values["hidden"] // values["heads"],
        intermediate=values["intermediate"] or 4 * values["hidden"],
        vocabulary=values["vocabulary"],
        activation=values["activation"] or "",
        window=window or 0,
        softcap=values["softcap"] or 0.0,
    )


def _module(name: str) -> str:
    return name.removesuffix(".weight")


def _in_layer(name: str) -> bool:
    return any(part.isdigit() for part in name.split("."))


def _matrix(name: str, shape: Shape, parameters: Mapping[str, Shape]) -> Matrix:
    """The linear layer of a weight. GPT-2 keeps its matrices turned: there the bias is as long as the second side."""
    bias = parameters.get(f"{_module(name)}.bias")
    outputs, inputs = reversed(shape) if bias == shape[1:] and bias != shape[:1] else shape
    return Matrix(_module(name), outputs, inputs)
