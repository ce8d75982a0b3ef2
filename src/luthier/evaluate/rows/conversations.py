"""Conversations as rows of a suite: what is asked and which answers are accepted, from the run's own test rows or from a file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from luthier.core.errors import Problem
from luthier.core.files import read_jsonl, sha256_bytes
from luthier.core.records import TEXT_ROLE, Example, JsonObject, JsonValue, Message
from luthier.core.text import is_unicode
from luthier.evaluate.rows.suite import SuiteRow

EXPECTED = (
    'a row of data/*.jsonl; {"messages": [..., {"role": "assistant", "content": ANSWER}], "answers"?: [...]}; '
    'or {"request": TEXT, "answer": TEXT} or {"request": TEXT, "answers": [...]} or {"query": TEXT, "gold": TEXT, "gold2"?: TEXT}; '
    'each may have "id" and "group"'
)

# The keys of a conversation, in all the forms above.
CONVERSATION_KEYS = (
    "id", "messages", "answers", "request", "answer", "query", "gold", "gold2", "group", "tools", "template", "origin",
)  # fmt: skip


def stored_rows(path: Path) -> tuple[list[SuiteRow], Counter[str]]:
    """The questions in the run's test rows, and how many rows ask nothing, by reason."""
    rows: list[SuiteRow] = []
    skipped: Counter[str] = Counter()
    for stored in read_jsonl(path):
        row = question(Example.from_json(stored))
        if isinstance(row, str):
            skipped[row] += 1
        else:
            rows.append(row)
    return rows, skipped


def question(example: Example) -> SuiteRow | str:
    """The row's last answer as something to ask, or the reason code why it cannot be asked."""
    if any(message.role == TEXT_ROLE for message in example.messages):
        return "plain_text"
    *asked, last = example.messages
    if not asked or last.role != "assistant":
        return "no_question"
    if not last.content.strip():
        return "no_text_answer"
    expected = tuple(dict.fromkeys((last.content, *example.answers)))
    return SuiteRow(example.id, tuple(asked), expected, example.tools, example.template, example.group)


def conversation_row(value: JsonObject, where: str) -> SuiteRow | Problem:
    """A row that is one of Luthier's own, a conversation, a request with its answers, or one in InterCode's form; else what is wrong."""
    value = _from_intercode(value)
    messages = _messages(value)
    answers = value.get("answers", [])
    if (problem := wrong_name(value, where)) is not None:
        return problem
    if messages is None or not are_texts(answers):
        return Problem("this is no row of a suite", where=where, found=shape_of(value), expected=EXPECTED)
    if not is_unicode(value):
        return Problem("the row holds half a character (a lone surrogate)", where=where, found=shape_of(value))
    *asked, last = messages
    if not asked or last.role != "assistant":
        return Problem("the last message must be the assistant's, after a request", where=where, found=last.role, expected=EXPECTED)
    expected = tuple(dict.fromkeys(text for text in (last.content, *answers) if text.strip()))
    if not expected:
        return Problem("the row has no accepted answer", where=where, expected=EXPECTED)
    # Only rows that Luthier wrote name a wording; elsewhere a field of that name is the author's own.
    template = value.get("template", "") if "origin" in value else ""
    tools = value.get("tools") or []
    if not isinstance(template, str) or not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        return Problem("`tools` must be a list of objects, `template` a name", where=where, found=shape_of(value), expected=EXPECTED)
    return SuiteRow(value.get("id") or id_of(asked), tuple(asked), expected, tuple(tools), template, value.get("group", ""))


def wrong_name(value: JsonObject, where: str) -> Problem | None:
    """What is wrong with a row's `id` or `group`, which are texts; None where nothing is."""
    for name in ("id", "group"):
        if not isinstance(value.get(name, ""), str):
            return Problem(f"`{name}` must be a text", where=where, found=f"{value[name]!r:.80}", hint="put it in quotes")
    return None


def id_of(messages: Sequence[Message]) -> str:
    """The id of a row without one of its own: it is known by what it asks, so that it keeps its id when others are added."""
    asked_text = json.dumps([message.to_json() for message in messages], ensure_ascii=True)
    return sha256_bytes(asked_text.encode("ascii"))[:16]


def _from_intercode(value: JsonObject) -> JsonObject:
    """A row of InterCode's tasks, `{query, gold, gold2}` (Yang et al., NeurIPS 2023 Datasets and Benchmarks), in Luthier's words."""
    if "query" not in value or "gold" not in value or "request" in value or "messages" in value:
        return value
    golds = [value["gold"], value.get("gold2")]
    kept = {name: item for name, item in value.items() if name not in ("query", "gold", "gold2")}
    return {**kept, "request": value["query"], "answers": list(dict.fromkeys(gold for gold in golds if isinstance(gold, str)))}


def _messages(value: JsonObject) -> list[Message] | None:
    """The row as a conversation that ends with the answer; None where it has no known shape."""
    if "messages" in value:
        messages = value["messages"]
        if not isinstance(messages, list) or not messages or not all(_is_message(message) for message in messages):
            return None
        try:
            return [Message.from_json({**message, "content": message.get("content") or ""}) for message in messages]
        except (KeyError, TypeError, ValueError, AttributeError):  # A tool call that is none.
            return None
    request, answer = value.get("request"), value.get("answer", "")
    if not isinstance(request, str) or not request.strip() or not isinstance(answer, str) or not ("answer" in value or "answers" in value):
        return None
    return [Message("user", request), Message("assistant", answer)]


def _is_message(message: JsonValue) -> bool:
    return isinstance(message, dict) and isinstance(message.get("role"), str) and isinstance(message.get("content"), str | None)


def are_texts(values: JsonValue) -> bool:
    """Whether `values` is a list of texts."""
    return isinstance(values, list) and all(isinstance(text, str) for text in values)


def shape_of(value: JsonObject) -> str:
    """The fields of a row with their kinds."""
    return "{" + ", ".join(f"{name!s:.40}: {type(item).__name__}" for name, item in list(value.items())[:12]) + "}"
