"""The evaluation stage: asks every candidate every question, judges the answers, and compares the tuned model with the others by row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from luthier.config.schema import EvaluateSection, RunConfig
from luthier.core.errors import IntegrityError
from luthier.core.events import EventLog
from luthier.core.files import read_json, read_jsonl, remove, sha256_file, sha256_json, write_json, write_jsonl
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationRequest, Generator
from luthier.core.records import Generation, JsonObject
from luthier.core.runs import RunFolder
from luthier.core.stages import STAGES
from luthier.evaluate.candidates import SHOTS, TUNED, Candidate, answer_key, candidates, choose_shots, requests_of
from luthier.evaluate.extract import extractor_of
from luthier.evaluate.metrics import bash_path, command_metrics
from luthier.evaluate.statistics import paired_score, rate_score
from luthier.evaluate.suites import Suite, load_suite, suite_files

OpenGenerator = Callable[[], AbstractContextManager[Generator]]


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What a model answered, before anything is cut from it; `finish_reason` is `stop`, `length` or `error`."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


Answers = dict[str, RawAnswer]


def run(config: RunConfig, folder: RunFolder, open_generator: OpenGenerator, events: EventLog) -> None:
    """Writes `evaluate/<suite>/{generations.jsonl,scores.json}` for every suite, and `evaluate/summary.json`.

    The model is opened when the first answer is missing. A candidate's answers are kept as soon as they are complete, so that a killed
    run, or one with another suite added, asks again only what it does not have.
    """
    section = config.evaluate
    shots = choose_shots(folder.split("train"), section.shots, config.seed) if SHOTS in section.against else ()
    left_out: list[JsonObject] = []
    suites = _load_suites(config, folder, left_out, events)
    chosen = candidates(section.against, shots)
    if SHOTS in section.against and not shots:
        reason = "no training row is one request with one answer"
        left_out += [{"suite": suite.name, "candidate": SHOTS, "reason": reason} for suite in suites]
        events.note(f"evaluation leaves out `{SHOTS}`: {reason}")
    bash = bash_path()
    if bash is None and suites:
        left_out += [{"suite": suite.name, "metric": "bash_valid_rate", "reason": "no bash on this machine"} for suite in suites]
        events.note("evaluation leaves out `bash_valid_rate`: no bash on this machine")
    known = _known_answers(folder)
    _remove_other_suites(folder.evaluate, {suite.name for suite in suites})
    with ExitStack() as stack:
        asker = _Asker(folder, section, open_generator, stack, known, events)
        rows = [_run_suite(suite, chosen, asker, bash) for suite in suites]
    write_json(folder.evaluate / "summary.json", {"suites": rows, "left_out": left_out})
    for suite in suites:
        remove(folder.evaluate / suite.name / "partial")


def _load_suites(config: RunConfig, folder: RunFolder, left_out: list[JsonObject], events: EventLog) -> list[Suite]:
    suites = []
    for file in suite_files(config.evaluate):
        suite = load_suite(file, folder)
        if isinstance(suite, str):
            left_out.append({"suite": file.name, "reason": suite})
            events.note(f"the suite `{file.name}` is left out: {suite}")
        else:
            suites.append(suite)
    return suites


def _run_suite(suite: Suite, chosen: Sequence[Candidate], asker: _Asker, bash: str | None) -> JsonObject:
    """Asks and judges one suite; its row of the summary."""
    path = asker.folder.evaluate / suite.name
    generations: dict[str, list[Generation]] = {}
    keys: dict[str, str] = {}
    for candidate in chosen:
        answers, keys[candidate.name] = asker.answers(suite, candidate)
        generations[candidate.name] = judge(suite, candidate, answers, bash)
    write_jsonl(path / "generations.jsonl", (row.to_json() for rows in generations.values() for row in rows))
    write_json(path / "scores.json", scores(suite, generations))
    summary: JsonObject = {"name": suite.name, "kind": suite.kind, "rows": len(suite.rows), "suite_sha256": suite.sha256}
    if suite.skipped:
        summary["skipped"] = dict(suite.skipped)
    return {**summary, "answer_keys": keys, "generations_sha256": sha256_file(path / "generations.jsonl")}


def judge(suite: Suite, candidate: Candidate, answers: Answers, bash: str | None) -> list[Generation]:
    """A candidate's answers with their metrics, in the order of the suite's rows."""
    extract = extractor_of(candidate.name)
    extracted = [extract(answers[row.id].text) for row in suite.rows]
    metrics = command_metrics(extracted, [row.expected for row in suite.rows], bash)
    return [
        Generation(
            id=row.id,
            suite=suite.name,
            candidate=candidate.name,
            request=row.request,
            expected=row.expected,
            text=answers[row.id].text,
            extracted=extracted[index],
            metrics=metrics[index],
            finish_reason=answers[row.id].finish_reason,
            prompt_tokens=answers[row.id].prompt_tokens,
            completion_tokens=answers[row.id].completion_tokens,
            group=row.group,
        )
        for index, row in enumerate(suite.rows)
    ]


def scores(suite: Suite, generations: dict[str, list[Generation]]) -> JsonObject:
    """The content of `scores.json`: every candidate's rates with intervals, and the tuned model against each other candidate, paired."""
    values = {name: _columns(rows) for name, rows in generations.items()}
    groups = [row.group for row in suite.rows]
    paired = {
        f"{TUNED} - {name}": {metric: paired_score(values[TUNED][metric], column, groups).to_json() for metric, column in columns.items()}
        for name, columns in values.items()
        if name != TUNED
    }
    return {
        "suite": suite.name,
        "suite_sha256": suite.sha256,
        "candidates": {name: {metric: rate_score(column).to_json() for metric, column in found.items()} for name, found in values.items()},
        "paired": paired,
    }


