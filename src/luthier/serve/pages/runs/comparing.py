"""Runs beside each other: settings that differ, curves in one plot, scores with paired differences where both answered the same items."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from luthier.config import yaml_file
from luthier.config.names import changes_no_result
from luthier.core.candidates import TUNED
from luthier.core.errors import LuthierError
from luthier.core.records import JsonObject, JsonValue
from luthier.evaluate.figures.compare import compare_runs
from luthier.report.charts import Line, LineChart, line_chart
from luthier.report.glance import tone_of
from luthier.report.reading import RunFacts, SuiteFacts
from luthier.report.sections import smoothed_losses
from luthier.report.shown import shown, shown_all
from luthier.report.tables import Cell, Row, Table, ordered_metrics
from luthier.report.wording import DASH, count, decimal, gain_text, interval_text, metric_label, p_text, rows_text, value_text
from luthier.serve.pages.frame.page import link, page
from luthier.serve.pages.runs.kept import Kept
from luthier.serve.pages.runs.library import Listed, RunLibrary, stamp_of
from luthier.serve.pages.runs.reading import RunReader, readable

# Each has a line of its own in the plots, told apart by colour and dashes.
MOST_RUNS = 6
_MOST_DIFFERENCES_KEPT = 16
_LONGEST_VALUE = 300
_MOST_PACKAGES = 200
_NUMBERED = re.compile(r"\[\d+\]")
Compared = Mapping[str, JsonObject]


@dataclass(frozen=True, slots=True)
class Setting:
    """A key that is not alike in all runs, with its value in each; a dash where it is not set."""

    key: str
    values: tuple[str, ...]
    changes_results: bool = True


@dataclass(frozen=True, slots=True)
class ComparePages:
    """The comparison of runs in `library`, read by `reader`."""

    library: RunLibrary
    reader: RunReader
    differences: Kept = field(default_factory=lambda: Kept(_MOST_DIFFERENCES_KEPT))

    def routes(self) -> list[Route]:
        """Their route."""
        return [Route("/compare", self.show)]

    def show(self, request: Request) -> Response:
        """The runs of the fields `run`, the first of which the others are held against; with fewer than two, what there is to choose."""
        keys = list(dict.fromkeys(request.query_params.getlist("run")))
        everything = self.library.all()
        if len(keys) < 2 or len(keys) > MOST_RUNS:
            return page(request, "compare_choice.html", runs=everything, chosen=keys, most=MOST_RUNS)
        listed = [self.library.get(key) for key in keys]
        found = [self.reader.read(one)[0].facts for one in listed]
        with readable(listed[0]):
            compared = [self._compared(listed[0], other) for other in listed[1:]]
            return page(
                request,
                "compare.html",
                runs=[(one, f"run-{number}", _swapped(keys, one.key)) for number, one in enumerate(listed, 1)],
                settings=differing([facts.resolved for facts in found]),
                versions=differing_versions([facts.versions for facts in found]),
                charts=[chart for chart in (_losses(keys, found), _validation(keys, found)) if chart is not None],
                numbers=_numbers(found),
                suites=[_suite(name, keys, found, [one.get(name, {}) for one, _ in compared]) for name in _suite_names(found)],
                apart=[words for _, words in compared if words],
            )

    def _compared(self, first: Listed, other: Listed) -> tuple[Compared, str]:
        """What `luthier runs compare` tells of two runs, by suite; where they cannot be compared, why."""
        files = [one.folder.evaluate / "summary.json" for one in (first, other)]
        return self.differences.get((first.folder.path, other.folder.path), stamp_of(*files), lambda: _difference(first, other))


def _difference(first: Listed, other: Listed) -> tuple[Compared, str]:
    try:
        found = compare_runs(first.folder, other.folder)
    except LuthierError as error:
        return {}, f"{other.key}: {shown(str(error).splitlines()[0], _LONGEST_VALUE)}"
    return {suite["suite"]: suite for suite in found["suites"]}, ""


def _swapped(keys: Sequence[str], first: str) -> str:
    """The way to the same runs, held against `first`."""
    ordered = [first, *(key for key in keys if key != first)]
    return link("/ui/compare") + "?" + "&".join(link("", run=key).removeprefix("?") for key in ordered)


def differing(resolved: Sequence[str]) -> list[Setting]:
    """The settings that differ, by their dotted keys; a run file that cannot be read has none."""
    flat = [dict(_flat("", _settings(text))) for text in resolved]
    keys = list(dict.fromkeys(key for one in flat for key in one))
    differ = [key for key in keys if len({one.get(key) for one in flat}) > 1]
    return [
        Setting(
            shown(key, 120),
            tuple(shown_all([one.get(key, DASH) for one in flat], _LONGEST_VALUE)),
            not changes_no_result(_NUMBERED.sub(".*", key)),
        )
        for key in differ
    ]


def _settings(text: str) -> JsonValue:
    try:
        return yaml_file.parse(text, "resolved.yaml").value
    except LuthierError:
        return {}


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), inner)
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for number, inner in enumerate(value):
            yield from _flat(f"{prefix}[{number}]", inner)
    elif prefix:
        yield prefix, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def differing_versions(locks: Sequence[str]) -> list[Setting]:
    """The packages whose versions differ, and Python."""
    flat = [{name: version or name for name, _, version in (line.partition("==") for line in text.splitlines())} for text in locks]
    names = sorted({name for one in flat for name in one if not name.startswith("#")}, key=str.lower)
    differ = [name for name in names if len({one.get(name) for one in flat}) > 1]
    return [Setting(shown(name, 80), tuple(shown(one.get(name, DASH), 80) for one in flat)) for name in differ[:_MOST_PACKAGES]]


def _losses(keys: Sequence[str], found: Sequence[RunFacts]) -> LineChart | None:
    lines = [
        Line(key, f"run-{number}", smoothed_losses(facts.curves)[1]) for number, (key, facts) in enumerate(zip(keys, found, strict=True), 1)
    ]
    return line_chart("Training loss, smoothed", lines, lambda value: decimal(value, 4))


def _validation(keys: Sequence[str], found: Sequence[RunFacts]) -> LineChart | None:
    points = [[(float(row["step"]), float(row["loss"])) for row in facts.curves.evaluations] for facts in found]
    lines = [Line(key, f"run-{number}", one, is_marked=True) for number, (key, one) in enumerate(zip(keys, points, strict=True), 1)]
    return line_chart("Validation loss", lines, lambda value: decimal(value, 4))


def _numbers(found: Sequence[RunFacts]) -> list[Setting]:
    """What the trainings came to, a line each."""
    told = [
        ("Validation loss", [decimal(facts.train.get("result_eval_loss", facts.train.get("final_eval_loss"))) for facts in found]),
        ("Training loss", [decimal(facts.train.get("final_loss")) for facts in found]),
        ("Steps", [count(facts.train.get("steps")) for facts in found]),
        ("Tokens per second", [_rounded(facts.train.get("tokens_per_second")) for facts in found]),
    ]
    return [Setting(name, tuple(values)) for name, values in told if set(values) != {DASH}]


def _rounded(number: JsonValue) -> str:
    return count(round(number)) if isinstance(number, int | float) else DASH


def _suite_names(found: Sequence[RunFacts]) -> list[str]:
    return list(dict.fromkeys(suite.name for facts in found for suite in facts.suites))


def _suite(name: str, keys: Sequence[str], found: Sequence[RunFacts], compared: Sequence[JsonObject]) -> Table:
    """One suite: the tuned models' scores, and the paired differences to the first run's."""
    suites = [next((suite for suite in facts.suites if suite.name == name), None) for facts in found]
    metrics = list(dict.fromkeys(metric for suite in suites if suite is not None for metric in ordered_metrics(suite)))
    rows = []
    for metric in metrics:
        scores = [_score(suite, metric) for suite in suites]
        if not any(scores):
            continue
        cells = [_score_cell(metric, scores[0], None)]
        cells += [_score_cell(metric, score, _gain(one, metric)) for score, one in zip(scores[1:], compared, strict=True)]
        gains = [gain for one in compared if (gain := _gain(one, metric)) is not None]
        tones = {tone_of(metric, gain) for gain in gains} - {""}
        rows.append(
            Row(metric_label(metric, next(score for score in scores if score)), tuple(cells), tones.pop() if len(tones) == 1 else "")
        )
    return Table(name, " ".join(_remarks(keys, compared)), "Metric", tuple(keys), tuple(rows))


def _score(suite: SuiteFacts | None, metric: str) -> JsonObject | None:
    return suite.candidates.get(TUNED, {}).get(metric) if suite is not None else None


def _gain(compared: JsonObject, metric: str) -> JsonObject | None:
    found = compared.get("metrics", {}).get(metric)
    return found["difference"] if found else None


def _score_cell(metric: str, score: JsonObject | None, gain: JsonObject | None) -> Cell:
    if score is None:
        return Cell(DASH)
    told = [interval_text(metric, score)]
    if gain is not None:
        p = p_text(gain.get("p"))
        told.append(f"paired {gain_text(metric, gain)}{f', {p}' if p else ''}, n {gain.get('count', DASH)}")
    return Cell(value_text(metric, score["value"], score), "; ".join(part for part in told if part))


def _remarks(keys: Sequence[str], compared: Sequence[JsonObject]) -> Iterator[str]:
    """What was compared with the first run, and what a difference may come from beside the models."""
    for key, one in zip(keys[1:], compared, strict=True):
        if not one:
            continue
        text = f"{key}: {rows_text(one['rows'])} in both"
        if one["only_first"] or one["only_second"]:
            text += f" ({one['only_first']} in the first alone, {one['only_second']} in it alone)"
        yield "; ".join([text, *(str(one[name]) for name in ("note", "settings") if name in one)]) + "."
