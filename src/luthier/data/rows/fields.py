"""What passes between reading and storing: the fields of a row, the reason why a row is bad, and what stands in messages about both."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.core.records import JsonObject, JsonValue, Message, TurnEnds

_MOST_NAMES = 12
_LONGEST_SHOWN = 60
# Python's own limit counts from where the call stands that reads: a row that one caller can read, another cannot. This one is met first.
MOST_NESTED = 500


class BadRow(Exception):
    """Why a row cannot be used: a reason code and a detail that a person can act on. It never leaves the data stage."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[BadRow], tuple[str, str]]:
        """It passes between processes, which rebuild an exception from its arguments."""
        return BadRow, (self.reason, self.detail)


@dataclass(frozen=True, slots=True)
class Fields:
    """What a format makes of a row. `tools` are in OpenAI's nested form; `ends` None trains the end of every trained turn."""

    messages: tuple[Message, ...]
    tools: tuple[JsonObject, ...] = ()
    ends: TurnEnds | None = None


def is_nested_deeply(value: JsonValue, brackets: int) -> bool:
    """Whether `value` has more than `MOST_NESTED` levels; `brackets` is how many stand in its text, which mostly tells at once."""
    if brackets <= MOST_NESTED:
        return False
    level = [value]
    for _ in range(MOST_NESTED):
        outer = [inner.values() if isinstance(inner, dict) else inner for inner in level if isinstance(inner, list | dict)]
        level = [inner for values in outer for inner in values]
    return any(isinstance(inner, list | dict) for inner in level)


def kind(value: JsonValue) -> str:
    """The JSON type of `value` in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names = {str: "text", int: "a number", float: "a number", list: "a list", dict: "an object", bytes: "bytes"}
    return names.get(type(value), type(value).__name__)


def shown(value: object) -> str:
    """A short piece of a value for a message, on one line."""
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def names_of(row: JsonObject) -> str:
    """The names of a row's fields, in their order."""
    names = [f"`{shown(name)}`" for name in row]
    more = len(names) - _MOST_NAMES
    return ", ".join([*names[:_MOST_NAMES], *([f"and {more} more"] if more > 0 else [])]) or "no field"


def place(file: str | None, line: int | None) -> str:
    """`file:line` as far as it is known."""
    return ":".join(str(part) for part in (file, line) if part is not None)
