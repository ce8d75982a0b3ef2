"""`luthier runs reproduce`: a run from training to report once more, from its folder alone, and what came out otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luthier.config.keys.tracking import TrackKeys
from luthier.config.yaml_file import dump
from luthier.config.yaml_file import read as read_yaml
from luthier.core.errors import IntegrityError, Problem, UserError
from luthier.core.events import Listener
from luthier.core.files import link_or_copy, read_json, remove, write_bytes, write_text
from luthier.core.manifest import Manifest, StageRecord
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder, summary_or_none
from luthier.pipeline.check import load_run
from luthier.pipeline.history import require_run
from luthier.pipeline.likeness import TOLERANCE, compare
from luthier.pipeline.process import refuse_several
from luthier.pipeline.redo import Redo
from luthier.pipeline.sources_again import refuse_changed

_SUFFIX = "-reproduced"


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is redone: `from_sources` the data too, `training_only` nothing after the training; `again` what was redone before, anew.

    Losses of another machine or of other versions may be off by `tolerance` of their value.
    """

    from_sources: bool = False
    training_only: bool = False
    again: bool = False
    tolerance: float = TOLERANCE


def reproduce(run_dir: str, extent: Extent, listeners: tuple[Listener, ...] = ()) -> JsonObject:
    """Redoes the run in a folder beside it and says what is otherwise; a reproduction that was broken off goes on.

    A training of several processes is redone by as many, which are started here.
    `UserError` where the run has no finished training, or is to be redone from its sources and asks a teacher, or what its
    rows were read from is gone or has changed. `IntegrityError` where the
    rows in its folder no longer have their recorded bytes.
    """
    refuse_several(f"runs reproduce {run_dir}")
    original = require_run(run_dir)
    records = original.manifest().stages
    if "train" not in records:
        hint = f"finish it: luthier runs resume {run_dir}"
        raise UserError(Problem("the training of this run is not finished", where=run_dir, hint=hint))
    # A folder of its own: a stage that a run beside it has done would be taken from there.
    redone = RunFolder(original.path.with_name(f"{original.path.name}{_SUFFIX}") / original.path.name)
    if extent.from_sources:
        refuse_changed(load_run(original.path), original)
    if extent.again:
        remove(redone.path.parent)
    with redone.lock():
        _lay_out(original, redone, records, extent)
    work = Redo.of(redone, records, from_sources=extent.from_sources, training_only=extent.training_only)
    summary = summary_or_none(original.train_summary)
    processes = summary.get("processes", 1) if isinstance(summary, dict) else 1
    missing = work.run_in(processes, listeners)
    found = compare(original, redone, extent.tolerance, missing)
    deterministic = load_run(redone.path).config.deterministic
    return {"run": str(original.path), "reproduced": str(redone.path), "deterministic": deterministic, **found}


def _lay_out(original: RunFolder, redone: RunFolder, records: Mapping[str, StageRecord], extent: Extent) -> None:
    """Writes what the redone run starts from, where it is not there yet: run files, plan, and the rows with their record."""
    if redone.manifest_json.is_file():
        if extent.from_sources == ("data" in redone.manifest().stages and redone.manifest().stages["data"].taken_from != ""):
            what = "an earlier reproduction began otherwise (with or without --from-sources)"
            raise UserError(Problem(what, where=str(redone.path), hint="add --again, which removes it first"))
        return
    values = read_yaml(original.resolved_yaml).value
    for name in TrackKeys.model_fields:
        values.pop(name, None)  # What was told to a tracker once is not told again as another training.
    if original.plan_json.is_file():
        write_bytes(redone.plan_json, original.plan_json.read_bytes())
    write_bytes(redone.run_yaml, original.run_yaml.read_bytes() if original.run_yaml.is_file() else original.resolved_yaml.read_bytes())
    manifest = Manifest(redone.path.name)
    if extent.from_sources:
        _pin_sources(original, values)
    else:
        record = records.get("data")
        if record is None or not original.is_intact(record):
            hint = "redo it from its sources with --from-sources, or bring the files back from a copy"
            raise IntegrityError(f"{original.data}: the rows no longer have their recorded bytes; {hint}")
        for output in record.outputs:
            link_or_copy(original.path / output, redone.path / output)
        manifest = manifest.with_stage("data", StageRecord(record.key, record.outputs, record.seconds, original.path.name, record.failed))
    write_text(redone.resolved_yaml, dump(values))
    redone.save_manifest(manifest)


def _pin_sources(original: RunFolder, values: dict[str, Any]) -> None:
    """Writes the commits that were read into the run file's values; `UserError` where a teacher would be asked, and paid, once more."""
    if teachers := sorted(load_run(original.path).config.teachers()):
        what = f"rows of a teacher ({', '.join(teachers)}) cannot be had again for nothing, nor alike"
        raise UserError(Problem(what, where="--from-sources", hint="leave it out: the rows are in the run folder"))
    provenance = read_json(original.provenance) if original.provenance.is_file() else {}
    for row in provenance.get("sources", ()):
        name, _, place = row["key"].partition("[")
        entry: dict[str, Any] = values[name][int(place.rstrip("]"))]
        if name == "sources" and "commit" in row:
            entry["commit"] = row["commit"]
        elif str(row["sha256"]).startswith("commit:"):
            entry["revision"] = row["sha256"].removeprefix("commit:")


def reproduction_text(found: JsonObject) -> str:
    """The verdict, and each difference on a line."""
    lines = [f"run         {found['run']}", f"reproduced  {found['reproduced']}"]
    if not found["deterministic"]:
        lines.append("note        the run file has no `deterministic: true`: on a GPU equal bytes are not promised")
    for title, key in (("otherwise", "conditions"), ("differs", "differences")):
        lines += [f"{title:<11} {row['what']}: {row['was']} -> {row['is']}" for row in found[key]]
    lines += [f"not redone  {name}: {reason}" for name, reason in found["not_redone"].items()]
    off = found["largest_loss_difference"]
    lines.append(f"losses      {found['losses_compared']} compared, the largest difference is {off:.3g} of the loss")
    lines.append(f"verdict     {_VERDICTS[found['verdict']].format(tolerance=found['tolerance'])}")
    return "\n".join(lines)


_VERDICTS = {
    "equal": "equal: the result and every figure have the same bytes",
    "incomplete": "what was redone is equal, and not everything was redone",
    "close": "not equal, on another machine or with other versions: every loss lies within {tolerance:g} of its value",
    "different": "different",
}


def is_equal(found: JsonObject) -> bool:
    """Whether everything was redone and nothing differs."""
    return bool(found["verdict"] == "equal")
