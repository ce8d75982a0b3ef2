"""Orders the stages, skips what is done, and hands each its parts."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING

from luthier.config.load import LoadedRun
from luthier.core.errors import ConfigError, IntegrityError, Problem, UserError
from luthier.core.events import EventLog, Listener, monotonic_seconds
from luthier.core.files import write_text
from luthier.core.manifest import StageRecord
from luthier.core.ranks import own_rank
from luthier.core.runs import RunFolder
from luthier.evaluate.figures.gate import judge_gate
from luthier.pipeline.check import check
from luthier.pipeline.group import gathered, take_part
from luthier.pipeline.plan import saved_plan
from luthier.pipeline.process import settle
from luthier.pipeline.ready import missing_trackers, refuse_unready
from luthier.pipeline.stages import STAGE_SPECS, Context, StageSpec
from luthier.trackers.listener import Trackers

if TYPE_CHECKING:
    from luthier.train.strategies.processes import Processes


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What became of a stage: `done`, `kept` from before, or `taken` from the run named in `source`."""

    stage: str
    outcome: str
    seconds: float = 0.0
    source: str = ""


def run_stages(
    loaded: LoadedRun, until: str, listeners: tuple[Listener, ...] = (), *, retries_failed: bool = True, pinned: tuple[str, ...] = ()
) -> list[StageOutcome]:
    """Runs every stage up to and with `until` that is not done yet, in the run's folder.

    Without `retries_failed` a stage that is done, but for requests to others that failed, is left as it is. Stages in `pinned` are kept as
    they are recorded; `IntegrityError` where one no longer has its recorded bytes. Of several processes the first does all this; the
    others take part in the training alone, and get an empty list.
    """
    with gathered(own_rank()) as group:
        if group is not None and not group.rank.is_first:
            take_part(loaded, group)
            return []
        return _run_all(loaded, until, listeners, retries_failed, pinned, group)


def _run_all(
    loaded: LoadedRun,
    until: str,
    listeners: tuple[Listener, ...],
    retries_failed: bool,
    pinned: tuple[str, ...],
    group: Processes | None,
) -> list[StageOutcome]:
    _refuse_unrunnable(loaded)
    settle()
    folder = RunFolder(loaded.folder)
    losses = _losses(loaded, folder, until, retries_failed)
    trackers = _trackers(loaded, folder, until)
    with folder.lock(), _event_log(folder, (*listeners, trackers)) as events, trackers.telling(events):
        for loss in losses:
            events.warn(loss)
        _write_run_files(loaded, folder)
        context = Context(loaded, folder, events, lambda: saved_plan(loaded.config, folder), group, pinned)
        outcomes = []
        for spec in STAGE_SPECS:
            outcomes.append(_run_stage(spec, context, retries_failed))
            if spec.name == "evaluate":
                judge_gate(loaded.config.evaluate.gate, folder)
            folder.hashes.save()
            if spec.name == until:
                break
        _write_page(folder, events, until)
        return outcomes


def _write_page(folder: RunFolder, events: EventLog, until: str) -> None:
    """Writes the report of what is there where no stage does: data alone has figures to show, and an earlier page may not tell of less."""
    if folder.manifest().stages.get("report") is None and (until == "data" or folder.report_html.is_file()):
        from luthier.report import page

        page.run(folder, events)


def _refuse_unrunnable(loaded: LoadedRun) -> None:
    if not loaded.config.datasets and not loaded.config.sources:
        raise ConfigError(
            Problem(
                "`datasets` and `sources` are missing: there is nothing to train on",
                where=str(loaded.path),
                hint="write, for example, `datasets: [{path: data/rows.jsonl, type: chat_template}]` or `sources: [{repo: .}]`",
            )
        )
    # A run folder outlives its sources: what they were is recorded in it.
    if loaded.existing_folder is None:
        check(loaded)


def _losses(loaded: LoadedRun, folder: RunFolder, until: str, retries_failed: bool) -> list[str]:
    """What an evaluation to come would leave out; nothing where all of it is done.

    `ConfigError` with what it cannot do without (a key, a package, a sandbox, a judge), so that it shows before anything is trained.
    """
    names = [spec.name for spec in STAGE_SPECS]
    if "evaluate" not in names or names.index(until) < names.index("evaluate"):
        return []
    is_due = _is_evaluation_due(loaded, folder, STAGE_SPECS[names.index("evaluate")], retries_failed)
    return refuse_unready(loaded) if is_due else []


