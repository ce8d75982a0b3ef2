"""The wording that rows carry: Axolotl's mapping as a jinja text, named templates, and keys that would be ignored."""

from __future__ import annotations

from typing import Any

import pytest

from luthier.config.row_sections import DatasetEntry, PromptFormat
from luthier.core.errors import DataError
from luthier.core.records import Message
from luthier.data.reading.wording import Wordings, template_of
from luthier.model.template import ChatTemplate, named

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
ASK = Message("user", "list {files} 'now' \"\\n\"")
MORE = Message("input", "in ~/böx 🎈")
SAY = Message("assistant", "ls")


def rendered(settings: dict[str, Any], *messages: Message) -> str:
    template = ChatTemplate("format-1", template_of(PromptFormat.model_validate(settings), "datasets[0].type"))
    assert template.is_apart
    return template.render(messages, special_tokens=TOKENS)


def as_axolotl(settings: dict[str, Any], system: str, instruction: str, further: str, answer: str) -> str:
    """Axolotl's user-defined prompt by its own rules: `str.format` on each part, nothing between them."""
    text = settings.get("system_format", "{system}").format(system=system) if system else ""
    if further:
        text += settings.get("format", "{instruction} {input} ").format(instruction=instruction, input=further)
    else:
        text += settings.get("no_input_format", "{instruction} ").format(instruction=instruction)
    return f"<s>{text}{answer}</s>"


FORMATS: list[dict[str, Any]] = [
    {},
    {"format": "Q: {instruction}\nI: {input}\nA:", "no_input_format": "Q: {instruction}\nA: "},
    {"format": "{{ {instruction} }} {{% if %}} ~ \\ \t🎈 {input}{input}", "no_input_format": "\n\n{instruction}\n"},
    {"system_format": "[{system}]\n", "no_input_format": "only words"},
]


@pytest.mark.parametrize("settings", FORMATS, ids=range(len(FORMATS)))
def test_a_mapping_words_rows_as_axolotl_does(settings: dict[str, Any]) -> None:
    system = Message("system", "be {brief}")
    assert rendered(settings, ASK, SAY) == as_axolotl(settings, "", ASK.content, "", "ls")
    assert rendered(settings, ASK, MORE, SAY) == as_axolotl(settings, "", ASK.content, MORE.content, "ls")
    assert rendered(settings, system, ASK, MORE, SAY) == as_axolotl(settings, system.content, ASK.content, MORE.content, "ls")


def test_the_system_prompt_holds_where_a_conversation_has_none() -> None:
    settings = {"system_prompt": 'be "brief"\n', "no_input_format": "{instruction}:"}
    assert rendered(settings, Message("user", "q"), SAY) == '<s>be "brief"\nq:ls</s>'
    assert rendered(settings, Message("system", "s "), Message("user", "q"), SAY) == "<s>s q:ls</s>"
    assert rendered(settings, Message("system", ""), Message("user", "q"), SAY) == "<s>q:ls</s>"


def test_a_prompt_is_the_beginning_of_the_whole() -> None:
    template = ChatTemplate("format-1", template_of(PromptFormat(no_input_format="Q {instruction} A "), "type"))
    prompt = template.render([Message("user", "q")], add_generation_prompt=True, special_tokens=TOKENS)
    turns = [Message("user", "q"), SAY, Message("user", "r")]
    assert prompt == "<s>Q q A "
    assert template.render(turns, add_generation_prompt=True, special_tokens=TOKENS) == "<s>Q q A ls</s>Q r A "


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("format", "{question}"),
        ("format", "{instruction"),
        ("format", "{instruction!r}"),
        ("no_input_format", "{input}"),
        ("system_format", "{}"),
    ],
)
def test_a_format_that_cannot_be_used_is_named(key: str, text: str) -> None:
    with pytest.raises(DataError) as raised:
        template_of(PromptFormat.model_validate({key: text}), "datasets[0].type")
    assert raised.value.problems[0].where == f"datasets[0].type.{key}"
    assert raised.value.problems[0].found == text


def names(*entries: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    wordings = Wordings()
    found = [wordings.name_for(DatasetEntry.model_validate({"path": "a.jsonl", **entry}), "datasets[0]") for entry in entries]
    return found, wordings.texts


def test_names_of_wordings() -> None:
    mapping = {"type": {"no_input_format": "{instruction}:"}}
    found, texts = names(
        {}, {"chat_template": "tokenizer_default"}, {"type": "completion"}, {"type": "alpaca"}, mapping, {"type": {}}, mapping
    )
    assert found == ["", "", "", "alpaca", "format-1", "format-2", "format-1"]
    assert list(texts) == ["alpaca", "format-1", "format-2"]
    assert texts["alpaca"] == named("alpaca").text


def test_an_entry_can_bring_its_own_template() -> None:
    found, texts = names(
        {"chat_template": "chatml"},
        {"chat_template": "jinja", "chat_template_jinja": "{{ 1 }}"},
        {"type": "prompt_completion", "chat_template_jinja": "{{ messages }}"},
    )
    assert found == ["chatml", "jinja-1", "jinja-2"]
    assert texts == {"chatml": named("chatml").text, "jinja-1": "{{ 1 }}", "jinja-2": "{{ messages }}"}
