"""Predictions made elsewhere: answers in a file, matched to the rows of the suites by id or by request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from luthier.core.errors import DataError, Problem
from luthier.core.nearness import nearest
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest, Scored
from luthier.core.records import JsonObject, Message
from luthier.core.text import is_unicode
from luthier.core.visible import not_utf8
from luthier.evaluate.asking.candidates import request_id
from luthier.evaluate.asking.sources import Source
from luthier.evaluate.rows.suite import Suite, SuiteRow

EXPECTED = '{"id": ID, "text": TEXT}, {"id": ID, "samples": [TEXT, ...]} or {"request": TEXT, "text": TEXT}; each may have "suite": NAME'
_KEYS = ("id", "request", "text", "samples", "suite")
_MOST_PROBLEMS = 10
_SHOWN_IDS = 10


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answers to one row, which is named by `id`, or else by `request`; `suite` is empty where any may be meant.

    Beside an `id` the `request` says what was asked, and must be what the row asks.
    """

    id: str
    request: str
    suite: str
    texts: tuple[str, ...]
    where: str


def read_predictions(path: Path) -> list[Prediction]:
    """The predictions in a JSON Lines file; every bad line is in one `DataError` with its number."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(Problem(f"the file cannot be read: {error.strerror or error}", where=str(path))) from error
    except UnicodeDecodeError as error:
        raise DataError(not_utf8(error, path)) from error
    found: list[Prediction] = []
    problems: list[Problem] = []
    first: dict[tuple[str, str, str], str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        row = _prediction(line, f"{path}:{number}")
        if isinstance(row, Prediction) and (before := first.setdefault(_key(row), row.where)) != row.where:
            row = Problem("the row has two predictions", row.where, (row.id or row.request)[:80], hint=f"the first stands in {before}")
        if isinstance(row, Problem):
            problems.append(row)
        else:
            found.append(row)
    if problems:
        more = [Problem(f"{len(problems) - _MOST_PROBLEMS} more bad lines", where=str(path))] if len(problems) > _MOST_PROBLEMS else []
        raise DataError(problems[:_MOST_PROBLEMS] + more)
    if not found:
        raise DataError(Problem("the file has no predictions", where=str(path), expected=EXPECTED))
    return found


def _key(prediction: Prediction) -> tuple[str, str, str]:
    return prediction.suite, prediction.id, "" if prediction.id else prediction.request


def _prediction(line: str, where: str) -> Prediction | Problem:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Problem(f"this is no line of JSON: {error}", where, line[:80])
    if not isinstance(value, dict) or ("text" in value) == ("samples" in value):
        return Problem("this is no prediction", where, line[:80], EXPECTED)
    texts = value["samples"] if "samples" in value else [value["text"]]
    row_id, request, suite = value.get("id", ""), value.get("request", ""), value.get("suite", "")
    row_id = str(row_id) if type(row_id) is int else row_id
    named = isinstance(row_id, str) and isinstance(request, str) and isinstance(suite, str) and bool(row_id or request.strip())
    if not named or not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        return Problem("this is no prediction", where, _shape(value), EXPECTED)
    if not is_unicode([row_id, request, suite, *texts]):
        return Problem("the row holds half a character (a lone surrogate)", where, _shape(value))
    return Prediction(row_id, request.strip(), suite, tuple(texts), where)


def _shape(value: JsonObject) -> str:
    return "{" + ", ".join(f"{name}: {type(value[name]).__name__}" for name in _KEYS if name in value) + "}"


@dataclass(frozen=True, slots=True)
class Matched:
    """Predictions beside the rows they are for. `answers` by request id and request; counts by suite; `surplus` match no row at all.

    `samples` has, for suites of whose rows some have more answers than are asked, the answers that these rows give and those that are read.
    `elsewhere` lists, by the name of a suite that is not asked here, where the predictions stand that name it; they are surplus too.
    """

    answers: Mapping[tuple[str, str], str]
    found: Mapping[str, int]
    missing: Mapping[str, int]
    missing_ids: Mapping[str, tuple[str, ...]]
    surplus: tuple[str, ...]
    samples: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The counts, and the first ids of what is missing and what is too much."""
        return {
            "found": dict(self.found),
            "missing": dict(self.missing),
            "missing_ids": {name: list(ids[:_SHOWN_IDS]) for name, ids in self.missing_ids.items() if ids},
            "surplus": len(self.surplus),
            "surplus_ids": list(self.surplus[:_SHOWN_IDS]),
            **({"samples": {name: {"given": given, "read": read} for name, (given, read) in self.samples.items()}} if self.samples else {}),
            **({"other_suites": {name: len(places) for name, places in self.elsewhere.items()}} if self.elsewhere else {}),
        }

    def told(self, name: str) -> list[str]:
        """What a person should mind: a line for each suite with a gap, that asks for fewer samples than are there, or that is not asked."""
        lines = []
        for suite, places in self.elsewhere.items():
            best = nearest(suite, list(self.found))
            meant = f"did you mean `{best}`?" if best else f"asked are {', '.join(self.found)}"
            named = f"{len(places)} predictions of `{name}` name" if len(places) > 1 else f"1 prediction of `{name}` names"
            lines.append(f"{named} the suite `{suite[:80]}`, which is not asked here, so that nothing reads them ({places[0]}): {meant}")
        for suite, (given, read) in self.samples.items():
            fewer = f"`{name}` has {given} answers to rows of `{suite}` that are asked for {read}: the further ones are not read"
            lines.append(f"{fewer} (the suite's `samples` says how many are)")
        for suite, count in self.missing.items():
            if count and self.found[suite]:
                gap = f"`{name}` has no prediction for {count} of {count + self.found[suite]} rows of `{suite}`"
                lines.append(f"{gap}, which count as wrong: {_ids(self.missing_ids[suite])}")
        return lines

    def told_surplus(self, name: str) -> str:
        """What is too much, in a line; empty where nothing is."""
        many = f"{len(self.surplus)} predictions of `{name}` match"
        told = f"1 prediction of `{name}` matches" if len(self.surplus) == 1 else many
        return f"{told} no row of any suite: {_ids(self.surplus)}" if self.surplus else ""