def _is_evaluation_due(loaded: LoadedRun, folder: RunFolder, spec: StageSpec, retries_failed: bool) -> bool:
    record = folder.manifest().stages.get(spec.name)
    if record is None or (record.failed > 0 and retries_failed):
        return True
    try:
        return not folder.is_complete(spec.name, spec.key(loaded, folder), or_failed=not retries_failed)
    except UserError:  # What it was made from is gone: in a run folder its recorded output is used.
        return loaded.existing_folder is None


def _trackers(loaded: LoadedRun, folder: RunFolder, until: str) -> Trackers:
    """What the training is sent to; `MissingExtraError` where a training that is to come wants a package that is not there."""
    names = [spec.name for spec in STAGE_SPECS]
    trains = "train" in names and names.index(until) >= names.index("train")
    if trains and folder.manifest().stages.get("train") is None:
        for error in missing_trackers(loaded.config.tracker_settings()):
            raise error
    return Trackers(loaded.config.tracker_settings(), folder, loaded.config.fields_of("train"))


@contextmanager
def _event_log(folder: RunFolder, listeners: tuple[Listener, ...]) -> Iterator[EventLog]:
    events = EventLog(folder.events_jsonl, listeners)
    try:
        yield events
    finally:
        events.close()


def _write_run_files(loaded: LoadedRun, folder: RunFolder) -> None:
    if loaded.existing_folder is None:
        write_text(folder.run_yaml, loaded.text)
        write_text(folder.resolved_yaml, loaded.resolved_text())


def _write_versions(folder: RunFolder) -> None:
    """Written when a stage runs, and not by a run that does nothing: it names what made the results."""
    head = f"# Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    write_text(folder.versions_lock, "\n".join([head, *_installed()]) + "\n")


@cache
def _installed() -> tuple[str, ...]:
    """The installed packages with their versions. Read once: what a process has imported stays as it was, and reading takes 0.2 seconds."""
    return tuple(sorted({f"{item.name}=={item.version}" for item in metadata.distributions()}, key=str.lower))


def _key_of(spec: StageSpec, context: Context) -> str:
    folder = context.folder
    record = folder.manifest().stages.get(spec.name)
    if spec.name in context.pinned and record is not None:
        if not folder.is_intact(record):
            raise IntegrityError(f"{folder.path}: the output of stage {spec.name} no longer has its recorded bytes")
        return record.key
    try:
        return spec.key(context.loaded, folder)
    except UserError:
        # The sources, the base or the suites of a finished run may be gone; what was made of them is still what was recorded.
        if context.loaded.existing_folder is None or record is None or not folder.is_intact(record):
            raise
        context.events.note(f"what stage {spec.name} was made from is no longer where the run file names it; its recorded output is used")
        return record.key


def _run_stage(spec: StageSpec, context: Context, retries_failed: bool) -> StageOutcome:
    folder, events = context.folder, context.events
    key = _key_of(spec, context)
    processes = own_rank().count if spec.is_shared else 1
    if folder.is_complete(spec.name, key, or_failed=not retries_failed):
        before = folder.manifest().stages[spec.name].processes
        if processes != before:
            done = "one process" if before == 1 else f"{before} processes"
            events.note(f"stage {spec.name} was done by {done} and is kept; with another `run_name` {processes} do it anew")
        events.emit("stage.skip", stage=spec.name, reason="kept")
        return StageOutcome(spec.name, "kept")
    if (sibling := folder.take_from_sibling(spec.name, key, processes)) is not None:
        events.emit("stage.skip", stage=spec.name, reason="taken", source=sibling.name)
        return StageOutcome(spec.name, "taken", source=sibling.name)
    _forget_from(spec, folder)
    if not spec.resumes:
        for output in spec.facts.outputs:
            folder.clear(output)
    _write_versions(folder)
    events.emit("stage.start", stage=spec.name, key=key)
    started = monotonic_seconds()
    spec.start(context, key)
    seconds = monotonic_seconds() - started
    record = StageRecord(key, folder.output_hashes(spec.facts.outputs), seconds, failed=spec.failed(folder), processes=processes)
    folder.save_manifest(folder.manifest().with_stage(spec.name, record))
    events.emit("stage.end", stage=spec.name, seconds=round(seconds, 3))
    return StageOutcome(spec.name, "done", seconds)


def _forget_from(spec: StageSpec, folder: RunFolder) -> None:
    """Takes `spec` and every stage that rests on it out of the manifest: they tell of what is about to change."""
    stale = {spec.name}
    for later in STAGE_SPECS:
        if stale.intersection(later.needs):
            stale.add(later.name)
    manifest = folder.manifest()
    for name in stale:
        manifest = manifest.with_stage(name, None)
    folder.save_manifest(manifest)
