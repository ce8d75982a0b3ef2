"""Rows of tool calls: from definitions and their examples, from what a definition requires, and from the docs of a library."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from luthier.core.records import JsonObject, Message, ToolCall
from luthier.data.synthesize.arguments import NoValue, drawn_arguments, parameters, problems
from luthier.data.synthesize.made import Made, Material, Unfit
from luthier.data.synthesize.makers.lookups import rows_of_docs
from luthier.data.synthesize.tool_words import PREPOSITIONS, content_words, measure_of, request, task_of, words_of
from luthier.data.synthesize.wording import drawn, listed, pick
from luthier.retrieval.records import ToolDefinition

VERSION = 8
# A file of definitions has dozens of operations, with up to five rows each.
PER_FILE = 200

_CALLS = 3
_MOST_NOUN_WORDS = 7
_MOST_OTHERS = 4
_MIN_OTHERS = 2
_TOO_ALIKE = 0.5
_ASKING = frozenset(("list", "show", "get", "display", "search", "find", "check", "fetch", "retrieve", "return", "read", "view", "count"))
_SAYS_NOTHING = frozenset(("the", "for", "and", "name", "value", "that", "this", "given", "unique"))
_ASK = (
    "I need {names} for that. {question}",
    "To {lower}, I need {names}. {question}",
    "Before I can do that I need to know {names}. {question}",
)
_NONE = (
    "None of the tools that I have can do that. They are for: {others}.",
    "I cannot do that with the tools at hand. What they can do: {others}.",
    "That is not possible here: the available tools only {lower_others}.",
)


def make(material: Material) -> Iterator[Made | Unfit]:
    """Rows for each tool definition, then rows that look a name up in the docs of the source's code."""
    by_path: dict[str, list[ToolDefinition]] = defaultdict(list)
    for tool in material.tools:
        by_path[tool.path].append(tool)
    for tool in material.tools:
        yield from _rows(tool, by_path[tool.path])
    yield from rows_of_docs(material)


def _rows(tool: ToolDefinition, siblings: Sequence[ToolDefinition]) -> Iterator[Made | Unfit]:
    task = task_of(tool)
    if not task:
        yield Unfit(tool.path, tool.lines, "no_task", f"summary, description and name of `{tool.name}` do not tell what it does")
        return
    if "$ref" in str(parameters(tool.definition)):
        yield Unfit(tool.path, tool.lines, "unresolved_reference", f"the schema of `{tool.name}` refers to another place")
        return
    others = _others(tool, siblings)
    calls = list[JsonObject]()
    try:
        calls = _calls(tool, task)
    except NoValue as error:
        yield Unfit(tool.path, tool.lines, "argument_without_example", f"`{tool.name}`: nothing tells a value for {error}")
    for index, arguments in enumerate(calls):
        key = f"{tool.path}\n{tool.name}\n{index}"
        asked_for = request(task, arguments, key, parameters(tool.definition).get("properties"))
        call = ToolCall(tool.name, arguments)
        turns = (Message("user", asked_for), Message("assistant", "", (call,)))
        yield Made(turns, tool.path, tool.lines, tools=_offered(tool, others, key))
    yield from _missing(tool, task, calls, others)
    yield from _without(tool, task, calls, siblings)


def _calls(tool: ToolDefinition, task: str) -> list[JsonObject]:
    """Up to three different objects of arguments: the file's own examples and one with less, else drawn from the schema.

    `NoValue` where there are none.
    """
    schema = parameters(tool.definition)
    found = [example for example in tool.examples if isinstance(example, dict) and next(problems(example, schema), None) is None]
    if found:
        optional = sorted(found[0].keys() - set(schema.get("required") or ()))
        if len(found[0]) > 1 and optional:
            left_out = pick(optional, tool.path, tool.name, "left out")
            found.append({name: value for name, value in found[0].items() if name != left_out})
    else:
        found = [drawn_arguments(schema, f"{tool.path}\n{tool.name}\n{attempt}") for attempt in range(_CALLS)]
    # Nobody asks to create a thing and says nothing of it; to list things is a whole request.
    is_whole = not schema.get("properties") or task.split(maxsplit=1)[0].lower() in _ASKING
    unlike = [call for index, call in enumerate(found) if call not in found[:index] and (call or is_whole)]
    return unlike[:_CALLS]


def _others(tool: ToolDefinition, siblings: Sequence[ToolDefinition]) -> list[ToolDefinition]:
    """The other tools of the file that cannot be taken for this one, in an order drawn for it."""
    words = content_words(tool)
    clear = [other for other in siblings if other.name != tool.name and content_words(other) != words]
    by_name = {other.name: other for other in clear}
    return [by_name[name] for name in sorted(by_name, key=lambda name: drawn(name, tool.path, tool.name))]


