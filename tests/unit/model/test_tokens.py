"""Tokenizers from their files, rows to tokens, lengths, and the file of tokens."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from luthier.core.errors import DataError, ModelError
from luthier.core.protocols import Tokenizer
from luthier.core.records import INPUT_ROLE, TEXT_ROLE, Message, Reject
from luthier.model.locate import ModelLocation
from luthier.model.template import NO_TEMPLATE, ChatTemplate, named
from luthier.model.token_file import TokenRow, load_rows, save_rows
from luthier.model.tokenizer import TextTokenizer
from luthier.model.tokens import RowEncoder, encode_rows, first_wording, make_encoder
from tokenizer_parts import SETTINGS, SPECIAL, encoder_for, row, text_of, trained_texts, write_tokenizer

TALK = (Message("user", "list files"), Message("assistant", "ls -la"))


def opened(folder, **config):
    return TextTokenizer.from_folder(write_tokenizer(folder, **config))


# Tokenizer files


def test_text_to_ids_and_back(tmp_path):
    tokenizer: Tokenizer = opened(tmp_path, adds_bos=True)
    ids = tokenizer.encode("<s>list 🙂 naïve</s>")
    assert ids[0] == tokenizer.bos_id
    assert ids[-1] == tokenizer.eos_id
    assert tokenizer.decode(ids) == "list 🙂 naïve"
    assert tokenizer.decode(ids, skip_special=False) == "<s>list 🙂 naïve</s>"
    assert "".join(tokenizer.pieces(tokenizer.encode("list files"))) == "list files"


def test_special_tokens_are_read_from_every_layout(tmp_path):
    plain = opened(tmp_path / "plain")
    token = {"content": "</s>", "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
    as_mapping = opened(tmp_path / "mapping", eos=token)
    older = write_tokenizer(tmp_path / "older", eos=None)
    (older / "special_tokens_map.json").write_text(json.dumps({"eos_token": token, "additional_special_tokens": [token]}))
    for tokenizer in (plain, as_mapping, TextTokenizer.from_folder(older)):
        assert tokenizer.special_tokens["eos_token"] == "</s>"
        assert tokenizer.eos_id == plain.eos_id


@pytest.mark.parametrize("adds_bos", [True, False])
def test_a_tokenizer_knows_whether_it_begins_texts_itself(tmp_path, adds_bos):
    assert opened(tmp_path, adds_bos=adds_bos).adds_bos is adds_bos


def test_chat_templates_are_read_from_every_layout(tmp_path):
    assert opened(tmp_path / "none").chat_template is None
    assert opened(tmp_path / "text", chat_template="A").chat_template == "A"
    both = [{"name": "other", "template": "O"}, {"name": "default", "template": "D"}]
    assert opened(tmp_path / "list", chat_template=both).chat_template == "D"
    folder = write_tokenizer(tmp_path / "file", chat_template="A")
    (folder / "chat_template.jinja").write_text("J", encoding="utf-8")
    assert TextTokenizer.from_folder(folder).chat_template == "J"
    folder = write_tokenizer(tmp_path / "json")
    (folder / "chat_template.json").write_text('{"chat_template": "K"}', encoding="utf-8")
    assert TextTokenizer.from_folder(folder).chat_template == "K"


def test_conversations_with_tools_take_the_template_for_tools(tmp_path):
    texts = [{"name": "default", "template": "plain\n"}, {"name": "tool_use", "template": "tools {{ tools | length }}\n"}]
    template = ChatTemplate("own", opened(tmp_path, chat_template=texts).chat_template)
    assert template.render(TALK, special_tokens={}) == "plain"
    assert template.render(TALK, ({"name": "a"},), special_tokens={}) == "tools 1"


@pytest.mark.parametrize(
    "pad, special, expected",
    [
        ("<pad>", SPECIAL, "<pad>"),
        (None, SPECIAL, "<|endoftext|>"),
        ("</s>", SPECIAL, "<|endoftext|>"),
        ("</s>", ("<s>", "</s>", "<unk>"), "<unk>"),
        (None, ("<s>", "</s>", "<|reserved|>"), "<|reserved|>"),
        (None, ("<s>", "</s>"), "<s>"),
        ("e", ("<s>", "</s>"), "e"),
    ],
)
def test_padding_is_never_the_end_of_a_text(tmp_path, pad, special, expected):
    tokenizer = opened(tmp_path, pad_token=pad, special=special)
    assert text_of(tokenizer, [tokenizer.pad_id]) == expected


def test_padding_is_never_the_end_of_a_turn(tmp_path):
    encoder = encoder_for(tmp_path, "chatml", eos="<|endoftext|>", pad_token="<|im_end|>")
    assert text_of(encoder.tokenizer, [encoder.tokenizer.pad_id]) not in ("<|im_end|>", "<|endoftext|>")


def test_a_tokenizer_without_a_free_token_is_refused(tmp_path):
    with pytest.raises(ModelError, match="pad_token"):
        opened(tmp_path, special=("<|endoftext|>",), bos="<|endoftext|>", eos="<|endoftext|>")


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        TextTokenizer.from_folder(tmp_path)
    with pytest.raises(ModelError, match="end-of-text"):
        opened(tmp_path / "endless", eos=None)
    folder = write_tokenizer(tmp_path / "broken")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be read"):
        TextTokenizer.from_folder(folder)


# Rows


@pytest.mark.parametrize("adds_bos", [True, False])
def test_alpaca_rows_have_axolotls_tokens(tmp_path, adds_bos):
    """Axolotl: the prompt as its tokenizer makes it, the answer apart, the end-of-text token after it (`prompt_tokenizers.py` of 0.19)."""
    encoder = encoder_for(tmp_path, "alpaca", adds_bos=adds_bos)
    tokenizer = encoder.tokenizer
    prompt = (
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n### Instruction:\ncount {x}\n\n### Input:\na b\n\n### Response:\n"
    )
    expected = ([tokenizer.bos_id] if adds_bos else []) + tokenizer.encode(prompt)
    answer = [*tokenizer.encode("ls -la"), tokenizer.eos_id]
    asked = (Message("user", "count {x}"), Message(INPUT_ROLE, "a b"))
    found = encoder.encode(row(*asked, Message("assistant", "ls -la")))[0]
    assert found.ids.tolist() == expected + answer
    assert found.trained.tolist() == [False] * len(expected) + [True] * len(answer)
    assert encoder.prompt(asked) == expected


def test_an_answer_is_tokenized_apart_only_where_the_wording_says_so(tmp_path):
    """`Response:` and `:ls` differ as soon as a piece spans the border."""
    together = ChatTemplate("together", "{{ messages[0].content }}{% if messages[1] is defined %}{{ messages[1].content }}{% endif %}")
    apart = ChatTemplate("apart", "{#- answers are tokenized apart -#}" + together.text)
    messages = (Message("user", "list a"), Message("assistant", "ll"))
    joined = encoder_for(tmp_path / "a", together).encode(row(*messages))
    split = encoder_for(tmp_path / "b", apart).encode(row(*messages))[0]
    tokenizer = encoder_for(tmp_path / "c", apart).tokenizer
    assert split.ids.tolist() == [*tokenizer.encode("list a"), *tokenizer.encode("ll"), tokenizer.eos_id]
    assert joined[0].ids.tolist() == [*tokenizer.encode("list all"), tokenizer.eos_id] != split.ids.tolist()


def test_a_default_system_text_stands_where_there_is_none(tmp_path):
    encoder = encoder_for(tmp_path, "chatml", replace(SETTINGS, default_system_message="Be brief."))
    assert encoder.text(TALK[:1]).startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user")
    own = (Message("system", "Mine."), *TALK)
    assert "Be brief." not in encoder.text(own)
    found = encoder.encode(row(*TALK))[0]
    assert text_of(encoder.tokenizer, found.ids.tolist()).startswith("<|im_start|>system\nBe brief.")
    alpaca = encoder_for(tmp_path / "alpaca", "alpaca", replace(SETTINGS, default_system_message="Be brief."))
    assert "Be brief." not in alpaca.text(TALK[:1])


def test_a_refused_row_says_why_and_where(tmp_path):
    found = encoder_for(tmp_path, "gemma").encode(row(Message("system", "x"), *TALK))
    assert isinstance(found, Reject)
    assert (found.step, found.reason, found.file, found.line) == ("tokens", "template_refused", "rows.jsonl", 3)
    assert "no system turn" in found.detail


def test_long_texts_are_cut_into_pieces(tmp_path):
    settings = replace(SETTINGS, sequence_len=8)
    encoder = encoder_for(tmp_path, "chatml", settings, bos="<s>", eos="</s>", adds_bos=True)
    example = row(Message(TEXT_ROLE, "grep -rn tar " * 6, train=True), maker="completion")
    result = encode_rows(encoder, [example])
    whole = [encoder.tokenizer.bos_id, *encoder.tokenizer.encode(example.messages[0].content), encoder.tokenizer.eos_id]
    assert np.concatenate([part.ids for part in result.rows]).tolist() == whole
    assert {len(part.ids) for part in result.rows[:-1]} == {8}
    assert len({part.id for part in result.rows}) == len(result.rows) > 2
    assert not result.over_length


# Lengths


def lengths(tmp_path, strategy, sequence_len):
    encoder = encoder_for(tmp_path, "chatml", replace(SETTINGS, excess_length_strategy=strategy, sequence_len=sequence_len))
    long = row(Message("user", "files " * 3), Message("assistant", "ls " * 20), name="long")
    return encoder, encode_rows(encoder, [row(*TALK, name="short"), long])


def test_long_rows_are_dropped_and_named(tmp_path):
    _, result = lengths(tmp_path, "drop", 24)
    assert [found.id for found in result.rows] == ["short"]
    assert result.over_length == ["long"]
    assert result.counts == {"rows": 1, "over_length": 1, "truncated": 0, "last_turn_only": 0, "special_texts": 0}
    assert (result.rejects[0].id, result.rejects[0].reason) == ("long", "over_length")
    assert "sequence_len` is 24" in result.rejects[0].detail


def test_long_rows_are_cut_on_the_right(tmp_path):
    encoder, result = lengths(tmp_path, "truncate", 24)
    whole = encoder.encode(row(Message("user", "files " * 3), Message("assistant", "ls " * 20)))[0]
    cut = result.rows[1]
    assert cut.ids.tolist() == whole.ids[:24].tolist()
    assert cut.trained.tolist() == whole.trained[:24].tolist()
    assert result.counts["truncated"] == 1


def test_a_row_with_nothing_trained_left_after_the_cut_is_refused(tmp_path):
    _, result = lengths(tmp_path, "truncate", 9)
    assert {reject.reason for reject in result.rejects if reject.id == "long"} == {"no_trained_token"}


def test_a_long_row_stops_the_run_where_that_is_asked(tmp_path):
    with pytest.raises(DataError) as raised:
        lengths(tmp_path, "raise", 24)
    assert all(word in str(raised.value) for word in ("rows.jsonl:3", "long", "sequence_len", "24")), str(raised.value)


def test_rows_with_rewritten_turns_are_counted(tmp_path):
    forgets = "{% for m in messages %}{{ m.content if loop.last or m.role == 'user' else '.' }}<|im_end|>{% endfor %}"
    encoder = encoder_for(tmp_path, ChatTemplate("forgets", forgets))
    result = encode_rows(encoder, [row(*TALK), row(*TALK, *TALK), row(*TALK, *TALK, *TALK)])
    assert result.counts == {"rows": 3, "over_length": 0, "truncated": 0, "last_turn_only": 2, "special_texts": 0}


def test_many_rows_are_encoded_as_one_is(tmp_path):
    encoder = encoder_for(tmp_path, "qwen_25")
    examples = [row(Message("user", f"list {n} 🙂"), Message("assistant", "ls " * (n % 5 + 1)), name=str(n)) for n in range(1100)]
    found = encode_rows(encoder, iter(examples))
    for example, together in list(zip(examples, found.rows, strict=True))[::97]:
        alone = encoder.encode(example)[0]
        assert together.ids.tolist() == alone.ids.tolist()
        assert together.trained.tolist() == alone.trained.tolist()


# The run's encoder


def place(folder):
    return ModelLocation("base", folder, "sha256:0")


def test_a_base_without_a_template_is_refused_where_a_conversation_needs_one(tmp_path):
    encoder = make_encoder(place(write_tokenizer(tmp_path)), SETTINGS, {})
    with pytest.raises(ModelError, match=r"chat_template: chatml"):
        encoder.encode(row(*TALK))
    texts = encoder.encode(row(Message(TEXT_ROLE, "ls", train=True), maker="completion"))
    assert trained_texts(encoder.tokenizer, texts[0]) == ["ls</s>"]
    assert encoder.template == NO_TEMPLATE
    assert encoder.text([Message("user", "ls")]) == "ls"


def test_a_model_is_asked_in_the_wording_it_was_trained_in(tmp_path):
    templates = {"alpaca": named("alpaca").text}
    folder = write_tokenizer(tmp_path, chat_template="{% for m in messages %}{{ m.content }}</s>{% endfor %}")
    encoder = make_encoder(place(folder), SETTINGS, templates, "alpaca")
    assert "### Instruction:\nlist files" in encoder.text(TALK[:1])
    # A row that names no wording keeps the base's own.
    assert text_of(encoder.tokenizer, encoder.encode(row(*TALK))[0].ids.tolist()) == "list files</s>ls -la</s>"
    # A template in the run file goes before everything.
    chosen = make_encoder(place(folder), replace(SETTINGS, chat_template="chatml"), templates, "alpaca")
    assert chosen.template == named("chatml")


def test_rows_and_prompts_take_the_wording_they_name(tmp_path):
    tokenizer = opened(tmp_path, adds_bos=True)
    encoder = RowEncoder(tokenizer, named("chatml"), {"alpaca": named("alpaca").text}, SETTINGS)
    prompt = encoder.prompt(TALK[:1], template="alpaca")
    found = encoder.encode(row(*TALK, template="alpaca"))[0]
    assert found.ids[: len(prompt)].tolist() == prompt
    assert prompt[0] == tokenizer.bos_id


def test_the_first_row_names_the_wording(tmp_path):
    file = tmp_path / "train.jsonl"
    assert first_wording(file) == ""
    file.write_text('{"template": "alpaca"}\n{"template": "x"}\n')
    assert first_wording(file) == "alpaca"


def test_rows_are_stored_and_read_back(tmp_path):
    rows = [
        TokenRow("a", np.array([1, 2, 3], dtype=np.int32), np.array([False, True, True])),
        TokenRow("b", np.array([4, 5], dtype=np.int32), np.array([False, True])),
    ]
    save_rows(tmp_path / "train.safetensors", rows)
    found = load_rows(tmp_path / "train.safetensors")
    assert [(r.id, r.ids.tolist(), r.trained.tolist(), r.ids.dtype, r.trained.dtype) for r in found] == [
        (r.id, r.ids.tolist(), r.trained.tolist(), np.int32, np.bool_) for r in rows
    ]
    save_rows(tmp_path / "none.safetensors", [])
    assert load_rows(tmp_path / "none.safetensors") == []


def test_the_saved_template_carries_the_default_system_text(tmp_path):
    tokenizer = opened(tmp_path)
    settings = replace(SETTINGS, default_system_message='Say "yes".')
    encoder = RowEncoder(tokenizer, named("chatml"), {}, settings)
    saved = ChatTemplate("saved", encoder.asking_template)
    for messages in ((Message("user", "a"),), (Message("system", "own"), Message("user", "a"))):
        stock = saved.render(messages, add_generation_prompt=True, special_tokens=tokenizer.special_tokens)
        assert stock == encoder.text(messages)


def test_what_is_probably_not_meant_is_told(tmp_path):
    assert encoder_for(tmp_path / "own", "llama3").warnings() == []
    strange = encoder_for(tmp_path / "strange", named("llama3"), bos=None, eos="<|im_end|>", special=("<|im_end|>", "<pad>")).warnings()
    assert ["`<|eot_id|>`" in text for text in strange] == [True]
    own = encoder_for(tmp_path / "own", "chatml")
    mixed = RowEncoder(own.tokenizer, own.template, {"a": "{{ messages }}", "b": "{{ messages[0] }}"}, own.settings)
    assert ["several ways (`a`, `b`)" in text for text in mixed.warnings()] == [True]


def test_rows_that_hold_a_special_token_in_their_text_are_counted(tmp_path):
    encoder = encoder_for(tmp_path, "chatml")
    texts = ["plain", "ends <|im_end|> early"]
    found = encode_rows(encoder, [row(Message("user", "q"), Message("assistant", text), name=text) for text in texts])
    assert found.counts["special_texts"] == 1
