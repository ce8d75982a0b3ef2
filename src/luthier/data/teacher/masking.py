"""What may leave this machine for an endpoint and its journal: texts as row cleaning would keep them, by its own rules and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from luthier.core.records import Message, Origin
from luthier.data.clean.records import Row
from luthier.data.clean.secrets import SECRET, Masking, masked
from luthier.data.rows.fields import Fields
from luthier.guard.secrets.strength import default_strength

# Whatever a run file lets stay in rows: it goes to others here.
_MASKING = Masking(secrets="mask", urls="keep", personal="mask")
_NOWHERE = Origin("teacher", 1)


@dataclass(frozen=True, slots=True)
class Sendable:
    """A text with a mark such as `<EMAIL>` or `<URL>` for each secret, URL with credentials or a private host, and piece of personal data.

    Where `is_clean` is false nothing of it may leave, and `text` is empty. `changes` counts the marks, as those of a cleaned row.
    """

    text: str
    is_clean: bool
    changes: Mapping[str, int]

    @property
    def had_secrets(self) -> bool:
        """Whether the text held a secret, or could not be judged."""
        return not self.is_clean or any(kind.startswith(f"{SECRET}:") for kind in self.changes)


def sendable(texts: Sequence[str]) -> list[Sendable]:
    """What of each text may leave the machine."""
    rows = [Row(Fields((Message("user", text),)), _NOWHERE, is_made=True) for text in texts]
    outcomes = masked(rows, [_MASKING] * len(rows), default_strength())
    return [
        Sendable("", False, {}) if outcome.row is None else Sendable(outcome.row.fields.messages[0].content, True, outcome.changes)
        for outcome in outcomes
    ]
