"""How a person asks for what a tool does: the operation's summary as a task, its arguments in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from luthier.core.records import JsonObject, JsonValue
from luthier.data.synthesize.requests import imperative, is_imperative
from luthier.data.synthesize.wording import listed, pick
from luthier.retrieval.records import ToolDefinition

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_UPPER = {"id": "ID", "url": "URL", "uri": "URI", "ip": "IP", "api": "API", "uuid": "UUID", "html": "HTML", "json": "JSON", "ids": "IDs"}
_FORMS_WITH = (
    "{task} with {values}.",
    "{task}, {values}.",
    "Please {lower} with {values}.",
    "I want to {lower}: {values}.",
    "Can you {lower} with {values}?",
)
_FORMS_WITHOUT = ("{task}.", "Please {lower}.", "Can you {lower}?", "I want to {lower}.")
# A word in front of what it is done to: "Lend a book", but not "The book" or "Details of a book".
_COMMANDS = re.compile(
    r"(?!(?:The|A|An|All|Any|This|That|Your|New|Each|Every|Not)\b)[A-Z][a-z]+ (?:a|an|the|all|one|your|this|new|several|multiple) "
)
_MAX_TASK_WORDS = 25
PREPOSITIONS = frozenset(("from", "to", "since", "until", "before", "after", "between", "at"))


def words_of(name: str, task: str = "") -> str:
    """`petId` and `pet_id` as `pet ID`; a word that `task` has in capitals has them too."""
    words = re.sub(r"[^A-Za-z0-9]+", " ", _CAMEL.sub(" ", name)).split()
    capitals = set(re.findall(r"\b[A-Z]{2,}\b", task))
    return " ".join(word.upper() if word.upper() in capitals else _in_prose(word) for word in words)


def _in_prose(word: str) -> str:
    return _UPPER.get(word.lower(), word if word.isupper() and len(word) > 1 else word.lower())


def task_of(tool: ToolDefinition) -> str:
    """What a tool does as a task in the imperative; empty where its summary, description and name tell none."""
    for text in (tool.title, _first_sentence(tool.description), words_of(tool.name)):
        task = imperative(" ".join(text.split()).rstrip(".!: "))
        if 2 <= len(task.split()) <= _MAX_TASK_WORDS and (is_imperative(task) or _COMMANDS.match(task)):
            return task
    return ""


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])|\n\s*\n", text.strip(), maxsplit=1)[0]


def request(task: str, arguments: JsonObject, key: str) -> str:
    """The task with its arguments as one request."""
    lower = task[0].lower() + task[1:]
    placed = [name for name, value in arguments.items() if name.lower() in PREPOSITIONS and isinstance(value, str | int | float)]
    for name in placed:
        # "from 2024-03-15 to 2024-11-02" is a part of the sentence, and no value of a thing called "from".
        task, lower = (f"{text} {name.lower()} {_written(arguments[name])}" for text in (task, lower))
    values = list(_said({name: value for name, value in arguments.items() if name not in placed}, "", task))
    if not values:
        return pick(_FORMS_WITHOUT, key, "plain").format(task=task, lower=lower)
    # `with` twice in one sentence reads badly.
    forms = [form for form in _FORMS_WITH if not (" with " in form and " with " in task)]
    return pick(forms, key, "with values").format(task=task, lower=lower, values=listed(values))


def _said(arguments: JsonObject, above: str, task: str) -> Iterator[str]:
    """Each argument as its name in words and its value."""
    for name, value in arguments.items():
        label = f"{above} {words_of(name, task)}".strip()
        if isinstance(value, dict):
            yield from _said(value, label, task)
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for item in value:
                yield from _said(item, label, task) if isinstance(item, dict) else (f"{label} {_written(item)}",)
        elif isinstance(value, list):
            yield f"{label} {listed([_written(item) for item in value])}" if value else f"no {label}"
        elif isinstance(value, bool):
            yield f"{label} {'on' if value else 'off'}"
        else:
            yield f"{label} {_written(value)}"


def _written(value: JsonValue) -> str:
    """A value as a person writes it: text with blanks in quotes."""
    if isinstance(value, str):
        return value if re.fullmatch(r"[^\s,;\"]+", value) else json.dumps(value, ensure_ascii=False)
    return "none" if value is None else json.dumps(value)


def content_words(tool: ToolDefinition) -> frozenset[str]:
    """The words by which one tool is told from another."""
    text = f"{words_of(tool.name)} {tool.title or _first_sentence(tool.description)}".lower()
    return frozenset(word.rstrip("s") for word in re.findall(r"[a-z]{3,}", text)) - _COMMON


_COMMON = frozenset(
    ["the", "and", "for", "with", "from", "this", "that", "all", "one", "new", "given", "specific", "by", "you", "your", "can"]
)
