"""What is known of each metric: its words, whether it is a rate, and which way is better."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from luthier.core.records import JsonObject, JsonValue

# Why nothing is told of a candidate that answered no row at all.
UNREACHED = "every request failed"


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """`words` as a person reads it; a metric that is no rate is no share between 0 and 1 and is printed as a number.

    `lower_is_better` is None where nobody said which way is better.
    """

    words: str
    is_rate: bool = True
    lower_is_better: bool | None = False

    def to_json(self) -> JsonObject:
        """What a score of a metric that is not listed carries: whether it is a rate, and which way is better."""
        return {"is_rate": self.is_rate, "lower_is_better": self.lower_is_better}


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
    # Judged by hand.
    "right_rate": MetricFacts("right rate"),
    # lm-eval's own, as its registry says (`lm_eval.api.metrics`).
    "word_perplexity": MetricFacts("word perplexity", is_rate=False, lower_is_better=True),
    "byte_perplexity": MetricFacts("byte perplexity", is_rate=False, lower_is_better=True),
    "brier_score": MetricFacts("Brier score", is_rate=False, lower_is_better=True),
    "ter": MetricFacts("translation edit rate", is_rate=False, lower_is_better=True),
    "bleu": MetricFacts("BLEU", is_rate=False),
    "chrf": MetricFacts("chrF", is_rate=False),
}

_PASS_AT = re.compile(r"pass_at_([1-9][0-9]*)")


def metric_facts(metric: str, told: Mapping[str, JsonValue] | None = None) -> MetricFacts:
    """The facts of `metric`; of one that is not listed what `told` says, which may be a score, under the names of the facts.

    Of a metric that nobody says anything of neither is taken for granted: it is printed as a number, and no way is better.
    """
    # How many samples a suite draws, and with them the values of k, is for its author to say.
    if (found := _PASS_AT.fullmatch(metric)) is not None:
        return MetricFacts(f"pass@{found[1]}")
    if metric in METRICS:
        return METRICS[metric]
    lower = (told or {}).get("lower_is_better")
    return MetricFacts(metric.replace("_", " "), bool((told or {}).get("is_rate")), lower if isinstance(lower, bool) else None)


def is_listed(metric: str) -> bool:
    """Whether the facts of `metric` are fixed here."""
    return metric in METRICS or _PASS_AT.fullmatch(metric) is not None
