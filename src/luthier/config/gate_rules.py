"""Rules of the gate in a run file: what can be said of its bounds without looking at a suite."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from luthier.config.schema import EvaluateSection
from luthier.config.yaml_file import Document, KeyPath
from luthier.core.errors import Problem
from luthier.core.metrics import metric_facts
from luthier.core.nearness import nearest

GATE_BOUNDS = ("min", "max", "min_gain", "max_loss")
Values = dict[str, Any]


def flatten_gate(document: Document) -> None:
    """Writes `gate: {suite: {metric: {...}}}`, which `--set evaluate.gate.suite.metric.min=` makes, as `suite.metric`, in place."""
    section = document.value.get("evaluate")
    gate = section.get("gate") if isinstance(section, dict) else None
    if not isinstance(section, dict) or not isinstance(gate, dict):
        return
    flat: Values = {}
    for name, rule in gate.items():
        nested = isinstance(rule, dict) and rule and all(isinstance(inner, dict) for inner in rule.values())
        for metric, inner in rule.items() if nested else [("", rule)]:
            here: KeyPath = ("evaluate", "gate", name, metric) if nested else ("evaluate", "gate", name)
            whole = f"{name}.{metric}" if nested else name
            for path in [path for path in document.places if nested and path[: len(here)] == here]:
                document.places[("evaluate", "gate", whole, *path[len(here) :])] = document.places[path]
            both = isinstance(inner, dict) and isinstance(flat.get(whole), dict)
            flat[whole] = {**flat[whole], **inner} if both else inner
    section["gate"] = flat


def check_gate(document: Document) -> Iterator[Problem]:
    """Rules without a bound, bounds that no value can meet, comparisons with nobody."""
    section = document.value.get("evaluate")
    gate = section.get("gate") if isinstance(section, dict) else None
    for name, rule in gate.items() if isinstance(gate, dict) else ():
        path: KeyPath = ("evaluate", "gate", name)
        if not re.fullmatch(r".+\.[a-z][a-z0-9_]*", name):
            yield document.problem(path, f"`{name}` names no metric of a suite", hint="write `SUITE.METRIC`, as in `commands.exact_match`")
        if not isinstance(rule, dict):
            continue
        bounds = {bound: rule[bound] for bound in GATE_BOUNDS if isinstance(rule.get(bound), int | float)}
        if not bounds and not any(rule.get(bound) for bound in GATE_BOUNDS):
            yield document.problem(path, f"the gate of `{name}` has no bound", hint=f"write one of {', '.join(GATE_BOUNDS)}")
        if metric_facts(name.rpartition(".")[2]).is_rate:
            for bound in [bound for bound, value in bounds.items() if not 0 <= value <= 1]:
                yield document.problem((*path, bound), f"`{bound}` of a rate lies between 0 and 1", found=rule[bound])
        if "min" in bounds and "max" in bounds and bounds["min"] > bounds["max"]:
            yield document.problem((*path, "min"), "`min` is larger than `max`: nothing could pass", found=f"{rule['min']}, {rule['max']}")
        yield from _gate_rivals(document, path, rule, section or {})


def _gate_rivals(document: Document, path: KeyPath, rule: Values, section: Values) -> Iterator[Problem]:
    """What `min_gain`, `max_loss` and `over` compare with."""
    against = section["against"] if isinstance(section.get("against"), list) else list(EvaluateSection().against)
    compares = [bound for bound in ("min_gain", "max_loss") if rule.get(bound) is not None]
    if rule.get("over") is not None and not compares:
        yield document.problem((*path, "over"), "`over` acts only beside `min_gain` or `max_loss`", found=rule["over"])
    if compares and not against:
        yield document.problem((*path, compares[0]), f"`{compares[0]}` wants something to compare with", hint="name it in `against`")
    names = [str(entry.get("name") or "/") if isinstance(entry, dict) else str(entry) for entry in against]
    # The name of a run or of a file of predictions that is given none is its folder's or its file's.
    if compares and isinstance(rule.get("over"), str) and rule["over"] not in names and not any("/" in name for name in names):
        best = nearest(rule["over"], names)
        hint = f"did you mean `{best}`?" if best else f"known: {', '.join(names)}"
        yield document.problem((*path, "over"), "`over` names nothing of `evaluate.against`", found=rule["over"], hint=hint)
