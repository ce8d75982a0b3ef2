"""Which tokens are trained."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.core.records import TEXT_ROLE, Message, Reject, ToolCall
from luthier.model.masks.chat import mark_chat
from luthier.model.masks.ends import EndTokens
from luthier.model.masks.pieces import is_trained
from luthier.model.template import ChatTemplate
from tokenizer_parts import SETTINGS, encoder_for, row, text_of, trained_texts

U, A, S, T = (lambda text, role=role, **fields: Message(role, text, **fields) for role in ("user", "assistant", "system", "tool"))
NO_END = ChatTemplate(
    "no end", "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)
# Rewrites earlier answers, as templates do that strip earlier reasoning.
FORGETS = ChatTemplate(
    "forgets",
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content if loop.last or m.role == 'user' else '...' }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
)


def spans(encoder, *messages, **fields):
    found = encoder.encode(row(*messages, **fields))
    assert not isinstance(found, Reject), found
    return trained_texts(encoder.tokenizer, found[0])


@pytest.mark.parametrize(
    "template, end",
    [
        ("chatml", "<|im_end|>"),
        ("qwen_25", "<|im_end|>"),
        ("phi_4", "<|im_end|>"),
        ("phi_3", "<|end|>"),
        ("gemma", "<end_of_turn>"),
        ("llama3", "<|eot_id|>"),
        ("alpaca", "</s>"),
    ],
)
def test_every_answer_and_its_end_are_trained_and_nothing_else(tmp_path, template, end):
    encoder = encoder_for(tmp_path, template)
    assert spans(encoder, U("list files"), A("ls -la"), U("by size"), A("ls -S")) == [f"ls -la{end}", f"ls -S{end}"]
    assert encoder.tokenizer.pad_id not in encoder.tokenizer.encode(end)
    assert encoder.stop_ids[-1] == encoder.tokenizer.encode(end)[0]


def test_mistral_trains_the_blank_that_the_model_writes_before_its_answer(tmp_path):
    assert spans(encoder_for(tmp_path, "mistral_v1"), S("be brief"), U("list files"), A("ls")) == [" ls</s>"]


def test_a_prompt_is_what_stands_before_the_trained_answer(tmp_path):
    encoder = encoder_for(tmp_path, "qwen_25")
    messages = (S("be brief"), U("list files"))
    whole = encoder.encode(row(*messages, A("ls -la")))[0]
    prompt = encoder.prompt(messages)
    assert whole.ids[: len(prompt)].tolist() == prompt
    assert not whole.trained[: len(prompt)].any()
    assert whole.trained[len(prompt)]


def test_flags_of_turns_decide_over_roles(tmp_path):
    encoder = encoder_for(tmp_path, "chatml")
    assert spans(encoder, U("one"), A("two", train=False), U("three"), A("four")) == ["four<|im_end|>"]
    assert spans(encoder, U("one", train=True), A("two", train=False)) == ["one<|im_end|>"]
    assert is_trained(A("x"))
    assert not is_trained(U("x"))
    assert not is_trained(A("x", train=False))
    assert is_trained(T("x", train=True))


def test_calls_of_tools_are_trained_as_they_are_rendered(tmp_path):
    encoder = encoder_for(tmp_path, "qwen_25")
    call = A("", tool_calls=(ToolCall("run", {"command": "ls"}),))
    written = '\n<tool_call>\n{"name": "run", "arguments": {"command": "ls"}}\n</tool_call><|im_end|>'
    found = spans(encoder, U("list"), call, T("a.txt"), A("one file"), tools=({"type": "function", "function": {"name": "run"}},))
    # The generation prompt ends with the line break that stands before the call.
    assert found == [written.removeprefix("\n"), "one file<|im_end|>"]


def test_calls_that_the_template_passes_over_are_not_trained_as_empty_answers(tmp_path):
    encoder = encoder_for(tmp_path, FORGETS)
    found = encoder.encode(row(U("list"), A("", tool_calls=(ToolCall("run", {}),))))
    assert (found.reason, "tool calls" in found.detail) == ("template_refused", True)


def test_train_on_inputs_trains_the_whole_row_but_what_says_no(tmp_path):
    encoder = encoder_for(tmp_path, "chatml", replace(SETTINGS, train_on_inputs=True))
    found = encoder.encode(row(U("list files"), A("ls")))[0]
    assert found.trained.all()
    assert spans(encoder, U("list files", train=False), A("ls")) == ["<|im_start|>user\n", "<|im_start|>assistant\nls<|im_end|>\n"]
    apart = encoder_for(tmp_path / "apart", "alpaca", replace(SETTINGS, train_on_inputs=True))
    assert apart.encode(row(U("list files"), A("ls")))[0].trained.all()


def test_a_template_without_an_end_of_turn_gets_the_end_of_text(tmp_path):
    encoder = encoder_for(tmp_path, NO_END)
    assert spans(encoder, U("list files"), A("ls")) == ["ls\n</s>"]
    assert spans(encoder, U("a"), A("ls", train=True), U("b"), A("pwd", train=False)) == ["ls\n"]


def test_a_template_that_rewrites_earlier_turns_trains_the_last_turn_alone(tmp_path):
    encoder = encoder_for(tmp_path, FORGETS)
    example = row(U("a"), A("ls"), U("b"), A("pwd"))
    assert trained_texts(encoder.tokenizer, encoder.encode(example)[0]) == ["pwd<|im_end|>"]
    assert encoder.mark(example).last_turn_only
    assert not encoder.mark(row(U("a"), A("ls"))).last_turn_only


def test_a_row_whose_only_trained_turn_is_rewritten_is_refused(tmp_path):
    encoder = encoder_for(tmp_path, FORGETS)
    assert encoder.encode(row(U("a"), A("ls"), U("b"))).reason == "template_not_prefix_stable"


def test_rows_without_an_answer_are_refused(tmp_path):
    encoder = encoder_for(tmp_path, "chatml")
    for messages in ((U("a"),), (U("a"), A("b", train=False))):
        found = encoder.encode(row(*messages))
        assert (found.reason, found.file, found.line) == ("no_trained_token", "rows.jsonl", 3)
    # Axolotl's empty Alpaca answer has no token at all, not even an end.
    assert encoder_for(tmp_path / "apart", "alpaca").encode(row(U("a"), A(""))).reason == "no_trained_token"


def test_an_empty_answer_trains_its_end(tmp_path):
    assert spans(encoder_for(tmp_path, "chatml"), U("say nothing"), A("")) == ["<|im_end|>"]


def test_a_token_on_the_border_is_trained_only_if_it_starts_inside(tmp_path):
    """The prompt ends with a blank, which the tokenizer joins with the answer's first word: that token is not the answer's own."""
    encoder = encoder_for(
        tmp_path,
        ChatTemplate("blank", "{{ messages[0].content }}: {% if messages[1] is defined %}{{ messages[1].content }}</s>{% endif %}"),
    )
    found = encoder.encode(row(U("list"), A("files by size")))[0]
    assert " files" in encoder.tokenizer.pieces(found.ids.tolist())
    assert trained_texts(encoder.tokenizer, found) == [" by size</s>"]


def test_characters_of_several_bytes_are_whole(tmp_path):
    encoder = encoder_for(tmp_path, "chatml")
    assert spans(encoder, U("🙂 grüß 漢字"), A("🦄 Ünï 漢"), U("🙂"), A("é")) == ["🦄 Ünï 漢<|im_end|>", "é<|im_end|>"]


def test_texts_are_rendered_by_no_template(tmp_path):
    encoder = encoder_for(tmp_path, "qwen_25", bos="<s>", eos="</s>", adds_bos=True)
    whole = encoder.encode(row(Message(TEXT_ROLE, "ls -la", train=True), maker="completion"))[0]
    assert text_of(encoder.tokenizer, whole.ids.tolist()) == "<s>ls -la</s>"
    assert whole.trained.all()
    parts = (Message(TEXT_ROLE, "ask ", train=False), Message(TEXT_ROLE, "ls", train=True), Message(TEXT_ROLE, " more", train=False))
    found = encoder.encode(row(*parts, maker="input_output"))[0]
    assert text_of(encoder.tokenizer, found.ids.tolist()) == "ask ls more"
    assert trained_texts(encoder.tokenizer, found) == ["ls"]


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12).map(str.strip)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT.filter(bool), TEXT, st.sampled_from((None, True, False))), min_size=1, max_size=4))
def test_spans_are_the_answers_whatever_they_say(turns):
    """Over any texts: the spans of the whole row hold exactly the trained answers and their ends."""
    messages = [message for ask, say, train in turns for message in (U(ask), A(say, train=train))]
    template = ChatTemplate(
        "plain",
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
    )
    render = lambda part, prompt: template.render(part, add_generation_prompt=prompt, special_tokens={})  # noqa: E731
    marked = mark_chat(messages, render, EndTokens(("<|im_end|>",), "</s>"), train_on_inputs=False)
    piece = marked.pieces[0]
    assert [piece.text[start:end] for start, end in piece.spans] == [f"{say}<|im_end|>" for _, say, train in turns if train is not False]
    assert not marked.last_turn_only
    assert not piece.ends
