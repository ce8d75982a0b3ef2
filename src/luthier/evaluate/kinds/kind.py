"""The seam between the evaluation and its kinds of suites: what a kind is handed, what it hands back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from luthier.config.yaml_file import KeyPath
from luthier.core.errors import Problem
from luthier.core.protocols import GenerationRequest, Sandbox
from luthier.core.records import JsonObject, JsonValue, Message
from luthier.evaluate.instruments.execution import ExecutionJudge
from luthier.evaluate.rows.suite import Suite, SuiteRow
from luthier.guard.risk.levels import Verdict

# What a row's details may take in `generations.jsonl`: the report shows them beside the answer, and an answer of 1 MB must not fill it.
MAX_DETAIL_CHARACTERS = 2_000
MAX_DETAIL_ITEMS = 50


# What judges one command.
Guard = Callable[[str], Verdict]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a kind says of one row's answer, or of its answers where several were drawn.

    `metrics` by name; `left_out` says of a metric why it cannot be told for this row, which then leaves that metric's denominator,
    counted and listed by reason; `details` are what the report shows of this row. `extracted` is what was judged of the first answer.
    """

    extracted: str
    metrics: Mapping[str, float]
    left_out: Mapping[str, str] = field(default_factory=dict)
    details: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bench:
    """The tools that kinds judge with, each opened when first asked for; one that cannot be had raises its own UserError with the remedy.

    `ask_judge` puts requests to the judge model of `evaluate.judge` and gives its answers by request id. `guard` is the command guard under
    the run file's settings. A bench lives as long as one evaluation, and with it what golds came to in the sandbox, so that all candidates
    have one denominator: `judges` of commands by what they run in, `faults` of canonical solutions by what was run.
    """

    sandbox: Callable[[], Sandbox]
    ask_judge: Callable[[Sequence[GenerationRequest]], Mapping[str, str]]
    guard: Guard
    judges: dict[str, ExecutionJudge] = field(default_factory=dict, init=False)
    faults: dict[str, str] = field(default_factory=dict, init=False)


class KindFacts(Protocol):
    """What every kind of suite says of itself. Plain class attributes do."""

    @property
    def name(self) -> str:
        """The name, as in a suite file's `kind`."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics in the report's order; the first is the headline."""
        ...

    @property
    def fields(self) -> tuple[str, ...]:
        """Further keys that a suite file of this kind may have."""
        ...

    @property
    def row_keys(self) -> tuple[str, ...]:
        """The keys that a row may have. Others are the author's own, but for one that is nearly one of these."""
        ...

    def row(self, value: JsonObject, where: str) -> SuiteRow | Problem:
        """One row of the suite's file as a question or a text, or what is wrong with it."""
        ...


@runtime_checkable
class PlacingKind(Protocol):
    """A kind that tells every mistake of a row apart, each where it stands."""

    def problems(self, value: JsonValue, place: Callable[[KeyPath], str]) -> list[Problem]:
        """Everything that is wrong with a row, each at `place` of the path of its key within the row; nothing where `row` reads it."""
        ...


class Kind(KindFacts, Protocol):
    """A kind of suite whose rows are asked and whose answers are judged."""

    def extract(self, text: str, with_parser: bool) -> str:
        """What is judged of an answer: one extractor for all candidates; `with_parser` is base+parser's reading of Markdown."""
        ...

    def judge(self, suite: Suite, answers: Sequence[Sequence[str]], with_parser: bool, bench: Bench) -> list[Judged]:
        """What the answers are worth, `answers[row][sample]` in the order of the suite's rows; never raises on any text."""
        ...


class ScoringKind(KindFacts, Protocol):
    """A kind of suite whose texts are not answered but scored: how likely a model finds them."""

    def passages(self, row: SuiteRow) -> list[tuple[tuple[Message, ...], str]]:
        """What is handed to `Generator.score` for this row: context and scored text, as many as it takes to cover the row once."""
        ...

    def judge_scores(self, suite: Suite, scores: Sequence[tuple[float, int]]) -> list[Judged]:
        """What the scores are worth: for each row the log-probability of its passages in nats and their tokens, summed."""
        ...


def storable_details(details: JsonObject) -> JsonObject:
    """`details` as JSON in UTF-8 of bounded length: long texts and lists are cut to the bounds above, half characters replaced.

    Each cut text says how much is missing.
    """
    return {str(name): _clip(value, 3) for name, value in list(details.items())[:MAX_DETAIL_ITEMS]}


def _clip(value: JsonValue, depth: int) -> JsonValue:
    if isinstance(value, str):
        whole = value if len(value) <= MAX_DETAIL_CHARACTERS else _cut(value)
        return whole.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, bool | int | float) or value is None:
        return value
    if depth == 0:
        return _clip(json.dumps(value, ensure_ascii=True, default=str), 0)
    if isinstance(value, dict):
        return {str(name): _clip(inner, depth - 1) for name, inner in list(value.items())[:MAX_DETAIL_ITEMS]}
    return [_clip(inner, depth - 1) for inner in list(value)[:MAX_DETAIL_ITEMS]]


def _cut(text: str) -> str:
    return f"{text[:MAX_DETAIL_CHARACTERS]} … ({len(text) - MAX_DETAIL_CHARACTERS:,} more characters)"
