"""How much work a regular expression may make for Python's backtracking matcher, told from its parts before it is ever tried.

The bound is on the ways in which a text can be divided among the parts of the expression: one where nothing varies, the text's length
for a repetition without an end, their product where parts follow each other. A repetition without an end over something that can
itself be read in several ways has a number of ways that grows exponentially with the text, and no bound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import factorial
from re import _constants as kinds  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

# A repetition of more rounds than this counts as one without an end.
_MANY = 64
_MOST_FIXED = 1 << 20


class Unbounded(Exception):
    """The work grows exponentially with the text."""


@dataclass(frozen=True, slots=True)
class Effort:
    """At most `fixed` times length ** `degree` / `degree`! ways to read a text."""

    fixed: int = 1
    degree: int = 0

    def on(self, length: int) -> int:
        """The steps for a text of `length` characters, which is read once in any case."""
        ways: int = self.fixed * length**self.degree // factorial(self.degree)
        return length + ways

    def then(self, other: Effort) -> Effort:
        """This and then the other."""
        fixed = self.fixed * other.fixed
        if fixed > _MOST_FIXED:
            raise Unbounded
        return Effort(fixed, self.degree + other.degree)


ONE_WAY = Effort()


def effort_of(pattern: str) -> Effort:
    """The work of `pattern`; `Unbounded` where it grows exponentially, `re.error` where it is no regular expression."""
    return _of_all(parser.parse(pattern, re.IGNORECASE | re.DOTALL))


def _of_all(items: Any) -> Effort:
    effort = ONE_WAY
    for kind, value in items:
        effort = effort.then(_of(kind, value))
    return effort


def _of(kind: Any, value: Any) -> Effort:
    if kind in (kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT):
        return _of_repeat(*value)
    if kind is kinds.BRANCH:
        return _of_branches(value[1])
    if kind is kinds.SUBPATTERN:
        return _of_all(value[-1])
    if kind is kinds.ATOMIC_GROUP:
        return _of_all(value)
    if kind in (kinds.ASSERT, kinds.ASSERT_NOT):
        return _of_all(value[1])
    if kind is kinds.GROUPREF_EXISTS:
        return _of_branches([branch for branch in value[1:] if branch is not None])
    return ONE_WAY  # One character, or a place between two.


def _of_repeat(least: int, most: int, body: Any) -> Effort:
    inner = _of_all(body)
    if most > _MANY:
        if inner != ONE_WAY:
            raise Unbounded
        return ONE_WAY if least == most else Effort(1, 1)
    effort = Effort(most - least + 1)
    for _ in range(most):
        effort = effort.then(inner)
    return effort


def _of_branches(branches: Any) -> Effort:
    """Alternatives that start with different letters exclude each other; all others may be tried one after the other."""
    efforts = [_of_all(branch) for branch in branches]
    starts = [branch[0] if len(branch) else None for branch in branches]
    letters = {chr(start[1]).lower() for start in starts if start is not None and start[0] is kinds.LITERAL}
    fixed = max(effort.fixed for effort in efforts) if len(letters) == len(branches) else sum(effort.fixed for effort in efforts)
    return Effort(fixed, max(effort.degree for effort in efforts))
