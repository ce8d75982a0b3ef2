"""Small models with random weights that answer, and what they are asked with."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, MistralConfig, MistralForCausalLM, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from luthier.core.records import Message
from luthier.model.locate import ModelLocation
from luthier.model.tokenizer import TextTokenizer

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}


def save_tokenizer(folder: Path, template: str | None) -> int:
    """A byte-level tokenizer without merges; the number of its ids."""
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {text: index for index, text in enumerate([*specials, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    rust = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    rust.add_special_tokens(specials)
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    folder.mkdir(parents=True, exist_ok=True)
    rust.save(str(folder / "tokenizer.json"))
    config = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    return len(vocabulary)


def make_base(folder: Path, seed: int = 5) -> ModelLocation:
    """A Qwen2 of two layers with a byte-level tokenizer, saved in `folder`."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=save_tokenizer(folder, CHATML),
        max_position_embeddings=256,
        initializer_range=0.3,
        eos_token_id=2,
        pad_token_id=0,
        **SIZES,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return ModelLocation("tiny", folder, "sha256:0")


def make_adapter(base: ModelLocation, folder: Path, seed: int = 6) -> Path:
    """An adapter of rank 4 whose answers differ from the base's, saved in `folder` with a wording of its own."""
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base.path), LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "lora_" in name:
                value.normal_(std=0.3)
    model.save_pretrained(folder)
    save_tokenizer(folder, CHATML.replace("assistant", "helper"))
    return folder


class Plain:
    """Prompts that are the last message's text, with stop ids of the test's own."""

    def __init__(self, tokenizer: TextTokenizer, stop_ids: tuple[int, ...]) -> None:
        self.tokenizer, self.stop_ids = tokenizer, stop_ids

    def prompt(self, messages: tuple[Message, ...], tools: object = (), template: str = "") -> list[int]:
        return self.tokenizer.encode(messages[-1].content)


def mistral() -> PreTrainedModel:
    """A model whose window of 16 tokens is shorter than its prompts."""
    torch.manual_seed(8)
    config = MistralConfig(vocab_size=259, sliding_window=16, initializer_range=0.3, max_position_embeddings=256, eos_token_id=2, **SIZES)
    return MistralForCausalLM(config).eval()
