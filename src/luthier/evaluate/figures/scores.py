"""The content of `scores.json`: every candidate's values with intervals, what left a denominator, and paired comparisons."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from luthier.core.candidates import TUNED
from luthier.core.metrics import MetricFacts, is_listed, metric_facts
from luthier.core.records import Generation, JsonObject, Score
from luthier.evaluate.figures.statistics import (
    Weighed,
    effective_count,
    mean_score,
    paired_ratio_score,
    paired_score,
    rate_score,
    ratio_score,
    smallest_difference,
)
from luthier.evaluate.kinds.verdicts import verdict_counts, verdict_counts_by_label
from luthier.evaluate.rows.suite import Suite

# Metrics over all rows at once: what of a row's details stands above and below the line, and what is made of the ratio.
_RATIOS: Mapping[str, tuple[str, str, Callable[[float], float]]] = {
    "perplexity": ("nats", "tokens", lambda ratio: math.exp(min(700.0, -ratio))),
    "bits_per_byte": ("nats", "bytes", lambda ratio: -ratio / math.log(2)),
}
# What a ratio of two values is called, beside their difference.
_QUOTIENTS = {"perplexity": "perplexity_ratio"}

Rows = Sequence[Generation]
# What is told of metrics that are not listed, by metric.
Told = Mapping[str, JsonObject]
_NOTHING_TOLD: Told = {}


def suite_scores(
    suite: Suite, generations: Mapping[str, Rows], metrics: Sequence[str], corpus: Mapping[str, JsonObject] | None = None
) -> JsonObject:
    """The scores of one suite; `metrics` are its kind's in their order, further ones of its rows follow.

    `candidates` has a score for each metric that any row has, with its `count` of rows; `left_out` counts by reason the rows that left a
    metric's denominator, `failed` the rows without an answer and `cut` those cut at the longest answer; `failed_alone` has, for each pair,
    the rows that the other failed on and the tuned model did not. `context_cut` counts texts that were scored after less context than they
    have, for the model has no positions for more. `paired` compares the tuned model
    with each other candidate over the rows where both have the metric; of several samples of a row its p-value is that of the sign test,
    over the rows whose shares differ. `power` is the smallest difference that so many rows would show.
    `verdicts` counts the guard's levels over the answers where it judged them, `verdicts_by_label` also by what the rows are labelled.
    `classes` has the scores of each class of rows, where the suite has classes. A score of a metric that is not listed in `core.metrics`
    says whether it is a rate and which way is better, as far as that is known. `corpus` has, by candidate and class, what another program
    measured over all rows at once: figures without an interval.
    """
    firsts = {name: [row for row in rows if not row.sample] for name, rows in generations.items()}
    metrics = list(dict.fromkeys([*metrics, *metrics_of(firsts.values())]))
    rivals = [name for name in firsts if name != TUNED] if TUNED in firsts else []
    told = told_facts(suite, firsts.values())
    found: JsonObject = {
        "suite": suite.name,
        "suite_sha256": suite.sha256,
        "candidates": {name: values(rows, metrics, told) for name, rows in firsts.items()},
        "paired": {f"{TUNED} - {name}": compared(firsts[TUNED], firsts[name], metrics, told) for name in rivals},
    }
    found["power"] = {f"{TUNED} - {name}": _power(firsts[TUNED], firsts[name], metrics, told) for name in rivals}
    found["left_out"] = {name: left for name, rows in firsts.items() if (left := _left_out(rows))}
    for label, reason in (("failed", "error"), ("cut", "length")):
        counts = {name: sum(row.finish_reason == reason for row in rows) for name, rows in generations.items()}
        found[label] = {name: count for name, count in counts.items() if count}
    if shortened := {name: count for name, rows in firsts.items() if (count := sum("cut_tokens" in row.details for row in rows))}:
        found["context_cut"] = shortened
    failing = {name: {row.id for row in rows if row.finish_reason == "error"} for name, rows in firsts.items()}
    alone = {f"{TUNED} - {name}": len(failing[name] - failing[TUNED]) for name in rivals}
    if any(alone.values()):
        found["failed_alone"] = {pair: count for pair, count in alone.items() if count}
    details = {name: [row.details for row in rows] for name, rows in firsts.items()}
    if verdicts := {name: counts for name, told in details.items() if (counts := verdict_counts(told))}:
        found["verdicts"] = verdicts
    if labelled := {name: by_label for name, told in details.items() if (by_label := verdict_counts_by_label(told))}:
        found["verdicts_by_label"] = labelled
    if groups := groups_among([row.group for row in suite.rows]):
        found["groups"] = groups
    classes = {row.id: str(row.check["class"]) for row in suite.rows if row.check.get("class")}
    if classes:
        found["classes"] = {
            label: {name: values([row for row in rows if classes.get(row.id) == label], metrics, told) for name, rows in firsts.items()}
            for label in sorted(set(classes.values()))
        }
    if corpus:
        found["corpus"] = dict(corpus)
    return found


def told_facts(suite: Suite, generations: Iterable[Rows]) -> Told:
    """What can be told of metrics that are not listed: a rate is 0 or 1 in every row of every candidate; which way is better was told."""
    found: dict[str, set[float]] = {}
    for rows in generations:
        for row in rows:
            for metric, value in row.metrics.items():
                found.setdefault(metric, set()).add(value)
    return {
        metric: MetricFacts("", numbers <= {0.0, 1.0}, suite.lower_is_better.get(metric)).to_json()
        for metric, numbers in found.items()
        if not is_listed(metric)
    }


def metrics_of(generations: Iterable[Rows]) -> list[str]:
    """The metrics that any row has, in order of appearance."""
    return list(dict.fromkeys(metric for rows in generations for row in rows for metric in row.metrics))


def groups_among(groups: Sequence[str]) -> int:
    """How many groups rows form, where any two share one; else 0. `groups` holds each row's, an empty text for a row by itself."""
    number = len({group or f"row {index}" for index, group in enumerate(groups)})
    return number if number < len(groups) else 0


