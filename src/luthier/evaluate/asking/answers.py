"""Answers of candidates: taken from where they are kept, or asked for and kept as they come.

An answer is known by all that it depends on, so that it is asked for once: for every suite that the question stands in, for a run that was
killed, for one that is evaluated again, and for a sibling run with the same model.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from luthier.core.errors import IntegrityError
from luthier.core.events import EventLog
from luthier.core.files import append, json_line, read_json, read_jsonl, sha256_file, sha256_json
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationRequest, Generator
from luthier.core.records import JsonObject, Message
from luthier.core.runs import RunFolder
from luthier.evaluate.asking.candidates import Candidate, request_id, request_key, requests_of
from luthier.evaluate.asking.sources import Sources
from luthier.evaluate.rows.suite import Drawing, Suite

Item = TypeVar("Item")

JOURNAL = "answers.partial.jsonl"
# Goes up when texts are scored otherwise than before, so that a score of the old way is not taken for one of the new.
SCORING_VERSION = 2
# In the summary: how many requests to endpoints failed.
FAILED = "failed_requests"


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What a model answered, before anything is cut from it; `finish_reason` is `stop`, `length` or `error`.

    Of a text that was scored `nats` is its summed log-probability, of which `completion_tokens` are the tokens; `cut_tokens` of what stands
    before it had no room in the model's positions.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    nats: float = 0.0
    key: str = ""
    cut_tokens: int = 0


class Journal:
    """Answers in the order in which they came, a line each: what a killed run has, the next one need not ask for.

    A line goes out in one call; a kill or a full disk leaves at most one cut line, which `known` passes over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def known(self) -> dict[str, RawAnswer]:
        """The answers by key; requests that failed are none, and are asked again."""
        return {key: answer for key, answer in self._read().items() if answer.finish_reason != "error"}

    def failures(self) -> frozenset[str]:
        """The keys of requests that failed and were not answered since."""
        return frozenset(key for key, answer in self._read().items() if answer.finish_reason == "error")

    def _read(self) -> dict[str, RawAnswer]:
        found: dict[str, RawAnswer] = {}
        for line in self._path.read_bytes().splitlines() if self._path.is_file() else ():
            try:
                row = json.loads(line)
                found[row["key"]] = _stored(row)
            except (ValueError, KeyError, TypeError):  # A cut line, or one that another version wrote: asked again.
                continue
        return found

    def write(self, answers: Iterable[RawAnswer]) -> None:
        """Adds answers, and makes them durable."""
        lines = b"".join(json_line({name: getattr(answer, name) for name in RawAnswer.__slots__}).encode("utf-8") for answer in answers)
        if self._descriptor is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            if self._path.stat().st_size:
                lines = b"\n" + lines
        append(self._descriptor, self._path, lines)
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Ends writing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Asker:
    """Answers and scores of candidates, from the journal, the run's complete suites, sibling runs, and last the models themselves."""

    def __init__(self, folder: RunFolder, sources: Sources, stack: ExitStack, events: EventLog, home: Path | None = None) -> None:
        """`home` is where the journal and earlier results of this comparison are, `evaluate/` where it is not given."""
        self._folder, self._sources, self._stack, self._events = folder, sources, stack, events
        self._open: dict[str, tuple[Generator, ExitStack]] = {}
        self._journal = Journal((home or folder.evaluate) / JOURNAL)
        stack.callback(self._journal.close)
        self._known = dict(_complete_answers(folder.evaluate)) | (dict(_complete_answers(home)) if home else {}) | self._journal.known()
        self._failed_before = self._journal.failures()
        self._to_try_again: set[str] = set()
        self._siblings_read: set[str] = set()

    @property
    def failed(self) -> int:
        """How many requests failed that the same model may answer another time."""
        return len(self._to_try_again)

    def identity(self, candidate: Candidate) -> str:
        """The hash of the model that answers for the candidate."""
        return self._sources[candidate.source].identity_sha256(candidate.model)

    def answers(self, suite: Suite, candidate: Candidate, drawing: Drawing) -> list[list[RawAnswer]]:
        """The candidate's answers, `[row][sample]` in the order of the suite's rows."""
        source, identity = self._sources[candidate.source], self.identity(candidate)
        requests = requests_of(candidate, suite.rows, drawing)
        keys = {request.id: request_key(identity, request, source.by_id) for request in requests}
        missing = self._missing(identity, keys)
        if missing:
            # By length, as the model runs them. Of a batch all or nothing is kept: a resumed run makes the batches of a straight one.
            waiting = sorted([request for request in requests if request.id in missing], key=lambda one: (_length(one), one.id))
            # What failed before the kill comes last, for it had a place in a batch that is complete.
            fresh = [request for request in waiting if keys[request.id] not in self._failed_before]
            again = [request for request in waiting if keys[request.id] in self._failed_before]
            batches = [*_batches(fresh, source.batch_size), *_batches(again, source.batch_size)]
            self._ask(suite, candidate, batches, keys, len(requests))
        found = {name: self._known[key] for name, key in keys.items()}
        if source.may_recover:
            self._to_try_again |= {answer.key for answer in found.values() if answer.finish_reason == "error"}
        return [[found[request_id(row.id, sample)] for sample in range(drawing.samples)] for row in suite.rows]

    def scores(self, suite: Suite, candidate: Candidate, passages: Sequence[Sequence[tuple[tuple[Message, ...], str]]]) -> list[RawAnswer]:
        """The log-probability of each row's passages, summed, in the order of the suite's rows."""
        identity = self.identity(candidate)
        keys = {row.id: _score_key(identity, parts) for row, parts in zip(suite.rows, passages, strict=True)}
        parts_of = {row.id: parts for row, parts in zip(suite.rows, passages, strict=True)}
        missing = sorted(self._missing(identity, keys), key=lambda row_id: (sum(len(text) for _, text in parts_of[row_id]), row_id))
        total = len(suite.rows)
        for batch in _batches(missing, self._sources[candidate.source].batch_size):
            flat = [part for row_id in batch for part in parts_of[row_id]]
            scored = iter(self._generator(candidate.source).score(flat, candidate.model))
            done = []
            for row_id in batch:
                found = [next(scored) for _ in parts_of[row_id]]
                nats, tokens, cut = (
                    math.fsum(one.nats for one in found),
                    sum(one.tokens for one in found),
                    sum(one.cut_tokens for one in found),
                )
                if not math.isfinite(nats):
                    raise IntegrityError(f"{candidate.name} gives the row {row_id} of `{suite.name}` no finite log-probability")
                done.append(RawAnswer("", "scored", 0, tokens, nats, keys[row_id], cut))
            self._keep(done)
            self._progress(suite, candidate, sum(key in self._known for key in keys.values()), total)
        return [self._known[keys[row.id]] for row in suite.rows]

    def harness_arguments(self, candidate: Candidate) -> JsonObject | None:
        """What lm-eval opens the candidate's model with; None where it cannot ask this candidate."""
        harness = self._sources[candidate.source].harness
        return None if harness is None or candidate.shots or candidate.with_parser else harness(candidate.model)

    def is_remote(self, source: str) -> bool:
        """Whether what stops the source now may be mended elsewhere, and be no reason to ask nobody else."""
        return self._sources[source].may_recover

    def why_unscored(self, candidate: Candidate) -> str:
        """Why the candidate can score no text; empty where it can."""
        if candidate.shots or candidate.with_parser:
            return "its texts are scored, not asked: examples and a parser change nothing"
        return "" if self._sources[candidate.source].can_score else "this source gives answers, and no log-probabilities of given texts"

    def _missing(self, identity: str, keys: Mapping[str, str]) -> set[str]:
        """The ids whose key is known nowhere; sibling runs are looked through once for each model."""
        if identity not in self._siblings_read and any(key not in self._known for key in keys.values()):
            self._siblings_read.add(identity)
            for sibling, found in _sibling_answers(self._folder, identity):
                if fresh := {key: answer for key, answer in found.items() if key not in self._known}:
                    self._known |= fresh
                    if taken := len(set(keys.values()) & fresh.keys()):
                        self._events.note(f"{taken} answers of an equal model are taken from {sibling}")
        return {name for name, key in keys.items() if key not in self._known}

    def _ask(
        self, suite: Suite, candidate: Candidate, batches: Sequence[Sequence[GenerationRequest]], keys: Mapping[str, str], total: int
    ) -> None:
        source = self._sources[candidate.source]
        generator = self._generator(candidate.source)
        failures: list[str] = []
        known, step = total - sum(map(len, batches)), max(1, total // 50)
        self._progress(suite, candidate, known, total)
        for batch in batches:
            answers: dict[str, RawAnswer] = {}
            for event in generator.generate(batch):
                if isinstance(event, DoneEvent):
                    counts = (event.prompt_tokens, event.completion_tokens)
                    answers[event.id] = RawAnswer(written(event.text), event.finish_reason, *counts, key=keys[event.id])
                elif isinstance(event, ErrorEvent):
                    answers[event.id] = RawAnswer("", "error", 0, 0, key=keys[event.id])
                    failures.append(event.message)
                else:
                    continue
                if source.batch_size is None:
                    self._keep([answers[event.id]])
                known += 1
                if known % step == 0 or known == total:
                    self._progress(suite, candidate, known, total)
            if silent := [request.id for request in batch if request.id not in answers]:
                raise IntegrityError(f"the model left {len(silent)} of {len(batch)} requests without an answer, the first {silent[0]}")
            if source.batch_size is not None:
                self._keep(answers.values())
        if failures:
            failed = f"{candidate.asked_as} could not answer {len(failures)} of {total} rows of `{suite.name}`"
            effect = "and has no score there" if len(failures) == total else "which count as wrong"
            self._events.warn(f"{failed}, {effect}: {failures[0]}")

    def _keep(self, answers: Iterable[RawAnswer]) -> None:
        answers = list(answers)
        self._journal.write(answers)
        self._known |= {answer.key: answer for answer in answers}

    def release(self, source: str) -> None:
        """Gives back the source's model, so that the next one has the memory; it is opened again where it is asked again."""
        if source in self._open:
            self._open.pop(source)[1].close()

    def _generator(self, source: str) -> Generator:
        if source not in self._open:
            own = self._stack.enter_context(ExitStack())
            self._open[source] = own.enter_context(self._sources[source].open()), own
        return self._open[source][0]

    def _progress(self, suite: Suite, candidate: Candidate, done: int, total: int) -> None:
        self._events.emit("evaluate.progress", suite=suite.name, candidate=candidate.asked_as, done=done, total=total)


def failed_requests(folder: RunFolder) -> int:
    """How many requests of the run's evaluation failed and are worth another try; 0 where it was not evaluated."""
    path = folder.evaluate / "summary.json"
    return int(read_json(path).get(FAILED, 0)) if path.is_file() else 0


def written(text: str) -> str:
    """`text` as it can be written: halves of characters, which an endpoint's JSON can carry, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text


def _length(request: GenerationRequest) -> int:
    return sum(len(message.content) for message in request.messages)


def _batches(items: Sequence[Item], size: int | None) -> Iterator[Sequence[Item]]:
    step = size or max(1, len(items))
    yield from (items[start : start + step] for start in range(0, len(items), step))


def _score_key(identity: str, passages: Sequence[tuple[tuple[Message, ...], str]]) -> str:
    asked = [[[message.to_json() for message in messages], text] for messages, text in passages]
    return sha256_json({"model": identity, "passages": asked, "version": SCORING_VERSION})


def _stored(row: JsonObject) -> RawAnswer:
    return RawAnswer(**{name: row[name] for name in RawAnswer.__slots__})


def _complete_answers(home: Path, identity: str | None = None) -> Iterator[tuple[str, RawAnswer]]:
    """Answers by key of the suites whose files are as they were written; failures are left out, for they are worth another try.

    With `identity` only suites that this model has answered are read.
    """
    path = home / "summary.json"
    suites = read_json(path).get("suites", []) if path.is_file() else []
    for suite in suites:
        if identity is not None and identity not in suite.get("identities", {}).values():
            continue
        rows = home / suite["name"] / "generations.jsonl"
        if rows.is_file() and sha256_file(rows) == suite.get("generations_sha256"):
            for row in read_jsonl(rows):
                details = row.get("details", {})
                if row.get("key") and row["finish_reason"] != "error":
                    yield row["key"], _stored({"nats": details.get("nats", 0.0), "cut_tokens": details.get("cut_tokens", 0), **row})


def _sibling_answers(folder: RunFolder, identity: str) -> Iterator[tuple[str, dict[str, RawAnswer]]]:
    """Name of each run beside this one that the same model may have answered for, with answers by key.

    An evaluation that was stopped, or ended in an error, has its answers in its journal alone; those of other models there have other
    keys, and are taken by nobody.
    """
    for path in sorted(folder.path.parent.iterdir()):
        home = RunFolder(path).evaluate
        if path == folder.path or not home.is_dir():
            continue
        try:
            found = dict(_complete_answers(home, identity)) | Journal(home / JOURNAL).known()
        except (IntegrityError, OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # A broken folder, or another version's, is no concern of this run.
        if found:
            yield path.name, found
