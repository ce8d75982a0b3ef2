"""What all kinds ask of a row's fields: texts that are there, an id, a group."""

from __future__ import annotations

import json
from collections.abc import Sequence

from luthier.core.errors import Problem
from luthier.core.files import sha256_bytes
from luthier.core.records import JsonObject, JsonValue
from luthier.core.text import is_unicode
from luthier.evaluate.rows.conversations import wrong_name

MAX_SHOWN = 500
# Of one run of one answer; a suite of hundreds that each took longer would never end.
MAX_SECONDS = 600.0


def texts(value: JsonValue, where: str, names: Sequence[str], expected: str) -> Problem | None:
    """What is wrong with a row that must have the texts `names`, none of them blank; None where nothing is."""
    if not isinstance(value, dict):
        return Problem("a row must be an object", where=where, found=type(value).__name__, expected=expected)
    for name in names:
        if name not in value:
            return Problem(f"the field `{name}` is missing", where=where, found=", ".join(map(str, value))[:120], expected=expected)
        if not isinstance(value[name], str) or not value[name].strip():
            found = json.dumps(value[name])[:80]
            return Problem(f"`{name}` must be a text that is not blank", where=where, found=found, expected=expected)
    if (problem := wrong_name(value, where)) is not None:
        return problem
    if not is_unicode(value):
        return Problem("the row holds half a character (a lone surrogate)", where=where)
    return None


def identity(value: JsonObject, asked: str) -> tuple[str, str]:
    """A row's id and group. Without an id of its own a row is known by what it asks, so that it keeps its id when others are added."""
    return value.get("id") or sha256_bytes(asked.encode("utf-8"))[:16], value.get("group", "")


def wrong_seconds(value: JsonValue) -> str:
    """What a suite's `seconds` must be, where it is not that; empty where it is, or is not given."""
    is_right = value is None or (type(value) in (int, float) and 0 < value <= MAX_SECONDS)
    return "" if is_right else f"a number above 0, at most {MAX_SECONDS:.0f}"


def shortened(text: str, limit: int = MAX_SHOWN) -> str:
    """`text` as details show it: whole, or its start and how much there is of it."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"
