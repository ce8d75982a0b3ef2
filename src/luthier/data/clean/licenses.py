"""Licenses of rows: SPDX expressions held against a list of those that are allowed.

After the SPDX specification 2.3, annex D: `AND` wants both sides, `OR` one, `WITH` adds an exception to a license; names are compared
without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from luthier.config.row_sections import CleanSection
from luthier.data.clean.view import View

# What stands for no license at all, in data sets and in SPDX documents; as a name in the list it allows rows without one.
UNKNOWN = "unknown"
_NONE = frozenset(("", "none", "noassertion", "other", UNKNOWN))
_TOKEN = re.compile(r"\s*(\(|\)|[A-Za-z0-9.+:-]+)")
_LATER = ("-or-later", "+")
_MOST_DEPTH = 50


class _Unreadable(Exception):
    """The text is no SPDX expression."""


def license_not_allowed(view: View, settings: CleanSection) -> str | None:
    """A license that `licenses` does not allow."""
    if not settings.licenses or is_allowed(view.row.origin.license, settings.licenses):
        return None
    return "the license of the row is not one of `licenses`" if view.row.origin.license else "nothing tells the license of the row"


def is_allowed(expression: str | None, allowed: Sequence[str]) -> bool:
    """Whether a list of SPDX names allows `expression`. A text that is no expression is allowed where the list has it word for word."""
    names = frozenset(name.strip().lower() for name in allowed)
    text = (expression or "").strip().lower()
    if text in _NONE:
        return UNKNOWN in names
    if text in names:
        return True
    try:
        # Cargo and npm wrote `MIT/Apache-2.0` before there were expressions.
        return _Reader(text.replace("/", " or "), names).read()
    except _Unreadable:
        return False


class _Reader:
    """Reads an expression and says at once whether it is allowed."""

    def __init__(self, text: str, names: frozenset[str]) -> None:
        self._tokens = _tokens(text)
        self._names = names
        self._position = 0

    def read(self) -> bool:
        found = self._either(0)
        if self._position < len(self._tokens):
            raise _Unreadable
        return found

    def _next(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._next()
        self._position += 1
        return token

    def _either(self, depth: int) -> bool:
        found = self._both(depth)
        while self._next() == "or":
            self._take()
            found = self._both(depth) or found
        return found

    def _both(self, depth: int) -> bool:
        found = self._one(depth)
        while self._next() == "and":
            self._take()
            found = self._one(depth) and found
        return found

    def _one(self, depth: int) -> bool:
        token = self._take()
        if token == "(" and depth < _MOST_DEPTH:
            found = self._either(depth + 1)
            if self._take() != ")":
                raise _Unreadable
            return found
        if token in ("", "(", ")", "and", "or", "with"):
            raise _Unreadable
        exception = ""
        if self._next() == "with":
            self._take()
            exception = self._take()
            if exception in ("", "(", ")", "and", "or", "with"):
                raise _Unreadable
        return self._has(token, exception)

    def _has(self, name: str, exception: str) -> bool:
        """Whether a name is in the list. An exception only permits more; `or later` and `+` leave the choice of the version itself."""
        if exception and f"{name} with {exception}" in self._names:
            return True
        stem = next((name.removesuffix(ending) for ending in _LATER if name.endswith(ending)), None)
        if stem is not None:
            return any(f"{stem}{ending}" in self._names for ending in ("", "-only", *_LATER))
        stem = name.removesuffix("-only")
        return stem in self._names or f"{stem}-only" in self._names


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise _Unreadable
        tokens.append(found[1])
        position = found.end()
    return tokens
