"""Two runs beside each other: the tuned answers of both, paired by row."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.core.errors import IntegrityError, Problem, UserError
from luthier.core.files import read_json, read_jsonl
from luthier.core.metrics import metric_facts
from luthier.core.records import Generation, JsonObject
from luthier.core.runs import RunFolder
from luthier.evaluate.scores import compared, metrics_of, values
from luthier.evaluate.sources import TUNED

# Of the rows that flipped so many ids are named; all are counted.
SHOWN_IDS = 20


def compare_runs(first: RunFolder, second: RunFolder, suite: str | None = None) -> JsonObject:
    """`second` against `first` in every suite that both have answered, or in `suite` alone.

    For each suite: over the rows that both have, both values of each metric, the paired difference second - first with interval, p and
    count, and the rows that flipped. Where the suites differ only rows with equal id, request and accepted answers are compared, and
    `note` says so. `UserError` where a run has no evaluation or no suite is common.
    """
    ours, theirs = _suites(first), _suites(second)
    common = [name for name in ours if name in theirs and suite in (None, name)]
    if not common:
        found = f"{', '.join(ours)} and {', '.join(theirs)}"
        what = "the runs have no suite in common" if suite is None else f"`{suite}` is not a suite of both runs"
        raise UserError(Problem(what, where=f"{first.path} and {second.path}", found=found))
    return {
        "first": str(first.path),
        "second": str(second.path),
        "suites": [_compared(name, first, second, (ours[name], theirs[name])) for name in common],
        "only_first": [name for name in ours if name not in theirs],
        "only_second": [name for name in theirs if name not in ours],
    }


def _suites(folder: RunFolder) -> dict[str, str]:
    """The hash of each suite that the run has answered."""
    path = folder.evaluate / "summary.json"
    if not path.is_file():
        raise UserError(Problem("this run has no evaluation", where=str(folder.path), hint=f"type `luthier evaluate {folder.path}`"))
    return {row["name"]: row["suite_sha256"] for row in read_json(path)["suites"]}


def _tuned(folder: RunFolder, suite: str) -> dict[str, Generation]:
    path = folder.evaluate / suite / "generations.jsonl"
    try:
        rows = [Generation.from_json(row) for row in read_jsonl(path) if row["candidate"] == TUNED]
    except (KeyError, TypeError, OSError) as error:
        raise IntegrityError(f"{path}: these are no generations; evaluate the run again") from error
    return {row.id: row for row in rows if not row.sample}


def _compared(suite: str, first: RunFolder, second: RunFolder, hashes: tuple[str, str]) -> JsonObject:
    ours, theirs = _tuned(first, suite), _tuned(second, suite)
    is_same = hashes[0] == hashes[1]
    shared = [name for name, row in ours.items() if name in theirs and (is_same or _asks_the_same(row, theirs[name]))]
    before, after = [ours[name] for name in shared], [theirs[name] for name in shared]
    found: JsonObject = {
        "suite": suite,
        "rows": len(shared),
        "only_first": len(ours) - len(shared),
        "only_second": len(theirs) - len(shared),
    }
    if not is_same:
        found["note"] = "the suites differ: compared are the rows with equal id, request and accepted answers"
    metrics = metrics_of([before, after])
    both: dict[str, tuple[list[Generation], list[Generation]]] = {}
    for metric in metrics:
        pairs = [(one, other) for one, other in zip(before, after, strict=True) if metric in one.metrics and metric in other.metrics]
        if pairs:
            both[metric] = [one for one, _ in pairs], [other for _, other in pairs]
    found["metrics"] = {metric: _row(metric, *rows) for metric, rows in both.items()}
    return found


def _asks_the_same(one: Generation, other: Generation) -> bool:
    return (one.request, one.expected) == (other.request, other.expected)


def _row(metric: str, before: Sequence[Generation], after: Sequence[Generation]) -> JsonObject:
    row: JsonObject = {
        "first": values(before, [metric])[metric],
        "second": values(after, [metric])[metric],
        "difference": compared(after, before, [metric])[metric],
    }
    if metric_facts(metric).is_rate:
        for label, sign in (("risen", 1), ("fallen", -1)):
            pairs = zip(before, after, strict=True)
            ids = [one.id for one, other in pairs if sign * (other.metrics[metric] - one.metrics[metric]) > 0]
            row[label] = {"count": len(ids), "ids": ids[:SHOWN_IDS]}
    return row


def comparison_text(found: JsonObject) -> str:
    """The comparison as a table for each suite."""
    lines = [
        f"first   {found['first']}",
        f"second  {found['second']}",
        "differences are second - first, with 95 % intervals, paired by row",
    ]
    for suite in found["suites"]:
        lines += [
            "",
            f"{suite['suite']}, {suite['rows']} rows in both ({suite['only_first']} first only, {suite['only_second']} second only)",
        ]
        lines += [f"  {suite['note']}"] if "note" in suite else []
        lines.append(f"  {'metric':<20} {'first':>8} {'second':>8}  {'difference':<28} {'p':>7}  {'rows':>5}  risen  fallen")
        lines += [_line(metric, row) for metric, row in suite["metrics"].items()]
    for label in ("first", "second"):
        if found[f"only_{label}"]:
            lines += ["", f"only the {label} has: {', '.join(found[f'only_{label}'])}"]
    return "\n".join(lines)


def _line(metric: str, row: JsonObject) -> str:
    gain, is_rate = row["difference"], metric_facts(metric).is_rate
    scale, decimals, unit = (100, 1, " %") if is_rate else (1, 3, "  ")
    first, second = (f"{scale * row[name]['value']:.{decimals}f}{unit}" for name in ("first", "second"))
    value, low, high = (f"{scale * gain[name]:+.{decimals}f}" for name in ("value", "low", "high"))
    p = "-" if gain.get("p") is None else "< 0.001" if gain["p"] < 0.001 else f"{gain['p']:.3f}"
    flipped = f"{row['risen']['count']:>5}  {row['fallen']['count']:>6}" if is_rate else f"{'-':>5}  {'-':>6}"
    return f"  {metric:<20} {first:>8} {second:>8}  {f'{value} ({low} to {high})':<28} {p:>7}  {gain['count']:>5}  {flipped}"
