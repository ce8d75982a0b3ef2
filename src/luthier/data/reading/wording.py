"""The wording of a data-set entry's rows where it is not the run's: a template by name, one written out, or one made from a mapping."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter

from luthier.config.row_sections import DatasetEntry, PromptFormat
from luthier.core.errors import DataError, Problem
from luthier.model.template import APART, named

# Axolotl's user-defined prompt, where a part is not written (`prompt_strategies/user_defined.py` of 0.19).
_FORMAT = "{instruction} {input} "
_NO_INPUT_FORMAT = "{instruction} "
_SYSTEM_FORMAT = "{system}"
_ALPACA = "alpaca"


@dataclass(slots=True)
class Wordings:
    """The templates that rows name, in the order in which entries bring them: `{name: jinja text}`."""

    texts: dict[str, str] = field(default_factory=dict)

    def name_for(self, entry: DatasetEntry, where: str) -> str:
        """The name that rows of `entry` carry in `template`, empty for the run's own template; `where` is the entry's key."""
        if isinstance(entry.type, PromptFormat):
            return self._numbered("format", template_of(entry.type, f"{where}.type"))
        if entry.type == _ALPACA:
            return self._named(_ALPACA)
        if entry.chat_template_jinja is not None:
            return self._numbered("jinja", entry.chat_template_jinja)
        chosen = entry.chat_template
        if chosen is None or chosen == "tokenizer_default":
            return ""
        return self._named(chosen)

    def _named(self, name: str) -> str:
        self.texts[name] = named(name).text
        return name

    def _numbered(self, stem: str, text: str) -> str:
        for name, known in self.texts.items():
            if known == text and name.startswith(f"{stem}-"):
                return name
        name = f"{stem}-{sum(known.startswith(f'{stem}-') for known in self.texts) + 1}"
        self.texts[name] = text
        return name


def template_of(settings: PromptFormat, where: str) -> str:
    """The jinja text that words a conversation as the mapping words a row, so that the tuned model is asked as it was trained."""
    system = _expression(settings.system_format, _SYSTEM_FORMAT, {"system": "system"}, f"{where}.system_format")
    names = {"instruction": "message['content']", "input": "further"}
    with_input = _expression(settings.format, _FORMAT, names, f"{where}.format")
    plain = {"instruction": "message['content']"}
    without_input = _expression(settings.no_input_format, _NO_INPUT_FORMAT, plain, f"{where}.no_input_format")
    return (
        f"{APART}"
        "{{ bos_token }}"
        "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}"
        f"{{% else %}}{{% set system = {_literal(settings.system_prompt or '')} %}}{{% endif %}}"
        f"{{% if system %}}{{{{ {system} }}}}{{% endif %}}"
        "{% for message in messages %}"
        "{% if message['role'] == 'user' %}"
        "{% set following = loop.nextitem if not loop.last else none %}"
        "{% set further = following['content'] if following and following['role'] == 'input' else '' %}"
        f"{{% if further %}}{{{{ {with_input} }}}}{{% else %}}{{{{ {without_input} }}}}{{% endif %}}"
        "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}{% endif %}"
        "{% endfor %}"
    )


def _expression(text: str | None, default: str, names: Mapping[str, str], where: str) -> str:
    """A format string (`str.format` with plain names) as a jinja expression."""
    written = default if text is None else text
    parts = []
    try:
        for literal, name, specification, conversion in Formatter().parse(written):
            if literal:
                parts.append(_literal(literal))
            if name is None:
                continue
            if name not in names or specification or conversion:
                raise ValueError(f"`{{{name}}}` stands for nothing here")
            parts.append(names[name])
    except ValueError as error:
        known = ", ".join(f"`{{{name}}}`" for name in names)
        hint = f"known: {known}; a brace that is meant as such is written twice"
        raise DataError(Problem(f"this wording cannot be used: {error}", where=where, found=written, hint=hint)) from error
    return " ~ ".join(parts) or "''"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
