"""Rows to be cleaned."""

from __future__ import annotations

from typing import Any

from luthier.config.row_sections import CleanSection
from luthier.core.records import TEXT_ROLE, Message, Origin, ToolCall
from luthier.data.clean.records import Row
from luthier.data.clean.schema import RowRule
from luthier.data.clean.view import view
from luthier.data.rows.fields import Fields

ORIGIN = Origin("prompt_completion", 1, file="rows.jsonl", line=1)


def row(request: str = "Say what a hash is.", answer: str = "A number made of a text.", **options: Any) -> Row:
    """A request and its answer."""
    return turns(("user", request), ("assistant", answer), **options)


def turns(*said: tuple[str, str] | Message, tools: tuple[dict[str, Any], ...] = (), origin: Origin = ORIGIN, is_made: bool = False) -> Row:
    """A row of turns, each a role with its text, or a message."""
    messages = tuple(turn if isinstance(turn, Message) else Message(*turn) for turn in said)
    return Row(Fields(messages, tools), origin, is_made=is_made)


def raw(text: str) -> Row:
    """A row of raw text."""
    return turns((TEXT_ROLE, text))


def calling(arguments: dict[str, Any], name: str = "lookup", **options: Any) -> Row:
    """A request, a call of a tool, its result and an answer."""
    call = Message("assistant", "", tool_calls=(ToolCall(name, arguments, "call-1"),))
    result = Message("tool", "12", tool_call_id="call-1", name=name)
    return turns(("user", "How many are there?"), call, result, ("assistant", "There are 12."), **options)


def says(rule: RowRule, made: Row, **settings: Any) -> str | None:
    """What a rule says of a row."""
    return rule(view(made), CleanSection(**settings))
