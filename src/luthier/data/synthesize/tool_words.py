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
    "{task}: {values}.",
    "Please {lower} with {values}.",
    "I want to {lower}: {values}.",
    "Can you {lower} with {values}?",
)
# For a task that ends in a clause of its own: "an order that was not shipped with order ID 12" would say it of the shipping.
_FORMS_APART = ("{task}: {values}.", "I want to {lower}: {values}.", "Please {lower}: {values}.")
_FORMS_TOLD = ("{told} Please {lower}.", "{task}. {told}", "Can you {lower}? {told}", "I want to {lower}. {told}")
_ENDS_IN_CLAUSE = re.compile(r",| (?:that|which|who|whose|when|where|how|if|with|after|before|while) ")
# Words that a number stands before, and those that a description begins with where the name is no such word.
_MEASURES = (
    "milliseconds|seconds|minutes|hours|days|weeks|months|years|degrees|percent|bytes|kilobytes|megabytes|gigabytes|pixels|points|"
    "millimet(?:er|re)s|centimet(?:er|re)s|met(?:er|re)s|kilomet(?:er|re)s|miles|inches|feet|grams|kilograms|pounds|lit(?:er|re)s|"
    "millilit(?:er|re)s|euros|dollars|cents|watts|volts"
)
_MEASURED = re.compile(rf"(?:(?:number|amount) of\s+)?(?P<measure>(?:{_MEASURES})(?:\s+[A-Z]\w+)?)\b", re.IGNORECASE)
_FORMS_WITHOUT = ("{task}.", "Please {lower}.", "Can you {lower}?", "I want to {lower}.")
# A word in front of what it is done to: "Lend a book", but not "The book" or "Details of a book".
_COMMANDS = re.compile(
    r"(?!(?:The|A|An|All|Any|This|That|Your|New|Each|Every|Not)\b)[A-Z][a-z]+ (?:a|an|the|all|one|your|this|new|several|multiple) "
)
_MAX_TASK_WORDS = 25
_MOST_TOLD = 3
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


def measure_of(name: str, schema: JsonValue) -> str:
    """What a number is counted in, by the name of its parameter or by what its description begins with; empty where neither tells it."""
    if not isinstance(schema, dict) or schema.get("type") not in ("integer", "number"):
        return ""
    text = schema.get("description")
    described = _MEASURED.match(text.strip()) if isinstance(text, str) else None
    named = re.search(rf"\b(?:{_MEASURES})$", words_of(name))
    if described and (not named or described["measure"].lower().startswith(named[0])):
        measure = str(described["measure"])
        return measure[0].lower() + measure[1:]
    return str(named[0]) if named else ""


def request(task: str, arguments: JsonObject, key: str, properties: JsonObject | None = None) -> str:
    """The task with its arguments as one request; `properties` are the schemas of the arguments."""
    measures = {name: measure for name in arguments if (measure := measure_of(name, (properties or {}).get(name)))}
    for name, measure in measures.items():
        # "A timer that rings after some minutes" speaks of the value itself.
        placed_in = re.sub(
            rf"\b(?:some|several|a few|a number of|the given|a given) {re.escape(measure)}\b",
            f"{_written(arguments[name])} {measure}",
            task,
        )
        if placed_in != task:
            task, arguments = placed_in, {other: value for other, value in arguments.items() if other != name}
    lower = task[0].lower() + task[1:]
    placed = [name for name, value in arguments.items() if name.lower() in PREPOSITIONS and isinstance(value, str | int | float)]
    for name in placed:
        # "from 2024-03-15 to 2024-11-02" is a part of the sentence, and no value of a thing called "from".
        task, lower = (f"{text} {name.lower()} {_written(arguments[name])}" for text in (task, lower))
    pairs = list(_said({name: value for name, value in arguments.items() if name not in placed}, "", task, measures))
    if not pairs:
        return pick(_FORMS_WITHOUT, key, "plain").format(task=task, lower=lower)
    values = listed([f"{label} {value}".strip() for label, value in pairs])
    is_told = all(label and not label.endswith("s") for label, _ in pairs) and len(pairs) <= _MOST_TOLD
    told = listed([f"the {label} is {value}" for label, value in pairs]) + "."
    forms: tuple[str, ...] = (*(_FORMS_APART if _ENDS_IN_CLAUSE.search(task) else _FORMS_WITH), *(_FORMS_TOLD if is_told else ()))
    return pick(forms, key, "with values").format(task=task, lower=lower, values=values, told=told[0].upper() + told[1:])


def _said(arguments: JsonObject, above: str, task: str, measures: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Each argument as its name in words and its value; a number with a measure has no other name."""
    for name, value in arguments.items():
        label = f"{above} {words_of(name, task)}".strip()
        if not above and name in measures:
            yield "", f"{_written(value)} {measures[name]}"
        elif isinstance(value, dict):
            yield from _said(value, label, task, {})
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for item in value:
                yield from _said(item, label, task, {}) if isinstance(item, dict) else ((label, _written(item)),)
        elif isinstance(value, list):
            yield (label, listed([_written(item) for item in value])) if value else ("", f"no {label}")
        elif isinstance(value, bool):
            yield label, "on" if value else "off"
        else:
            yield label, _written(value)


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
