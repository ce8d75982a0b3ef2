"""Holding a run to its gate once all that was asked for is done."""

from __future__ import annotations

from pathlib import Path

from luthier.core.errors import GateError
from luthier.core.runs import RunFolder
from luthier.core.stages import STAGES
from luthier.evaluate.figures import junit
from luthier.evaluate.figures.gate import GATE_FILE, GateResult, read_gate

_JUDGED_FROM = list(STAGES).index("evaluate")


def missed(folder: RunFolder, until: str) -> list[GateResult]:
    """The bounds that were not met, where the run has come as far as its evaluation."""
    if list(STAGES).index(until) < _JUDGED_FROM:
        return []
    return [result for result in read_gate(folder.evaluate / GATE_FILE) if not result.passed]


def gate_text(results: list[GateResult]) -> str:
    """The bounds that were not met, a line each."""
    return "\n".join(["the run is complete, but its gate was not met:", *(f"  {result.text()}" for result in results)])


def refuse_unwritable(path: Path) -> None:
    """`UserError` where JUnit's XML cannot be written to `path`: asked before anything is run."""
    junit.refuse_unwritable(path)


def write_junit(folder: RunFolder, path: Path) -> None:
    """Writes what was measured, and the gate, as JUnit's XML to `path`."""
    junit.write_junit(folder, path)


def require_gate(folder: RunFolder, until: str) -> None:
    """`GateError` with every bound that was not met."""
    if results := missed(folder, until):
        raise GateError(gate_text(results))