def _columns(rows: Sequence[Generation]) -> dict[str, list[float]]:
    return {metric: [row.metrics[metric] for row in rows] for metric in rows[0].metrics}


class _Asker:
    """Answers of candidates: taken from where they are kept, or asked for."""

    def __init__(
        self,
        folder: RunFolder,
        section: EvaluateSection,
        open_generator: OpenGenerator,
        stack: ExitStack,
        known: dict[str, Answers],
        events: EventLog,
    ) -> None:
        self.folder = folder
        self._section = section
        self._open, self._stack = open_generator, stack
        self._generator: Generator | None = None
        self._known = known
        self._events = events
        self._identity = _model_identity(folder)

    def answers(self, suite: Suite, candidate: Candidate) -> tuple[Answers, str]:
        """The candidate's raw answers by row id, and the key they are kept under."""
        limit = self._section.max_new_tokens
        key = answer_key(candidate, suite.sha256, self._identity, limit)
        found = self._known.get(key)
        if found is None or not all(row.id in found for row in suite.rows):
            found = self._ask(suite, candidate, requests_of(candidate, suite.rows, limit))
            self._known[key] = found
            path = _partial_path(self.folder, suite.name, candidate)
            write_jsonl(path, _partial_rows(key, found))
        return found, key

    def _ask(self, suite: Suite, candidate: Candidate, requests: Sequence[GenerationRequest]) -> Answers:
        if self._generator is None:
            self._generator = self._stack.enter_context(self._open())
        answers: Answers = {}
        failures: list[str] = []
        total, step = len(requests), max(1, len(requests) // 50)
        self._events.emit("evaluate.progress", suite=suite.name, candidate=candidate.source, done=0, total=total)
        for event in self._generator.generate(requests):
            if isinstance(event, DoneEvent):
                answers[event.id] = RawAnswer(event.text, event.finish_reason, event.prompt_tokens, event.completion_tokens)
            elif isinstance(event, ErrorEvent):
                answers[event.id] = RawAnswer("", "error", 0, 0)
                failures.append(event.message)
            else:
                continue
            if len(answers) % step == 0 or len(answers) == total:
                self._events.emit("evaluate.progress", suite=suite.name, candidate=candidate.source, done=len(answers), total=total)
        if missing := [request.id for request in requests if request.id not in answers]:
            raise IntegrityError(f"the model left {len(missing)} of {total} requests without an answer, the first {missing[0]}")
        if failures:
            failed = f"{candidate.source} could not answer {len(failures)} of {total} rows of `{suite.name}`"
            self._events.warn(f"{failed}, which count as wrong: {failures[0]}")
        return answers


def _model_identity(folder: RunFolder) -> str:
    """What answers depend on beside the question: the adapter with its tokenizer and wording, the base, the machine's number format."""
    summary = read_json(folder.train_summary) if folder.train_summary.is_file() else {}
    plan = read_json(folder.plan_json) if folder.plan_json.is_file() else {}
    return sha256_json(
        {
            "version": STAGES["evaluate"].version,
            "adapter": folder.hashes.sha256_tree(folder.adapter) if folder.adapter.is_dir() else "",
            "templates": folder.hashes.sha256(folder.templates) if folder.templates.is_file() else "",
            "base": summary.get("base", {}),
            "plan": {name: plan.get(name) for name in ("device", "device_name", "dtype", "threads", "versions")},
        }
    )


def _partial_path(folder: RunFolder, suite: str, candidate: Candidate) -> Path:
    return folder.evaluate / suite / "partial" / f"{re.sub(r'[^a-z0-9]+', '-', candidate.source)}.jsonl"


def _partial_rows(key: str, answers: Answers) -> Iterable[JsonObject]:
    for row_id, answer in answers.items():
        yield {"key": key, "id": row_id, **{name: getattr(answer, name) for name in RawAnswer.__slots__}}


def _known_answers(folder: RunFolder) -> dict[str, Answers]:
    """Answers by key: from files of a run that was cut short, and from complete suites whose files are as they were written."""
    known: dict[str, Answers] = {}
    for path in sorted(folder.evaluate.glob("*/partial/*.jsonl")):
        for row in read_jsonl(path):
            known.setdefault(row["key"], {})[row["id"]] = RawAnswer(*(row[name] for name in RawAnswer.__slots__))
    summary = folder.evaluate / "summary.json"
    for suite in read_json(summary)["suites"] if summary.is_file() else ():
        path = folder.evaluate / suite["name"] / "generations.jsonl"
        if path.is_file() and sha256_file(path) == suite["generations_sha256"]:
            for row in read_jsonl(path):
                answers = known.setdefault(suite["answer_keys"][row["candidate"]], {})
                answers[row["id"]] = RawAnswer(*(row[name] for name in RawAnswer.__slots__))
    return known


def _remove_other_suites(path: Path, names: set[str]) -> None:
    """Results of suites that the run no longer asks would pass for its own."""
    for folder in path.iterdir() if path.is_dir() else ():
        if folder.is_dir() and folder.name not in names:
            remove(folder)
