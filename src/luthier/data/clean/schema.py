"""Rules on the shape of a row and on its characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from luthier.config.row_sections import CleanSection
from luthier.core.records import INPUT_ROLE, TEXT_ROLE, JsonObject, JsonValue, Message
from luthier.data.clean.view import View, texts

# Says why a row is rejected, in words that hold nothing of the row's content; None where it passes.
RowRule = Callable[[View, CleanSection], str | None]

_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f]")
# Replacement, private use and non-characters; tags (U+E0000 to U+E007F), which nobody sees, but for those of a flag; and
# what turns the order of a line around, so that a reader sees other code than a program reads (CVE-2021-42574).
_BROKEN = re.compile(
    "[\ufffd\ufffe\uffff\u202a-\u202e\u2066-\u2069\ue000-\uf8ff\U000f0000-\U0010ffff]"
    "|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0000-\U000e007f]"
)
# Keys of a JSON schema whose properties stand elsewhere.
_PUT_TOGETHER = frozenset(("$ref", "allOf", "anyOf", "oneOf", "patternProperties", "if"))
# Whom each role may follow; the empty text stands for the start.
_AFTER = {
    "system": ("", "system"),
    "user": ("", "system", "user", INPUT_ROLE, "assistant", "tool"),
    INPUT_ROLE: ("user",),
    "assistant": ("user", INPUT_ROLE, "tool"),
    "tool": ("assistant", "tool"),
}


def role_order(view: View, _settings: CleanSection) -> str | None:
    """Turns that are out of order: the assistant answers a user or a tool, a tool the assistant, and system turns stand first."""
    messages = view.row.fields.messages
    if view.is_raw:
        return None if all(message.role == TEXT_ROLE for message in messages) else "raw text stands beside turns of a conversation"
    before, has_answer = "", False
    for number, message in enumerate(messages, 1):
        allowed = _AFTER.get(message.role)
        if allowed is None:
            return f"turn {number} has a role that is none of {', '.join(_AFTER)}"
        if before not in allowed:
            return f"turn {number} is the {message.role}'s and follows {f'the {before}' if before else 'nothing'}"
        before = message.role
        has_answer = has_answer or before == "assistant"
    return None if has_answer else "no turn is the assistant's"


def tool_result(view: View, _settings: CleanSection) -> str | None:
    """Results of tools that belong to no call of the assistant's last turn."""
    ids: list[str | None] = []
    for number, message in enumerate(view.row.fields.messages, 1):
        if message.role == "assistant":
            ids = [call.id for call in message.tool_calls]
        elif message.role == "tool":
            if not ids:
                return f"turn {number} is a result, and no call in front of it waits for one"
            if (known := _matching(message, ids)) is None:
                return f"turn {number} is a result whose id is of no call in front of it"
            ids.pop(known)
    return None


def tool_call(view: View, _settings: CleanSection) -> str | None:
    """Calls of tools that the row does not declare, and arguments that a tool's schema does not have; a row without tools declares none."""
    declared = _declared(view)
    if not declared:
        return None
    for number, message in enumerate(view.row.fields.messages, 1):
        for call in message.tool_calls:
            if call.name not in declared:
                return f"turn {number} calls a tool that the row does not declare"
            if not _takes(declared[call.name], call.arguments):
                return f"turn {number} calls a tool with an argument that its schema does not have"
    return None


def _declared(view: View) -> dict[str, JsonValue]:
    """The schema of the arguments of each tool by its name."""
    functions = [tool.get("function", tool) for tool in view.row.fields.tools]
    return {str(one.get("name")): one.get("parameters") for one in functions if isinstance(one, dict)}


def _takes(schema: JsonValue, arguments: JsonObject) -> bool:
    """Whether a JSON schema has room for the names of all arguments. One that lists no properties says nothing of them, unless it forbids
    others; one that is put together of several (`anyOf`, `$ref`) is not looked into."""
    if not isinstance(schema, dict) or not _PUT_TOGETHER.isdisjoint(schema):
        return True
    others = schema.get("additionalProperties")
    properties = schema.get("properties")
    if others is True or isinstance(others, dict) or (not isinstance(properties, dict) and others is not False):
        return True
    return set(arguments) <= set(properties if isinstance(properties, dict) else ())


def _matching(message: Message, ids: list[str | None]) -> int | None:
    """The place of the call that a result belongs to; results without an id come in the order of the calls."""
    if message.tool_call_id in ids:
        return ids.index(message.tool_call_id)
    return 0 if message.tool_call_id is None else None


def control_characters(view: View, _settings: CleanSection) -> str | None:
    """Control characters but for line breaks, tabs and form feeds."""
    return _first(view, _CONTROL)


def broken_characters(view: View, _settings: CleanSection) -> str | None:
    """What is left of a wrong decoding, and characters without a meaning of their own."""
    return _first(view, _BROKEN, skip_ascii=True)


def _first(view: View, expression: re.Pattern[str], *, skip_ascii: bool = False) -> str | None:
    for number, text in _numbered(view):
        if skip_ascii and text.isascii():
            continue
        if (found := expression.search(text)) is not None:
            return f"turn {number} holds U+{ord(found.group()):04X}"
    return None


def _numbered(view: View) -> Iterator[tuple[int, str]]:
    for number, message in enumerate(view.row.fields.messages, 1):
        for text in texts(message):
            yield number, text
