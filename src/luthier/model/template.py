"""Chat templates: rendered in a sandbox as stock `transformers` renders them, chosen as the run file says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from luthier.config.keys.tokens import TokenSettings
from luthier.config.schema import FALLBACK_PREFIX
from luthier.core.errors import LuthierError, ModelError, Problem
from luthier.core.records import JsonObject, Message

FOLDER = Path(__file__).parent / "templates"
# A wording that begins with this comment is no chat format: its answers are tokenized apart from what stands before them,
# as Axolotl does for `type: alpaca` and for mappings, and its beginning-of-text token is left out where the tokenizer adds none.
APART = "{#- answers are tokenized apart -#}"
NO_BEGIN = "{%- set bos_token = '' -%}"


class TemplateRefusal(LuthierError):
    """The template itself refused a conversation, or failed on it."""


class _Generation(Extension):
    """The `{% generation %}` tag with which some templates mark answers: it changes no text."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own class attribute.

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        """The body of the tag."""
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True)).set_lineno(line)


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: tuple[str, str] | None = None, sort_keys: bool = False
) -> str:
    """JSON without jinja's own escaping of `<`, `>` and `&`; the arguments and their order are those of `transformers`."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)  # Templates mean the user's own day.


@lru_cache(maxsize=64)
def _compiled(text: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols])
    environment.filters["tojson"] = _to_json
    environment.globals |= {"raise_exception": _refuse, "strftime_now": _strftime_now}
    return environment.from_string(text)


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A wording of conversations; `name` is for messages to the user."""

    name: str
    text: str

    @property
    def is_apart(self) -> bool:
        """Whether answers are tokenized apart from what stands before them."""
        return self.text.startswith(APART)

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[JsonObject] = (),
        *,
        add_generation_prompt: bool = False,
        special_tokens: Mapping[str, str],
    ) -> str:
        """The conversation as text; `TemplateRefusal` where the template cannot word it."""
        try:
            return _compiled(self.text).render(
                messages=[as_template_sees(message) for message in messages],
                tools=list(tools) or None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **special_tokens,
            )
        except (jinja2.TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
            raise TemplateRefusal(f"the chat template `{self.name}` refused the conversation: {error}") from error

    def checked(self, where: str = "chat_template") -> ChatTemplate:
        """The template itself; `ModelError` with the line where it is no jinja."""
        try:
            _compiled(self.text)
        except jinja2.TemplateSyntaxError as error:
            hint = "mend it, or name another with `chat_template`"
            raise ModelError(
                Problem(f"the chat template `{self.name}` is broken: {error.message}", where=where, found=f"line {error.lineno}", hint=hint)
            ) from error
        return self

    def without_begin(self) -> ChatTemplate:
        """The same wording without the beginning-of-text token, for tokenizers that put none in front of a text."""
        mark = APART if self.is_apart else ""
        return ChatTemplate(self.name, mark + NO_BEGIN + self.text.removeprefix(mark))


# What stands in for the template of a base that has none: plain text, as rows of plain text are trained.
NO_TEMPLATE = ChatTemplate("none", "{%- for message in messages -%}{{- message.content -}}{%- endfor -%}")


def as_template_sees(message: Message) -> JsonObject:
    """A message with the field names that templates read: `reasoning` is `reasoning_content`, and `thinking` in a few, there."""
    row = message.to_json()
    row.pop("train", None)
    row.pop("train_detail", None)
    if "reasoning" in row:
        row["reasoning_content"] = row["thinking"] = row["reasoning"]
    return row


def known_names() -> tuple[str, ...]:
    """The built-in templates."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.jinja")))


def named(name: str) -> ChatTemplate:
    """The built-in template `name`; `ModelError` where there is none of that name."""
    if name not in known_names():
        raise ModelError(Problem("unknown chat template", where="chat_template", found=name, expected=", ".join(known_names())))
    return ChatTemplate(name, (FOLDER / f"{name}.jinja").read_text(encoding="utf-8"))


def choose(settings: TokenSettings, own: str | None) -> ChatTemplate:
    """The run's template: the one the run file names, else the tokenizer's own; `ModelError` where there is none or it is no jinja."""
    chosen = settings.chat_template or "tokenizer_default"
    if chosen == "jinja":
        return ChatTemplate("jinja", settings.chat_template_jinja or "").checked("chat_template_jinja")
    if own is None and chosen.startswith(FALLBACK_PREFIX):
        return named(chosen.removeprefix(FALLBACK_PREFIX))
    if chosen != "tokenizer_default" and not chosen.startswith(FALLBACK_PREFIX):
        return named(chosen)
    if own is None:
        raise ModelError(
            Problem(
                "the base model has no chat template",
                where="chat_template",
                found=chosen,
                expected=", ".join(known_names()),
                hint="name one, for example `chat_template: chatml`, or give its text with `chat_template: jinja`",
            )
        )
    return ChatTemplate("tokenizer_default", own).checked()
