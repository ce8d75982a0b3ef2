"""What the guard found in one text: the worst finding, and a bound on the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from luthier.guard.risk.levels import rank

# Commands that are followed in one text, those of loops and called functions counted each time.
MOST_STEPS = 4000
# Programs that start programs that start programs: deeper than this nobody writes what is meant to be read.
MOST_STARTED = 40


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
    """Keeps the worst finding, the first among equals; `reasons`, where handed in, takes the reasons of all."""

    def __init__(self, counts: list[int] | None = None, reasons: set[str] | None = None) -> None:
        self.worst: Finding | None = None
        # Commands followed so far, and programs within programs at the moment.
        self._counts = [0, 0] if counts is None else counts
        self._reasons = reasons

    def apart(self) -> Findings:
        """An empty one for a trial, which counts the same work."""
        return Findings(self._counts, self._reasons)

    def add(self, finding: Finding) -> None:
        """Takes one finding. That credentials go out says more than that they are read."""
        if self._reasons is not None:
            self._reasons.add(finding.reason)
        worst = self.worst
        if (
            worst is None
            or rank(finding.level) > rank(worst.level)
            or (finding.level == worst.level and (worst.danger, finding.danger) == ("credentials", "exfiltration"))
        ):
            self.worst = finding

    def spend(self, steps: int) -> None:
        """Counts `steps` of a regular expression's matcher, about a nanosecond each: all that are followed take a second or so."""
        self.step(max(steps >> 8, 1))

    def step(self, characters: int = 0, words: int = 0) -> None:
        """Counts a command, one of many `words` more than once, or expanded `characters`; `Exhausted` beyond `MOST_STEPS`."""
        self._counts[0] += 1 + words // 16 if characters == 0 else characters >> 10
        if self._counts[0] > MOST_STEPS:
            raise Exhausted

    @contextmanager
    def within(self) -> Iterator[bool]:
        """One program started by another; whether that many are still followed."""
        self._counts[1] += 1
        try:
            yield self._counts[1] <= MOST_STARTED
        finally:
            self._counts[1] -= 1
