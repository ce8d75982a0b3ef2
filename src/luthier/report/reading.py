"""Everything the report shows, read from the run folder; what a stage has not written is empty, never an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from luthier.core.errors import IntegrityError
from luthier.core.events import read_events
from luthier.core.files import read_jsonl
from luthier.core.manifest import StageRecord
from luthier.core.records import JsonObject, JsonValue
from luthier.core.runs import RunFolder, summary_or_none
from luthier.core.train_files import SAMPLES
from luthier.core.weight_files import ADAPTER_WEIGHTS

# The stages that a report is about; the report itself is not among them, so that writing it again changes nothing.
REPORTED_STAGES = ("data", "train", "evaluate", "export")


@dataclass(frozen=True, slots=True)
class Curves:
    """Points of the training, in order of steps; a step that was repeated after a resumption counts once, as it was last."""

    steps: tuple[JsonObject, ...]
    evaluations: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True)
class SuiteFacts:
    """One suite: its row of `evaluate/summary.json`, its scores, and its generations by row id and candidate.

    A generation has further answers to the same row, where several were drawn, under `samples`. `power` by pair and metric, `left_out` by
    candidate, metric and reason, `failed` and `cut` by candidate, `classes` by class and candidate, `groups`, `skipped` and `corpus` are
    as in `scores.json` and the summary.
    """

    name: str
    rows: int
    kind: str
    sha256: str
    candidates: Mapping[str, Mapping[str, JsonObject]]
    paired: Mapping[str, Mapping[str, JsonObject]]
    generations: Mapping[str, Mapping[str, JsonObject]]
    power: Mapping[str, Mapping[str, JsonObject]] = field(default_factory=dict)
    left_out: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    cut: Mapping[str, int] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, JsonObject]] = field(default_factory=dict)
    groups: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    corpus: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    def told(self) -> dict[str, JsonObject]:
        """A score of each metric, for what it says of a metric that is not listed: whether it is a rate, and which way is better."""
        return {metric: score for scores in self.candidates.values() for metric, score in scores.items()}


@dataclass(frozen=True, slots=True)
class BesideFacts:
    """What was compared with the run later, from `against/<name>/`: its kind, its suites with its own and the tuned model's scores.

    `is_outdated` where the run was evaluated anew since.
    """

    name: str
    kind: str
    is_outdated: bool
    suites: tuple[SuiteFacts, ...]
    left_out: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run folder's content. Absent files are empty objects, lists and texts."""

    name: str
    started: str
    stages: Mapping[str, StageRecord]
    plan: JsonObject
    versions: str
    resolved: str
    curves: Curves
    warnings: tuple[str, ...]
    data: JsonObject
    licenses: Mapping[str, str]
    train: JsonObject
    suites: tuple[SuiteFacts, ...]
    left_out: tuple[JsonObject, ...]
    is_evaluated: bool
    gate: JsonObject
    review: JsonObject
    beside: tuple[BesideFacts, ...]
    export: JsonObject
    weights_bytes: int
    samples: tuple[JsonObject, ...] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """What the event stream tells: when it begins, the warnings of the stages as they last ran, the points of the training."""

    started: str
    warnings: tuple[str, ...]
    curves: Curves


def stream_of(events: Sequence[JsonObject]) -> Stream:
    """What `events` tell."""
    return Stream(str(events[0].get("time", "")) if events else "", tuple(_messages(events)), _curves(events))


def read_run(folder: RunFolder, stream: Stream | None = None) -> RunFacts:
    """The facts in `folder`; `stream` is what its events tell, where somebody has read them already.

    A file that is there but is no JSON is an error: it was changed or cut.
    """
    stream = stream or stream_of(read_events(folder.events_jsonl))
    manifest = folder.manifest()
    train = _object(summary_or_none(folder.train_summary))
    evaluation = summary_or_none(folder.evaluate / "summary.json")
    adapter = folder.adapter / ADAPTER_WEIGHTS
    weights = [adapter] if adapter.is_file() else list(folder.model.glob("*.safetensors"))
    return RunFacts(
        name=manifest.run,
        started=stream.started,
        stages={name: record for name, record in manifest.stages.items() if name in REPORTED_STAGES},
        plan=_object(summary_or_none(folder.plan_json)),
        versions=_text(folder, "versions.lock"),
        resolved=_text(folder, "resolved.yaml"),
        curves=_curves(read_jsonl(folder.curve)) if folder.curve.is_file() else stream.curves,
        warnings=_unique([*stream.warnings, *(str(text) for text in _list(train.get("warnings")))]),
        data=_object(summary_or_none(folder.data_report)),
        licenses=_licenses(summary_or_none(folder.provenance)),
        train=train,
        suites=tuple(_suites(folder.evaluate, _object(evaluation))),
        left_out=_rows(_object(evaluation).get("left_out")),
        is_evaluated=evaluation is not None,
        gate=_object(summary_or_none(folder.evaluate / "gate.json")),
        review=_object(summary_or_none(folder.review_summary)),
        beside=tuple(_beside(folder, manifest.stages.get("evaluate"))),
        export=_object(summary_or_none(folder.export_summary)),
        weights_bytes=sum(file.stat().st_size for file in weights),
        samples=tuple(read_jsonl(folder.train / SAMPLES)) if (folder.train / SAMPLES).is_file() else (),
    )


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _text(folder: RunFolder, name: str) -> str:
    path = folder.path / name
    return path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else ""


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def _messages(events: Iterable[JsonObject]) -> list[str]:
    """The warnings of the stages as they last ran: a stage that begins anew, or is taken from another run, takes back its own."""
    told: dict[str, list[str]] = {}
    now = ""
    for event in events:
        if event["event"] == "stage.start" or (event["event"] == "stage.skip" and event.get("reason") == "taken"):
            now = str(event["stage"])
            told.pop(now, None)
        elif event["event"] == "warning":
            told.setdefault(now, []).append(str(event.get("message", "")))
    return [text for texts in told.values() for text in texts]


