"""What a verdict of the command guard is. Apart from how one is found, which takes rules and parsers that only a judge needs."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.core.records import JsonObject

# From the best to the worst.
LEVELS = ("safe", "caution", "unknown", "dangerous")
_RANKS = {level: place for place, level in enumerate(LEVELS)}


def rank(level: str) -> int:
    """The place of a level in `LEVELS`: the higher, the worse."""
    return _RANKS[level]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`level` is safe, caution, unknown or dangerous; `danger` the class; `span` the characters [start, end) that caused it."""

    command: str
    level: str
    danger: str
    span: tuple[int, int]
    reason: str

    def to_json(self) -> JsonObject:
        """The verdict as `luthier guard command --json` prints it."""
        return {"command": self.command, "level": self.level, "class": self.danger, "span": list(self.span), "reason": self.reason}
