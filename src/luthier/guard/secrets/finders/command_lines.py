"""Passwords that a command line hands to a program by an option or an argument, `docker login -p`, `sshpass -p`, `curl -u` and the like,
and pairs and cookies in code: `auth=("me", "x")`.

`handed(text, lowered)` yields the character spans. Such a place says by itself that a password stands there, so that short ones and plain
words count too; placeholders, references to variables, numbers, paths, names in capitals and words about passwords do not.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from luthier.guard.secrets.finders.assigned import Span, is_placeholder

# A value in either quotes, escaped ones too, or a bare word; one of the three groups holds it.
VALUE = r"""(?:\\?"(?P<double>[^"'\\\n`]{4,200})\\?"|\\?'(?P<single>[^"'\\\n`]{4,200})\\?'|(?P<bare>[^\s"'`|;<>()\\]{4,200}))"""
_QUOTED = ("double", "single")


# Words of the same command in front of the option that matters; bounded, so that the cost stays linear.
_WORDS = r"[^\n|;&]{0,200}?"
_END = r"""(?=[ \t]*(?:$|[\n|;&>)`"']|\s#))"""
TABLE = Path(__file__).with_name("command_places.toml")
# What some places are written with: another argument, a value in quotes, the pairs of a cookie of which one or two are a session.
_ARGUMENT = r"""(?:\\?"[^"\n]{0,300}"|\\?'[^'\n]{0,300}'|[$\w.\[\]>:&*!?-]{1,100}(?:\([^()\n]{0,100}\))?)"""
_QUOTED_VALUE = r"""(?=\\?["'])""" + VALUE
_PAIR = r"""[^\s=;"'|]{1,60}=[^\s;"'|]{0,400};\s?"""
_SESSION_NAME = r"(?i:[\w.-]{0,40}?(?:sess|sid|token|auth|jwt|csrf|xsrf|login|remember|secret|credential)[\w.-]{0,40})"
_SESSION = rf"{_SESSION_NAME}="
_PAIRS = (
    rf"""(?:{_PAIR}){{0,8}}?{_SESSION}(?P<bare>[^\s"'`;|<>()\\]{{6,4000}})"""
    rf"""(?:;\s?(?:{_PAIR}){{0,8}}?{_SESSION}(?P<second>[^\s"'`;|<>()\\]{{6,4000}}))?"""
)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a password stands: a row of the table, with what it matches spelled out."""

    words: tuple[str, ...]
    kind: str
    is_certain: bool
    expression: str
    # What follows a match within the same command, where the option may stand twice.
    again: str


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


@cache
def _gates() -> tuple[tuple[str, tuple[_Place, ...]], ...]:
    """The places by the text that stands in each match of theirs: a few looks do for most texts."""
    gates: dict[str, list[_Place]] = {}
    for row in _table()["place"]:
        written, again = row.get("expression"), ""
        if written is None:
            again = rf"(?:{_WORDS}\s)??(?:{row['option']}){VALUE}"
            written = rf"\b(?:{'|'.join(row['programs'])})(?:\.exe)?\s{again}"
        written = written.replace("{QUOTED}", _QUOTED_VALUE).replace("{ARGUMENT}", _ARGUMENT).replace("{PAIRS}", _PAIRS)
        written = written.replace("{SESSION_NAME}", _SESSION_NAME)
        written = written.replace("{VALUE}", VALUE).replace("{WORDS}", _WORDS).replace("{END}", _END)
        place = _Place(
            tuple(row["words"]), row.get("kind", "password"), not row.get("uncertain", False), written, again and rf"['\"]?\s{again}"
        )
        gates.setdefault(row["gate"], []).append(place)
    return tuple((gate, tuple(places)) for gate, places in gates.items())


# Compiled when first needed, for most texts need none.
_compiled = cache(re.compile)
# Words that say of themselves that a password belongs there, and what people write where any will do.
_SPELLED = re.compile(
    r"(?i)[a-z_.-]*(?:pass|pwd|secret|token|word|your)[a-z_.-]*\d{0,3}!?"
    r"|(?:test|demo|user|guest|foo|bar|baz|abc|value|string|stdin|prompt|none|foobared)\d{0,4}|x+|[*.\u2026_-]+"
)
_CAPITALS = re.compile(r"[A-Z][A-Z_]*")
_NUMBER = re.compile(r"[\d.,:/+-]+")
_DIGIT_AND_LETTER = re.compile(r"(?=.*\d)(?=.*[A-Za-z])")


def handed(text: str, lowered: str | None = None) -> Iterator[Span]:
    """The spans of passwords that command lines in `text` hand to programs, as characters `start` to `end` and a kind.

    `lowered` is `text` in small letters, where the caller has it.
    """
    lowered = text.lower() if lowered is None else lowered
    for gate, places in _gates():
        if gate not in lowered:
            continue
        for place in places:
            if not [word for word in place.words if word in lowered]:
                continue
            found: re.Match[str] | None
            for found in _compiled(place.expression).finditer(text):
                while found is not None:
                    yield from _found(found, place.kind, place.is_certain)
                    found = _compiled(place.again).match(text, found.end()) if place.again else None  # noqa: PLW2901


def _found(match: re.Match[str], kind: str, is_certain: bool) -> Iterator[Span]:
    groups = [name for name, value in match.groupdict().items() if value is not None]
    for group in groups:
        value = match[group].rstrip("&") if group == "bare" else match[group]
        if kind == "password" and group in _QUOTED:
            is_certain = True
        if not is_certain and not (len(value) >= 6 and _DIGIT_AND_LETTER.match(value)):
            continue
        if not stands_for_one(value) and not is_about(value):
            yield match.start(group), match.start(group) + len(value), kind


@cache
def _words_about() -> frozenset[str]:
    return frozenset(" ".join(_table()["about"]).split())


def is_about(value: str) -> bool:
    """Whether `value` is a word of a sentence or a table about passwords, which none is by itself."""
    return value.rstrip(".,:!?").lower() in _words_about()


def stands_for_one(value: str) -> bool:
    """Whether `value` is a placeholder, a reference, a number, a path, a name in capitals or code between two quotes."""
    return (
        value != value.strip()
        or is_placeholder(value)
        or value.startswith(("/", "~", "./", "[", "`"))
        or any(expression.fullmatch(value) for expression in (_SPELLED, _CAPITALS, _NUMBER))
    )
