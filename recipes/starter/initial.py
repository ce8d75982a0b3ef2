"""A start that can already copy: two attention layers laid in by hand before training.

Copying a run of tokens needs two kinds of heads in a row (Olsson and others 2022, "In-context learning and induction
heads"): one looks at the token before, the next finds where the present token stood earlier and says what followed.
A small model needs millions of tokens to come upon this; here the first two layers are set to it, in the manner of
"mimetic initialization" (Trockman and Kolter 2023), and all weights stay free to change.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from transformers import Qwen2ForCausalLM

EMBEDDING_SCALE = 0.05
BIAS_STRENGTH, MATCH_GAIN, BEFORE_GAIN, COPY_GAIN = 9.0, 2.0, 0.9, 3.0
# Rotary frequencies under this turn too little over a row to tell neighbours apart, and so can carry content.
SLOW_RADIANS = 0.02
LOOKING_BACK = 2


def lay_in(model: Qwen2ForCausalLM, seed: int = 1) -> None:
    """Sets the weights in place: looking back one token in layer 0, matching and copying in layer 1, all else small."""
    config = model.config
    width, heads = config.hidden_size, config.num_attention_heads
    size = width // heads
    turn_radians = config.rope_parameters["rope_theta"] ** (-torch.arange(size // 2).float() * 2 / size)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        _settle(model, width, random)
        read = torch.linalg.qr(torch.randn(width, width, generator=random))[0]
        write = torch.linalg.qr(torch.randn(width, width, generator=random))[0]
        _look_back(model.model.layers[0].self_attn, turn_radians, read, write, size)
        _match_and_copy(model.model.layers[1].self_attn, turn_radians, read, write, size, heads, random)


def _settle(model: Qwen2ForCausalLM, width: int, random: torch.Generator) -> None:
    model.model.embed_tokens.weight.normal_(0, EMBEDDING_SCALE, generator=random)
    for layer in model.model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        for linear in (attention.q_proj, attention.k_proj, attention.v_proj, mlp.gate_proj, mlp.up_proj):
            linear.weight.normal_(0, 0.5 / math.sqrt(width), generator=random)
        attention.o_proj.weight.zero_()
        mlp.down_proj.weight.zero_()


def _look_back(attention: torch.nn.Module, turn_radians: Tensor, read: Tensor, write: Tensor, size: int) -> None:
    """Heads whose biases alone, turned by the rotary embedding, peak one token back."""
    half = size // 2
    quick = BIAS_STRENGTH * (turn_radians >= SLOW_RADIANS)
    for head in range(LOOKING_BACK):
        block = slice(head * size, (head + 1) * size)
        attention.q_proj.weight[block] *= 0.1
        attention.k_proj.weight[block] *= 0.1
        attention.q_proj.bias[block][:half] = quick
        attention.k_proj.bias[block][:half] = quick * torch.cos(turn_radians)
        attention.k_proj.bias[block][half:] = quick * torch.sin(turn_radians)
        attention.v_proj.weight[block] = read[block]
        attention.o_proj.weight[:, block] = BEFORE_GAIN * EMBEDDING_SCALE * write[:, block]


def _match_and_copy(
    attention: torch.nn.Module, turn_radians: Tensor, read: Tensor, write: Tensor, size: int, heads: int, random: torch.Generator
) -> None:
    """Heads that compare this token with what stood before each other one, and pass on the token found."""
    slow = [place for place in range(size // 2) if turn_radians[place] < SLOW_RADIANS]
    places = torch.tensor(slow + [place + size // 2 for place in slow])
    for head in range(heads):
        block = slice(head * size, (head + 1) * size)
        attention.q_proj.weight[block] *= 0.05
        attention.k_proj.weight[block] *= 0.05
        chosen = torch.randperm(LOOKING_BACK * size, generator=random)[: len(places)]
        attention.q_proj.weight[places + head * size] = MATCH_GAIN * read[chosen]
        attention.k_proj.weight[places + head * size] = MATCH_GAIN * write.T[chosen]
        attention.v_proj.weight[block] = read[block]
        attention.o_proj.weight[:, block] = COPY_GAIN * EMBEDDING_SCALE * read.T[:, block]
