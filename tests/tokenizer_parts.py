"""Parts that the tokenizer tests share: a small byte-level tokenizer in a folder, settings, and rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from luthier.config.keys.tokens import TokenSettings
from luthier.core.records import Example, Message, Origin
from luthier.model.template import ChatTemplate, named
from luthier.model.tokenizer import TextTokenizer
from luthier.model.tokens import RowEncoder

CORPUS = [
    "list all files in this folder by size and show the ten largest of them",
    "ls -la find . -type f -name '*.py' -size +10M du -sh * | sort -h | tail -n 10 grep -rn tar -czf git log --oneline",
    "Below is an instruction that describes a task. Write a response that appropriately completes the request. Instruction Response Input",
    "You are a helpful assistant. The answer is: naïve café 你好 🙂 system user assistant tool",
] * 4
SPECIAL = (
    *("<unk>", "<s>", "</s>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|begin_of_text|>", "<|end_of_text|>"),
    *("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<bos>", "<eos>", "<pad>", "<start_of_turn>", "<end_of_turn>"),
    *("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
)
# The beginning- and end-of-text tokens that go with each built-in template.
ENDS: dict[str, tuple[str | None, str]] = {
    "alpaca": ("<s>", "</s>"),
    "chatml": (None, "<|im_end|>"),
    "gemma": ("<bos>", "<eos>"),
    "llama3": ("<|begin_of_text|>", "<|end_of_text|>"),
    "mistral_v1": ("<s>", "</s>"),
    "phi_3": ("<s>", "<|endoftext|>"),
    "phi_4": (None, "<|im_end|>"),
    "qwen_25": (None, "<|im_end|>"),
}
SETTINGS = TokenSettings(
    chat_template=None,
    chat_template_jinja=None,
    default_system_message=None,
    train_on_inputs=False,
    sequence_len=512,
    excess_length_strategy="drop",
)


def trained_tokenizer(special: tuple[str, ...] = SPECIAL) -> Tokenizer:
    """Byte-level BPE of a few hundred pieces; characters outside the corpus fall apart into bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def write_tokenizer(
    folder: Path,
    *,
    bos: str | None = "<s>",
    eos: str = "</s>",
    adds_bos: bool = False,
    chat_template: str | None = None,
    special: tuple[str, ...] = SPECIAL,
    **config: Any,
) -> Path:
    """A tokenizer folder as models ship it; further keywords go into `tokenizer_config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = trained_tokenizer(special)
    steps = [processors.ByteLevel(trim_offsets=True)]
    if adds_bos and bos is not None:
        steps.append(processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]))
    tokenizer.post_processor = processors.Sequence(steps)
    tokenizer.save(str(folder / "tokenizer.json"))
    written = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": bos, "eos_token": eos, "chat_template": chat_template, **config}
    kept = {name: value for name, value in written.items() if value is not None}
    (folder / "tokenizer_config.json").write_text(json.dumps(kept, indent=2), encoding="utf-8")
    return folder


def encoder_for(folder: Path, template: str | ChatTemplate, settings: TokenSettings = SETTINGS, **tokenizer: Any) -> RowEncoder:
    """An encoder that words rows with `template`, over a tokenizer with the end tokens that go with it."""
    if isinstance(template, str):
        bos, eos = ENDS[template]
        tokenizer = {"bos": bos, "eos": eos, **tokenizer}
        template = named(template)
    return RowEncoder(TextTokenizer.from_folder(write_tokenizer(folder, **tokenizer)), template, {}, settings)


def row(*messages: Message, maker: str = "chat_template", name: str = "row", **fields: Any) -> Example:
    """A row as the data stage makes it."""
    return Example(name, messages, Origin(maker, 1, file="rows.jsonl", line=3), **fields)


def text_of(tokenizer: TextTokenizer, ids: list[int]) -> str:
    """The ids' text with every special token in it."""
    return tokenizer.decode(ids, skip_special=False)


def trained_texts(tokenizer: TextTokenizer, found: Any) -> list[str]:
    """The runs of trained tokens of a `TokenRow` as texts."""
    runs: list[list[int]] = []
    before = False
    for token, trained in zip(found.ids.tolist(), found.trained.tolist(), strict=True):
        if trained:
            runs = runs if before else [*runs, []]
            runs[-1].append(token)
        before = trained
    return [text_of(tokenizer, run) for run in runs]
