"""Rows that repeat what the run is judged by.

An item of a suite or of a named file is held against a row in two ways, both by the words of `rows.grams`:
* A request or an answer of 13 words or more: one run of 13 words that it shares with the row, in whatever turn (13-grams, as in the
  appendix on contamination of Brown et al. 2020). A run that more than half of a suite's items share, four of them at least, is the
  suite's wording and tells nothing.
* An item whose request is shorter: the strong edges of the split. They are an equal request, an equal answer, and requests whose word
  3-grams have a Jaccard similarity of 0.7 or more. An answer of one word (`42`, `B`, `yes`, `pwd`) says too little by itself, a suite of
  labels would empty every data set of the same labels: it counts only where the requests share a word 3-gram too.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from luthier.core.errors import DataError, Problem
from luthier.core.records import TEXT_ROLE, Example, JsonObject, Message
from luthier.core.visible import not_utf8
from luthier.data.clean.records import Row
from luthier.data.reading.readers import read_rows
from luthier.data.rows.fields import BadRow
from luthier.data.rows.grams import NEAR, grams, jaccard, normalised, said
from luthier.retrieval.shown import request_in

RUN_WORDS = 13
_WORDING_ITEMS = 4
_REQUEST_FIELDS = ("prompt", "question", "request", "instruction", "query", "description", "problem", "input", "text", "task", "goal")
_ANSWER_FIELDS = (
    "answer",
    "completion",
    "response",
    "output",
    "canonical_solution",
    "solution",
    "command",
    "expected",
    "target",
    "gold",
    "gold2",
)
_ROW_FILES = {".jsonl": "json", ".ndjson": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
_PARAGRAPH = re.compile(r"\n[ \t\r]*\n")


@dataclass(frozen=True, slots=True)
class _Item:
    """Something that a run is judged by: the suite or file, its id there, and what is compared."""

    suite: str
    id: str
    request: str
    answers: tuple[str, ...]


@dataclass(slots=True)
class Decontaminator:
    """Says which item a row repeats. Built once, then only read; it may be handed to other processes."""

    _names: list[tuple[str, str]] = field(default_factory=list)
    _runs: dict[str, int] = field(default_factory=dict)
    _requests: dict[str, int] = field(default_factory=dict)
    _answers: dict[str, int] = field(default_factory=dict)
    _labels: dict[str, list[int]] = field(default_factory=dict)
    _by_gram: dict[str, list[int]] = field(default_factory=dict)
    _grams: dict[int, frozenset[str]] = field(default_factory=dict)
    _most_grams: float = 0.0

    @staticmethod
    def of(examples: Iterable[Example], files: Sequence[Path] = ()) -> Decontaminator:
        """All items of suites, each example's `group` naming its suite, and of files of rows or of plain text.

        Of a file of rows (JSON Lines, JSON, CSV, Parquet, plain or gzipped) an item is a row with `messages`, or with a field such as
        `prompt`, `question`, `text` and one such as `answer`, `completion`; of plain text each paragraph, and each line of it.
        `DataError` where a file cannot be read or holds nothing to compare.
        """
        made = Decontaminator()
        items = [_of_example(example) for example in examples]
        for path in files:
            found = list(_of_file(path))
            if not any(normalised(text) for item in found for text in (item.request, *item.answers)):
                hint = f"rows need `messages`, or one of {', '.join(_REQUEST_FIELDS[:5])}; plain text needs words"
                raise DataError(
                    Problem("the file holds nothing that rows could repeat", where="clean.decontaminate", found=str(path), hint=hint)
                )
            items += found
        made._take(items)
        return made

    def __len__(self) -> int:
        return len(self._names)

    def _take(self, items: Sequence[_Item]) -> None:
        sizes = Counter(item.suite for item in items)
        shared: Counter[tuple[str, str]] = Counter()
        runs: list[tuple[str, int]] = []
        for number, item in enumerate(items):
            self._names.append((item.suite, item.id))
            request = normalised(item.request)
            own = {run for text in (item.request, *item.answers) for run in _runs(normalised(text))}
            shared.update((item.suite, run) for run in own)
            runs += [(run, number) for run in sorted(own)]
            if request.count(" ") < RUN_WORDS - 1:
                self._take_short(number, item, request)
        for run, number in runs:
            suite = items[number].suite
            if shared[suite, run] < _WORDING_ITEMS or shared[suite, run] * 2 <= sizes[suite]:
                self._runs.setdefault(run, number)

    def _take_short(self, number: int, item: _Item, request: str) -> None:
        own = grams(item.request) if request else frozenset()
        if request:
            self._requests.setdefault(request, number)
            self._grams[number] = own
            self._most_grams = max(self._most_grams, len(own) / NEAR)
            for gram in sorted(own):
                self._by_gram.setdefault(gram, []).append(number)
        for text in item.answers:
            answer = normalised(text) or text.strip()
            if " " in answer:
                self._answers.setdefault(answer, number)
            elif answer:
                self._labels.setdefault(answer, []).append(number)

    def repeats(self, row: Row) -> tuple[str, str] | None:
        """Suite and id of the item that `row` repeats, the first of those that there are; None where it repeats none."""
        messages = row.fields.messages
        for text in _texts(messages):
            if (number := self._by_runs(normalised(text))) is not None:
                return self._names[number]
        if not (self._requests or self._answers or self._labels):
            return None
        for request, answer in _asked(messages):
            if (number := self._by_edges(request, answer)) is not None:
                return self._names[number]
        return None

    def passes_over(self, row: Row) -> bool:
        """Whether a row that repeats no item has an item's answer of one word: it is kept, for that says too little by itself."""
        return bool(self._labels) and any(
            (normalised(answer) or answer.strip()) in self._labels for _, answer in _asked(row.fields.messages) if answer
        )

    def _by_runs(self, text: str) -> int | None:
        if not self._runs or text.count(" ") < RUN_WORDS - 1:
            return None
        known = self._runs
        return next((known[run] for run in _runs(text) if run in known), None)

    def _by_edges(self, request: str, answer: str) -> int | None:
        plain = normalised(request)
        if plain and (number := self._requests.get(plain)) is not None:
            return number
        said_answer = normalised(answer) or answer.strip()
        if said_answer and (number := self._answers.get(said_answer)) is not None:
            return number
        labelled = self._labels.get(said_answer) if said_answer else None
        if not plain or (plain.count(" ") - 1 > self._most_grams and not labelled):
            return None
        own = grams(request)
        if (
            labelled
            and (found := next((number for number in labelled if not own.isdisjoint(self._grams.get(number, ()))), None)) is not None
        ):
            return found
        near = dict.fromkeys(number for gram in sorted(own) for number in self._by_gram.get(gram, ()))
        return next((number for number in near if jaccard(own, self._grams[number]) >= NEAR), None)


