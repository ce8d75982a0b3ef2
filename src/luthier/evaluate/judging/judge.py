"""The judge model of `evaluate.judge`: asked once for each question, its answers kept in `evaluate/judge.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from luthier.core.errors import ConfigError, Problem
from luthier.core.events import EventLog
from luthier.core.files import json_line, read_jsonl, remove, write_text
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationRequest, Generator
from luthier.core.records import JsonObject
from luthier.evaluate.asking.answers import Journal, RawAnswer, written
from luthier.evaluate.asking.candidates import request_key
from luthier.evaluate.asking.sources import Source

FILE = "judge.jsonl"
_PARTIAL = "judge.partial.jsonl"
_MODEL = "judge"


class Judge:
    """Answers of the judge model by request id; what it said before, here or in one of `others`, is not asked again."""

    def __init__(self, home: Path, source: Source | None, stack: ExitStack, events: EventLog, others: Sequence[Path] = ()) -> None:
        """`home` is the folder for its file; the model is opened on `stack` when the first answer is missing."""
        self._home, self._source, self._stack, self._events = home, source, stack, events
        self._generator: Generator | None = None
        self._journal = Journal(home / _PARTIAL)
        stack.callback(self._journal.close)
        self._known = {row["key"]: row["text"] for folder in (*others, home) for row in _stored(folder / FILE)}
        self._known |= {answer.key: answer.text for answer in self._journal.known().values()}
        self._used: dict[str, str] = {}
        self._unanswered: set[str] = set()

    @property
    def identity(self) -> str:
        """The hash of the model that judges; empty where there is none."""
        return "" if self._source is None else self._source.identity_sha256(_MODEL)

    def ask(self, requests: Sequence[GenerationRequest]) -> Mapping[str, str]:
        """The judge's answers by request id; one that it could not give is left out, told, and asked again the next time.

        `ConfigError` where the run file names no judge.
        """
        if self._source is None:
            hint = "name an endpoint: `evaluate: {judge: NAME}` with `endpoints: {NAME: {base_url: ..., model: ...}}`"
            raise ConfigError(Problem("a suite has checks for a judge model, and there is none", where="evaluate.judge", hint=hint))
        keys = {request.id: request_key(self.identity, request) for request in requests}
        missing = [request for request in requests if keys[request.id] not in self._known]
        if missing:
            self._ask(self._source, missing, keys)
        found = {request.id: self._known[keys[request.id]] for request in requests if keys[request.id] in self._known}
        self._used |= {keys[name]: text for name, text in found.items()}
        self._unanswered = {key for key in (*self._unanswered, *keys.values()) if key not in self._known}
        return found

    def _ask(self, source: Source, requests: Sequence[GenerationRequest], keys: Mapping[str, str]) -> None:
        failures: list[str] = []
        if self._generator is None:  # Opened once for all candidates, and what it was asked is told once.
            self._generator = self._stack.enter_context(source.open())
        for event in self._generator.generate(requests):
            if isinstance(event, DoneEvent):
                text = written(event.text)
                self._known[keys[event.id]] = text
                counts = (event.prompt_tokens, event.completion_tokens)
                self._journal.write([RawAnswer(text, event.finish_reason, *counts, key=keys[event.id])])
            elif isinstance(event, ErrorEvent):
                failures.append(event.message)
        if failures:
            told = f"the judge could not answer {len(failures)} of {len(requests)} questions, whose rows are not judged: {failures[0]}"
            self._events.warn(told)

    @property
    def failed(self) -> int:
        """How many questions the judge could not answer, and may answer another time."""
        return len(self._unanswered)

    def save(self) -> None:
        """Writes what was used, in the order of its keys, so that equal evaluations give equal bytes; nothing where nobody asked."""
        path = self._home / FILE
        if self._used:
            rows: list[JsonObject] = [{"key": key, "text": text} for key, text in sorted(self._used.items())]
            write_text(path, "".join(json_line(row) for row in rows))
        else:
            remove(path)
        remove(self._home / _PARTIAL)


def _stored(path: Path) -> list[JsonObject]:
    return list(read_jsonl(path)) if path.is_file() else []
