"""`luthier find-lr`: the learning-rate range test of a run file, in a folder of its own."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from luthier.config.load import LoadedRun
from luthier.core.errors import Problem, UserError
from luthier.core.events import EventLog, Listener
from luthier.core.files import write_json, write_jsonl, write_text
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder
from luthier.pipeline.plan import plan_of
from luthier.pipeline.process import refuse_several
from luthier.pipeline.run import run_stages
from luthier.pipeline.stages import base_location

# In the run folder; no stage reads or writes it.
FOLDER = "find-lr"


@dataclass(frozen=True, slots=True)
class Range:
    """Rates from `low` to `high`, over `steps` steps."""

    low: float = 1e-6
    high: float = 1.0
    steps: int = 100

    def check(self) -> None:
        """`UserError` where the rates do not rise."""
        if not 0 < self.low < self.high:
            found = f"--low {self.low:g} --high {self.high:g}"
            raise UserError(Problem("the rates must rise from --low to --high", found=found, hint="for example --low 1e-6 --high 1"))


def find_lr(loaded: LoadedRun, tried: Range, listeners: tuple[Listener, ...] = ()) -> JsonObject:
    """Runs the test, after data where that is not done, and writes `find-lr/` in the run folder: points, summary and page.

    Equal run files, versions and devices give equal files. Training, its checkpoints and its event stream are left as they are.
    """
    tried.check()
    refuse_several("find-lr RUN.yaml")
    run_stages(loaded, "data", listeners)
    folder = RunFolder(loaded.folder)
    target = RunFolder(folder.path / FOLDER)
    with target.lock():
        found, points = _measured(loaded, folder, tried, listeners)
        found["files"] = {name: str(target.path / file) for name, file in _FILES.items()}
        write_jsonl(target.path / _FILES["points"], points)
        write_json(target.path / _FILES["summary"], {name: value for name, value in found.items() if name not in ("files", "run")})
        from luthier.report.rates import rates_page

        write_text(target.path / _FILES["page"], rates_page(folder.path.name, points, found))
    return found


_FILES = {"points": "points.jsonl", "summary": "summary.json", "page": "find-lr.html"}


def _measured(loaded: LoadedRun, folder: RunFolder, tried: Range, listeners: tuple[Listener, ...]) -> tuple[JsonObject, list[JsonObject]]:
    from luthier.train.range_test import Ramp, suggest
    from luthier.train.stage import range_test

    ramp = Ramp(tried.low, tried.high, tried.steps)
    location, plan = base_location(loaded, folder), plan_of(loaded.config, folder)
    measured = range_test(
        loaded.config, folder, location, plan, ramp, EventLog(None, [_counted(listener, tried.steps) for listener in listeners])
    )
    suggestion = suggest(measured, ramp)
    points: list[JsonObject] = [
        {"step": step, "rate": point.rate, "loss": point.loss, "smoothed": smoothed}
        for step, (point, smoothed) in enumerate(zip(measured, suggestion.smoothed, strict=True), 1)
    ]
    found: JsonObject = {
        "run": str(loaded.folder),
        "low": tried.low,
        "high": tried.high,
        "steps": len(points),
        "base": location.identity,
        "device": plan.device_name or plan.device,
        "dtype": plan.dtype,
        "threads": plan.threads,
        **suggestion.to_json(),
        "written": None if suggestion.rate is None else f"{suggestion.rate:.1e}",
    }
    return found, points


def _counted(listener: Listener, steps: int) -> Listener:
    """The listener, told of as many steps as rates are tried: one step more only gives the loss that the last rate led to."""

    def told(row: JsonObject) -> None:
        if row["event"] != "train.step":
            listener(row)
        elif row["step"] <= steps:
            listener({**row, "steps": steps})

    return told


def find_lr_text(found: JsonObject, run_file: str, overrides: tuple[str, ...] = ()) -> str:
    """The suggestion, and how it is written into the run file."""
    lines = [f"tried     {found['steps']} steps from {found['low']:g} to {found['high']:g} on {found['device']}, {found['dtype']}"]
    if found["suggestion"] is None:
        lines.append("found     no rate is suggested")
    else:
        lines.append(
            f"lowest    the smoothed loss is lowest at {found['lowest_loss_at']:.1e} and falls fastest at {found['steepest_at']:.1e}"
        )
        lines.append(f"suggested learning_rate: {found['written']}   (a tenth of the rate of the lowest loss)")
    if found["advice"]:
        lines.append(f"note      {found['advice']}")
    lines.append(f"plot      {found['files']['page']}")
    lines.append(f"points    {found['files']['points']}")
    if found["suggestion"] is not None:
        file = Path(run_file, "run.yaml") if Path(run_file).is_dir() else Path(run_file)
        others = [override for override in overrides if override.partition("=")[0].strip() != "learning_rate"]
        words = ["luthier", "run", str(file)]
        for override in (*others, f"learning_rate={found['written']}"):
            words += ["--set", override]
        lines.append(f"next      write `learning_rate: {found['written']}` into {file}, or: {shlex.join(words)}")
    return "\n".join(lines)
