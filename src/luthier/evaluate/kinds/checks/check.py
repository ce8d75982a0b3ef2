"""One check of a task: what it asks of an answer, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from luthier.core.records import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Check:
    """A check as it was read: `kind` is one of `reading.OPTIONS`, `value` what it holds the answer against, `options` its further keys."""

    kind: str
    value: JsonValue
    name: str = ""
    negated: bool = False
    options: Mapping[str, JsonValue] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """The check as a row carries it."""
        return {"kind": self.kind, "value": self.value, "name": self.name, "not": self.negated, "options": dict(self.options)}

    @staticmethod
    def from_json(value: JsonObject) -> Check:
        """The check that `to_json` wrote."""
        return Check(value["kind"], value["value"], value["name"], value["not"], value["options"])


@dataclass(frozen=True, slots=True)
class Held:
    """Whether a check holds; None where that cannot be told, and then `reason` says why. Otherwise it says why it does not hold."""

    holds: bool | None
    reason: str = ""

    def under(self, check: Check) -> Held:
        """What it means where the check may be negated; what cannot be told stays so."""
        if not check.negated or self.holds is None:
            return self
        return Held(not self.holds, "it holds, and must not" if self.holds else "")
