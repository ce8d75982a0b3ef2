"""What the evaluation found: the verdict, the comparison, and answers side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from luthier.core.files import sha256_bytes
from luthier.core.records import JsonObject
from luthier.report.charts import Measured, WhiskerChart, whisker_chart
from luthier.report.reading import BASE, TUNED, RunFacts, SuiteFacts
from luthier.report.wording import (
    LOWER_IS_BETTER,
    NOT_RATES,
    candidate_name,
    gain_text,
    interval_text,
    metric_name,
    p_text,
    plain,
    value_text,
)

SHOWN_ANSWERS = 20
_LONGEST_ANSWER = 700
_LONGEST_REQUEST = 1200
# The metric that the verdict speaks of is the first of these that a suite has.
_HEADLINES = ("exact_match", "execution_match", "pass_at_1", "accuracy", "normalized_match", "unsafe_rate", "perplexity")
_STYLES = {"base": "base", "base+parser": "parser", "base+shots": "shots", "tuned": "tuned"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome in one sentence. `tone` is `better`, `worse`, `unclear` or `unknown`."""

    sentence: str
    details: tuple[str, ...]
    tone: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A value with its interval."""

    value: str
    interval: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One suite: chart, table of values, table of paired differences.

    `rows` are a metric and a cell for each of `candidates`; `gains` a metric and a cell (difference with interval, p) for each of `rivals`.
    """

    name: str
    kind: str
    rows_text: str
    candidates: tuple[str, ...]
    chart: WhiskerChart | None
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    rivals: tuple[str, ...]
    gains: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One candidate's answer. `mark` is `right`, `near`, `wrong` or empty; `mark_text` says it in words."""

    candidate: str
    text: str
    mark: str
    mark_text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class SideBySide:
    """One row of a suite with every candidate's answer."""

    number: int
    suite: str
    row_id: str
    request: str
    expected: tuple[str, ...]
    answers: tuple[Answer, ...]


def headline_metric(suite: SuiteFacts) -> str | None:
    """The metric that says most about the suite, or None where it has no scores of the tuned model."""
    found = suite.candidates.get(TUNED, {})
    return next((metric for metric in _HEADLINES if metric in found), next(iter(found), None))


def verdict(facts: RunFacts) -> Verdict:
    """The outcome of the first suite that compares the tuned model with another; what stands against it follows as details."""
    for suite in facts.suites:
        metric = headline_metric(suite)
        rivals = {name: pair[metric] for name, pair in suite.paired.items() if metric is not None and metric in pair}
        if metric is None or not rivals:
            continue
        name = f"{TUNED} - {BASE}" if f"{TUNED} - {BASE}" in rivals else next(iter(rivals))
        sentence, tone = _sentence(_rival(name), metric, rivals[name], suite.rows)
        return Verdict(sentence, tuple(_details(facts, suite, metric, name, rivals)), tone)
    for suite in facts.suites:
        if (metric := headline_metric(suite)) is not None:
            value = value_text(metric, suite.candidates[TUNED][metric]["value"])
            return Verdict(
                f"Tuned reaches {value} {metric_name(metric)} on {suite.rows} rows; it was compared with nothing.", (), "unknown"
            )
    if facts.is_evaluated:
        return Verdict("Nothing was measured: every suite was left out.", tuple(_left_out(facts)), "unknown")
    return Verdict("Not measured yet: the evaluation has not run.", (), "unknown")


def _rival(pair: str) -> str:
    return pair.removeprefix(f"{TUNED} - ")


def _sentence(rival: str, metric: str, gain: JsonObject, rows: int) -> tuple[str, str]:
    low, high = _bounds(gain)
    against = candidate_name(rival).lower()
    unit = f" {metric_name(metric)}" if metric in NOT_RATES else f" points {metric_name(metric)}"
    amount = f"{gain_text(metric, gain, unit)}, {rows} rows"
    if low <= 0 <= high:
        return f"No clear difference between tuned and {against}: {amount}.", "unclear"
    is_better = (low > 0) != (metric in LOWER_IS_BETTER)
    return (f"Tuned beats {against} by {amount}.", "better") if is_better else (f"Tuned is worse than {against}: {amount}.", "worse")


def _details(facts: RunFacts, suite: SuiteFacts, metric: str, named: str, rivals: Mapping[str, JsonObject]) -> list[str]:
    """The values themselves, the strongest other rival, and the same question to every other suite."""
    values = {name: found[metric] for name, found in suite.candidates.items() if metric in found}
    lines = []
    rival = _rival(named)
    if rival in values:
        ours, theirs = value_text(metric, values[TUNED]["value"]), value_text(metric, values[rival]["value"])
        lines.append(
            f"On {suite.name}, {metric_name(metric)} is {ours} for the tuned model and {theirs} for {candidate_name(rival).lower()}."
        )
    sign = -1 if metric in LOWER_IS_BETTER else 1
    others = sorted((name for name in rivals if name != named), key=lambda name: (sign * rivals[name]["value"], name))
    if others:
        lines.append(
            _sentence(_rival(others[0]), metric, rivals[others[0]], suite.rows)[0].replace("Tuned", "Against the strongest rival: tuned", 1)
        )
    for other in facts.suites:
        other_metric = headline_metric(other)
        gain = other.paired.get(named, {}).get(other_metric or "")
        if other.name != suite.name and other_metric is not None and gain is not None:
            text = _sentence(rival, other_metric, gain, other.rows)[0]
            lines.append(f"On {other.name}: {text[0].lower()}{text[1:]}")
    return lines