def _offered(tool: ToolDefinition, others: Sequence[ToolDefinition], key: str) -> tuple[JsonObject, ...]:
    """The tool among two to four others, as far as the file has them."""
    count = _MIN_OTHERS + drawn(key, "others") % (_MOST_OTHERS - _MIN_OTHERS + 1)
    by_name = {one.name: one.definition for one in (tool, *others[:count])}
    return tuple(by_name[name] for name in sorted(by_name, key=lambda name: drawn(name, key, "offered")))


def _missing(tool: ToolDefinition, task: str, calls: Sequence[JsonObject], others: Sequence[ToolDefinition]) -> Iterator[Made]:
    """A request that leaves required arguments out, and the question for them."""
    schema = parameters(tool.definition)
    properties = schema.get("properties") or {}
    required = [name for name in schema.get("required") or () if isinstance(properties.get(name), dict)]
    required = [name for name in required if "default" not in properties[name] and "const" not in properties[name]]
    if not required:
        return
    key = f"{tool.path}\n{tool.name}\nmissing"
    given: JsonObject = {}
    if calls and len(required) > 1 and drawn(key, "given") % 2:
        kept = required[drawn(key, "kept") % len(required)]
        given = {kept: calls[0][kept]} if kept in calls[0] else {}
    wanted = [name for name in required if name not in given]
    measures = [measure_of(name, properties[name]) for name in wanted]
    nouns = [_without_article(_noun(name, properties[name], task)) for name in wanted]
    names = [f"the {f'number of {measure}' if measure else noun}" for noun, measure in zip(nouns, measures, strict=True)]
    told = [_description(name, properties[name]) for name in wanted]
    told = ["" if noun.endswith(text.lower()) else text for noun, text in zip((one.lower() for one in names), told, strict=True)]
    details = [f"{noun.removeprefix('the ')}: {text}" for noun, text in zip(names, told, strict=True) if text]
    is_one = len(wanted) == 1 and not names[0].endswith("s") and not re.match(r"the [a-z]+[^s\W]s (?:to|of|for|in)\b", names[0])
    is_one = is_one or (len(wanted) == 1 and bool(measures[0]))
    question = "What is it?" if is_one else "What are they?"
    if told and len(wanted) == 1 and told[0]:
        question += f" ({told[0]})"
    elif len(details) == len(wanted) < 4:
        question += " (" + "; ".join(details) + ")"
    lower = task[0].lower() + task[1:]
    answer = pick(_ASK, key, "ask").format(names=listed(names), question=question, lower=lower)
    turns = (Message("user", request(task, given, key, properties)), Message("assistant", answer))
    yield Made(turns, tool.path, tool.lines, tools=_offered(tool, others, key))


def _noun(name: str, schema: JsonObject, task: str) -> str:
    """What a parameter is called in a sentence: by its description where the name is no word for it (`q`, `from`)."""
    words = words_of(name, task)
    text = schema.get("description")
    if (len(name) > 1 and name.lower() not in PREPOSITIONS) or not isinstance(text, str) or not 1 < len(text.split()) <= _MOST_NOUN_WORDS:
        return words
    plain = text.strip().rstrip(".")
    return plain if plain[:2].isupper() else plain[0].lower() + plain[1:]


def _without_article(words: str) -> str:
    return re.sub(r"^(?:the|an?) ", "", words)


def _description(name: str, schema: JsonObject) -> str:
    """A parameter's description as one short sentence, with the values that an enum allows; empty where it has none."""
    text = schema.get("description")
    text = re.split(r"(?<=[.!?])\s", " ".join(text.split()))[0].rstrip(".") if isinstance(text, str) else ""
    values = schema.get("enum")
    if isinstance(values, list) and values and len(values) <= 8:
        allowed = "one of " + ", ".join(f"`{value}`" for value in values)
        text = f"{text}, {allowed}" if text else allowed
    new = set(re.findall(r"[a-z]{3,}", text.lower())) - _SAYS_NOTHING - {word.rstrip("s") for word in words_of(name).lower().split()}
    return text if len(text) <= 160 and len(new) > 1 else ""


def _without(tool: ToolDefinition, task: str, calls: Sequence[JsonObject], siblings: Sequence[ToolDefinition]) -> Iterator[Made]:
    """A request for this tool where it is not offered and no other can be taken for it: for every second one."""
    key = f"{tool.path}\n{tool.name}\nwithout"
    words = content_words(tool)
    far = [
        other
        for other in _others(tool, siblings)
        if task_of(other) and len(words & content_words(other)) / max(1, min(len(words), len(content_words(other)))) < _TOO_ALIKE
    ]
    if drawn(key) % 2 or len(far) < _MIN_OTHERS or not calls:
        return
    taken = far[: _MIN_OTHERS + drawn(key, "count") % (_MOST_OTHERS - _MIN_OTHERS + 1)]
    tasks = [(text := task_of(other))[0].lower() + text[1:] for other in taken]
    answer = pick(_NONE, key, "none").format(others="; ".join(tasks), lower_others=listed(tasks))
    turns = (Message("user", request(task, calls[0], key, parameters(tool.definition).get("properties"))), Message("assistant", answer))
    yield Made(turns, tool.path, tool.lines, tools=tuple(other.definition for other in taken))
