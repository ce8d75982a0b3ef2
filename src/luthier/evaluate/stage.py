"""The evaluation stage: asks every candidate every question, judges the answers, and compares the tuned model with the others by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from luthier.config.schema import RunConfig
from luthier.core.candidates import BASE_SHOTS, RUN, TUNED
from luthier.core.errors import LuthierError
from luthier.core.events import EventLog
from luthier.core.files import read_json, read_jsonl, remove, sha256_file, write_json, write_jsonl
from luthier.core.records import Generation, JsonObject
from luthier.core.runs import RunFolder
from luthier.evaluate.asking.against import Rival, rivals
from luthier.evaluate.asking.answers import FAILED, JOURNAL, Asker
from luthier.evaluate.asking.candidates import Candidate, candidates, choose_shots
from luthier.evaluate.asking.predictions import Matched, match, predictions_source, read_predictions
from luthier.evaluate.asking.sources import ASKING_FIELDS, OpenGenerator, Others, Source, run_source
from luthier.evaluate.figures.scores import suite_scores
from luthier.evaluate.harness import lm_eval_run
from luthier.evaluate.judging.bench import make_bench
from luthier.evaluate.judging.generations import KEPT_CHARACTERS, answered, scored
from luthier.evaluate.judging.grounds import measured_with
from luthier.evaluate.judging.judge import Judge
from luthier.evaluate.kinds.kind import Bench, Guard
from luthier.evaluate.kinds.registry import ASKING, HARNESS, kind_of
from luthier.evaluate.rows.suite import Drawing, Suite
from luthier.evaluate.suites.suite_files import load_suite, suite_files
from luthier.guard.settings import guard_settings
from luthier.guard.shown.placeholders import marks_as_words
from luthier.guard.verdict import judge as judge_command


def run(
    config: RunConfig,
    folder: RunFolder,
    open_generator: OpenGenerator,
    events: EventLog,
    bench: Bench | None = None,
    others: Others | None = None,
) -> None:
    """Writes `evaluate/<suite>/{generations.jsonl,scores.json}` for every suite, and `evaluate/summary.json`.

    A model is opened when the first answer is missing, one after another, and given back before the next. Answers are kept as they come,
    so that a killed run, or one with another suite added, asks again only what it does not have. What a suite, a candidate or a metric
    was left out for stands in the summary. `others` are the sources of what `evaluate.against` names beyond the run's own models.
    """
    section = config.evaluate
    shots = choose_shots(folder.split("train"), section.shots, config.seed) if BASE_SHOTS in section.against else ()
    left_out = _LeftOut(events)
    suites = _load_suites(config, folder, left_out)
    others = others or Others()
    found = rivals(section.against, config.endpoints)
    chosen = candidates(section.against, shots, found)
    if BASE_SHOTS in section.against and not shots:
        for suite in suites:
            left_out.add(suite.name, "no training row is one request with one answer", candidate=BASE_SHOTS)
    _remove_other_suites(folder, {suite.name for suite in suites})
    own = replace(run_source(folder, open_generator, asking_fields(config), section.batch_size), harness=others.harness)
    predictions = _Predictions(found, suites, folder, events)
    with ExitStack() as stack:
        asker = Asker(folder, {RUN: own, **others.sources, **predictions.sources}, stack, events)
        judge = Judge(folder.evaluate, others.judge, stack, events)
        suite_run = _SuiteRun(
            folder.evaluate, asker, bench or make_bench(stack, judge.ask, guard_of(config)), left_out, config, predictions
        )
        suite_run.ask(suites, chosen)
        rows = [suite_run.run(suite, chosen) for suite in suites]
        for row, suite in zip(rows, suites, strict=True):
            drawing = suite.drawing(section.max_new_tokens, config.seed)
            row["measured_with"] = measured_with(suite, drawing, config.guard, judge.identity, folder)
        judge.save()
    failed: JsonObject = {FAILED: count} if (count := asker.failed + judge.failed) else {}
    write_json(folder.evaluate / "summary.json", {"suites": rows, "left_out": left_out.rows, **failed, **predictions.summary()})
    remove(folder.evaluate / JOURNAL)


def run_beside(
    config: RunConfig, folder: RunFolder, rival: Rival, events: EventLog, bench: Bench | None = None, others: Others | None = None
) -> JsonObject:
    """One more to compare with, beside a complete evaluation and without a change to it: `against/<name>/<suite>/` and a summary.

    The suites are the run's, the extractor is the same, and the tuned model's generations are those of the evaluation. Returns the
    scores of every suite by its name.
    """
    home = folder.beside / rival.name
    left_out = _LeftOut(events)
    suites = _load_suites(config, folder, left_out)
    others = others or Others()
    chosen = [Candidate(rival.name, TUNED, rival.name)]
    predictions = _Predictions([rival], suites, folder, events)
    with ExitStack() as stack:
        asker = Asker(folder, {**others.sources, **predictions.sources}, stack, events, home)
        judge = Judge(home, others.judge, stack, events, [folder.evaluate])
        tuned = {suite.name: _tuned_generations(folder, suite) for suite in suites}
        suite_run = _SuiteRun(home, asker, bench or make_bench(stack, judge.ask, guard_of(config)), left_out, config, predictions, tuned)
        suite_run.ask(suites, chosen)
        rows = [suite_run.run(suite, chosen) for suite in suites]
        judge.save()
    evaluation = folder.manifest().stages.get("evaluate")
    told: JsonObject = {"name": rival.name, "kind": rival.kind, "evaluate_key": evaluation.key if evaluation else ""}
    write_json(home / "summary.json", {**told, "suites": rows, "left_out": left_out.rows, **predictions.summary()})
    remove(home / JOURNAL)
    return {suite.name: read_json(home / suite.name / "scores.json") for suite in suites}


def _tuned_generations(folder: RunFolder, suite: Suite) -> list[Generation]:
    path = folder.evaluate / suite.name / "generations.jsonl"
    return [row for row in map(Generation.from_json, read_jsonl(path)) if row.candidate == TUNED]


def guard_of(config: RunConfig) -> Guard:
    """The command guard with the rules, protected paths and hosts of the run file; `ConfigError` where these are wrong.

    Marks of masking in an answer (`<PASSWORD>`) are words to it, as they were in the rows that the model was trained on.
    """
    settings = guard_settings(config.guard.model_dump()).settings
    # Candidates often give the same answer.
    return lru_cache(4096)(lambda command: judge_command(marks_as_words(command), settings))


def asking_fields(config: RunConfig) -> JsonObject:
    """The fields that change how a run's own models are asked, beside what the adapter, the plan and the base's record tell."""
    fields: JsonObject = {name: config.fields_of("train").get(name) for name in ASKING_FIELDS}
    return fields if config.evaluate.engine == "local" else {**fields, "engine": config.evaluate.engine}


class _LeftOut:
    """What was not measured, each told once to the user."""

    def __init__(self, events: EventLog) -> None:
        self.rows: list[JsonObject] = []
        self._events = events

    def note(self, message: str) -> None:
        """Tells the user something worth knowing of what was measured."""
        self._events.note(message)

    def warn(self, message: str) -> None:
        """Tells the user of something that is wrong and to be mended."""
        self._events.warn(message)

    def waiting(self, suite: str, candidate: str, seconds: float) -> None:
        """Tells the user that another program has been at work on a suite for so long."""
        self._events.emit("evaluate.waiting", suite=suite, candidate=candidate, seconds=round(seconds, 1))

    def add(self, suite: str, reason: str, **what: str) -> None:
        """Records that `what` (a candidate, a metric; nothing for the whole suite) is left out of `suite`."""
        self.rows.append({"suite": suite, **what, "reason": reason})
        named = ", ".join(f"`{value}`" for value in what.values())
        self._events.note(f"the suite `{suite}` leaves out {named}: {reason}" if what else f"the suite `{suite}` is left out: {reason}")


def _load_suites(config: RunConfig, folder: RunFolder, left_out: _LeftOut) -> list[Suite]:
    suites = []
    for file in suite_files(config.evaluate):
        suite = load_suite(file, folder)
        if isinstance(suite, str):
            left_out.add(file.name, suite)
        else:
            suites.append(suite)
    return suites


class _Predictions:
    """The files of predictions among the rivals, as sources; what has no prediction, and what is too much, is told once."""

    def __init__(self, found: Sequence[Rival], suites: Sequence[Suite], folder: RunFolder, events: EventLog) -> None:
        self.sources: dict[str, Source] = {}
        self._matched: dict[str, Matched] = {}
        asked = [suite for suite in suites if suite.kind in ASKING]
        for rival in found:
            if rival.kind == "predictions":
                path = Path(rival.where)
                self._matched[rival.name] = matched = match(read_predictions(path), asked)
                self.sources[rival.name] = predictions_source(rival.name, folder.hashes.sha256(path), matched.answers)
                for line in matched.told(rival.name):
                    events.warn(line)
                if surplus := matched.told_surplus(rival.name):
                    events.note(surplus)

    def why_unasked(self, suite: Suite, candidate: Candidate) -> str:
        """Why the candidate is left out of the suite; empty where it is not."""
        matched = self._matched.get(candidate.source)
        return "" if matched is None or matched.found.get(suite.name, 1) else "the file has no prediction for any of its rows"

    def summary(self) -> JsonObject:
        """The counts for the summary; nothing where there are no predictions."""
        return {"predictions": {name: matched.to_json() for name, matched in self._matched.items()}} if self._matched else {}


class _SuiteRun:
    """Asks, judges and writes one suite after another. `tuned` has generations to compare with where the tuned model is not asked."""

    def __init__(
        self,
        home: Path,
        asker: Asker,
        bench: Bench,
        left_out: _LeftOut,
        config: RunConfig,
        predictions: _Predictions,
        tuned: Mapping[str, list[Generation]] | None = None,
    ) -> None:
        self._home, self._asker, self._bench, self._left_out, self._config = home, asker, bench, left_out, config
        self._predictions, self._tuned = predictions, tuned or {}

    def ask(self, suites: Sequence[Suite], chosen: Sequence[Candidate]) -> None:
        """Asks everybody everything, one model after another: two large ones need not fit beside each other.

        An endpoint that refuses its key, redirects or is down keeps nobody else from being asked: what it raised is told at once, and
        raised when the others have answered, so that after it is mended nothing is asked but what is missing.
        """
        raised: list[LuthierError] = []
        for source in dict.fromkeys(candidate.source for candidate in chosen):
            try:
                self._ask_source(source, suites, chosen)
            except LuthierError as error:
                if not self._asker.is_remote(source):
                    raise
                raised.append(error)
                self._left_out.warn(
                    f"{source} cannot be asked, and the evaluation ends once all others are: {' '.join(str(error).split())}"
                )
            finally:
                self._asker.release(source)
        if raised:
            raise raised[0]

    def _ask_source(self, source: str, suites: Sequence[Suite], chosen: Sequence[Candidate]) -> None:
        for suite in suites:
            for candidate in chosen:
                if candidate.source != source or self._why_not(suite, candidate):
                    continue
                if suite.kind in HARNESS:
                    continue  # A process of its own, once the models here are given back.
                if suite.kind in ASKING:
                    self._asker.answers(suite, candidate, self._drawing(suite))
                else:
                    scored(suite, candidate, self._asker)

    def _why_not(self, suite: Suite, candidate: Candidate) -> str:
        if suite.kind in HARNESS:
            can = self._asker.harness_arguments(candidate) is not None
            return "" if can else "lm-eval asks the run's own models alone, with examples of its own and no parser"
        if suite.kind not in ASKING:
            return self._asker.why_unscored(candidate)
        return self._predictions.why_unasked(suite, candidate)

    def run(self, suite: Suite, chosen: Sequence[Candidate]) -> JsonObject:
        """The suite's row of the summary; its generations and scores are written."""
        path = self._home / suite.name
        found: dict[str, list[Generation]] = {}
        identities: dict[str, str] = {}
        corpus: dict[str, JsonObject] = {}
        for candidate in chosen:
            if reason := self._why_not(suite, candidate):
                self._left_out.add(suite.name, reason, candidate=candidate.name)
                continue
            measured = self._measured(suite, candidate)
            suite, found[candidate.name] = measured.suite, measured.generations
            if measured.corpus:
                corpus[candidate.name] = measured.corpus
            identities[candidate.name] = self._asker.identity(candidate)
        write_jsonl(path / "generations.jsonl", (row.to_json() for rows in found.values() for row in rows))
        if suite.name in self._tuned:
            found[TUNED] = self._tuned[suite.name]
        write_json(path / "scores.json", suite_scores(suite, found, kind_of(suite.kind).metrics, corpus))
        self._tell_metrics(suite, found)
        self._tell_cut(suite, found)
        summary: JsonObject = {"name": suite.name, "kind": suite.kind, "rows": len(suite.rows), "suite_sha256": suite.sha256}
        if suite.source:
            summary["source"] = suite.source
        if suite.skipped:
            summary["skipped"] = dict(suite.skipped)
        return {**summary, "identities": identities, "generations_sha256": sha256_file(path / "generations.jsonl")}

    def _measured(self, suite: Suite, candidate: Candidate) -> lm_eval_run.Measured:
        """The candidate's judged generations, and the suite with its rows where they come with them."""
        if suite.kind in HARNESS and (arguments := self._asker.harness_arguments(candidate)) is not None:
            folder = self._home / suite.name / "lm_eval"
            waiting = partial(self._left_out.waiting, suite.name, candidate.name)
            return lm_eval_run.measured(suite, candidate, arguments, folder, self._asker.identity(candidate), waiting)
        if suite.kind in ASKING:
            answers = self._asker.answers(suite, candidate, self._drawing(suite))
            return lm_eval_run.Measured(suite, answered(suite, candidate, answers, self._bench))
        return lm_eval_run.Measured(suite, scored(suite, candidate, self._asker))

    def _drawing(self, suite: Suite) -> Drawing:
        return suite.drawing(self._config.evaluate.max_new_tokens, self._config.seed)

    def _tell_cut(self, suite: Suite, found: Mapping[str, Sequence[Generation]]) -> None:
        """How many answers did not end by themselves, and how many texts lost context, where any did."""
        for name, rows in found.items():
            if lost := sum("cut_tokens" in row.details for row in rows):
                told = f"{lost} of {len(rows)} texts of `{suite.name}` lost the beginning of their context: the model has no more positions"
                self._left_out.note(f"{name}: {told}")
            if cut := sum(row.finish_reason == "length" for row in rows):
                self._left_out.note(f"{name}: {cut} of {len(rows)} answers of `{suite.name}` were cut at the longest answer")
            if kept := [row.details[KEPT_CHARACTERS] for row in rows if KEPT_CHARACTERS in row.details]:
                told = f"{name}: {len(kept)} of {len(rows)} answers of `{suite.name}` had more than {kept[0]:,} characters"
                self._left_out.warn(f"{told}, and are judged by the first")

    def _tell_metrics(self, suite: Suite, found: Mapping[str, Sequence[Generation]]) -> None:
        """A metric that no row of any candidate has is told once, with its reasons."""
        rows = [row for generations in found.values() for row in generations]
        for metric in dict.fromkeys(metric for row in rows for metric in row.left_out):
            if not any(metric in row.metrics for row in rows):
                reasons = dict.fromkeys(row.left_out[metric] for row in rows if metric in row.left_out)
                self._left_out.add(suite.name, "; ".join(reasons), metric=metric)


def _remove_other_suites(folder: RunFolder, names: set[str]) -> None:
    """Results of suites that the run no longer asks would pass for its own."""
    for path in folder.evaluate.iterdir() if folder.evaluate.is_dir() else ():
        if path.is_dir() and path.name not in names:
            remove(path)
