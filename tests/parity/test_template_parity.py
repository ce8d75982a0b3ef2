"""Luthier's templates, tokens and masks against stock `transformers`."""

from __future__ import annotations

import json

import pytest
from transformers import AutoTokenizer

from conversations import CONVERSATIONS, REASONS, RUN, WITH_TOOLS
from luthier.core.records import Reject
from luthier.model.locate import STARTER_FOLDER
from luthier.model.template import ChatTemplate, TemplateRefusal, as_template_sees, named
from luthier.model.tokenizer import TextTokenizer
from luthier.model.tokens import RowEncoder
from tokenizer_parts import ENDS, SETTINGS, encoder_for, row, text_of, write_tokenizer

STARTER = "starter"


def pair(folder, name):
    """An encoder, and stock `transformers` on the folder that its tokenizer saves."""
    if name == STARTER:
        tokenizer = TextTokenizer.from_folder(STARTER_FOLDER)
        encoder = RowEncoder(tokenizer, ChatTemplate(STARTER, tokenizer.chat_template), {}, SETTINGS)
    else:
        encoder = encoder_for(folder / "base", name, adds_bos=name in ("llama3", "gemma"))
    encoder.tokenizer.save(folder / "saved", encoder.template.text)
    return encoder, AutoTokenizer.from_pretrained(folder / "saved")


@pytest.mark.parametrize("name", [*ENDS, STARTER])
def test_text_and_ids_are_stock_ones(tmp_path, name):
    encoder, stock = pair(tmp_path, name)
    compared = 0
    for kind, messages in CONVERSATIONS.items():
        tools = (RUN,) if kind in WITH_TOOLS else ()
        for part, prompt in ((messages, False), (messages[:-1], True)):
            if not part:
                continue
            try:
                tokens = encoder.tokenizer.special_tokens
                text = encoder.template.render(part, tools, add_generation_prompt=prompt, special_tokens=tokens)
            except TemplateRefusal:
                continue
            seen = [as_template_sees(message) for message in part]
            options = {"tools": list(tools) or None, "add_generation_prompt": prompt}
            assert stock.apply_chat_template(seen, tokenize=False, **options) == text
            ids = stock.apply_chat_template(seen, tokenize=True, return_dict=False, **options)
            assert encoder.tokenizer.encode(text) == ids
            compared += 1
    assert compared >= 12


@pytest.mark.parametrize("name", [*ENDS, STARTER])
def test_a_saved_tokenizer_asks_as_the_rows_were_trained(tmp_path, name):
    """What a user of the adapter does: `apply_chat_template(..., add_generation_prompt=True)`."""
    encoder, stock = pair(tmp_path, name)
    for kind in ("single", "many turns", "unicode"):
        asked = CONVERSATIONS[kind][:-1]
        seen = [as_template_sees(message) for message in asked]
        ids = stock.apply_chat_template(seen, add_generation_prompt=True, tokenize=True, return_dict=False)
        assert encoder.prompt(asked) == ids
        if kind == "single":
            trained = encoder.encode(row(*CONVERSATIONS[kind]))[0]
            assert trained.ids[: len(ids)].tolist() == ids
            assert not trained.trained[: len(ids)].any()
    assert stock.pad_token_id == encoder.tokenizer.pad_id != stock.eos_token_id == encoder.tokenizer.eos_id


