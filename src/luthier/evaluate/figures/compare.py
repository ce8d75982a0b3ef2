"""Two runs beside each other: the tuned answers of both, paired by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from luthier.core.candidates import TUNED
from luthier.core.counts import counted
from luthier.core.errors import IntegrityError, Problem, UserError
from luthier.core.files import read_json, read_jsonl
from luthier.core.metrics import metric_facts
from luthier.core.records import Generation, JsonObject
from luthier.core.runs import RunFolder, summary_or_none
from luthier.evaluate.figures.scores import compared, groups_among, metrics_of, values

# Of the rows that flipped so many ids are named; all are counted.
SHOWN_IDS = 20


def compare_runs(first: RunFolder, second: RunFolder, suite: str | None = None) -> JsonObject:
    """`second` against `first` in every suite that both have answered, or in `suite` alone.

    For each suite: over the rows that both have, both values of each metric, the paired difference second - first with interval, p and
    count, and the rows that flipped. Where the suites differ only rows with equal id, request and accepted answers are compared, and
    `note` says so; `settings` says what else the two runs were measured with that is not the same. `UserError` where a run has no
    evaluation or no suite is common.
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


def _suites(folder: RunFolder) -> dict[str, JsonObject]:
    """The summary's row of each suite that the run has answered."""
    path = folder.evaluate / "summary.json"
    if not path.is_file():
        raise UserError(Problem("this run has no evaluation", where=str(folder.path), hint=f"type `luthier evaluate {folder.path}`"))
    return {row["name"]: row for row in read_json(path)["suites"]}


def _tuned(folder: RunFolder, suite: str) -> dict[str, Generation]:
    path = folder.evaluate / suite / "generations.jsonl"
    try:
        rows = [Generation.from_json(row) for row in read_jsonl(path) if row["candidate"] == TUNED]
    except (KeyError, TypeError, OSError) as error:
        raise IntegrityError(f"{path}: these are no generations; evaluate the run again") from error
    return {row.id: row for row in rows if not row.sample}


def _compared(suite: str, first: RunFolder, second: RunFolder, told_of: tuple[JsonObject, JsonObject]) -> JsonObject:
    ours, theirs = _tuned(first, suite), _tuned(second, suite)
    is_same = told_of[0]["suite_sha256"] == told_of[1]["suite_sha256"]
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
    if settings := _settings(*told_of):
        found["settings"] = settings
    metrics = metrics_of([before, after])
    told = {**_told(second, suite), **_told(first, suite)}
    both: dict[str, tuple[list[Generation], list[Generation]]] = {}
    for metric in metrics:
        pairs = [(one, other) for one, other in zip(before, after, strict=True) if metric in one.metrics and metric in other.metrics]
        if pairs:
            both[metric] = [one for one, _ in pairs], [other for _, other in pairs]
    if groups := groups_among([row.group for row in before]):
        found["groups"] = groups
    found["metrics"] = {metric: _row(metric, *rows, told) for metric, rows in both.items()}
    return found


def _settings(one: JsonObject, other: JsonObject) -> str:
    """What the suite was measured with in the two runs that is not the same, in words; empty where all of it is."""
    before, after = one.get("measured_with"), other.get("measured_with")
    if before is None or after is None:
        which = [name for name, told in (("first", before), ("second", after)) if told is None]
        runs = f"the {which[0]} run does" if len(which) == 1 else "both runs do"
        return f"{runs} not say what the figures rest on, for another version measured them: `luthier evaluate RUN_DIR` measures again"
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return f"not measured with the same {', '.join(changed)}: a difference may come from that" if changed else ""


def _asks_the_same(one: Generation, other: Generation) -> bool:
    return (one.request, one.expected) == (other.request, other.expected)


def _told(folder: RunFolder, suite: str) -> Mapping[str, JsonObject]:
    """What the run's scores say of metrics that are not listed."""
    scores = summary_or_none(folder.evaluate / suite / "scores.json") or {}
    found = scores.get("candidates", {}).get(TUNED, {})
    names = ("is_rate", "lower_is_better")
    return {metric: {name: score[name] for name in names} for metric, score in found.items() if all(name in score for name in names)}


def _row(metric: str, before: Sequence[Generation], after: Sequence[Generation], told: Mapping[str, JsonObject]) -> JsonObject:
    row: JsonObject = {
        "first": values(before, [metric], told)[metric],
        "second": values(after, [metric], told)[metric],
        "difference": compared(after, before, [metric], told)[metric],
    }
    if metric_facts(metric, told.get(metric)).is_rate:
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
        both = counted(suite["rows"], "row")
        lines += ["", f"{suite['suite']}, {both} in both ({suite['only_first']} first only, {suite['only_second']} second only)"]
        lines += [f"  {suite[name]}" for name in ("note", "settings") if name in suite]
        if suite.get("groups"):
            told = f"the rows form {suite['groups']} groups: intervals count these, p-values take rows as independent and may be too small"
            lines.append(f"  {told}")
        if not suite["metrics"]:
            lines.append(f"  nothing to compare: {_why_nothing(suite)}")
            continue
        lines.append(f"  {'metric':<20} {'first':>8} {'second':>8}  {'difference':<28} {'p':>7}  {'rows':>5}  risen  fallen")
        lines += [_line(metric, row) for metric, row in suite["metrics"].items()]
    for label in ("first", "second"):
        if found[f"only_{label}"]:
            lines += ["", f"only the {label} has: {', '.join(found[f'only_{label}'])}"]
    return "\n".join(lines)


def _why_nothing(suite: JsonObject) -> str:
    if suite["rows"]:
        return "no metric stands in both runs for the same row"
    if "note" in suite:
        return "the runs asked other rows; let both name one suite file in `evaluate.suites`, and evaluate them again"
    return "no row stands in both runs; a generations file is empty: evaluate the runs again"


def _line(metric: str, row: JsonObject) -> str:
    gain, is_rate = row["difference"], metric_facts(metric, row["difference"]).is_rate
    scale, decimals, unit = (100, 1, " %") if is_rate else (1, 3, "  ")
    first, second = (f"{scale * row[name]['value']:.{decimals}f}{unit}" for name in ("first", "second"))
    value, low, high = (f"{scale * gain[name]:+.{decimals}f}" for name in ("value", "low", "high"))
    p = "-" if gain.get("p") is None else "< 0.001" if gain["p"] < 0.001 else f"{gain['p']:.3f}"
    flipped = f"{row['risen']['count']:>5}  {row['fallen']['count']:>6}" if is_rate else f"{'-':>5}  {'-':>6}"
    flipped += f"  {gain['note']}" if gain.get("note") else ""
    return f"  {metric:<20} {first:>8} {second:>8}  {f'{value} ({low} to {high})':<28} {p:>7}  {gain['count']:>5}  {flipped}"