def _ids(ids: Sequence[str]) -> str:
    return ", ".join(item[:60] for item in ids[:_SHOWN_IDS]) + (", ..." if len(ids) > _SHOWN_IDS else "")


def match(predictions: Sequence[Prediction], suites: Sequence[Suite]) -> Matched:
    """Each suite's rows with their predictions: by suite and id, by id, or by request.

    `DataError` where an id without a suite stands in two suites with different questions, for then it cannot be told which is meant, and
    where a prediction has the id of one row and another request than that row has.
    """
    by_id = {(prediction.suite, prediction.id): prediction for prediction in predictions if prediction.id}
    by_request = {(prediction.suite, prediction.request): prediction for prediction in predictions if not prediction.id}
    answers: dict[tuple[str, str], str] = {}
    found: dict[str, int] = {}
    missing: dict[str, tuple[str, ...]] = {}
    used: dict[str, tuple[str, SuiteRow]] = {}
    samples: dict[str, tuple[int, int]] = {}
    problems: list[Problem] = []
    contradicted: dict[str, Problem] = {}
    for suite in suites:
        gaps = []
        asked = suite.drawing(1, 0).samples
        for row in suite.rows:
            prediction = _of(row, suite.name, by_id) or _of_request(row, suite.name, by_request)
            if prediction is not None and prediction.id and prediction.request not in ("", row.request.strip()):
                contradicted.setdefault(prediction.where, _other_request(prediction, suite.name, row))
                prediction = None
            if prediction is None:
                gaps.append(row.id)
                continue
            name, before = used.setdefault(prediction.where, (suite.name, row))
            if prediction.id and not prediction.suite and name != suite.name and before.request != row.request:
                what = f"the id stands in two suites, `{name}` and `{suite.name}`"
                problems.append(Problem(what, prediction.where, row.id[:80], hint=f'say which is meant: "suite": "{name}"'))
            if len(prediction.texts) > asked:
                given, read = samples.get(suite.name, (0, 0))
                samples[suite.name] = given + len(prediction.texts), read + asked
            for sample, text in enumerate(prediction.texts[:asked]):
                answers[request_id(row.id, sample), row.request] = text
        found[suite.name] = len(suite.rows) - len(gaps)
        missing[suite.name] = tuple(gaps)
    # One without a suite may be meant for a row of the same id elsewhere.
    problems += [problem for where, problem in contradicted.items() if where not in used]
    if problems:
        more = [Problem(f"{len(problems) - _MOST_PROBLEMS} more mistakes")] if len(problems) > _MOST_PROBLEMS else []
        raise DataError(problems[:_MOST_PROBLEMS] + more)
    elsewhere: dict[str, list[str]] = {}
    for prediction in predictions:
        if prediction.suite and prediction.suite not in found:
            elsewhere.setdefault(prediction.suite, []).append(prediction.where)
    surplus = tuple(prediction.id or prediction.request for prediction in predictions if prediction.where not in used)
    counts = {name: len(gaps) for name, gaps in missing.items()}
    return Matched(answers, found, counts, missing, surplus, samples, {name: tuple(places) for name, places in elsewhere.items()})


def _other_request(prediction: Prediction, suite: str, row: SuiteRow) -> Problem:
    hint = "one of them names another row: take the id of the row that was asked, or leave out `request`"
    what = f"the row `{row.id[:80]}` of `{suite}` asks something else"
    return Problem(what, prediction.where, _shortened(prediction.request), _shortened(row.request.strip()), hint)


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}...")


def _of(row: SuiteRow, suite: str, by_id: Mapping[tuple[str, str], Prediction]) -> Prediction | None:
    return by_id.get((suite, row.id)) or by_id.get(("", row.id))


def _of_request(row: SuiteRow, suite: str, by_request: Mapping[tuple[str, str], Prediction]) -> Prediction | None:
    asked = row.request.strip()
    return by_request.get((suite, asked)) or by_request.get(("", asked))


class Recited:
    """The `Generator` that says what was predicted; a row without a prediction is an error of its own."""

    def __init__(self, name: str, answers: Mapping[tuple[str, str], str]) -> None:
        self._name, self._answers = name, answers

    def names(self) -> tuple[str, ...]:
        """The file's name in the tables."""
        return (self._name,)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GenerationEvent]:
        """The predictions as answers; how many tokens they had is not known."""
        for request in requests:
            text = self._answers.get((request.id, request.messages[-1].content))
            if text is None:
                yield ErrorEvent(request.id, "there is no prediction for this row")
            else:
                yield DoneEvent(request.id, text, "stop", 0, 0)

    def score(self, rows: Iterable[tuple[tuple[Message, ...], str]], model: str) -> list[Scored]:
        """Never: a file of answers has no log-probabilities."""
        raise DataError(Problem("predictions have no log-probabilities", where=self._name))


def predictions_source(name: str, file_sha256: str, answers: Mapping[tuple[str, str], str]) -> Source:
    """The predictions as a source, known by the file's bytes."""

    @contextmanager
    def recite() -> Iterator[Recited]:
        yield Recited(name, answers)

    return Source(recite, lambda _: {"predictions": file_sha256}, by_id=True, can_score=False)
