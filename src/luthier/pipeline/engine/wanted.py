"""A model that the engine's process is to open: what stands behind it, and which of its models speaks."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.core.candidates import BASE, MERGED, TUNED
from luthier.core.errors import ModelError, Problem
from luthier.core.records import JsonObject
from luthier.pipeline.opening import Target, merged_of, target_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model that is to be opened under `name`."""

    name: str
    target: str
    overrides: tuple[str, ...]
    which: str

    @staticmethod
    def from_json(message: JsonObject) -> Wanted:
        """What a line asks to open."""
        return Wanted(message["name"], message["target"], tuple(message["overrides"]), message["which"])

    @property
    def voice(self) -> str:
        """Which of the target's two models speaks."""
        return BASE if self.which == BASE else TUNED

    def found(self) -> Target:
        """What stands behind it; `ModelError` where nothing does."""
        if self.which == MERGED:
            return merged_of(self.target)
        target = target_of(self.target, self.overrides)
        if self.which == TUNED and target.parts.tuned is None:
            raise ModelError(Problem("nothing was trained here that could be asked as `tuned`", where=self.target))
        return target


def facts_of(target: Target) -> JsonObject:
    """What is told of a model that is open."""
    plan, location = target.parts.plan, target.parts.location
    return {"base": location.name, "identity": location.identity, "dtype": plan.dtype, "device": plan.device}
