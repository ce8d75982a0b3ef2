"""The facts of metrics: words, kind and direction, listed or not."""

from __future__ import annotations

import pytest

from luthier.core.metrics import METRICS, MetricFacts, metric_facts
from luthier.evaluate.kinds.registry import kind_of, kinds


@pytest.mark.parametrize(
    ("metric", "facts"),
    [
        ("pass_rate", MetricFacts("tasks passed")),
        ("pass_at_1", MetricFacts("pass@1")),
        ("pass_at_25", MetricFacts("pass@25")),
        ("pass_at_0", MetricFacts("pass at 0", is_rate=False, lower_is_better=None)),
        ("unsafe_rate", MetricFacts("unsafe", lower_is_better=True)),
        ("perplexity", MetricFacts("perplexity", is_rate=False, lower_is_better=True)),
        ("f1_macro", MetricFacts("f1 macro", is_rate=False, lower_is_better=None)),
        ("brier_score", MetricFacts("Brier score", is_rate=False, lower_is_better=True)),
        ("word_perplexity", MetricFacts("word perplexity", is_rate=False, lower_is_better=True)),
        ("bleu", MetricFacts("BLEU", is_rate=False)),
    ],
)
def test_a_metric_in_words(metric: str, facts: MetricFacts) -> None:
    assert metric_facts(metric) == facts


def test_what_is_not_listed_is_as_it_is_told() -> None:
    told = {"value": 0.5, "is_rate": True, "lower_is_better": True}
    assert metric_facts("slips", told) == MetricFacts("slips", is_rate=True, lower_is_better=True)
    assert metric_facts("slips", {"value": 0.5}) == metric_facts("slips")
    assert metric_facts("accuracy", told) == metric_facts("accuracy"), "what is listed is fixed"


def test_every_metric_of_a_kind_is_listed_with_words_of_its_own() -> None:
    metrics = {metric for name in kinds() for metric in kind_of(name).metrics}
    assert metrics <= set(METRICS)
    assert len({metric_facts(metric).words for metric in metrics - {"acc"}}) == len(metrics - {"acc"})
