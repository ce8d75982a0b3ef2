"""Orders the stages, skips what is done, and hands each its parts."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata

from luthier.config.load import LoadedRun
from luthier.core import optional
from luthier.core.errors import ConfigError, Problem, UserError
from luthier.core.events import EventLog, Listener, monotonic_seconds
from luthier.core.files import write_text
from luthier.core.runs import RunFolder, StageRecord
from luthier.evaluate.gate import judge_gate
from luthier.pipeline.against import missing_keys
from luthier.pipeline.check import check
from luthier.pipeline.plan import saved_plan
from luthier.pipeline.process import settle
from luthier.pipeline.stages import STAGE_SPECS, Context, StageSpec


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What became of a stage: `done`, `kept` from before, or `taken` from the run named in `source`."""

    stage: str
    outcome: str
    seconds: float = 0.0
    source: str = ""


def run_stages(loaded: LoadedRun, until: str, listeners: tuple[Listener, ...] = ()) -> list[StageOutcome]:
    """Runs every stage up to and with `until` that is not done yet, in the run's folder."""
    _refuse_unrunnable(loaded)
    settle()
    folder = RunFolder(loaded.folder)
    _refuse_without_keys(loaded, folder, until)
    with folder.lock(), _event_log(folder, listeners) as events:
        _write_run_files(loaded, folder)
        context = Context(loaded, folder, events, lambda: saved_plan(loaded.config, folder))
        outcomes = []
        for spec in STAGE_SPECS:
            outcomes.append(_run_stage(spec, context))
            if spec.name == "evaluate":
                judge_gate(loaded.config.evaluate.gate, folder)
            folder.hashes.save()
            if spec.name == until:
                break
        return outcomes


def _refuse_unrunnable(loaded: LoadedRun) -> None:
    if not loaded.config.datasets:
        raise ConfigError(
            Problem(
                "`datasets` is missing: there is nothing to train on",
                where=str(loaded.path),
                hint="write, for example, `datasets: [{path: data/rows.jsonl, type: chat_template}]`",
            )
        )
    # A run folder outlives its sources: what they were is recorded in it.
    if loaded.existing_folder is None:
        check(loaded)


def _refuse_without_keys(loaded: LoadedRun, folder: RunFolder, until: str) -> None:
    """A key that is not set, or a client that is not installed, shows before anything is trained; a run that is evaluated needs neither."""
    names = [spec.name for spec in STAGE_SPECS]
    asks = names.index(until) >= names.index("evaluate") and "evaluate" not in folder.manifest().stages
    endpoints = loaded.config.asked_endpoints() if asks else {}
    if endpoints:
        optional.load("httpx2", extra="remote", reason="endpoints")
    if problems := missing_keys(endpoints):
        raise ConfigError(problems)


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
    versions = sorted({f"{item.name}=={item.version}" for item in metadata.distributions()}, key=str.lower)
    head = f"# Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    write_text(folder.versions_lock, "\n".join([head, *versions]) + "\n")


def _key_of(spec: StageSpec, context: Context) -> str:
    folder = context.folder
    record = folder.manifest().stages.get(spec.name)
    try:
        return spec.key(context.loaded, folder)
    except UserError:
        # The sources, the base or the suites of a finished run may be gone; what was made of them is still what was recorded.
        if context.loaded.existing_folder is None or record is None or not folder.is_intact(record):
            raise
        context.events.note(f"what stage {spec.name} was made from is no longer where the run file names it; its recorded output is used")
        return record.key


def _run_stage(spec: StageSpec, context: Context) -> StageOutcome:
    folder, events = context.folder, context.events
    key = _key_of(spec, context)
    if folder.is_complete(spec.name, key):
        events.emit("stage.skip", stage=spec.name, reason="kept")
        return StageOutcome(spec.name, "kept")
    if (sibling := folder.take_from_sibling(spec.name, key)) is not None:
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
    record = StageRecord(key, folder.output_hashes(spec.facts.outputs), seconds)
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
