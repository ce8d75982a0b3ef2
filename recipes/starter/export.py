"""The finished model as a folder that `transformers` opens: bf16 weights, tokenizer, chat template."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import Qwen2ForCausalLM

from recipes.starter.tokenizer import chat_template, dressed


def export(model: Qwen2ForCausalLM, tokenizer: Tokenizer, folder: Path, facts: dict[str, str]) -> None:
    """Writes the model in bf16 with its tokenizer and its card. Nothing is removed from the folder.

    `facts` are what the card says of the run: tokens_millions, documents, dropped and probe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    dressed(tokenizer, chat_template()).save_pretrained(folder)
    # transformers 4 reads the class and the rotary base under these names.
    _set(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    _set(folder / "config.json", rope_theta=model.config.rope_parameters["rope_theta"])
    (folder / "model.safetensors").chmod(0o644)
    config = model.config
    card = (Path(__file__).parent / "card.md").read_text(encoding="utf-8")
    filled = {
        "parameters_millions": f"{model.num_parameters() / 1e6:.1f}",
        "layers": str(config.num_hidden_layers),
        "hidden": str(config.hidden_size),
        "heads": str(config.num_attention_heads),
        "vocabulary": f"{config.vocab_size:,}",
        "context": f"{config.max_position_embeddings:,}",
        "model_sha256": _sha256(folder / "model.safetensors"),
        "tokenizer_sha256": _sha256(folder / "tokenizer.json"),
        **facts,
    }
    for name, value in filled.items():
        card = card.replace("{" + name + "}", value)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _set(file: Path, **values: object) -> None:
    held = json.loads(file.read_text(encoding="utf-8")) | values
    file.write_text(json.dumps(held, indent=2, sort_keys=True) + "\n", encoding="utf-8")
