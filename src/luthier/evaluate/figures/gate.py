"""The gate: what the run file demands of the measured values, judged from `scores.json` alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from luthier.config.schema import GateRule
from luthier.core.candidates import TUNED
from luthier.core.counts import counted
from luthier.core.errors import Problem
from luthier.core.files import read_json, remove, write_json
from luthier.core.metrics import MetricFacts, metric_facts
from luthier.core.nearness import nearest
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder, summary_or_none
from luthier.evaluate.kinds.registry import HARNESS, kind_of
from luthier.evaluate.suites.suite_files import SuiteFile

GATE_FILE = "gate.json"


@dataclass(frozen=True, slots=True)
class GateResult:
    """One bound and what was found. `value` with `low` and `high` is the tuned model's value, or its gain over `over`.

    `reason` says why a bound could not be judged; a bound that could not is not met.
    """

    suite: str
    metric: str
    bound: str
    limit: float
    passed: bool
    judged_by: str = "value"
    value: float | None = None
    low: float | None = None
    high: float | None = None
    count: int = 0
    over: str = ""
    reason: str = ""

    def text(self) -> str:
        """The result in one line: value, interval, bound."""
        name = f"{self.suite}.{self.metric}"
        if self.value is None or self.low is None or self.high is None:
            return f"{name}: {self.bound} {self.limit:g} could not be judged: {self.reason}"
        what = {"min_gain": f"gain over {self.over}", "max_loss": f"gain over {self.over}"}.get(self.bound, "value")
        limit = f"at most {self.limit:g} lost" if self.bound == "max_loss" else f"{self.bound} {self.limit:g}"
        held = ", the interval is held to it" if self.judged_by == "interval" else ""
        return f"{name}: {what} {self.value:.4g} ({self.low:.4g} to {self.high:.4g}, {counted(self.count, 'row')}), {limit}{held}"


def judge_gate(gate: Mapping[str, GateRule], folder: RunFolder) -> list[GateResult]:
    """Every bound of the gate with what was found; `evaluate/gate.json` is written, or removed where there is no gate."""
    path = folder.evaluate / GATE_FILE
    if not gate:
        remove(path)
        return []
    results = [result for name, rule in gate.items() for result in _judged(name, rule, folder)]
    write_json(path, {"passed": all(result.passed for result in results), "rules": [asdict(result) for result in results]})
    return results


def read_gate(path: Path) -> list[GateResult]:
    """The results in a `gate.json`; none where there is no file."""
    return [GateResult(**row) for row in read_json(path)["rules"]] if path.is_file() else []


def _judged(name: str, rule: GateRule, folder: RunFolder) -> Iterator[GateResult]:
    suite, _, metric = name.rpartition(".")
    scores: JsonObject = summary_or_none(folder.evaluate / suite / "scores.json") or {}
    found = scores.get("candidates", {}).get(TUNED, {}).get(metric)
    facts = metric_facts(metric, found)
    sign = -1 if facts.lower_is_better else 1
    rival = _rival(scores, metric, rule.over, sign)
    gain = scores.get("paired", {}).get(f"{TUNED} - {rival}", {}).get(metric) if rival else None
    for bound in ("min", "max", "min_gain", "max_loss"):
        limit = getattr(rule, bound)
        if limit is None:
            continue
        compares = bound in ("min_gain", "max_loss")
        score, over = (gain, rival) if compares else (found, "")
        if score is None:
            reason = _why_missing(folder, suite, metric) if found is None else _why_alone(scores, metric, rule.over)
            yield GateResult(suite, metric, bound, limit, False, rule.judged_by, over=over, reason=reason)
            continue
        if reason := _why_unjudged(scores, facts, rule, score, over):
            yield GateResult(suite, metric, bound, limit, False, rule.judged_by, over=over, reason=reason)
            continue
        value, low, high = (score["value"], score["low"], score["high"])
        if compares and sign < 0:
            value, low, high = -value, -high, -low
        by_interval = rule.judged_by == "interval"
        passed = (high if by_interval else value) <= limit if bound == "max" else (low if by_interval else value) >= _least(bound, limit)
        yield GateResult(suite, metric, bound, limit, passed, rule.judged_by, value, low, high, score["count"], over)


def _why_unjudged(scores: JsonObject, facts: MetricFacts, rule: GateRule, score: JsonObject, over: str) -> str:
    """Why a bound is not held to what was measured; empty where it is.

    Failed requests leave the metrics of which less is better, so that a model that was hardly reached would pass; and a rival that was
    not reached is worse than it is. Without `over` any rival's failures count, for who is best among them cannot be told.
    """
    if rule.judged_by == "interval" and score.get("note"):
        return f"no interval: {score['note']}"
    if over and facts.lower_is_better is None:
        return "nobody says which way is better"
    if facts.lower_is_better and (count := scores.get("failed", {}).get(TUNED, 0)):
        return f"{count} requests to the tuned model failed"
    alone = scores.get("failed_alone", {}) if over else {}
    names = [rule.over] if rule.over is not None else [pair.removeprefix(f"{TUNED} - ") for pair in alone]
    missing = [f"{count} to `{name}`" for name in names if (count := alone.get(f"{TUNED} - {name}", 0))]
    return (
        f"requests failed that the tuned model answered: {', '.join(missing)}; evaluate again, or name another in `over`" if missing else ""
    )


def _least(bound: str, limit: float) -> float:
    return -limit if bound == "max_loss" else limit


def _rival(scores: JsonObject, metric: str, over: str | None, sign: int) -> str:
    """The candidate to compare with: the named one, else the best of the others; empty where there is none."""
    if over is not None:
        return over
    values = {name: found[metric]["value"] for name, found in scores.get("candidates", {}).items() if name != TUNED and metric in found}
    return max(values, key=lambda name: (sign * values[name], name)) if values else ""


def _why_alone(scores: JsonObject, metric: str, over: str | None) -> str:
    reasons = scores.get("left_out", {}).get(over, {}).get(metric, {})
    return f"there is no comparison with {over or 'another'}" + (f": {'; '.join(reasons)}" if reasons else "")


def _why_missing(folder: RunFolder, suite: str, metric: str) -> str:
    summary: JsonObject = summary_or_none(folder.evaluate / "summary.json") or {}
    for row in summary.get("left_out", ()):
        if row["suite"] == suite and row.get("metric", metric) == metric and "candidate" not in row:
            return str(row["reason"])
    scores: JsonObject = summary_or_none(folder.evaluate / suite / "scores.json") or {}
    reasons = scores.get("left_out", {}).get(TUNED, {}).get(metric, {})
    return f"it was not measured: {'; '.join(reasons)}" if reasons else "it was not measured"


def gate_problems(names: Sequence[str], suites: Sequence[SuiteFile]) -> list[Problem]:
    """Suites and metrics that the gate names and that the run does not have, with the nearest names."""
    problems = []
    known = {suite.name: kind_of(suite.kind).metrics for suite in suites}
    # What another program measures is known once it has: a name that it does not know is a bound that cannot be judged.
    foreign = {suite.name for suite in suites if suite.kind in HARNESS}
    treeless = {suite.name for suite in suites if "tree" not in suite.fields}
    for name in names:
        suite, _, metric = name.rpartition(".")
        where = f"evaluate.gate.{name}"
        if suite not in known:
            problems.append(Problem("the gate names a suite that the run does not have", where, suite, hint=_hint(suite, list(known))))
        elif suite not in foreign and metric not in known[suite] and not (metric.startswith("pass_at_") and "pass_at_1" in known[suite]):
            what = f"the suite `{suite}` has no such metric"
            problems.append(Problem(what, where, metric, hint=_hint(metric, known[suite])))
        elif metric == "execution_match" and suite in treeless:
            what = f"the suite `{suite}` has no `tree`, so that none of its commands is run"
            problems.append(Problem(what, where, metric, hint="name a folder or a tar in the suite file: `tree: FOLDER`"))
    return problems


def _hint(name: str, known: Sequence[str]) -> str:
    best = nearest(name, known)
    return f"did you mean `{best}`?" if best else f"known: {', '.join(known) or 'none'}"
