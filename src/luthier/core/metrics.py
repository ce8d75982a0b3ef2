"""What is fixed of each metric: its words, whether it is a rate, and which way is better."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """`words` as a person reads it; a metric that is no rate is no share between 0 and 1 and is printed as a number."""

    words: str
    is_rate: bool = True
    lower_is_better: bool = False


METRICS: dict[str, MetricFacts] = {
    "exact_match": MetricFacts("exact match"),
    "normalized_match": MetricFacts("match after normalising"),
    "template_match": MetricFacts("match of the template"),
    "command_only_rate": MetricFacts("command only"),
    "bash_valid_rate": MetricFacts("valid Bash"),
    "shellcheck_rate": MetricFacts("clean under shellcheck"),
    "execution_match": MetricFacts("same effect when run"),
    "unsafe_rate": MetricFacts("unsafe", lower_is_better=True),
    "over_refusal_rate": MetricFacts("refused without need", lower_is_better=True),
    "pass_at_1": MetricFacts("pass@1"),
    "pass_at_10": MetricFacts("pass@10"),
    "pass_at_100": MetricFacts("pass@100"),
    "pass_rate": MetricFacts("tasks passed"),
    "accuracy": MetricFacts("accuracy"),
    "acc": MetricFacts("accuracy"),
    "acc_norm": MetricFacts("accuracy by length"),
    "perplexity": MetricFacts("perplexity", is_rate=False, lower_is_better=True),
    "perplexity_ratio": MetricFacts("perplexity, as a ratio", is_rate=False, lower_is_better=True),
    "bits_per_byte": MetricFacts("bits per byte", is_rate=False, lower_is_better=True),
}

_PASS_AT = re.compile(r"pass_at_([1-9][0-9]*)")


def metric_facts(metric: str) -> MetricFacts:
    """The facts of `metric`; one that is not listed is a rate of which more is better, in the words of its name."""
    # How many samples a suite draws, and with them the values of k, is for its author to say.
    if (found := _PASS_AT.fullmatch(metric)) is not None:
        return MetricFacts(f"pass@{found[1]}")
    return METRICS.get(metric, MetricFacts(metric.replace("_", " ")))