def values(rows: Rows, metrics: Sequence[str], told: Told = _NOTHING_TOLD) -> JsonObject:
    """The score of each metric over the rows that have it, with what is told of the metric."""
    return {
        metric: _value(metric, having, metric_facts(metric, told.get(metric)).is_rate).to_json() | dict(told.get(metric, {}))
        for metric in metrics
        if (having := [row for row in rows if metric in row.metrics])
    }


def _value(metric: str, rows: Rows, is_rate: bool) -> Score:
    if metric in _RATIOS:
        return ratio_score(_weighed(metric, rows), _RATIOS[metric][2])
    numbers, groups = [row.metrics[metric] for row in rows], [row.group for row in rows]
    # Of several samples of a row a share is right, which is no yes or no: Wilson's interval would be too wide there. Where all rows have
    # one share, though, no resample differs, and it is the interval that claims too little.
    if is_rate and (all(number in (0.0, 1.0) for number in numbers) or len(set(numbers)) == 1):
        return rate_score(numbers, groups)
    return mean_score(numbers, groups, is_rate)


def _weighed(metric: str, rows: Rows) -> list[Weighed]:
    above, below, _ = _RATIOS[metric]
    return [Weighed(row.details[above], row.details[below], row.group) for row in rows]


def compared(first: Rows, second: Rows, metrics: Sequence[str], told: Told = _NOTHING_TOLD) -> JsonObject:
    """The paired differences of `first` to `second` over the rows where both have the metric."""
    found: JsonObject = {}
    for metric in metrics:
        one, other = _both(metric, first, second)
        if not one:
            continue
        if metric in _RATIOS:
            value = _RATIOS[metric][2]
            pair = _weighed(metric, one), _weighed(metric, other)
            found[metric] = paired_ratio_score(*pair, value, lambda ours, theirs: ours - theirs).to_json()
            if metric in _QUOTIENTS:
                found[_QUOTIENTS[metric]] = paired_ratio_score(*pair, value, lambda ours, theirs: ours / theirs).to_json()
            continue
        numbers = [row.metrics[metric] for row in one], [row.metrics[metric] for row in other]
        facts = metric_facts(metric, told.get(metric))
        found[metric] = paired_score(*numbers, [row.group for row in one], facts.is_rate).to_json() | dict(told.get(metric, {}))
    return found


def _power(first: Rows, second: Rows, metrics: Sequence[str], told: Told) -> JsonObject:
    """For each rate the smallest difference that the rows would show (80 % power, two-sided 5 %), and how many rows they are worth."""
    found: JsonObject = {}
    for metric in metrics:
        one, other = _both(metric, first, second)
        if one and metric_facts(metric, told.get(metric)).is_rate:
            numbers = [row.metrics[metric] for row in one], [row.metrics[metric] for row in other]
            groups = [row.group for row in one]
            rows = effective_count([ours - theirs for ours, theirs in zip(*numbers, strict=True)], groups)
            found[metric] = {"smallest_difference": smallest_difference(*numbers, groups), "effective_rows": round(rows, 1)}
    return found


def _both(metric: str, first: Rows, second: Rows) -> tuple[list[Generation], list[Generation]]:
    """The rows of each where both have the metric, in the order of the first."""
    others = {row.id: row for row in second if metric in row.metrics}
    kept = [row for row in first if metric in row.metrics and row.id in others]
    return kept, [others[row.id] for row in kept]


def _left_out(rows: Rows) -> JsonObject:
    """Metric to reason to number of rows."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        for metric, reason in row.left_out.items():
            counts.setdefault(metric, Counter())[reason] += 1
    return {metric: dict(sorted(found.items())) for metric, found in sorted(counts.items())}
