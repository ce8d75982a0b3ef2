"""What is done about a verdict: let it pass, ask a person, or reject it. By level, by class, or by both; the most exact word wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from luthier.core.records import JsonObject
from luthier.guard.risk.levels import LEVELS, Verdict

ACTIONS = ("allow", "ask", "reject")
CLASSES = (
    "destruction",
    "resources",
    "privilege",
    "credentials",
    "exfiltration",
    "remote-code",
    "obfuscation",
    "persistence",
    "tool-hijack",
    "history",
    "shared-history",
    "permissions",
    "truncation",
    "services",
    "cloud",
    "packages",
    "interpreter",
    "exposure",
    "unsettled",
)
DEFAULTS = {"safe": "allow", "caution": "allow", "unknown": "ask", "dangerous": "reject"}


def is_policy_key(key: str) -> bool:
    """Whether `key` is a level, a class, or `level:class`."""
    level, colon, danger = key.partition(":")
    if colon:
        return level in LEVELS and danger in CLASSES
    return key in LEVELS or key in CLASSES


@dataclass(frozen=True, slots=True)
class Policy:
    """Actions by `level`, `class` or `level:class`; what is not named is done as in `DEFAULTS`."""

    actions: Mapping[str, str] = field(default_factory=dict)

    def action(self, verdict: Verdict) -> str:
        """`allow`, `ask` or `reject`. A class alone speaks of `caution` and worse: it makes nothing safe dangerous."""
        actions = self.actions
        exact = actions.get(f"{verdict.level}:{verdict.danger}")
        if exact is not None:
            return exact
        by_class = actions.get(verdict.danger) if verdict.level != "safe" else None
        return by_class or actions.get(verdict.level) or DEFAULTS[verdict.level]


@dataclass(frozen=True, slots=True)
class Guarded:
    """A verdict with what the policy does about it: `allow`, `ask` or `reject`. `lines` are the first and last line in a file."""

    verdict: Verdict
    action: str
    lines: tuple[int, int] | None = None

    def to_json(self) -> JsonObject:
        """The verdict with its action, and its lines where it comes from a file."""
        found: JsonObject = {**self.verdict.to_json(), "action": self.action}
        return found if self.lines is None else {**found, "lines": list(self.lines)}
