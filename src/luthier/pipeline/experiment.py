"""The Python API: one run file as an object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from luthier.config.load import LoadedRun
from luthier.config.overrides import Overrides
from luthier.core.events import Listener
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder
from luthier.pipeline.check import check, load_run
from luthier.pipeline.gate import require_gate
from luthier.pipeline.run import StageOutcome, run_stages


@dataclass(frozen=True)
class Experiment:
    """A resolved run file. Every stage method runs what comes before it where that is not done yet, and returns the run folder.

    `GateError` where all is done and a gate of the run file was not met.
    """

    loaded: LoadedRun
    listeners: tuple[Listener, ...] = ()

    @staticmethod
    def load(path: str | Path, overrides: Overrides = (), listeners: tuple[Listener, ...] = ()) -> Experiment:
        """The experiment of run file (or run folder) `path`; overrides are `{dotted key: value}` or `key=value` texts."""
        return Experiment(load_run(path, overrides), listeners)

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.loaded.folder

    def check(self) -> list[str]:
        """What loading noted and warns of, and what this machine lacks; `ConfigError` lists what is wrong with the files that are named."""
        return [*self.loaded.notes, *self.loaded.warnings, *check(self.loaded)]

    def plan(self, price_per_hour: float | None = None, processes: int | None = None) -> JsonObject:
        """What will run, and the training's memory in bytes, time in seconds and cost, as `luthier plan --json` tells them."""
        from luthier.pipeline.forecast import forecast

        return forecast(self.loaded, price_per_hour, processes)

    def run(self) -> Path:
        """Data, training, evaluation, export and report."""
        return self._until("report")

    def data(self) -> Path:
        """The data stage alone."""
        return self._until("data")

    def train(self) -> Path:
        """Training, after data."""
        return self._until("train")

    def evaluate(self) -> Path:
        """Evaluation, after training."""
        return self._until("evaluate")

    def export(self) -> Path:
        """Export, after evaluation."""
        return self._until("card")

    def ask(self, text: str) -> str:
        """The tuned model's answer to `text`."""
        from luthier.pipeline.ask import Question, answer

        return answer(str(self.folder), Question(text)).text

    def outcomes(self, until: str) -> list[StageOutcome]:
        """Runs up to and with stage `until`, and says what became of each stage."""
        return run_stages(self.loaded, until, self.listeners)

    def _until(self, stage: str) -> Path:
        self.outcomes(stage)
        require_gate(RunFolder(self.folder), stage)
        return RunFolder(self.folder).path
