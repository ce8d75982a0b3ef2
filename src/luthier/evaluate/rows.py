"""Rows of a suite: what is asked and which answers are accepted, from the run's own test rows or from a file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from luthier.core.errors import Problem
from luthier.core.files import read_jsonl, sha256_bytes
from luthier.core.records import TEXT_ROLE, Example, JsonObject, JsonValue, Message

EXPECTED = (
    'a row of data/*.jsonl; {"messages": [..., {"role": "assistant", "content": ANSWER}], "answers"?: [...]}; '
    'or {"request": TEXT, "answer": TEXT} or {"request": TEXT, "answers": [...]} or {"query": TEXT, "gold": TEXT, "gold2"?: TEXT}; '
    'each may have "id" and "group"'
)


@dataclass(frozen=True, slots=True)
class SuiteRow:
    """One question. `messages` end before the answer; `expected` are the accepted answers, the first one the reference.

    `check` is what the suite's kind judges by beside them: tests, checks, a label; a text under `class` in it groups rows in the report.
    """

    id: str
    messages: tuple[Message, ...]
    expected: tuple[str, ...]
    tools: tuple[JsonObject, ...] = ()
    template: str = ""
    group: str = ""
    check: JsonObject = field(default_factory=dict)

    @property
    def request(self) -> str:
        """The last thing said before the answer."""
        return self.messages[-1].content


@dataclass(frozen=True, slots=True)
class Drawing:
    """How answers are drawn. `temperature` 0 is greedy; otherwise each sample of a row has a seed of its own."""

    max_new_tokens: int
    seed: int = 0
    samples: int = 1
    temperature: float = 0.0
    top_p: float = 1.0


@dataclass(frozen=True, slots=True)
class Suite:
    """Questions of one kind. `skipped` counts rows that ask nothing, by reason; `sha256` names the questions and how they are judged.

    `fields` are the further keys of the suite file that its kind knows; those that name a file hold its path.
    `max_new_tokens` None leaves it to the run. `limit` is for kinds whose rows another program brings; elsewhere the rows are drawn.
    `source` names data set, part and commit of rows from the hub.
    """

    name: str
    kind: str
    rows: tuple[SuiteRow, ...]
    sha256: str
    skipped: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, JsonValue] = field(default_factory=dict)
    max_new_tokens: int | None = None
    limit: int | None = None
    source: str = ""

    def drawing(self, max_new_tokens: int, seed: int) -> Drawing:
        """How its answers are drawn: greedily, unless the suite asks for several samples of each.

        Several are drawn at temperature 0.8 and top-p 0.95 where the suite file says nothing: those of Chen et al., "Evaluating large
        language models trained on code" (2021), section 3.2, for many samples.
        """
        samples = int(self.fields.get("samples", 1))
        temperature = float(self.fields.get("temperature", 0.8 if samples > 1 else 0.0))
        top_p = float(self.fields.get("top_p", 0.95 if samples > 1 else 1.0))
        return Drawing(self.max_new_tokens or max_new_tokens, seed, samples, temperature, top_p)


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
    plain = [value.get(name, "") for name in ("id", "group")]
    if messages is None or not are_texts(answers) or not all(isinstance(text, str) for text in plain):
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


def is_unicode(value: JsonValue) -> bool:
    """Whether the row can be written as UTF-8; JSON's escapes can name halves of characters that cannot."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def shape_of(value: JsonObject) -> str:
    """The fields of a row with their kinds."""
    return "{" + ", ".join(f"{name!s:.40}: {type(item).__name__}" for name, item in list(value.items())[:12]) + "}"


def sample(rows: Sequence[SuiteRow], limit: int | None, seed: int) -> list[SuiteRow]:
    """At most `limit` rows in the order of the file, drawn by a hash of seed and id: equal draws whatever else changes."""
    if limit is None or limit >= len(rows):
        return list(rows)
    drawn = sorted(rows, key=lambda row: sha256_bytes(f"{seed}:{row.id}".encode("utf-8", "surrogatepass")))[:limit]
    chosen = {row.id for row in drawn}
    return [row for row in rows if row.id in chosen]
