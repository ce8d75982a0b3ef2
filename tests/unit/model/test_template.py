"""Chat templates: what they write, what they refuse, and which one is chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from luthier.config.schema import ChatTemplateName
from luthier.core.errors import ModelError
from luthier.core.records import INPUT_ROLE, Message, ToolCall
from luthier.model.template import ChatTemplate, TemplateRefusal, as_template_sees, choose, known_names, named
from tokenizer_parts import SETTINGS

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
TALK = (Message("user", "list files"), Message("assistant", "ls"))
TOOL = {"type": "function", "function": {"name": "run", "parameters": {}}}
CALL = Message("assistant", "", tool_calls=(ToolCall("run", {"command": "ls <dir> & é"}),))

WRITTEN = {
    "chatml": "<|im_start|>user\nlist files<|im_end|>\n<|im_start|>assistant\nls<|im_end|>\n",
    "llama3": "<s><|start_header_id|>user<|end_header_id|>\n\nlist files<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nls<|eot_id|>",
    "mistral_v1": "<s> [INST] list files [/INST] ls</s>",
    "gemma": "<s><start_of_turn>user\nlist files<end_of_turn>\n<start_of_turn>model\nls<end_of_turn>\n",
    "phi_3": "<s><|user|>\nlist files<|end|>\n<|assistant|>\nls<|end|>\n",
    "phi_4": "<|im_start|>user<|im_sep|>list files<|im_end|><|im_start|>assistant<|im_sep|>ls<|im_end|>",
    "qwen_25": "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\nlist files<|im_end|>\n<|im_start|>assistant\nls<|im_end|>\n",
    "alpaca": "<s>Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nlist files\n\n### Response:\nls</s>",
}


def render(template, *messages, **options):
    found = named(template) if isinstance(template, str) else template
    return found.render(messages, options.pop("tools", ()), special_tokens=TOKENS, **options)


def test_every_name_of_the_schema_is_a_template():
    assert set(known_names()) == set(get_args(ChatTemplateName)) - {"tokenizer_default", "jinja"} == set(WRITTEN)


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_one_exchange(name):
    assert render(name, *TALK) == WRITTEN[name]


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_the_prompt_is_a_beginning_of_the_whole(name):
    prompt = render(name, TALK[0], add_generation_prompt=True)
    assert WRITTEN[name].startswith(prompt)
    assert WRITTEN[name].removeprefix(prompt).strip().startswith("ls")


def test_alpaca_words_input_and_further_turns():
    asked = (Message("user", "count"), Message(INPUT_ROLE, "a b"))
    assert render("alpaca", *asked, add_generation_prompt=True) == (
        "<s>Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n### Instruction:\ncount\n\n### Input:\na b\n\n### Response:\n"
    )
    assert render("alpaca", *TALK, Message("user", "again"), add_generation_prompt=True) == (
        WRITTEN["alpaca"] + "\n\n### Instruction:\nagain\n\n### Response:\n"
    )
    own = render("alpaca", Message("system", "Answer in one line."), *TALK)
    assert own == "<s>Answer in one line.\n\n### Instruction:\nlist files\n\n### Response:\nls</s>"


def test_qwen_words_tools_calls_and_answers():
    text = render("qwen_25", TALK[0], CALL, Message("tool", "a"), Message("tool", "b"), TALK[1], tools=(TOOL,))
    assert '<tools>\n{"type": "function", "function": {"name": "run", "parameters": {}}}\n</tools>' in text
    assert (
        '<|im_start|>assistant\n<tool_call>\n{"name": "run", "arguments": {"command": "ls <dir> & é"}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\n<tool_response>\na\n</tool_response>\n<tool_response>\nb\n</tool_response><|im_end|>\n"
    ) in text


def test_chatml_words_tools_in_a_system_turn():
    text = render("chatml", TALK[0], CALL, tools=(TOOL,))
    assert text.startswith("<|im_start|>system\n# Tools\n\n")
    assert '"name": "run"' in text
    with_system = render("chatml", Message("system", "Be brief."), TALK[0], CALL, tools=(TOOL,))
    assert with_system.startswith("<|im_start|>system\nBe brief.\n\n# Tools\n\n")
    assert with_system.count("system\n") == 1


@pytest.mark.parametrize("name", ["llama3", "gemma", "mistral_v1", "phi_3", "phi_4", "alpaca"])
def test_a_wording_without_tools_refuses_calls_instead_of_dropping_them(name):
    with pytest.raises(TemplateRefusal, match="tool calls"):
        render(name, TALK[0], CALL)
    if name != "alpaca":
        with pytest.raises(TemplateRefusal, match="tools"):
            render(name, *TALK, tools=(TOOL,))


@pytest.mark.parametrize("name", ["gemma", "mistral_v1"])
def test_turns_must_alternate_where_the_model_family_wants_it(name):
    with pytest.raises(TemplateRefusal, match="take turns"):
        render(name, TALK[0], TALK[0])


def test_gemma_has_no_system_turn():
    with pytest.raises(TemplateRefusal, match="no system turn"):
        render("gemma", Message("system", "x"), *TALK)


def test_templates_see_reasoning_under_the_names_they_know():
    seen = as_template_sees(Message("assistant", "4", reasoning="2 + 2", train=False))
    assert seen == {"role": "assistant", "content": "4", "reasoning": "2 + 2", "reasoning_content": "2 + 2", "thinking": "2 + 2"}


def test_the_sandbox_and_what_templates_may_use():
    text = (
        "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}"
        "{% generation %}{{ m | tojson(indent=1) }}{% endgeneration %}{% endfor %}"
    )
    assert render(ChatTemplate("x", text), *TALK) == '{\n "role": "user",\n "content": "list files"\n}'
    assert render(ChatTemplate("x", "{{ {'b': 'é', 'a': 1} | tojson(sort_keys=true, separators=(',', ':')) }}"), *TALK) == '{"a":1,"b":"é"}'
    assert render(ChatTemplate("x", "{{ strftime_now('%Y') }}"), *TALK).isdigit()
    for attack in ("{{ ''.__class__.__mro__ }}", "{{ messages.append(1) }}", "{{ messages[0].update({'a': 1}) }}"):
        with pytest.raises(TemplateRefusal):
            render(ChatTemplate("x", "{% set found = " + attack[3:-3] + " %}{{ found.x.y }}"), *TALK)


def test_a_template_fails_as_a_refusal():
    for text in ("{{ messages[0].content + 1 }}", "{{ 1 / 0 }}", "{{ undefined.field }}", "{{ raise_exception('no') }}"):
        with pytest.raises(TemplateRefusal, match="`x` refused"):
            render(ChatTemplate("x", text), *TALK)


def test_choice_follows_the_run_file_then_the_tokenizer():
    own = "own {{ messages }}"
    assert choose(SETTINGS, own) == ChatTemplate("tokenizer_default", own)
    assert choose(replace(SETTINGS, chat_template="tokenizer_default"), own).text == own
    assert choose(replace(SETTINGS, chat_template="chatml"), own) == named("chatml")
    assert choose(replace(SETTINGS, chat_template="tokenizer_default_fallback_llama3"), own).text == own
    assert choose(replace(SETTINGS, chat_template="tokenizer_default_fallback_llama3"), None) == named("llama3")
    assert choose(replace(SETTINGS, chat_template="jinja", chat_template_jinja="{{ messages }}"), own).text == "{{ messages }}"


@pytest.mark.parametrize(
    "changes, words",
    [
        ({}, ("chat_template", "chatml", "no chat template")),
        ({"chat_template": "tokenizer_default"}, ("chat_template", "chatml")),
        ({"chat_template": "chatlm"}, ("chatlm", "chatml")),
        ({"chat_template": "jinja", "chat_template_jinja": "a\n{% if %}"}, ("chat_template_jinja", "line 2")),
    ],
)
def test_a_missing_or_broken_template_is_named(changes, words):
    with pytest.raises(ModelError) as raised:
        choose(replace(SETTINGS, **changes), None)
    assert all(word in str(raised.value) for word in words), str(raised.value)
