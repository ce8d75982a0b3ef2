"""Commands that an answer gives as data: in tool calls, and in other JSON objects that hold a `cmd`, a `command` or `arguments`."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from luthier.core.records import JsonValue

# Beyond these an answer is not read on for objects, so that no text costs much; the caller is told so.
MAX_TRIES = 500
MAX_DEPTH = 12

# Where an object, or a list of texts or of further values, may begin: a checkbox of Markdown is none.
_START = re.compile(r"\[\s*[\[{\"]|\{\s*\"")
_DECODER = json.JSONDecoder()
_COMMANDS = ("cmd", "command", "commands")
# A single word under one of these names a file or a shell.
_SCRIPTS = ("script", "shell", "bash", "sh")
_ARGUMENTS = ("arguments", "args", "argv", "parameters", "input")
_PROGRAMS = ("program", "executable", "name")


@dataclass(frozen=True, slots=True)
class Called:
    """The commands in the JSON of an answer, in their order; of a value that gives none its texts. `is_whole` where all was read."""

    commands: tuple[str, ...]
    texts: tuple[str, ...]
    is_whole: bool


def called_commands(text: str) -> Called:
    """What the JSON objects and lists in `text` would run.

    A command is the text under `cmd` or `command`, of more than one word under `script` or `shell` too, each of a list under `commands`, or
    a list of words; a list of words under `arguments` or `args` follows the program beside it. Arguments may themselves be JSON as text.
    Reading ends after `MAX_TRIES` brackets, and at `MAX_DEPTH` values within each other.
    """
    reader = _Reader()
    commands: list[str] = []
    texts: list[str] = []
    for value in reader.values(text):
        found = list(reader.commands(value, MAX_DEPTH))
        commands += found
        texts += [] if found else list(reader.texts(value, MAX_DEPTH))
    return Called(tuple(commands), tuple(texts), reader.is_whole)


def is_json(text: str) -> bool:
    """Whether `text` is one JSON object or list, and so no command itself."""
    text = text.strip()
    if text[:1] not in ("{", "["):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


class _Reader:
    """Reads JSON values; `is_whole` turns false where a bound ended that."""

    def __init__(self) -> None:
        self.is_whole = True

    def values(self, text: str) -> Iterator[JsonValue]:
        """The values in `text` that may hold commands, one after another."""
        position = 0
        for _ in range(MAX_TRIES):
            start = _START.search(text, position)
            if start is None:
                return
            try:
                value, position = _DECODER.raw_decode(text, start.start())
            except RecursionError:
                break
            except ValueError:
                position = start.start() + 1
                continue
            yield value
        self.is_whole = self.is_whole and _START.search(text, position) is None

    def commands(self, value: JsonValue, depth: int) -> Iterator[str]:
        """The commands in a value, nested at most `depth` deep."""
        if self._is_beyond(value, depth):
            return
        if isinstance(value, list):
            for item in value:
                yield from self.commands(item, depth - 1)
        if not isinstance(value, dict):
            return
        words = next((value[key] for key in _ARGUMENTS if _is_words(value.get(key))), None)
        given = [value[key] for key in _COMMANDS if isinstance(value.get(key), str | list) and value[key]]
        if words is not None and not any(isinstance(one, str) for one in given):
            given += [value[key] for key in _PROGRAMS if isinstance(value.get(key), str)][:1]
        for one in given:
            yield from _written(one, words)
        yield from (script for key in _SCRIPTS if isinstance(script := value.get(key), str) and re.search(r"\S\s+\S", script))
        for key, inner in value.items():
            if key not in _COMMANDS or isinstance(inner, dict | list):
                yield from self.commands(self._read(inner) if key in _ARGUMENTS else inner, depth - 1)

    def texts(self, value: JsonValue, depth: int) -> Iterator[str]:
        """The texts in a value, nested at most `depth` deep; a list of words also as one line."""
        if isinstance(value, str):
            yield value
        elif not self._is_beyond(value, depth) and isinstance(value, dict | list):
            if isinstance(value, list) and len(value) > 1 and all(isinstance(item, str) for item in value):
                yield shlex.join(map(str, value))
            for inner in value.values() if isinstance(value, dict) else value:
                yield from self.texts(inner, depth - 1)

    def _is_beyond(self, value: JsonValue, depth: int) -> bool:
        """Whether `value` lies too deep to be read, which is noted where it has anything in it."""
        if depth == 0 and isinstance(value, dict | list) and value:
            self.is_whole = False
        return depth == 0

    def _read(self, value: JsonValue) -> JsonValue:
        """Arguments that are written as JSON text, read."""
        if not isinstance(value, str):
            return value
        try:
            read: JsonValue = json.loads(value)
        except ValueError:
            return value
        except RecursionError:
            self.is_whole = False
            return value
        return read


def _written(given: JsonValue, words: JsonValue) -> Iterator[str]:
    """The commands under one key, with the words beside it behind a single one."""
    if isinstance(given, str):
        yield f"{given} {shlex.join(map(str, words))}" if isinstance(words, list) else given
    elif _is_words(given) and isinstance(given, list):
        # Words of one command, or commands: of the latter at least one has a blank.
        texts = [str(item) for item in given]
        is_argv = len(texts) > 1 and not re.search(r"\s", texts[0])
        yield from [shlex.join(texts)] if is_argv else texts
    elif isinstance(given, list):
        yield from (item for item in given if isinstance(item, str))


def _is_words(value: JsonValue) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str | int | float) for item in value)
