"""The model: Qwen2's architecture at a size that two cores can train."""

from __future__ import annotations

import torch
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from recipes.starter.tokenizer import CONTEXT_TOKENS

HIDDEN, LAYERS, HEADS, KEY_VALUE_HEADS, INNER = 256, 5, 4, 4, 768


def build_model(vocabulary: int, pad_id: int, turn_end_id: int, seed: int = 0) -> Qwen2ForCausalLM:
    """An untrained model, the same for the same seed."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_VALUE_HEADS,
        max_position_embeddings=CONTEXT_TOKENS,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        rms_norm_eps=1e-6,
        tie_word_embeddings=True,
        pad_token_id=pad_id,
        eos_token_id=turn_end_id,
        bos_token_id=None,
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=turn_end_id, pad_token_id=pad_id, do_sample=False, max_new_tokens=128)
    return model