def _curves(events: Iterable[JsonObject]) -> Curves:
    steps: dict[int, JsonObject] = {}
    evaluations: dict[int, JsonObject] = {}
    for event in events:
        kept = {"train.step": steps, "train.eval": evaluations}.get(event["event"])
        if kept is not None and isinstance(event.get("step"), int) and isinstance(event.get("loss"), int | float):
            kept[event["step"]] = event
    return Curves(tuple(steps[step] for step in sorted(steps)), tuple(evaluations[step] for step in sorted(evaluations)))


def _licenses(provenance: JsonValue) -> dict[str, str]:
    rows = _list(_object(provenance).get("sources"))
    return {str(row.get("path", "")): str(row["license"]) for row in rows if isinstance(row, dict) and row.get("license")}


def _rows(value: JsonValue) -> tuple[JsonObject, ...]:
    return tuple(row for row in _list(value) if isinstance(row, dict))


def _beside(folder: RunFolder, evaluation: StageRecord | None) -> Iterable[BesideFacts]:
    """What `luthier evaluate --checkpoint` and `--predictions` left, by name."""
    for path in sorted(folder.beside.glob("*/summary.json")):
        summary = _object(summary_or_none(path))
        yield BesideFacts(
            name=str(summary.get("name") or path.parent.name),
            kind=str(summary.get("kind", "")),
            is_outdated=evaluation is None or summary.get("evaluate_key") != evaluation.key,
            suites=tuple(_suites(path.parent, summary)),
            left_out=_rows(summary.get("left_out")),
        )


def _suites(home: Path, summary: JsonObject) -> Iterable[SuiteFacts]:
    """The suites of the summary in their order; without a summary, those whose scores are there (a run that was cut short)."""
    rows = [row for row in _rows(summary.get("suites")) if "name" in row]
    if not rows and home.is_dir():
        rows = [{"name": path.parent.name} for path in sorted(home.glob("*/scores.json"))]
    for row in rows:
        path = suite_folder(home, row["name"])
        scores = _object(summary_or_none(path / "scores.json"))
        generations = _generations(path / "generations.jsonl")
        yield SuiteFacts(
            name=str(row["name"]),
            rows=int(row.get("rows") or len(generations)),
            kind=str(row.get("kind", "")),
            sha256=str(row.get("suite_sha256") or scores.get("suite_sha256", "")),
            candidates=_object(scores.get("candidates")),
            paired=_object(scores.get("paired")),
            generations=generations,
            groups=int(scores.get("groups") or 0),
            skipped=_object(row.get("skipped")),
            **{name: _object(scores.get(name)) for name in ("power", "left_out", "failed", "cut", "classes", "corpus")},
        )


def suite_folder(home: Path, name: JsonValue) -> Path:
    """Where a suite's files lie below `home`; `IntegrityError` for a name that would lead out of it."""
    if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\0" in name:
        raise IntegrityError(f"{home}: a suite cannot be called {name!r}; the summary was changed")
    return home / name


def _generations(path: Path) -> dict[str, dict[str, JsonObject]]:
    """The first answer of every candidate to every row, with further ones under `samples`."""
    found: dict[str, dict[str, JsonObject]] = {}
    for row in read_jsonl(path) if path.is_file() else ():
        of_row = found.setdefault(str(row.get("id", "")), {})
        first = of_row.setdefault(str(row.get("candidate", "")), row)
        if first is not row:
            first.setdefault("samples", []).append(row)
    return found
