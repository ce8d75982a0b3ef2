"""What a list tells of a run: how far it is, its losses, its first score, its gate; read from the run folder's small files alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from luthier.core.candidates import BASE, TUNED
from luthier.core.errors import LuthierError
from luthier.core.records import JsonObject, JsonValue
from luthier.core.runs import RunFolder, summary_or_none
from luthier.core.stages import STAGES
from luthier.report.glance import tone_of
from luthier.report.outcomes import headline
from luthier.report.reading import suite_folder
from luthier.report.shown import shown
from luthier.report.wording import candidate_name, day, decimal, gain_text, interval_text, metric_label, value_text

# What a file of another version, or one that was changed by hand, may make of a reader.
UNREADABLE = (LuthierError, ValueError, KeyError, TypeError, AttributeError, IndexError, OSError)
_FIRST_LINE_BYTES = 4_096
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Score:
    """The headline metric of a run's first suite: the tuned model's value, and the paired difference to base. `tone` as in the report."""

    suite: str
    metric: str
    value: str
    interval: str
    rival: str
    gain: str
    tone: str


@dataclass(frozen=True, slots=True)
class Brief:
    """One run. `done` are the stages that are complete; `gate` is `met`, `not met` or empty; `error` why it cannot be read, or empty."""

    started: str
    done: tuple[str, ...]
    base: str
    final_loss: str
    eval_loss: str
    score: Score | None
    more_suites: int
    gate: str
    error: str = ""


def brief(folder: RunFolder) -> Brief:
    """The run in `folder`; what has not run is empty."""
    try:
        return _read(folder)
    except UNREADABLE as error:
        words = str(error) if isinstance(error, LuthierError) else f"a file was changed, or is another version’s ({type(error).__name__})"
        return Brief("", (), "", "", "", None, 0, "", shown(words, 500))


def _read(folder: RunFolder) -> Brief:
    stages = folder.manifest().stages
    train = _object(summary_or_none(folder.train_summary))
    gate = _object(summary_or_none(folder.evaluate / "gate.json"))
    suites = [row for row in _object(summary_or_none(folder.evaluate / "summary.json")).get("suites", ()) if "name" in row]
    scores = ((row["name"], _object(summary_or_none(suite_folder(folder.evaluate, row["name"]) / "scores.json"))) for row in suites)
    score = next((found for name, told in scores if (found := _score(name, told)) is not None), None)
    validation = train.get("result_eval_loss", train.get("final_eval_loss"))
    return Brief(
        started=day(_first_time(folder.events_jsonl)),
        done=tuple(name for name in STAGES if name in stages),
        base=shown(str(_object(train.get("base")).get("name") or _planned_base(folder.resolved_yaml)), _LONGEST_NAME),
        final_loss=decimal(train["final_loss"], 3) if train.get("final_loss") is not None else "",
        eval_loss=decimal(validation, 3) if validation is not None else "",
        score=score,
        more_suites=max(0, len(suites) - 1),
        gate=("met" if gate.get("passed") else "not met") if gate.get("rules") else "",
    )


def _score(suite: str, scores: JsonObject) -> Score | None:
    candidates = _object(scores.get("candidates"))
    tuned = _object(candidates.get(TUNED))
    metric = headline(tuned)
    if metric is None:
        return None
    score = tuned[metric]
    gain = _object(_object(scores.get("paired")).get(f"{TUNED} - {BASE}")).get(metric)
    return Score(
        shown(suite, _LONGEST_NAME),
        metric_label(metric, score),
        value_text(metric, score["value"], score),
        interval_text(metric, score),
        candidate_name(BASE) if gain else "",
        gain_text(metric, gain) if gain else "",
        tone_of(metric, gain) if gain else "",
    )


def _planned_base(resolved: Path) -> str:
    """The base that the run is to train, as its first key names it; the rest of the file is not read for a line of a list."""
    with resolved.open(encoding="utf-8", errors="replace") as stream:
        key, _, name = stream.readline(_FIRST_LINE_BYTES).partition(":")
    return name.strip().strip("'\"") if key == "base_model" else ""


def _first_time(events: Path) -> str:
    """When the stream of events begins; empty where there is none."""
    if not events.is_file():
        return ""
    with events.open("rb") as stream:
        line = stream.readline(_FIRST_LINE_BYTES)
    try:
        return str(json.loads(line).get("time", ""))
    except (ValueError, AttributeError):
        return ""


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
