"""A base model with random weights and a byte-level tokenizer: the speed and memory of a trained one, and no download."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

# `tiny` has 6.5 million parameters, `half` the 494 million of Qwen2.5-0.5B.
SHAPES = {
    "tiny": {
        "hidden_size": 256,
        "intermediate_size": 704,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 8192,
    },
    "half": {
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
    },
}
# ChatML; the generation marks tell a peer which tokens carry loss.
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}<|im_end|>{% endgeneration %}\n"
    "{% else %}{{ m['content'] }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_TOKENS = 8192
_SOURCES = 120


def make_base(folder: Path, shape: str) -> Path:
    """Writes model and tokenizer of `shape` to `folder`, once; equal bytes for equal versions of Python and PyTorch."""
    if (folder / "model.safetensors").is_file():
        return folder
    bpe = Tokenizer(models.BPE())
    # transformers cuts any Qwen2 model's text by this pattern, whatever `tokenizer.json` says; with another one the peer would
    # read other tokens.
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    sources = sorted(str(path) for path in Path(sysconfig.get_path("stdlib")).glob("*.py"))[:_SOURCES]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train(sources, trainers.BpeTrainer(vocab_size=_TOKENS, special_tokens=special, initial_alphabet=alphabet, show_progress=False))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=32768)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    fixed = {"max_position_embeddings": 32768, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0, "tie_word_embeddings": True}
    Qwen2ForCausalLM(Qwen2Config(**SHAPES[shape], **fixed)).to(torch.bfloat16).save_pretrained(folder)
    return folder
