"""Suites of lm-eval's tasks: the EleutherAI harness asks and judges, and its samples become rows beside all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from luthier.core.errors import Problem
from luthier.core.records import JsonObject, JsonValue, Message
from luthier.evaluate.kinds.kind import Judged
from luthier.evaluate.rows.suite import SuiteRow

MAX_PROMPT_CHARACTERS = 4_000
NO_NUMBER = "no number for each sample"


class Harness:
    """The kind `lm_eval`: `tasks` are names that the harness knows; `num_fewshot` and `include_path` (a folder of tasks) are its own words.

    Metrics keep the harness's names. One that is not a number for each sample cannot be paired: it leaves its rows, counted, and its
    figure over all of a task's samples is taken as the harness tells it.
    """

    name = "lm_eval"
    metrics = ("acc", "acc_norm", "exact_match")
    fields = ("tasks", "num_fewshot", "include_path")
    row_keys: tuple[str, ...] = ()

    def row(self, value: JsonObject, where: str) -> SuiteRow | Problem:
        """Always a problem: the harness brings the rows."""
        return Problem("a suite of lm-eval's tasks has no rows of its own", where=where, hint="name `tasks`, and leave `rows` out")


def read_result(result: JsonObject) -> list[tuple[SuiteRow, Judged]]:
    """The samples in what the harness returned, each as a row with its metrics, in the order of tasks and documents.

    `result` has `samples`: task to a list of `{doc_id, arguments, target, filtered_resps, filter, metrics: [names], NAME: value}`.
    A document that several filters judge has a sample for each: metrics of further filters get the filter's name.
    """
    found: dict[str, tuple[SuiteRow, dict[str, float | None], JsonObject]] = {}
    for task, samples in result["samples"].items():
        for sample in samples:
            row_id = f"{task}:{sample['doc_id']}"
            if row_id not in found:
                asked = (Message("user", _prompt(sample)[:MAX_PROMPT_CHARACTERS]),)
                row = SuiteRow(row_id, asked, (str(sample.get("target", "")),), check={"class": task})
                found[row_id] = (row, {}, {"responses": sample.get("filtered_resps")})
            metrics = found[row_id][1]
            for name, value in _values(sample).items():
                metrics[name if name not in metrics else _filtered(name, str(sample.get("filter", "")))] = value
    return [(row, _judged(metrics, details)) for row, metrics, details in found.values()]


def lower_is_better(result: JsonObject) -> dict[str, bool]:
    """Of each metric, under each name that `read_result` may give it, whether less is better, where all tasks that have it agree."""
    told: dict[str, set[bool]] = {}
    for metrics in (result.get("higher_is_better") or {}).values():
        for name, higher in metrics.items() if isinstance(metrics, dict) else ():
            if isinstance(higher, bool):
                told.setdefault(name, set()).add(not higher)
    filters = {str(sample.get("filter", "")) for samples in result["samples"].values() for sample in samples}
    agreed = {name: found.pop() for name, found in told.items() if len(found) == 1}
    return {written: lower for name, lower in agreed.items() for written in (name, *(_filtered(name, one) for one in filters))}


def corpus_figures(result: JsonObject) -> dict[str, dict[str, float]]:
    """The harness's own figures of metrics that are no number for each sample, by task and metric, as they stand in its `results`."""
    found: dict[str, dict[str, float]] = {}
    for task, samples in result["samples"].items():
        figures = (result.get("results") or {}).get(task) or {}
        names = {name for sample in samples for name, value in _values(sample).items() if value is None}
        for written, value in figures.items():
            name, _, kept = written.partition(",")
            if name in names and isinstance(value, int | float) and not isinstance(value, bool):
                found.setdefault(task, {})[name if kept in ("", "none") else _filtered(name, kept)] = float(value)
    return found


def _judged(metrics: Mapping[str, float | None], details: JsonObject) -> Judged:
    numbers = {name: value for name, value in metrics.items() if value is not None}
    return Judged(_said(details), numbers, {name: NO_NUMBER for name in metrics if name not in numbers}, details)


def _filtered(name: str, filter_name: str) -> str:
    return f"{name}_{filter_name}".replace("-", "_")


def _prompt(sample: Mapping[str, JsonValue]) -> str:
    """What the model was shown: the context of the first request."""
    arguments = sample.get("arguments")
    first: JsonValue = next(iter(arguments.values()), "") if isinstance(arguments, dict) else next(iter(arguments or ()), "")
    if isinstance(first, dict):
        first = list(first.values())
    return str(first[0]) if isinstance(first, Sequence) and not isinstance(first, str) and first else str(first)


def _values(sample: Mapping[str, JsonValue]) -> dict[str, float | None]:
    """The sample's metrics; None for one that is no number, but what the harness makes its figure over all samples of."""
    values = {str(name): sample.get(str(name)) for name in sample.get("metrics", ())}
    return {name: float(value) if isinstance(value, bool | int | float) else None for name, value in values.items()}


def _said(details: JsonObject) -> str:
    """The text of the first response, where the task has the model write; empty where it compares likelihoods."""
    responses = details.get("responses")
    first: JsonValue = responses[0] if isinstance(responses, list) and responses else ""
    return first if isinstance(first, str) else ""
