"""The report's other parts: key numbers, curves, stages, machine, hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from luthier.core.candidates import BASE, TUNED
from luthier.core.records import JsonObject
from luthier.report.charts import Line, LineChart, line_chart, smooth
from luthier.report.reading import REPORTED_STAGES, Curves, RunFacts
from luthier.report.results import headline_metric
from luthier.report.shown import shown
from luthier.report.wording import (
    DASH,
    candidate_name,
    count,
    decimal,
    duration,
    interval_text,
    left_out_text,
    metric_name,
    millions,
    share,
    size,
    value_text,
)

_LONGEST_WARNING = 1_000


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """One figure of the header: what, how much, and a line below it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage: its state in words, its time, and its share of the longest for the bar."""

    name: str
    state: str
    time: str
    percent: float


def key_numbers(facts: RunFacts) -> list[KeyNumber]:
    """The figures of the header; those of stages that have not run are left away."""
    numbers = _measured(facts)
    train = facts.train
    if train.get("final_eval_loss") is not None:
        numbers.append(
            KeyNumber(
                "Validation loss",
                decimal(train.get("result_eval_loss", train["final_eval_loss"]), 3),
                f"best {decimal(train.get('best_eval_loss'), 3)}",
            )
        )
    elif train.get("final_loss") is not None:
        numbers.append(KeyNumber("Training loss", decimal(train["final_loss"], 3), f"from {decimal(train.get('first_loss'), 3)}"))
    if facts.data:
        rows = facts.data.get("splits", {}).get("train", facts.data.get("accepted"))
        numbers.append(KeyNumber("Training rows", count(rows), f"of {count(facts.data.get('read'))} read"))
    if train.get("tokens_per_second"):
        numbers.append(KeyNumber("Training speed", count(round(train["tokens_per_second"])), "tokens per second"))
    if facts.weights_bytes:
        title, told = ("Model", "trained parameters") if "model_sha256" in train else ("Adapter", "parameters")
        numbers.append(KeyNumber(title, size(facts.weights_bytes), f"{millions(train.get('trainable_parameters'))} {told}"))
    if train.get("peak_memory_bytes"):
        estimated = train.get("estimated_memory_bytes")
        numbers.append(
            KeyNumber("Peak memory", size(train["peak_memory_bytes"]), f"estimated {size(estimated)}" if estimated else "training")
        )
    if facts.stages:
        seconds = sum(record.seconds for record in facts.stages.values())
        numbers.append(KeyNumber("Time", duration(seconds), "all stages"))
    return numbers


def _measured(facts: RunFacts) -> list[KeyNumber]:
    for suite in facts.suites:
        metric = headline_metric(suite)
        if metric is None:
            continue
        found = [name for name in (TUNED, BASE) if metric in suite.candidates.get(name, {})]
        return [
            KeyNumber(
                f"{candidate_name(name)}, {metric_name(metric)}",
                value_text(metric, suite.candidates[name][metric]["value"], suite.candidates[name][metric]),
                interval_text(metric, suite.candidates[name][metric]),
            )
            for name in found
        ]
    return []


def smoothed_losses(found: Curves) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """The training losses by step, as they are and smoothed."""
    losses = [(float(row["step"]), float(row["loss"])) for row in found.steps]
    smoothed = smooth([loss for _, loss in losses], max(3, len(losses) // 40))
    return losses, [(at, value) for (at, _), value in zip(losses, smoothed, strict=True)]


def curves(found: Curves) -> list[LineChart]:
    """Loss, learning rate and gradient norm over steps, as far as they were logged."""
    steps, evaluations = found.steps, found.evaluations
    losses, smoothed = smoothed_losses(found)
    lines = [Line("training loss", "raw", losses), Line("smoothed", "smooth", smoothed)]
    if evaluations:
        points = [(float(row["step"]), float(row["loss"])) for row in evaluations]
        lines.append(Line("validation loss", "evaluation", points, is_marked=True))
    charts = [line_chart("Loss", lines, lambda value: decimal(value, 4))]
    for title, field, style in (("Learning rate", "learning_rate", "rate"), ("Gradient norm", "grad_norm", "norm")):
        points = [(float(row["step"]), float(row[field])) for row in steps if isinstance(row.get(field), int | float)]
        charts.append(line_chart(title, [Line(title.lower(), style, points)], lambda value: f"{value:.3g}", starts_at_zero=True))
    return [chart for chart in charts if chart is not None]


def training_facts(facts: RunFacts) -> list[tuple[str, str]]:
    """Names and values of what training counted, empty where it has not run."""
    train = facts.train
    if not train:
        return []
    base = train.get("base", {})
    trained, total = train.get("trainable_parameters"), train.get("total_parameters")
    engine = train.get("engine", {})
    name = str(engine.get("name", ""))
    made_by = [("Trained by", f"{name} {engine.get('versions', {}).get(name, '')}".strip())] if engine else []
    return [
        *made_by,
        ("Base model", str(base.get("name", DASH))),
        ("Weights of the base", {"nf4": "NF4, double quantisation", "none": "not quantised"}.get(base.get("quantization", ""), DASH)),
        ("Computed in", str(base.get("dtype", DASH))),
        ("Steps", count(train.get("steps"))),
        ("Epochs", decimal(train.get("epochs"), 2)),
        ("Rows", count(train.get("rows"))),
        ("Tokens in one epoch", count(train.get("tokens_per_epoch"))),
        ("Trained tokens, all epochs", count(train.get("trained_tokens"))),
        ("Loss, first to last", f"{decimal(train.get('first_loss'))} to {decimal(train.get('final_loss'))}"),
        ("Validation loss, best and last", f"{decimal(train.get('best_eval_loss'))}, {decimal(train.get('final_eval_loss'))}"),
        ("Trained parameters", f"{millions(trained)} ({share(trained, total)} of all)" if trained and total else DASH),
        ("Parameters in all", millions(total)),
        ("Tokens per second", count(round(train["tokens_per_second"])) if train.get("tokens_per_second") else DASH),
        ("Time in steps", duration(train.get("seconds"))),
        ("Peak memory", _peak(train)),
    ]


def _peak(train: JsonObject) -> str:
    """The measured peak of training, with the estimate where there is one."""
    estimated = train.get("estimated_memory_bytes")
    return size(train.get("peak_memory_bytes")) + (f" (estimated {size(estimated)})" if estimated else "")


def stage_rows(facts: RunFacts) -> list[StageRow]:
    """Every stage in order, those that have not run included."""
    longest = max((record.seconds for record in facts.stages.values()), default=0.0) or 1.0
    rows = []
    for name in REPORTED_STAGES:
        record = facts.stages.get(name)
        if record is None:
            rows.append(StageRow(name, "not run", DASH, 0.0))
            continue
        state = f"taken from {record.taken_from}" if record.taken_from else "done"
        rows.append(StageRow(name, state, duration(record.seconds), round(100 * record.seconds / longest, 2)))
    return rows


def hashes(facts: RunFacts) -> list[tuple[str, str]]:
    """What was hashed, and its hash."""
    rows: list[tuple[str, str]] = []
    for name in REPORTED_STAGES:
        if record := facts.stages.get(name):
            rows.append((f"{name}: stage key", record.key))
            rows += [(f"{name}: {output}", digest) for output, digest in sorted(record.outputs.items())]
    if identity := facts.train.get("base", {}).get("identity"):
        rows.append(("base model", str(identity)))
    if digest := facts.train.get("adapter_sha256"):
        rows.append(("adapter weights", str(digest)))
    rows += [(f"model weights: {name}", str(digest)) for name, digest in facts.train.get("model_sha256", {}).items()]
    for source in facts.data.get("sources", ()):
        rows.append((f"source {source.get('path', '')}", str(source.get("sha256", ""))))
    rows += [(f"suite {suite.name}", suite.sha256) for suite in facts.suites if suite.sha256]
    for name, digest in (facts.export.get("targets", {}).get("merged", {}).get("sha256") or {}).items():
        rows.append((f"merged: {name}", str(digest)))
    return rows


def export_rows(facts: RunFacts) -> list[tuple[str, str, str]]:
    """Target, size, and what was checked."""
    targets = facts.export.get("targets", {})
    rows = []
    if "adapter" in targets:
        adapter = targets["adapter"]
        modules = (
            f"{count(adapter['adapted_modules'])} adapted modules, rank {adapter.get('rank')}; " if "adapted_modules" in adapter else ""
        )
        rows.append(("adapter", size(adapter.get("bytes")), f"{modules}complete, opens with peft"))
    if "model" in targets:
        model = targets["model"]
        rows.append(("model", size(model.get("bytes")), f"{count(model.get('parameters'))} parameters, complete, opens with transformers"))
    if "merged" in targets:
        rows.append(
            ("merged", size(targets["merged"].get("bytes")), _merge_words(targets["merged"], "model" if "model" in targets else "adapter"))
        )
    return rows


def _merge_words(merged: JsonObject, held_to: str) -> str:
    if "max_logit_difference" not in merged:
        return "written"
    text = (
        f"held to the {held_to}'s logits over {merged.get('rows')} rows: largest difference {merged['max_logit_difference']:.2g} "
        f"(allowed {merged.get('tolerance', float('nan')):.2g}), mean {merged.get('mean', float('nan')):.2g}"
    )
    if other := merged.get("against_quantised"):
        text += (
            f"; against the quantised base with the adapter {other['max_logit_difference']:.2g}, mean {other['mean']:.2g}, "
            f"same likeliest token at {100 * other['same_token']:.1f} %"
        )
    return text


def machine(facts: RunFacts) -> list[tuple[str, str]]:
    """The machine that the run was held to."""
    plan = facts.plan
    if not plan:
        return []
    return [
        ("Device", f"{plan.get('device_name') or plan.get('device', DASH)}"),
        ("Number format", str(plan.get("dtype", DASH))),
        ("Threads", str(plan.get("threads", DASH))),
        ("Processes", str(plan.get("processes", DASH))),
        ("Instruction set", str(plan.get("instruction_set") or DASH)),
        ("Memory", size(plan.get("memory_bytes"))),
        ("Deterministic", "yes" if plan.get("deterministic") else "no"),
    ]


def warnings(facts: RunFacts) -> list[str]:
    """What the reader should know first: warnings of the run, and what was not measured."""
    return [*(shown(text, _LONGEST_WARNING) for text in facts.warnings), *left_out(facts.left_out)]


def left_out(rows: Sequence[JsonObject]) -> list[str]:
    """What was not measured and why, by the rows of an evaluation's summary; each said once."""
    return [shown(f"Left out of suite {text}", _LONGEST_WARNING) for text in dict.fromkeys(map(left_out_text, rows))]
