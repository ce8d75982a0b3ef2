"""What the guard found in one text: the worst finding, and a bound on the work."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.guard.risk.paths import LEVELS

# Commands that are followed in one text, those of loops and called functions counted each time.
MOST_STEPS = 4000


class Exhausted(Exception):
    """The text holds more commands than are followed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One judgement with the place that caused it, in characters."""

    level: str
    danger: str
    reason: str
    start: int
    end: int


class Findings:
    """Keeps the worst finding, the first among equals."""

    def __init__(self, steps: list[int] | None = None) -> None:
        self.worst: Finding | None = None
        self._steps = [0] if steps is None else steps

    def apart(self) -> Findings:
        """An empty one for a trial, which counts the same work."""
        return Findings(self._steps)

    def add(self, finding: Finding) -> None:
        """Takes one finding. That credentials go out says more than that they are read."""
        worst = self.worst
        if (
            worst is None
            or LEVELS[finding.level] > LEVELS[worst.level]
            or (finding.level == worst.level and (worst.danger, finding.danger) == ("credentials", "exfiltration"))
        ):
            self.worst = finding

    def step(self, characters: int = 0) -> None:
        """Counts one command, or so many expanded `characters`; `Exhausted` beyond `MOST_STEPS`."""
        self._steps[0] += 1 if characters == 0 else characters >> 10
        if self._steps[0] > MOST_STEPS:
            raise Exhausted