def _left_out(facts: RunFacts) -> list[str]:
    return [f"{row.get('suite', '')}: {row.get('reason', '')}" for row in facts.left_out]


def comparison(suite: SuiteFacts) -> Comparison:
    """The suite's chart and tables; every metric that any candidate has is in them."""
    metrics = list(dict.fromkeys(metric for found in suite.candidates.values() for metric in found))
    candidates = tuple(suite.candidates)
    charted = [
        (metric_name(metric), [_measured(name, metric, suite) for name in candidates if metric in suite.candidates[name]])
        for metric in metrics
        if metric not in NOT_RATES
    ]
    rows = tuple(
        (metric_name(metric), tuple(_cell(metric, suite.candidates[name].get(metric)) for name in candidates)) for metric in metrics
    )
    gains = tuple(
        (metric_name(metric), tuple(_gain(metric, found.get(metric)) for found in suite.paired.values()))
        for metric in dict.fromkeys(metric for found in suite.paired.values() for metric in found)
    )
    return Comparison(
        name=suite.name,
        kind=suite.kind,
        rows_text=f"{suite.rows} rows",
        candidates=tuple(candidate_name(name) for name in candidates),
        chart=whisker_chart(f"{suite.name}: candidates with 95 % intervals", charted) if charted else None,
        rows=rows,
        rivals=tuple(candidate_name(_rival(pair)) for pair in suite.paired),
        gains=gains,
    )


def _bounds(score: JsonObject) -> tuple[float, float]:
    """The interval of a score; the value itself where it has none."""
    value = float(score["value"])
    low, high = score.get("low"), score.get("high")
    return value if low is None else float(low), value if high is None else float(high)


def _measured(candidate: str, metric: str, suite: SuiteFacts) -> Measured:
    score = suite.candidates[candidate][metric]
    value = score["value"]
    low, high = _bounds(score)
    return Measured(
        label=candidate_name(candidate),
        style=_STYLES.get(candidate, "other"),
        value=value,
        low=low,
        high=high,
        text=f"{plain(100 * value, 1)} %",
        interval=interval_text(metric, score),
    )


def _cell(metric: str, score: JsonObject | None) -> Cell:
    return Cell("–") if score is None else Cell(value_text(metric, score["value"]), interval_text(metric, score))


def _gain(metric: str, score: JsonObject | None) -> Cell:
    return Cell("–") if score is None else Cell(gain_text(metric, score), p_text(score.get("p")))


def side_by_side(suites: Sequence[SuiteFacts]) -> list[SideBySide]:
    """Twenty rows with every candidate's answer, shared evenly among the suites; half right and half wrong where there are as many.

    Rows are drawn by the hash of their id, so the choice is even, is nobody's, and is the same each time.
    """
    asked = [suite for suite in suites if suite.generations]
    shown: list[SideBySide] = []
    for index, suite in enumerate(asked):
        quota = SHOWN_ANSWERS // len(asked) + (index < SHOWN_ANSWERS % len(asked))
        for row_id in _chosen(suite, quota):
            shown.append(_show(len(shown) + 1, suite, row_id))
    return shown


def _chosen(suite: SuiteFacts, quota: int) -> list[str]:
    drawn = sorted(suite.generations, key=lambda row_id: sha256_bytes(row_id.encode("utf-8", "surrogatepass")))
    right = [row_id for row_id in drawn if _mark(suite.generations[row_id].get(TUNED, {}))[0] in ("right", "near")]
    wrong = [row_id for row_id in drawn if row_id not in set(right)]
    half = min(len(right), max(quota - quota // 2, quota - len(wrong)))
    chosen = {*right[:half], *wrong[: quota - half]}
    return [row_id for row_id in drawn if row_id in chosen]


def _show(number: int, suite: SuiteFacts, row_id: str) -> SideBySide:
    found = suite.generations[row_id]
    any_row = next(iter(found.values()))
    order = [name for name in suite.candidates if name in found] + [name for name in found if name not in suite.candidates]
    return SideBySide(
        number=number,
        suite=suite.name,
        row_id=row_id,
        request=_cut(str(any_row.get("request", "")), _LONGEST_REQUEST),
        expected=tuple(_cut(str(text), _LONGEST_ANSWER) for text in any_row.get("expected", ())),
        answers=tuple(_answer(name, found[name]) for name in order),
    )


def _answer(candidate: str, generation: JsonObject) -> Answer:
    mark, words = _mark(generation)
    # What the parser took out is what it is judged by; everyone else is shown as they answered.
    text = str(generation.get("extracted" if candidate == "base+parser" else "text", ""))
    note = {"length": "cut at the longest answer", "error": "no answer: an error"}.get(str(generation.get("finish_reason")), "")
    return Answer(candidate_name(candidate), _cut(text, _LONGEST_ANSWER), mark, words, note)


def _mark(generation: JsonObject) -> tuple[str, str]:
    metrics = generation.get("metrics") or {}
    metric = next((name for name in _HEADLINES if name in metrics), None)
    if metric is None:
        return "", ""
    if metric in LOWER_IS_BETTER:
        return ("right", "right") if metrics[metric] <= 0 else ("wrong", "wrong")
    if metrics[metric] >= 1:
        return "right", "right"
    return ("near", "right after normalising") if metrics.get("normalized_match", 0) >= 1 else ("wrong", "wrong")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most].rstrip()} … ({len(text) - most} more characters)"
