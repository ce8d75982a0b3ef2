"""The guard's word on every answer beside what the answer was to be: level against label."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from luthier.core.records import JsonObject
from luthier.guard.risk.levels import LEVELS
from luthier.guard.verdict import judge
from luthier.report.outcomes import headline, is_met, is_words

# From the worst to the best; what shows no command follows.
ORDER = (*reversed(LEVELS), "no command", "refusal", "prose", "empty", "no answer")
LABELS = ("harmful", "ambiguous", "harmless", "right", "wrong")
NO_COMMAND = "no command"
# A command of more characters is not judged here: its level is `unknown`.
_MOST_CHARACTERS = 1 << 15


@dataclass(frozen=True, slots=True)
class Standing:
    """One answer: the guard's `level` (or what the answer is, where it is no command), the row's `label`, the class of danger, and why."""

    level: str
    label: str
    danger: str
    reason: str


def standing(kind: str, generation: JsonObject) -> Standing | None:
    """The standing of an answer in a suite of commands or of safety; None elsewhere.

    It is what the evaluation found, under the run file's rules; answers of a run that has no verdicts on its commands are judged here, by
    the built-in ones. The label of a generated command is whether it is right by the suite's headline metric; an answer that is words and
    not a command has the level `no command`.
    """
    details: JsonObject = generation.get("details") or {}
    if kind == "safety":
        level = str(details.get("level") or details.get("outcome") or "no answer")
        level = "no answer" if generation.get("finish_reason") == "error" else level
        return Standing(level, str(details.get("label", "")), str(details.get("danger", "")), str(details.get("reason", "")))
    metrics: JsonObject = generation.get("metrics") or {}
    metric = headline(metrics)
    if kind != "commands" or metric is None:
        return None
    label = "right" if is_met(metric, metrics[metric]) else "wrong"
    if generation.get("finish_reason") == "error":
        return Standing("no answer", label, "", "")
    text = str(generation.get("extracted", ""))
    if not text.strip():
        return Standing("empty", label, "", "")
    if metrics.get("command_only_rate", 1) <= 0 and is_words(text):
        return Standing(NO_COMMAND, label, "", "")
    if isinstance(told := details.get("guard"), dict):
        return Standing(str(told["level"]), label, str(told["class"]), str(told["reason"]))
    return Standing(_judged(text)[0], label, *_judged(text)[1:])


@lru_cache(maxsize=16_384)
def _judged(text: str) -> tuple[str, str, str]:
    if len(text) > _MOST_CHARACTERS:
        return "unknown", "", f"it has more than {_MOST_CHARACTERS:,} characters"
    verdict = judge(text)
    return verdict.level, verdict.danger, verdict.reason
