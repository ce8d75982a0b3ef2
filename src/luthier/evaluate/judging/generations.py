"""From raw answers and scores to judged generations, through the suite's kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from luthier.core.metrics import UNREACHED, metric_facts
from luthier.core.records import Generation, JsonObject
from luthier.evaluate.asking.answers import Asker, RawAnswer
from luthier.evaluate.asking.candidates import Candidate
from luthier.evaluate.kinds.kind import Bench, Judged, storable_details
from luthier.evaluate.kinds.registry import ASKING, SCORING
from luthier.evaluate.rows.suite import Suite, SuiteRow
from luthier.model.wire import LONGEST_ANSWER_CHARACTERS

# Why a row without an answer is in no rate of which less is better.
FAILED = "the request failed"
# In a row's details: how many characters were kept of an answer that had more.
KEPT_CHARACTERS = "kept_characters"


def answered(suite: Suite, candidate: Candidate, answers: Sequence[Sequence[RawAnswer]], bench: Bench) -> list[Generation]:
    """A candidate's answers with their metrics, row by row in the order of the suite; further samples of a row follow its first.

    A row whose every answer failed is wrong by every metric of which more is better, whatever its kind makes of an empty answer. It
    leaves the metrics of which less is better, with that reason: who was not reached did nothing unsafe, and refused nothing. A candidate
    that answered no row at all has no metric: what was never reached has no score, and is no rival.
    """
    kind = ASKING[suite.kind]
    texts = [[answer.text for answer in samples] for samples in answers]
    judged = kind.judge(suite, texts, candidate.with_parser, bench)
    found = []
    unreached = all(answer.finish_reason == "error" for samples in answers for answer in samples)
    for row, samples, verdict in zip(suite.rows, answers, judged, strict=True):
        failed = all(answer.finish_reason == "error" for answer in samples)
        counts = _unreached(verdict) if unreached else _failed(verdict) if failed else verdict
        found.append(_generation(suite, candidate, row, samples[0], counts))
        for sample, answer in enumerate(samples[1:], 1):
            further = Judged(kind.extract(answer.text, candidate.with_parser), {})
            found.append(_generation(suite, candidate, row, answer, further, sample))
    return found


def scored(suite: Suite, candidate: Candidate, asker: Asker) -> list[Generation]:
    """The suite's texts with what the candidate's model makes of them."""
    kind = SCORING[suite.kind]
    answers = asker.scores(suite, candidate, [kind.passages(row) for row in suite.rows])
    judged = kind.judge_scores(suite, [(answer.nats, answer.completion_tokens) for answer in answers])
    rows = zip(suite.rows, answers, judged, strict=True)
    return [_generation(suite, candidate, row, answer, _with_cut(said, answer.cut_tokens)) for row, answer, said in rows]


def _with_cut(judged: Judged, cut_tokens: int) -> Judged:
    """Says in the row's details how much of its context had no room in the model's positions."""
    return replace(judged, details={**judged.details, "cut_tokens": cut_tokens}) if cut_tokens else judged


def _failed(verdict: Judged) -> Judged:
    wrong = {metric: 0.0 for metric in verdict.metrics if not metric_facts(metric).lower_is_better}
    untold = {metric: FAILED for metric in verdict.metrics if metric not in wrong}
    return Judged(verdict.extracted, wrong, {**verdict.left_out, **untold}, verdict.details)


def _unreached(verdict: Judged) -> Judged:
    untold = dict.fromkeys(verdict.metrics, UNREACHED)
    return Judged(verdict.extracted, {}, {**verdict.left_out, **untold}, verdict.details)


def _kept(answer: RawAnswer) -> JsonObject:
    """Of an answer that was longer than what is kept of one: how much of it is stored and judged."""
    is_cut = answer.finish_reason == "length" and len(answer.text) == LONGEST_ANSWER_CHARACTERS
    return {KEPT_CHARACTERS: len(answer.text)} if is_cut else {}


def _generation(suite: Suite, candidate: Candidate, row: SuiteRow, answer: RawAnswer, judged: Judged, sample: int = 0) -> Generation:
    return Generation(
        id=row.id,
        suite=suite.name,
        candidate=candidate.name,
        request=row.request,
        expected=row.expected,
        text=answer.text,
        extracted=judged.extracted,
        metrics=dict(judged.metrics),
        finish_reason=answer.finish_reason,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        group=row.group,
        left_out=dict(judged.left_out),
        details=storable_details({**judged.details, **_kept(answer)}),
        sample=sample,
        key=answer.key,
    )
