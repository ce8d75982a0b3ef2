"""The data stage over generated rows, from run file to folder.

`python -m benchmarks.data_stage ROWS [--processes N]` prints one JSON object: `{rows, processes, seconds, processor_seconds, peak_bytes,
steps: [{step, seconds, processor_seconds, peak_bytes}], splits, rejected, sha256}`.

Processor time is that of all processes; the peak is the proportional set size (PSS) of all of them together, looked at five times a second.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.data_rows import rows
from luthier.config.schema import RunConfig
from luthier.core.events import EventLog
from luthier.core.files import read_json
from luthier.core.runs import RunFolder
from luthier.data import stage

# Functions of the stage by what they do; they follow one another.
STEPS = {
    "dataset": "hash of the file",
    "_looked_at": "read, format, clean, keys",
    "_take_in": "second look, stores",
    "drop_equal": "exact duplicates",
    "drop_near": "near-duplicates",
    "divided": "groups and draw",
    "_write_sides": "write",
    "_check": "check",
    "_tell": "report, hashes",
}
# Guard and shellcheck are timed apart, by `benchmarks.data`.
SETTINGS = {"clean": {"near_duplicates": 0.7, "shell": False}, "split": {"validation": 0.05, "test": 0.05}}
_LOOKS_A_SECOND = 5


def write_rows(count: int, path: Path, seed: int = 1) -> None:
    """`count` generated rows as Alpaca's JSON Lines, about 128 bytes each."""
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"instruction": ask, "output": answer}) + "\n" for ask, answer in rows(count, seed))


def settings_of(source: Path) -> RunConfig:
    """The run file of the measurement."""
    datasets = [{"path": str(source), "type": "alpaca"}]
    return RunConfig.model_validate({"base_model": "starter", "adapter": "lora", "learning_rate": 1e-3, "datasets": datasets, **SETTINGS})


def memory_bytes() -> int:
    """The proportional set size of this process and its children; one that ends meanwhile counts nothing."""
    pids = [str(os.getpid())]
    for task in Path("/proc/self/task").iterdir():
        try:
            pids += (task / "children").read_text().split()
        except OSError:
            continue
    return sum(map(_pss_bytes, pids))


def _pss_bytes(pid: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def processor_seconds() -> float:
    """Processor time of this process and of the children that have ended."""
    return sum(os.times()[:4])


class Watch:
    """Times the steps of the stage and looks at memory meanwhile, in a thread of its own."""

    def __init__(self) -> None:
        self.steps: dict[str, list[float]] = {name: [0.0, 0.0, 0.0] for name in STEPS.values()}
        self.peak_bytes = 0
        self._now: str | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._kept: dict[str, Any] = {name: getattr(stage, name) for name in STEPS}
        for name, function in self._kept.items():
            setattr(stage, name, self._timed(STEPS[name], function))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for name, function in self._kept.items():
            setattr(stage, name, function)
        self._stop.set()
        self._thread.join()

    def _timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            self._now, started, before = step, time.perf_counter(), processor_seconds()
            try:
                return function(*arguments, **named)
            finally:
                self.steps[step][0] += time.perf_counter() - started
                self.steps[step][1] += processor_seconds() - before
                self._note()
                self._now = None

        return timed

    def _look(self) -> None:
        while not self._stop.wait(1 / _LOOKS_A_SECOND):
            self._note()

    def _note(self) -> None:
        step, found = self._now, memory_bytes()
        self.peak_bytes = max(self.peak_bytes, found)
        if step is not None:
            self.steps[step][2] = max(self.steps[step][2], found)


def measured(count: int, processes: int, folder: Path) -> dict[str, Any]:
    """The stage over `count` rows in `folder`."""
    source = folder / "rows.jsonl"
    write_rows(count, source)
    run = RunFolder(folder / "run")
    started, before = time.perf_counter(), processor_seconds()
    with Watch() as watch:
        stage.run(settings_of(source), run, EventLog(None, []), processes=processes)
    seconds, processor = time.perf_counter() - started, processor_seconds() - before
    report = read_json(run.data_report)
    digest = hashlib.sha256()
    for path in (*(run.split(side) for side in ("train", "validation", "test")), run.rejected):
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return {
        "rows": count,
        "processes": processes,
        "seconds": seconds,
        "processor_seconds": processor,
        "peak_bytes": watch.peak_bytes,
        "steps": [
            {"step": name, "seconds": wall, "processor_seconds": own, "peak_bytes": int(peak)}
            for name, (wall, own, peak) in watch.steps.items()
        ],
        "splits": report["splits"],
        "rejected": report["rejected"],
        "sha256": digest.hexdigest(),
    }


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=int)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where rows and run are written; a temporary folder otherwise")
    arguments = parser.parse_args()
    with TemporaryDirectory(dir=arguments.folder) as name:
        json.dump(measured(arguments.rows, arguments.processes, Path(name)), sys.stdout)


if __name__ == "__main__":
    main()
