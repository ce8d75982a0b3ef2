"""Conversations as they stand in rows: turns, roles, what is trained of them, tool calls and tool definitions, in the shapes in use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luthier.config.row_sections import DEFAULT_ROLES, ROLES, DatasetEntry, MessageFields
from luthier.core.records import Detail, JsonObject, JsonValue, Message, ToolCall
from luthier.data.rows.details import read_details
from luthier.data.rows.fields import MOST_NESTED, BadRow, is_nested_deeply, kind, names_of, shown

_LIKELY_ROLES = {
    "model": "assistant",
    "bot": "assistant",
    "ai": "assistant",
    "chatgpt": "assistant",
    "developer": "system",
    "function": "tool",
    "observation": "tool",
    "ipython": "tool",
}
# Luthier reads this field of a message where the run file names none; Axolotl then reads none.
_TRAIN = "train"
_SHAREGPT = MessageFields(role="from", content="value")


@dataclass(frozen=True, slots=True)
class Reading:
    """How the turns of a conversation are read: which field holds what, and which role a name means."""

    fields: MessageFields
    roles: Mapping[str, str]
    # The roles whose turns are trained; None leaves it to what a turn says, and to its role.
    trained: frozenset[str] | None
    flag: str
    detail: str | None
    # Turns written as `from` and `value` are taken as such where the run file does not name the fields.
    guesses: bool

    @staticmethod
    def of(entry: DatasetEntry) -> Reading:
        """The reading that a data-set entry asks for."""
        roles = DEFAULT_ROLES
        if entry.roles is not None:
            roles = {name: role for role, names in entry.roles.items() for name in names}
        trained = None if entry.roles_to_train is None else frozenset(roles.get(name, name) for name in entry.roles_to_train)
        flag, detail = entry.message_field_training or _TRAIN, entry.message_field_training_detail
        return Reading(
            entry.message_property_mappings, roles, trained, flag, detail, "message_property_mappings" not in entry.model_fields_set
        )

    def trains(self, role: str) -> bool | None:
        """Whether turns of `role` are trained that do not say it themselves; None where their role alone tells it."""
        if self.trained is None or (role in self.trained) is (role == "assistant"):
            return None
        return role in self.trained


def read_messages(value: JsonValue, column: str, reading: Reading) -> tuple[Message, ...]:
    """The turns in `value`, a list of objects or the JSON text of one; `BadRow` where it is neither or a turn is wrong."""
    turns = decoded(value, column, "invalid_messages")
    if not isinstance(turns, list):
        raise BadRow("wrong_type", f"expected a list of turns in `{column}`, found {kind(turns)}")
    if not turns:
        raise BadRow("no_messages", f"`{column}` holds no turn")
    fields = reading.fields
    if reading.guesses and isinstance(turns[0], dict) and fields.role not in turns[0] and _SHAREGPT.role in turns[0]:
        fields = _SHAREGPT
    return tuple([_message(turn, number, fields, reading) for number, turn in enumerate(turns, 1)])


def require_answer(messages: tuple[Message, ...]) -> None:
    """`BadRow` where no turn is the assistant's, or one of the assistant's says nothing and calls nothing."""
    found = False
    for number, message in enumerate(messages, 1):
        if message.role != "assistant":
            continue
        found = True
        if not (message.content.strip() or message.tool_calls or message.reasoning):
            raise BadRow("empty_answer", f"turn {number} is the assistant's and is empty; write the answer, or take the turn out")
    if not found:
        roles = ", ".join(dict.fromkeys(message.role for message in messages))
        raise BadRow("no_assistant_turn", f"expected a turn of the assistant to train on, found only: {roles}")


def decoded(value: JsonValue, column: str, reason: str) -> JsonValue:
    """`value` itself, or what its JSON text says where it is text."""
    if not isinstance(value, str):
        return value
    try:
        return _parsed(value)
    except (ValueError, RecursionError) as error:
        raise BadRow(reason, f"expected JSON in the text of `{column}`: {shown(error)}") from error


def _parsed(text: str) -> JsonValue:
    value = json.loads(text)
    if is_nested_deeply(value, text.count("[") + text.count("{")):
        raise RecursionError(f"nested in more than {MOST_NESTED} levels")
    return value


def _message(turn: JsonValue, number: int, fields: MessageFields, reading: Reading) -> Message:
    if not isinstance(turn, dict):
        raise BadRow("wrong_type", f"turn {number}: expected an object with `{fields.role}` and `{fields.content}`, found {kind(turn)}")
    role = _role(turn, number, fields, reading.roles)
    content = turn.get(fields.content)
    if not isinstance(content, str):
        content = _content(turn, number, fields)
    if turn.keys() == {fields.role, fields.content}:
        return Message(role, content, train=reading.trains(role))
    train, details = _training(turn, number, role, content, reading)
    return Message(
        role,
        content,
        tool_calls=_tool_calls(turn, number),
        tool_call_id=_text(turn, "tool_call_id", number),
        name=_text(turn, "name", number),
        reasoning=_text(turn, "reasoning", number) or _text(turn, "reasoning_content", number),
        train=train,
        details=details,
    )


def _training(turn: JsonObject, number: int, role: str, content: str, reading: Reading) -> tuple[bool | None, tuple[Detail, ...]]:
    """Whether a turn is trained, and which stretches of it: its flag first, then its stretches, then its role, as in Axolotl."""
    train = turn.get(reading.flag)
    # OpenAI's `weight` is written as a number.
    if isinstance(train, int | float) and train in (0, 1):
        train = bool(train)
    if not (train is None or isinstance(train, bool)):
        raise BadRow("wrong_type", f"turn {number}: expected true or false, or 1 or 0, in `{reading.flag}`, found {kind(train)}")
    named = None if reading.detail is None else turn.get(reading.detail)
    if named is None:
        return reading.trains(role) if train is None else train, ()
    details = read_details(named, str(reading.detail), number, content)
    return bool(details) if train is None else train, details


def _role(turn: JsonObject, number: int, fields: MessageFields, roles: Mapping[str, str]) -> str:
    written = turn.get(fields.role)
    if not isinstance(written, str):
        if fields.role in turn:
            raise BadRow("wrong_type", f"turn {number}: expected text in `{fields.role}`, found {kind(written)}")
        raise BadRow("missing_field", f"turn {number}: expected `{fields.role}`, found {names_of(turn)}{_fields_hint(turn)}")
    role = roles.get(written, written)
    if role not in ROLES:
        likely = _LIKELY_ROLES.get(written.lower(), "user")
        mapping = {"user": "user, human", "assistant": "assistant, gpt", "system": "system", "tool": "tool"}[likely]
        hint = f"if it means {likely}, write `roles: {{{likely}: [{mapping}, {shown(written)}]}}`"
        raise BadRow("unknown_role", f"turn {number}: expected {', '.join(ROLES)}, found `{shown(written)}`; {hint}")
    return role


def _fields_hint(turn: JsonObject) -> str:
    role = next((name for name in ("role", "from", "speaker", "author") if name in turn), None)
    content = next((name for name in ("content", "value", "text", "message") if name in turn), None)
    if role is None or content is None:
        return ""
    return f"; write `message_property_mappings: {{role: {role}, content: {content}}}`"


def _content(turn: JsonObject, number: int, fields: MessageFields) -> str:
    """The text of a turn whose content is no plain text: none beside tool calls, or a list of text parts."""
    content = turn.get(fields.content)
    if content is None:
        if turn.get("tool_calls") or turn.get("function_call"):
            return ""
        if fields.content in turn:
            raise BadRow("wrong_type", f"turn {number}: expected text in `{fields.content}`, found null")
        raise BadRow("missing_field", f"turn {number}: expected `{fields.content}`, found {names_of(turn)}{_fields_hint(turn)}")
    if not isinstance(content, list):
        raise BadRow("wrong_type", f"turn {number}: expected text in `{fields.content}`, found {kind(content)}")
    texts = []
    for part in content:
        if not (isinstance(part, dict) and part.get("type", "text") == "text" and isinstance(part.get("text"), str)):
            found = shown(part.get("type", names_of(part))) if isinstance(part, dict) else kind(part)
            raise BadRow("unsupported_content", f"turn {number}: only parts of text can be trained on, found {found}")
        texts.append(part["text"])
    return "".join(texts)


def _text(turn: JsonObject, name: str, number: int) -> str | None:
    value = turn.get(name)
    if value is None or isinstance(value, str):
        return value
    raise BadRow("wrong_type", f"turn {number}: expected text in `{name}`, found {kind(value)}")


def _tool_calls(turn: JsonObject, number: int) -> tuple[ToolCall, ...]:
    calls = turn.get("tool_calls")
    if not calls and (single := turn.get("function_call")):
        calls = [decoded(single, "function_call", "bad_tool_call")]
    calls = decoded(calls, "tool_calls", "bad_tool_call") if calls else []
    if not isinstance(calls, list):
        raise BadRow("bad_tool_call", f"turn {number}: expected a list in `tool_calls`, found {kind(calls)}")
    return tuple([_tool_call(call, f"turn {number}, call {index}") for index, call in enumerate(calls, 1)])


def _tool_call(call: JsonValue, place: str) -> ToolCall:
    """A call written flat (`{name, arguments}`) or nested (`{type, function: {name, arguments}}`)."""
    function = call.get("function", call) if isinstance(call, dict) else call
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        found = names_of(function) if isinstance(function, dict) else kind(function)
        raise BadRow("bad_tool_call", f"{place}: expected `name` and `arguments`, found {found}")
    arguments = function.get("arguments", function.get("parameters"))
    if isinstance(arguments, str):
        try:
            arguments = _parsed(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError) as error:
            raise BadRow("bad_tool_call", f"{place}: the arguments are no JSON object: {shown(error)}") from error
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise BadRow("bad_tool_call", f"{place}: expected an object of arguments, found {kind(arguments)}")
    identity = call.get("id")
    if not (identity is None or isinstance(identity, str)):
        raise BadRow("bad_tool_call", f"{place}: expected text in `id`, found {kind(identity)}")
    return ToolCall(function["name"], arguments, identity)


def read_tools(value: JsonValue, column: str) -> tuple[JsonObject, ...]:
    """The tool definitions in `value`, a list or the JSON text of one, in OpenAI's nested form; empty where there is none."""
    if value is None or value in ("", [], "[]"):
        return ()
    tools = decoded(value, column, "bad_tools")
    if tools is None:
        return ()
    if not isinstance(tools, list):
        raise BadRow("bad_tools", f"expected a list of tools in `{column}`, found {kind(tools)}")
    return tuple([_tool(decoded(tool, column, "bad_tools"), number) for number, tool in enumerate(tools, 1)])


def _tool(tool: Any, number: int) -> JsonObject:
    function = tool.get("function", tool) if isinstance(tool, dict) else tool
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        found = names_of(function) if isinstance(function, dict) else kind(function)
        raise BadRow("bad_tools", f"tool {number}: expected `name`, `description` and `parameters`, found {found}")
    return tool if "function" in tool else {"type": "function", "function": tool}
