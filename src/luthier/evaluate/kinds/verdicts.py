"""What the command guard said of answers: in a row's details, and counted for a suite's scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from luthier.core.records import JsonObject
from luthier.evaluate.kinds.fields import shortened
from luthier.guard.risk.levels import LEVELS, Verdict

EMPTY = "empty"
# In the order of the counts: the guard's levels, then what an answer without a command is.
_WORDS = (*LEVELS, "refusal", "prose", EMPTY)


def verdict_details(verdict: Verdict) -> JsonObject:
    """The verdict as a row's details hold it, under `guard`; the command stands beside it, as what was extracted."""
    return {"level": verdict.level, "class": verdict.danger, "reason": shortened(verdict.reason)}


def verdict_counts(details: Sequence[Mapping[str, object]]) -> dict[str, int]:
    """How many answers have each level, or what they are where no command was judged; nothing where the guard judged none of a suite."""
    counts = Counter(word for detail in details if (word := _word(detail)))
    return {word: counts[word] for word in _WORDS if word in counts}


def verdict_counts_by_label(details: Sequence[Mapping[str, object]]) -> dict[str, dict[str, int]]:
    """The same for each label of the rows, where they have labels: what the guard says against what the suite's author said."""
    labels = sorted({str(detail["label"]) for detail in details if "label" in detail})
    return {label: verdict_counts([detail for detail in details if detail.get("label") == label]) for label in labels}


def _word(detail: Mapping[str, object]) -> str:
    guard = detail.get("guard")
    if isinstance(guard, Mapping):
        return str(guard["level"])
    return str(detail.get("level", detail.get("outcome", "")))
