"""Rows of a suite: what is asked and which answers are accepted, from the run's own test rows or from a file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.core.errors import DataError, Problem
from luthier.core.files import read_jsonl, sha256_bytes
from luthier.core.records import TEXT_ROLE, Example, JsonObject, JsonValue, Message

EXPECTED = (
    'a row of data/*.jsonl; {"messages": [..., {"role": "assistant", "content": ANSWER}], "answers"?: [...]}; '
    'or {"request": TEXT, "answer": TEXT} or {"request": TEXT, "answers": [...]}; each may have "id" and "group"'
)
_MAX_PROBLEMS = 10


@dataclass(frozen=True, slots=True)
class SuiteRow:
    """One question. `messages` end before the answer; `expected` are the accepted answers, the first one the reference."""

    id: str
    messages: tuple[Message, ...]
    expected: tuple[str, ...]
    tools: tuple[JsonObject, ...] = ()
    template: str = ""
    group: str = ""

    @property
    def request(self) -> str:
        """The last thing said before the answer."""
        return self.messages[-1].content


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


def read_rows(path: Path) -> list[SuiteRow]:
    """The questions in a JSON Lines file or a JSON file with a list; every bad row is in one `DataError` with its line."""
    rows: list[SuiteRow] = []
    problems: list[Problem] = []
    first_place: dict[str, str] = {}
    for where, value in _values(path, problems):
        row = _row(value, where)
        if isinstance(row, SuiteRow) and row.id in first_place:
            row = Problem("the id stands twice", where=where, found=row.id, hint=f"it also stands in {first_place[row.id]}")
        if isinstance(row, Problem):
            problems.append(row)
        else:
            first_place[row.id] = where
            rows.append(row)
    if problems:
        more = [Problem(f"{len(problems) - _MAX_PROBLEMS} more bad rows", where=str(path))] if len(problems) > _MAX_PROBLEMS else []
        raise DataError(problems[:_MAX_PROBLEMS] + more)
    if not rows:
        raise DataError(Problem("the file has no rows", where=str(path)))
    return rows


def _values(path: Path, problems: list[Problem]) -> Iterator[tuple[str, JsonValue]]:
    """Place and JSON value of every row of the file."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(Problem(f"the file cannot be read: {error.strerror or error}", where=str(path))) from error
    except UnicodeDecodeError as error:
        raise DataError(Problem("the file is not UTF-8 text", where=str(path), found=f"byte {error.start}")) from error
    if path.suffix == ".json":
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(Problem(f"this is no JSON: {error}", where=str(path))) from error
        if not isinstance(values, list):
            raise DataError(Problem("the file must hold a list of rows", where=str(path), found=type(values).__name__, expected=EXPECTED))
        yield from ((f"{path}, row {number}", value) for number, value in enumerate(values, 1))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield f"{path}:{number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                problems.append(Problem(f"this is no line of JSON: {error}", where=f"{path}:{number}", found=line[:80]))


def _row(value: JsonValue, where: str) -> SuiteRow | Problem:
    if not isinstance(value, dict):
        return Problem("a row must be an object", where=where, found=type(value).__name__, expected=EXPECTED)
    messages = _messages(value)
    answers = value.get("answers", [])
    plain = [value.get(name, "") for name in ("id", "group")]
    if messages is None or not _are_texts(answers) or not all(isinstance(text, str) for text in plain):
        return Problem("this is no row of a suite", where=where, found=_shape(value), expected=EXPECTED)
    if not _is_unicode(value):
        return Problem("the row holds half a character (a lone surrogate)", where=where, found=_shape(value))
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
        return Problem("`tools` must be a list of objects, `template` a name", where=where, found=_shape(value), expected=EXPECTED)
    # Without an id of its own a row is known by what it asks, so that it keeps its id when others are added.
    asked_text = json.dumps([message.to_json() for message in asked], ensure_ascii=True)
    row_id = value.get("id") or sha256_bytes(asked_text.encode("ascii"))[:16]
    return SuiteRow(row_id, tuple(asked), expected, tuple(tools), template, value.get("group", ""))


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


def _are_texts(values: JsonValue) -> bool:
    return isinstance(values, list) and all(isinstance(text, str) for text in values)


def _is_unicode(value: JsonValue) -> bool:
    """Whether the row can be written as UTF-8; JSON's escapes can name halves of characters that cannot."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _shape(value: JsonObject) -> str:
    """The fields of a row with their kinds."""
    return "{" + ", ".join(f"{name!s:.40}: {type(item).__name__}" for name, item in list(value.items())[:12]) + "}"


def sample(rows: Sequence[SuiteRow], limit: int | None, seed: int) -> list[SuiteRow]:
    """At most `limit` rows in the order of the file, drawn by a hash of seed and id: equal draws whatever else changes."""
    if limit is None or limit >= len(rows):
        return list(rows)
    drawn = sorted(rows, key=lambda row: sha256_bytes(f"{seed}:{row.id}".encode("utf-8", "surrogatepass")))[:limit]
    chosen = {row.id for row in drawn}
    return [row for row in rows if row.id in chosen]
