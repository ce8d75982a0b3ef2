"""Rules on how much a row says."""

from __future__ import annotations

from luthier.config.row_sections import CleanSection
from luthier.data.clean.view import View


def short_answer(view: View, settings: CleanSection) -> str | None:
    """An answer below `min_answer_characters`, white space at its ends aside; a call of a tool is an answer of any length."""
    if view.has_calls:
        return None
    text = view.row.fields.messages[-1].content if view.is_raw else view.answer
    size, least = len(text.strip()), settings.min_answer_characters
    return f"the answer has {size} characters, fewer than {least}" if size < least else None


def long_row(view: View, settings: CleanSection) -> str | None:
    """A row above `max_row_characters`, all its turns and calls together."""
    size = 0
    for message in view.row.fields.messages:
        size += len(message.content) + len(message.reasoning or "")
        for call in message.tool_calls:
            size += len(call.name) + len(str(call.arguments))
    most = settings.max_row_characters
    return f"the row has {size} characters, more than {most}" if size > most else None
