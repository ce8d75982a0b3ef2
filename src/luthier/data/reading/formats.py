"""The formats of rows: one small function each, from a row's columns to the fields of an example.

A row that does not fit is a `BadRow` that names what was expected and found and, where another format fits, what to write.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from luthier.config.row_sections import DatasetEntry, PromptFormat
from luthier.core.records import INPUT_ROLE, TEXT_ROLE, JsonObject, JsonValue, Message, TurnEnds
from luthier.data.reading.conversation import Reading, read_messages, read_tools, require_answer
from luthier.data.rows.fields import BadRow, Fields, kind, names_of

# Goes up when a format makes other fields of the same row; it is written into every row's origin.
VERSION = 1

Converter = Callable[[JsonObject], Fields]

_CONVERSATIONS = "conversations"
_TOKENIZED = ("input_ids", "labels")
_REQUESTS = ("instruction", "question", "query", "request", "prompt", "input", "description", "problem", "source")
_ANSWERS = ("output", "answer", "response", "completion", "command", "cmd", "solution", "target")


def converter(entry: DatasetEntry) -> Converter:
    """The function from a row to its fields that `entry.type` names; the function raises `BadRow`."""
    if isinstance(entry.type, PromptFormat):
        return partial(mapped_row, entry.type)
    if entry.type == "alpaca":
        return alpaca_row
    if entry.type == "completion":
        return partial(completion_row, entry.field or "text")
    if entry.type == "input_output":
        return input_output_row
    if entry.type == "prompt_completion":
        return partial(prompt_completion_row, entry, Reading.of(entry))
    return partial(chat_row, entry, Reading.of(entry))


def maker_of(entry: DatasetEntry) -> str:
    """The name of the entry's format, `mapping` for a mapping of fields."""
    return "mapping" if isinstance(entry.type, PromptFormat) else entry.type


def alpaca_row(row: JsonObject) -> Fields:
    """Columns `instruction`, `input` (may be missing or empty) and `output`."""
    instruction, further = _text(row, "instruction"), _optional_text(row, "input")
    return _asked(None, instruction, further, _answer(row, "output"))


def mapped_row(settings: PromptFormat, row: JsonObject) -> Fields:
    """Columns by Axolotl's user-defined prompt: `field_system`, `field_instruction`, `field_input`, `field_output`.

    A system column that is there decides, also by being empty; otherwise `system_prompt` holds.
    """
    system = _optional_text(row, settings.field_system or "system")
    if system is None and settings.system_prompt:
        system = settings.system_prompt
    if not system and not settings.system_prompt:
        system = None
    instruction = _text(row, settings.field_instruction)
    further = _optional_text(row, settings.field_input or "input")
    return _asked(system, instruction, further, _answer(row, settings.field_output))


def _asked(system: str | None, instruction: str, further: str | None, answer: str) -> Fields:
    if not instruction.strip() and not (further and further.strip()):
        raise BadRow("empty_request", "the row asks nothing: its request is empty")
    messages = [Message("user", instruction), Message("assistant", answer)]
    if further:
        messages.insert(1, Message(INPUT_ROLE, further))
    if system is not None:
        messages.insert(0, Message("system", system))
    return Fields(tuple(messages))


def chat_row(entry: DatasetEntry, reading: Reading, row: JsonObject) -> Fields:
    """A conversation in `field_messages`, with tools in `field_tools` and a system text in `field_system` (by default `system`).

    Where the run file does not name the column and there is no `messages`, `conversations` is read, ShareGPT's name for it.
    """
    column = entry.field_messages
    if column not in row and "field_messages" not in entry.model_fields_set and _CONVERSATIONS in row:
        column = _CONVERSATIONS
    if row.get(column) is None:
        raise _missing(row, column)
    messages = read_messages(row[column], column, reading)
    system = _optional_text(row, entry.field_system or "system")
    if system and messages[0].role != "system":
        messages = (Message("system", system), *messages)
    require_answer(messages)
    if not any(message.train is True or (message.train is None and message.role == "assistant") for message in messages):
        raise BadRow("nothing_trained", f"no turn is trained: {_untrained(entry, reading)}")
    return Fields(messages, read_tools(row.get(entry.field_tools), entry.field_tools), ends_of(entry))


def _untrained(entry: DatasetEntry, reading: Reading) -> str:
    if entry.roles_to_train is None:
        return f"every turn of the assistant has `{reading.flag}: false`"
    roles = ", ".join(entry.roles_to_train) or "nobody"
    return f"`roles_to_train` names {roles}, and no turn has `{reading.flag}: true`"


def ends_of(entry: DatasetEntry) -> TurnEnds | None:
    """Which ends of turns the entry trains; None for those of trained turns."""
    eos = entry.train_on_eos or "turn"
    eot = entry.train_on_eot or eos
    return None if eos == eot == "turn" else TurnEnds(eos, eot)


def completion_row(column: str, row: JsonObject) -> Fields:
    """Raw text in one column, all of it trained."""
    text = _text(row, column)
    if not text.strip():
        raise BadRow("empty_answer", f"`{column}` is empty")
    return Fields((Message(TEXT_ROLE, text, train=True),))