GENERATION = (
    "{{- bos_token -}}{%- for m in messages -%}"
    "{%- if m.role == 'assistant' -%}{{- '<|im_start|>assistant\n' -}}"
    "{% generation %}{{- m.content + '<|im_end|>' -}}{% endgeneration %}{{- '\n' -}}"
    "{%- else -%}{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' -}}{%- endif -%}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)


def test_masks_are_those_of_generation_markers(tmp_path):
    encoder = encoder_for(tmp_path / "base", ChatTemplate("marked", GENERATION))
    encoder.tokenizer.save(tmp_path / "saved", GENERATION)
    stock = AutoTokenizer.from_pretrained(tmp_path / "saved")
    for kind in ("single", "system", "many turns", "unicode", "empty answer", "blanks", "reasoning", "input"):
        messages = CONVERSATIONS[kind]
        seen = [as_template_sees(message) for message in messages]
        found = stock.apply_chat_template(seen, return_dict=True, return_assistant_tokens_mask=True)
        ours = encoder.encode(row(*messages))
        assert not isinstance(ours, Reject)
        assert (ours[0].ids.tolist(), ours[0].trained.astype(int).tolist()) == (found["input_ids"], found["assistant_masks"]), kind


def test_alpacas_prompt_has_the_begin_that_the_tokenizer_adds_and_no_other(tmp_path):
    for adds_bos in (True, False):
        folder = tmp_path / str(adds_bos)
        encoder = encoder_for(folder / "base", "alpaca", adds_bos=adds_bos)
        encoder.tokenizer.save(folder / "saved", encoder.template.text)
        stock = AutoTokenizer.from_pretrained(folder / "saved")
        asked = CONVERSATIONS["single"][:1]
        text = stock.apply_chat_template([as_template_sees(message) for message in asked], tokenize=False, add_generation_prompt=True)
        assert text.startswith("<s>") is adds_bos
        # The same ids as Axolotl's: its text through the tokenizer with the tokenizer's own special tokens.
        assert encoder.prompt(asked) == stock(text.removeprefix("<s>"))["input_ids"]


TOKEN = {"content": "</s>", "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}


@pytest.mark.parametrize(
    "config, older",
    [
        ({}, None),
        ({"eos": {"__type": "AddedToken", **TOKEN}}, None),
        (
            {"eos": None},
            {"eos_token": TOKEN, "additional_special_tokens": [{**TOKEN, "content": "<|im_end|>"}, {**TOKEN, "content": "<|end|>"}]},
        ),
        ({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"], "pad_token": "</s>"}, {"pad_token": "</s>", "eos_token": "</s>"}),
        ({"extra_special_tokens": ["<|im_end|>"], "tokenizer_class": "TokenizersBackend", "backend": "tokenizers"}, None),
        ({"add_bos_token": True, "clean_up_tokenization_spaces": False, "model_max_length": 1000000000000000019884624838656}, None),
        ({"chat_template": [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"}]}, None),
        ({"added_tokens_decoder": {"2": {**TOKEN, "special": True}}}, None),
    ],
)
def test_every_layout_is_saved_so_that_stock_transformers_reads_the_same(tmp_path, config, older):
    folder = write_tokenizer(tmp_path / "base", **config)
    if older is not None:
        (folder / "special_tokens_map.json").write_text(json.dumps(older), encoding="utf-8")
    ours = TextTokenizer.from_folder(folder)
    ours.save(tmp_path / "saved", named("chatml").text)
    stock = AutoTokenizer.from_pretrained(tmp_path / "saved")
    text = "<s><|im_start|>user\nlist  files 🙂<|im_end|>\n <|end|> x</s>"
    assert stock(text, add_special_tokens=False)["input_ids"] == ours.encode(text)
    assert (stock.eos_token, stock.eos_token_id, stock.bos_token) == ("</s>", ours.eos_id, "<s>")
    assert stock.pad_token_id == ours.pad_id != ours.eos_id
    assert stock.chat_template == named("chatml").text
    again = TextTokenizer.from_folder(tmp_path / "saved")
    assert (again.eos_id, again.pad_id, again.special_ids, again.chat_template) == (
        ours.eos_id,
        ours.pad_id,
        ours.special_ids,
        stock.chat_template,
    )
    assert text_of(again, again.encode(text)) == text


def test_two_named_templates_act_as_in_stock_transformers(tmp_path):
    texts = [{"name": "default", "template": REASONS}, {"name": "tool_use", "template": named("qwen_25").text}]
    folder = write_tokenizer(tmp_path, chat_template=texts)
    ours = TextTokenizer.from_folder(folder)
    stock = AutoTokenizer.from_pretrained(folder)
    for kind in ("single", "tool calls", "reasoning"):
        tools = (RUN,) if kind in WITH_TOOLS else ()
        text = ChatTemplate("own", ours.chat_template).render(CONVERSATIONS[kind], tools, special_tokens=ours.special_tokens)
        seen = [as_template_sees(message) for message in CONVERSATIONS[kind]]
        assert stock.apply_chat_template(seen, tools=list(tools) or None, tokenize=False) == text
