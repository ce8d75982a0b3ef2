"""The tokenizer: byte-level BPE over words alone, so that a name is the same tokens wherever it stands.

Merges are learned with white space, digits and punctuation cut off. `notes` in ` notes.txt`, `/notes` and `('notes` is
therefore one and the same run of tokens, which is what makes copying it easy; the price is one token for each space.

The finished tokenizer splits text as Qwen2's does. transformers 5 takes its own `Qwen2Tokenizer` for every model of type `qwen2`,
whatever the model's folder says, and so does every program that stands on it: with another splitting the merged model
would be asked in other tokens than it was trained on.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from recipes.starter.names import words

VOCABULARY = 4096
PAD, TURN_START, TURN_END = SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
# What merges are learned in: letters in one piece, runs of one kind of white space, every other sign alone, digits and marks too.
PIECES = r"\p{L}+| +|\n+|\t+|\s|[^\s\p{L}]"
CONTEXT_TOKENS = 2048
# Word forms that the list does not spell out, by group.
TAILS = {"things": ("s",), "work": ("s",), "doing": ("s", "ed", "ing"), "qualities": ("ly",)}


def train_tokenizer(documents: Iterable[str]) -> Tokenizer:
    """A tokenizer of 4,096 tokens: three special ones, all 256 bytes, and merges learned from the documents and the word list."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = splitting(PIECES)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*documents, *listed_words()], trainer)
    tokenizer.pre_tokenizer = splitting(PRETOKENIZE_REGEX)
    return tokenizer


def splitting(pattern: str) -> pre_tokenizers.PreTokenizer:
    """Byte-level pieces of text, cut where the pattern says."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def listed_words() -> list[str]:
    """The word list as training text, the small words of requests most often, so that common words become single tokens."""
    weights = {"small": 400, "counts": 150, "units": 150, "doing": 150, "work": 60, "symbols": 60, "services": 40, "endings": 60}
    lines = []
    for group, members in words().items():
        lines += [" ".join(members)] * weights.get(group, 25)
        lines += [" ".join(member.capitalize() for member in members)] * (weights.get(group, 25) // 8)
        for tail in TAILS.get(group, ()):
            lines += [" ".join(formed(member, tail) for member in members)] * 15
    return lines


def formed(word: str, tail: str) -> str:
    """The word with a tail, spelt as English mostly does."""
    if tail == "s":
        if word.endswith("y") and word[-2:-1] not in "aeou":
            return word[:-1] + "ies"
        return word + ("es" if word.endswith(("s", "x", "z", "ch", "sh")) else "s")
    return (word if tail == "ly" else word.removesuffix("e")) + tail


def dressed(tokenizer: Tokenizer, template: str) -> PreTrainedTokenizerFast:
    """The tokenizer as `transformers` keeps it: special tokens named, chat template inside."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=PAD,
        additional_special_tokens=[TURN_START],
        chat_template=template,
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
        padding_side="right",
    )


def chat_template() -> str:
    return (Path(__file__).parent / "chat_template.jinja").read_text(encoding="utf-8")