def input_output_row(row: JsonObject) -> Fields:
    """`segments`, a list of `{label, text}`: raw text in pieces, trained where `label` is true."""
    segments = row.get("segments")
    if segments is None:
        raise _missing(row, "segments")
    if not isinstance(segments, list):
        raise BadRow("wrong_type", f"expected a list in `segments`, found {kind(segments)}")
    messages = [_segment(segment, number) for number, segment in enumerate(segments, 1)]
    if not any(message.train for message in messages):
        raise BadRow("nothing_trained", "no segment with text has `label: true`")
    return Fields(tuple(messages))


def _segment(segment: JsonValue, number: int) -> Message:
    if not isinstance(segment, dict):
        raise BadRow("wrong_type", f"segment {number}: expected an object with `label` and `text`, found {kind(segment)}")
    label, text = segment.get("label"), segment.get("text")
    if not isinstance(label, bool) or not isinstance(text, str):
        found = names_of(segment) if not {"label", "text"} <= segment.keys() else f"{kind(label)} and {kind(text)}"
        raise BadRow("wrong_type", f"segment {number}: expected true or false in `label` and text in `text`, found {found}")
    return Message(TEXT_ROLE, text, train=label and bool(text))


def prompt_completion_row(entry: DatasetEntry, reading: Reading, row: JsonObject) -> Fields:
    """Columns `prompt` and `completion`, each text or a list of turns; only the completion is trained."""
    prompt = _side(row, "prompt", "user", reading)
    completion = _side(row, "completion", "assistant", reading)
    if not any(message.content.strip() for message in prompt):
        raise BadRow("empty_request", "the row asks nothing: `prompt` is empty")
    require_answer(completion)
    asked = tuple([_flagged(message, False) for message in prompt])
    answered = tuple([_flagged(message, message.role == "assistant" and message.train is not False) for message in completion])
    return Fields((*asked, *answered), read_tools(row.get(entry.field_tools), entry.field_tools), ends_of(entry))


def _side(row: JsonObject, column: str, role: str, reading: Reading) -> tuple[Message, ...]:
    value = row.get(column)
    if value is None:
        raise _missing(row, column)
    return (Message(role, value),) if isinstance(value, str) else read_messages(value, column, reading)


def _flagged(message: Message, train: bool) -> Message:
    return replace(message, train=train)


def _text(row: JsonObject, column: str) -> str:
    value = row.get(column)
    if isinstance(value, str):
        return value
    if value is None and column not in row:
        raise _missing(row, column)
    raise BadRow("wrong_type", f"expected text in `{column}`, found {kind(value)}")


def _optional_text(row: JsonObject, column: str) -> str | None:
    value = row.get(column)
    if value is None or isinstance(value, str):
        return value
    raise BadRow("wrong_type", f"expected text in `{column}`, found {kind(value)}")


def _answer(row: JsonObject, column: str) -> str:
    if column in row and row[column] is None:
        raise BadRow("empty_answer", f"`{column}` is null; write the answer, or take the row out")
    answer = _text(row, column)
    if not answer.strip():
        raise BadRow("empty_answer", f"`{column}` is empty; write the answer, or take the row out")
    return answer


def _missing(row: JsonObject, column: str) -> BadRow:
    hint = suggestion(row)
    found = "null" if column in row else names_of(row)
    return BadRow("missing_column", f"expected the column `{column}`, found {found}" + (f"; write `{hint}`" if hint else ""))


def suggestion(row: JsonObject) -> str:
    """What to write under the data-set entry so that a row with these columns is read; empty where nothing is plain."""
    columns = {name: value for name, value in row.items() if value is not None}
    if any(name in columns for name in _TOKENIZED):
        return ""  # Rows that are tokens already belong to one tokenizer; there is no format for them.
    if "messages" in columns or _CONVERSATIONS in columns:
        return "type: chat_template"
    for name, value in columns.items():
        if isinstance(value, list) and value and isinstance(value[0], dict) and ({"role", "from"} & value[0].keys()):
            return f"type: chat_template, field_messages: {name}"
    if "segments" in columns:
        return "type: input_output"
    texts = [name for name, value in columns.items() if isinstance(value, str)]
    return _text_suggestion(texts)


def _text_suggestion(texts: list[str]) -> str:
    known = ({"instruction", "output"}, "type: alpaca"), ({"prompt", "completion"}, "type: prompt_completion")
    for names, written in known:
        if names <= set(texts):
            return written
    answer = next((name for name in _ANSWERS if name in texts), None)
    request = next((name for name in _REQUESTS if name in texts and name != answer), None)
    if answer is not None and request is not None:
        return f"type: {{field_instruction: {request}, field_output: {answer}}}"
    if texts == ["text"]:
        return "type: completion"
    if len(texts) == 1:
        return f"type: completion, field: {texts[0]}"
    return f"type: {{field_instruction: {texts[0]}, field_output: {texts[1]}}}" if len(texts) == 2 else ""
