"""Suites of lm-eval's tasks: the EleutherAI harness asks and judges, and its samples become rows beside all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from luthier.core.errors import Problem
from luthier.core.records import JsonObject, JsonValue, Message
from luthier.evaluate.kinds.kind import Judged
from luthier.evaluate.rows import SuiteRow

MAX_PROMPT_CHARACTERS = 4_000


class Harness:
    """The kind `lm_eval`: `tasks` are names that the harness knows; `num_fewshot` and `include_path` (a folder of tasks) are its own words.

    Metrics keep the harness's names. One that is not a number for each sample cannot be paired, and is not taken.
    """

    name = "lm_eval"
    metrics = ("acc", "acc_norm", "exact_match")
    fields = ("tasks", "num_fewshot", "include_path")

    def row(self, value: JsonObject, where: str) -> SuiteRow | Problem:
        """Always a problem: the harness brings the rows."""
        return Problem("a suite of lm-eval's tasks has no rows of its own", where=where, hint="name `tasks`, and leave `rows` out")


def read_result(result: JsonObject) -> list[tuple[SuiteRow, Judged]]:
    """The samples in what the harness returned, each as a row with its metrics, in the order of tasks and documents.

    `result` has `samples`: task to a list of `{doc_id, arguments, target, filtered_resps, filter, metrics: [names], NAME: value}`.
    A document that several filters judge has a sample for each: metrics of further filters get the filter's name.
    """
    found: dict[str, tuple[SuiteRow, dict[str, float], JsonObject]] = {}
    for task, samples in result["samples"].items():
        for sample in samples:
            row_id = f"{task}:{sample['doc_id']}"
            if row_id not in found:
                asked = (Message("user", _prompt(sample)[:MAX_PROMPT_CHARACTERS]),)
                row = SuiteRow(row_id, asked, (str(sample.get("target", "")),), check={"class": task})
                found[row_id] = (row, {}, {"responses": sample.get("filtered_resps")})
            metrics = found[row_id][1]
            for name, value in _numbers(sample).items():
                metrics[name if name not in metrics else f"{name}_{sample.get('filter', '')}".replace("-", "_")] = value
    return [(row, Judged(_said(details), metrics, {}, details)) for row, metrics, details in found.values()]


def _prompt(sample: Mapping[str, JsonValue]) -> str:
    """What the model was shown: the context of the first request."""
    arguments = sample.get("arguments")
    first: JsonValue = next(iter(arguments.values()), "") if isinstance(arguments, dict) else next(iter(arguments or ()), "")
    if isinstance(first, dict):
        first = list(first.values())
    return str(first[0]) if isinstance(first, Sequence) and not isinstance(first, str) and first else str(first)


def _numbers(sample: Mapping[str, JsonValue]) -> dict[str, float]:
    values = {str(name): sample.get(str(name)) for name in sample.get("metrics", ())}
    return {name: float(value) for name, value in values.items() if isinstance(value, bool | int | float)}


def _said(details: JsonObject) -> str:
    """The text of the first response, where the task has the model write; empty where it compares likelihoods."""
    responses = details.get("responses")
    first: JsonValue = responses[0] if isinstance(responses, list) and responses else ""
    return first if isinstance(first, str) else ""
