"""Rules on the shape of a row and on its characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from luthier.config.row_sections import CleanSection
from luthier.core.records import INPUT_ROLE, TEXT_ROLE, Message
from luthier.data.clean.view import View, texts

# Says why a row is rejected, in words that hold nothing of the row's content; None where it passes.
RowRule = Callable[[View, CleanSection], str | None]

_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f]")
# Replacement, private use and non-characters; tags (U+E0000 to U+E007F), which nobody sees, but for those of a flag.
_BROKEN = re.compile("[\ufffd\ufffe\uffff\ue000-\uf8ff\U000f0000-\U0010ffff]|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0000-\U000e007f]")
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