def _runs(text: str) -> Iterator[str]:
    """The runs of 13 words of a normalised text."""
    starts = [0]
    position = text.find(" ")
    while position >= 0:
        starts.append(position + 1)
        position = text.find(" ", position + 1)
    starts.append(len(text) + 1)
    for first in range(len(starts) - RUN_WORDS):
        yield text[starts[first] : starts[first + RUN_WORDS] - 1]


def _texts(messages: Sequence[Message]) -> Iterator[str]:
    for message in messages:
        yield message.content
        if message.reasoning:
            yield message.reasoning
        for call in message.tool_calls:
            yield json.dumps(call.arguments, ensure_ascii=False)


def _asked(messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    """Each answer of a row with what was asked: all turns before it, and the user's last one alone."""
    for index, message in enumerate(messages):
        if message.role in ("assistant", TEXT_ROLE):
            whole = said(messages[: index + 1])
            yield whole.request or "", whole.answer or message.content
            last = next((request_in(turn.content) for turn in reversed(messages[:index]) if turn.role == "user"), "")
            if last and last != whole.request:
                yield last, ""


def _of_example(example: Example) -> _Item:
    found = said(example.messages)
    if found.request is None and found.answer is None:  # A row to be answered has no turn of the assistant.
        found = said((*example.messages, Message("assistant", "")))
    answers = (found.answer or "", *example.answers)
    return _Item(example.group or "suite", example.id, found.request or "", tuple(answer for answer in answers if answer))


def _of_file(path: Path) -> Iterator[_Item]:
    file_format = _ROW_FILES.get(Path(path.name.lower().removesuffix(".gz")).suffix)
    if not path.is_file():
        raise DataError(Problem("there is no file of this name", where="clean.decontaminate", found=str(path), hint="mend the path"))
    if file_format is None:
        yield from _of_text(path)
        return
    for line, row in read_rows(path, file_format):
        if isinstance(row, BadRow):
            hint = "mend the line: an item that cannot be read cannot be kept out of the training rows"
            raise DataError(Problem("a row to decontaminate against cannot be read", f"{path}:{line}", row.detail, hint=hint))
        yield _of_row(path.name, str(line), row)


def _of_row(suite: str, identity: str, row: JsonObject) -> _Item:
    turns = row.get("messages") or row.get("conversations")
    if isinstance(turns, list):
        found = said([_turn(turn) for turn in turns if isinstance(turn, dict)])
        answers = [found.answer or "", *_strings(row.get("answers"))]
        return _Item(suite, identity, found.request or "", tuple(filter(None, answers)))
    asked = [value for name in _REQUEST_FIELDS if isinstance(value := row.get(name), str)]
    answered = [text for name in _ANSWER_FIELDS for text in _strings(row.get(name))]
    if not asked and not answered:
        answered = [value for value in row.values() if isinstance(value, str)]
    return _Item(suite, identity, "\n".join(asked), tuple(answered))


def _strings(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _turn(turn: JsonObject) -> Message:
    role = turn.get("role") or turn.get("from")
    content = turn.get("content", turn.get("value"))
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return Message({"gpt": "assistant", "human": "user"}.get(str(role), str(role)), text)


def _of_text(path: Path) -> Iterator[_Item]:
    stream: IO[str]
    with path.open(encoding="utf-8") as stream:
        try:
            text = stream.read()
        except UnicodeDecodeError as error:
            raise DataError(not_utf8(error, path)) from error
    line = 1
    for paragraph in _PARAGRAPH.split(text):
        lines = paragraph.split("\n")
        yield _Item(path.name, f"line {line}", paragraph, ())
        if len(lines) > 1:
            yield from (_Item(path.name, f"line {line + number}", words, ()) for number, words in enumerate(lines) if words.strip())
        line += len(lines) + 1
