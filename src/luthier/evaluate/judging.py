"""From raw answers and scores to judged generations, through the suite's kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from luthier.core.metrics import metric_facts
from luthier.core.records import Generation
from luthier.evaluate.answers import Asker, RawAnswer
from luthier.evaluate.candidates import Candidate
from luthier.evaluate.kinds.kind import Bench, Judged, clipped
from luthier.evaluate.kinds.registry import ASKING, SCORING
from luthier.evaluate.rows import Suite, SuiteRow


def answered(suite: Suite, candidate: Candidate, answers: Sequence[Sequence[RawAnswer]], bench: Bench) -> list[Generation]:
    """A candidate's answers with their metrics, row by row in the order of the suite; further samples of a row follow its first.

    A row whose every answer failed is wrong by every metric, whatever its kind makes of an empty answer.
    """
    kind = ASKING[suite.kind]
    texts = [[answer.text for answer in samples] for samples in answers]
    judged = kind.judge(suite, texts, candidate.with_parser, bench)
    found = []
    for row, samples, verdict in zip(suite.rows, answers, judged, strict=True):
        failed = all(answer.finish_reason == "error" for answer in samples)
        said = Judged(verdict.extracted, _worst(verdict.metrics), verdict.left_out, verdict.details) if failed else verdict
        found.append(_generation(suite, candidate, row, samples[0], said))
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
    return [_generation(suite, candidate, row, answer, said) for row, answer, said in rows]


def _worst(metrics: Mapping[str, float]) -> dict[str, float]:
    return {metric: float(metric_facts(metric).lower_is_better) for metric in metrics}


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
        details=clipped(judged.details),
        sample=sample,
        key=answer.key,
    )
