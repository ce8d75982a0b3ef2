"""The name that somebody may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# So many names are looked at for one of the same letters.
_NEAR = 5


def nearest(name: str, known: Iterable[str], ratio: float = 0.6) -> str | None:
    """The known name most like `name`, or None where nothing is near (`difflib`'s ratio); one of the same letters before all others."""
    wanted = name.lower()
    found = difflib.get_close_matches(wanted, list(known), n=_NEAR, cutoff=ratio)
    return min(found, key=lambda one: sorted(one) != sorted(wanted)) if found else None
