"""A model's tokenizer from its files: text to ids and back, special tokens, chat template, and a copy that stock `transformers` opens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as RustTokenizer
from tokenizers.processors import ByteLevel

from luthier.core.errors import ModelError, Problem
from luthier.core.files import read_json, write_bytes, write_json, write_text
from luthier.core.records import JsonObject

# `special_tokens_map.json` is not among them: its tokens are written into `tokenizer_config.json`, so that they are said once.
TOKENIZER_FILES = ("tokenizer.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model")
TEMPLATE_FOLDER = "additional_chat_templates"
NAMED_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
# Where the pad token is the end-of-text token, another special token pads: a model that learns to pad never learns to stop.
_PAD_CHOICES = ("<|endoftext|>", "<pad>", "[PAD]", "<|finetune_right_pad_id|>", "<|pad|>", "<unk>", "[UNK]")
# What stands between two documents where the end-of-text token that is named ends a turn.
_DOCUMENT_ENDS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>")
# A longer text takes its time, in which other threads of the process go on.
_LONG_CHARACTERS = 20_000


class TextTokenizer:
    """The `Tokenizer` protocol over a model folder's `tokenizer.json`."""

    def __init__(self, folder: Path, rust: RustTokenizer, config: JsonObject) -> None:
        self.folder = folder
        self._rust = rust
        self._config = config
        self.special_tokens = {name: text for name in NAMED_TOKENS if (text := _text_of(config.get(name))) is not None}
        added = rust.get_added_tokens_decoder()
        self._special = {token.content: index for index, token in added.items() if token.special}
        for text in self.special_tokens.values():
            if (index := rust.token_to_id(text)) is not None:
                self._special.setdefault(text, index)
        self.special_ids = frozenset(self._special.values())
        self.special_texts = tuple(self._special)
        self.bos_id = self._id_of("bos_token")
        self.eos_id, self.eos_token = self._require_eos()
        self.pad_id = self._choose_pad(())
        self.chat_template = _chat_template(folder, config)
        self.adds_bos = self.bos_id is not None and rust.encode("a", add_special_tokens=True).ids[:1] == [self.bos_id]
        # Nothing is ever added from here on; the tokenizer's own last step would only cut the blanks off the tokens' offsets, so that a
        # token that begins before an answer seemed to begin inside it.
        rust.post_processor = ByteLevel(trim_offsets=False)
        self.generation_eos_ids = _generation_eos_ids(folder)

    @staticmethod
    def from_folder(folder: Path) -> TextTokenizer:
        """The tokenizer in `folder`; `ModelError` where there is none that can be read without running code."""
        file = folder / "tokenizer.json"
        if not file.is_file():
            hint = "make it once with: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
            raise ModelError(Problem("there is no `tokenizer.json` beside the model", where="base_model", found=str(folder), hint=hint))
        config = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
        more = read_json(folder / "special_tokens_map.json") if (folder / "special_tokens_map.json").is_file() else {}
        try:
            rust = RustTokenizer.from_file(str(file))
        except Exception as error:
            # The Rust side raises plain `Exception` for every malformed file; a kind of its own is not the file's fault.
            if type(error) is not Exception:
                raise
            raise ModelError(Problem("the tokenizer cannot be read", where=str(file), found=str(error)[:200])) from error
        rust.no_truncation()
        rust.no_padding()
        # As in `transformers`: the older file speaks where the configuration does not list the added tokens itself.
        return TextTokenizer(folder, rust, {**more, **config} if "added_tokens_decoder" in config else {**config, **more})

    @property
    def document_end_ids(self) -> frozenset[int]:
        """The tokens that begin or end a document."""
        known = {self._special[text] for text in _DOCUMENT_ENDS if text in self._special}
        return frozenset(known | {self.eos_id} | ({self.bos_id} if self.bos_id is not None else set()))

    def _id_of(self, name: str) -> int | None:
        text = self.special_tokens.get(name)
        return None if text is None else self._rust.token_to_id(text)

    def _require_eos(self) -> tuple[int, str]:
        text = self.special_tokens.get("eos_token")
        index = None if text is None else self._rust.token_to_id(text)
        if text is None or index is None:
            hint = "name one in tokenizer_config.json: a model without it never learns to stop"
            raise ModelError(
                Problem("the tokenizer has no end-of-text token", where=str(self.folder), found=f"eos_token: {text}", hint=hint)
            )
        return index, text

    def _choose_pad(self, taken: Sequence[int]) -> int:
        """The pad token as written, else another special token; never the end of a text or of a turn (`taken`)."""
        ends = {self.eos_id, *taken}
        written = self._id_of("pad_token")
        if written is not None and written not in ends:
            return written
        known = [self._special[text] for text in _PAD_CHOICES if text in self._special]
        others = [index for index in sorted(self.special_ids) if index != self.bos_id]
        for index in (*known, *others, self.bos_id):
            if index is not None and index not in ends:
                return index
        raise ModelError(
            Problem(
                "no token is free for padding: a model that is padded with its end-of-text token may never learn to stop",
                where=str(self.folder / "tokenizer_config.json"),
                found=f"pad_token: {self.special_tokens.get('pad_token')}, eos_token: {self.eos_token}",
                hint="write `pad_token` there: a token of the vocabulary that your rows never use",
            )
        )

    def keep_padding_apart(self, ends: Sequence[int]) -> None:
        """Chooses the pad token anew, so that it is none of `ends`, the tokens that end a turn."""
        self.pad_id = self._choose_pad(ends)

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; special tokens written in the text are recognised, none is added."""
        if len(text) > _LONG_CHARACTERS:
            # Of the tokenizer's calls only those for several texts let other threads run.
            return list(self._rust.encode_batch_fast([text], add_special_tokens=False)[0].ids)
        return list(self._rust.encode(text, add_special_tokens=False).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """For each text its ids and each token's first and last character."""
        return [(found.ids, found.offsets) for found in self._rust.encode_batch(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """The text of `ids`."""
        return str(self._rust.decode(list(ids), skip_special_tokens=skip_special))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Each token's own text, for people; a token that holds part of a character shows its raw name."""
        shown = []
        for index in ids:
            text = self.decode([index], skip_special=False)
            shown.append(text if text and "\ufffd" not in text else f"<{self._rust.id_to_token(index)}>")
        return shown

    def save(self, folder: Path, chat_template: str) -> None:
        """Writes a folder that stock `transformers` opens, with `chat_template` as the template."""
        for name in TOKENIZER_FILES:
            source = self.folder / name
            if source.is_file():
                write_bytes(folder / name, source.read_bytes())
        # Code from a model's repository never travels on.
        config = {name: value for name, value in self._config.items() if name not in ("chat_template", "auto_map")}
        config |= self.special_tokens
        for name in ("additional_special_tokens", "extra_special_tokens"):
            if isinstance(listed := config.get(name), list):
                config[name] = [text for entry in listed if (text := _text_of(entry)) is not None]
        config["pad_token"] = self._rust.id_to_token(self.pad_id)
        config.setdefault("tokenizer_class", "PreTrainedTokenizerFast")
        write_json(folder / "tokenizer_config.json", config)
        write_text(folder / "chat_template.jinja", chat_template)


def _text_of(value: Any) -> str | None:
    """A special token's text, written as a string or as an added token's mapping."""
    found = value.get("content") if isinstance(value, dict) else value
    return found if isinstance(found, str) and found else None


def _chat_template(folder: Path, config: JsonObject) -> str | None:
    """The chat template from `chat_template.jinja`, `chat_template.json` or the configuration.

    Of several named ones `default` is taken, and `tool_use` for conversations with tools, as `transformers` does.
    """
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted((folder / TEMPLATE_FOLDER).glob("*.jinja"))}
    if (folder / "chat_template.jinja").is_file():
        texts["default"] = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    if not texts:
        written = config.get("chat_template")
        if (folder / "chat_template.json").is_file():
            written = read_json(folder / "chat_template.json").get("chat_template", written)
        if isinstance(written, list):
            texts = {entry["name"]: entry["template"] for entry in written}
        elif isinstance(written, str):
            texts = {"default": written}
    default = texts.get("default") or next(iter(texts.values()), "")
    if default and texts.get("tool_use", default) != default:
        # A template's last newline is not part of what it writes.
        return "{% if tools %}" + texts["tool_use"].removesuffix("\n") + "{% else %}" + default.removesuffix("\n") + "{% endif %}"
    return default or None


def _generation_eos_ids(folder: Path) -> tuple[int, ...]:
    """The end tokens that the model's own generation settings name."""
    file = folder / "generation_config.json"
    written = read_json(file).get("eos_token_id") if file.is_file() else None
    found = written if isinstance(written, list) else [written]
    return tuple(index for index in found if isinstance(index, int))
