"""Passwords in the configuration of known servers and clients: `requirepass x`, `rootpw x`, `.pgpass`, lines of htpasswd and the like.

`configured(text, lowered)` yields the character spans. The name at the line's start is that of a setting that holds a password and nothing
else, so that plain words count behind it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from luthier.guard.secrets.finders.assigned import Span
from luthier.guard.secrets.finders.command_lines import is_about, stands_for_one
from luthier.guard.secrets.finders.lines import lines_with

# What the places of the table are written with: a line's begin and end, and a value.
_SPELLED = {
    "{LINE}": r"(?m)^[ \t>]*(?:[-+][ \t]*)?",
    "{END}": r"""(?=["']?[ \t]*(?:[;,]?[ \t]*(?:\#.*)?\r?$))""",
    "{EITHER}": r"""(?:"(?P<double>[^"\n]{4,200})"|'(?P<single>[^'\n]{4,200})'|{BARE})""",
    "{BARE}": r"""(?P<secret>[^\s"'`<>;]{4,200})""",
}
TABLE = Path(__file__).with_name("configured.toml")
_HASH = re.compile(r"[$](?!\{)|\{\w{3,12}\}|md5[0-9a-f]{32}|SCRAM")
_LEAST_HASH = 20


@dataclass(frozen=True, slots=True)
class _Place:
    """A row of the table. A text holds no such place without one of `words`, in small letters."""

    words: tuple[str, ...]
    is_over_lines: bool
    expression: str


@cache
def _places() -> tuple[tuple[str, ...], tuple[_Place, ...]]:
    """What stands in every text with such a place, and the places."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    places = []
    for row in table["place"]:
        written = row["expression"].replace("{KEYS}", "|".join(table["keys"]))
        for sign, spelled in _SPELLED.items():
            written = written.replace(sign, spelled)
        places.append(_Place(tuple(row["words"]), row.get("over_lines", False), written))
    words = {word for place in places for word in place.words}
    least = sorted(word for word in words if not any(other != word and other in word for other in words))
    return tuple(least), tuple(places)


# Compiled when first needed, for most texts need none.
_compiled = cache(re.compile)


def configured(text: str, lowered: str | None = None) -> Iterator[Span]:
    """The spans of passwords that settings in `text` hold, as characters `start` to `end` and a kind.

    `lowered` is `text` in small letters, where the caller has it.
    """
    lowered = text.lower() if lowered is None else lowered
    words, places = _places()
    if not [word for word in words if word in lowered]:
        return
    for place in places:
        if not [word for word in place.words if word in lowered]:
            continue
        spans = [(0, len(text))] if place.is_over_lines else lines_with(text, lowered, place.words)
        for match in (match for span in spans for match in _compiled(place.expression).finditer(text, *span)):
            group = match.lastgroup or "secret"
            value = match[group]
            is_hash = _HASH.match(value) is not None and len(value) >= _LEAST_HASH
            if is_hash or not (stands_for_one(value) or is_about(value)):
                yield *match.span(group), "password"
