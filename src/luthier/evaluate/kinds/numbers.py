"""The final number of an answer in words, as an exact rational number. Nothing here raises on any text; time is linear in its length."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from fractions import Fraction

MAX_DIGITS = 100
_END_CHARACTERS = 4_000

_MINUS = "-\u2212\u2012\u2013\ufe63\uff0d"
_CURRENCY = r"[$€£¥₹]"
# A number as it is written: sign, currency and sign in any of their orders, digits with separators, a fraction's second half. A mark with
# a blank behind it is a sign where something stands before it, as in `(- 5)`: first on its line it is a bullet, between blanks a dash.
_NUMBER = re.compile(
    rf"(?P<sign>(?<![\w)\]])[{_MINUS}+](?:(?![ \t])|(?<=\S.)))?[ \t]?(?:{_CURRENCY}[ \t]?)?(?P<inner>(?<=[$€£¥₹])[{_MINUS}])?"
    r"(?P<number>(?:\d{1,3}(?:,\d{3}(?!\d))+|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3}(?![\w.]))?|(?<![\d.])\.\d+)"
)
_SECOND_HALF = re.compile(r"[ \t]*[/⁄][ \t]*(?P<below>\d+)(?![\d/]|\.\d)")
_MIXED = re.compile(r"[ \t]+(?P<above>\d+)[/⁄](?P<below>\d+)(?![\d/])")
_ANSWER = re.compile(r"\banswers?\b[*_` \t]*(?:is|are|was|would be|will be|equals|=|:)[*_` \t:]*", re.IGNORECASE)
_HASHES = re.compile(r"####+")
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_CLAUSE_END = re.compile(r"\n|[.!?;](?=\s|$)")
# What LaTeX and typography put between or around digits, and what it stands for.
_FRACTION = re.compile(r"\\[dtc]?frac[ ]?\{[ ]?(-?\d{1,100})[ ]?\}[ ]?\{[ ]?(\d{1,100})[ ]?\}")
_AFTER_EQUALS = re.compile(rf"=[ \t]*([{_MINUS}])[ \t]+(?=[\d.$€£¥₹])")
_REPLACED = (("\\$", "$"), ("\\%", "%"), ("\\,", ""), ("\\!", ""), ("{,}", ","), ("\u00a0", ""), ("\u202f", ""), ("\u2009", ""), ("**", ""))


def final_number(text: str) -> Fraction | None:
    """The number that an answer ends in; None where it has none.

    The first of these that holds a number: what stands behind the last `####`; the last `\\boxed{}`; the clause behind the last
    "answer is" or "answer:" (its last number behind an equals sign, else its first); the last number of the text. Thousands separators
    (comma, thin and no-break space), currency signs, units and percent signs are dropped, so 50% is 50. A fraction (3/4, 1 1/2,
    \\frac{3}{4}) is its value.
    """
    text = _plain(text)
    for clause in (*_behind(_HASHES, text), *_boxed(text)):
        if (number := _of_clause(clause)) is not None:
            return number
    for clause in _behind(_ANSWER, text):
        if (number := _of_clause(clause)) is not None:
            return number
    # The end of a long text says it as well; its first number may be cut, hence two.
    last = deque(_numbers(text[-_END_CHARACTERS:]), maxlen=2)
    if len(last) < 2 and len(text) > _END_CHARACTERS:
        last = deque(_numbers(text), maxlen=1)
    return last[-1] if last else None


def number_text(number: Fraction | None) -> str:
    """A number as it is shown: whole, `above/below`, or nothing."""
    return "" if number is None else str(number)


def _plain(text: str) -> str:
    for written, meant in _REPLACED:
        text = text.replace(written, meant)
    # Behind an equals sign a mark is a sign, however it is spaced.
    return _AFTER_EQUALS.sub(r"=\1", _FRACTION.sub(r"\1/\2", text))


def _behind(mark: re.Pattern[str], text: str) -> Iterator[str]:
    """The clauses behind the last marks, the last mark's first; a few suffice, for a model that repeats itself says nothing new."""
    for match in list(mark.finditer(text))[-1:-9:-1]:
        rest = text[match.end() : match.end() + 1000].lstrip(" \t\n")
        end = _CLAUSE_END.search(rest)
        yield rest[: end.start()] if end else rest


def _boxed(text: str) -> Iterator[str]:
    for match in list(_BOXED.finditer(text))[-1:-9:-1]:
        depth, end = 1, match.end()
        for end in range(match.end(), min(len(text), match.end() + 1000)):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                break
        yield text[match.end() : end]


def _of_clause(clause: str) -> Fraction | None:
    behind_equals = next(_numbers(clause.rpartition("=")[2]), None) if "=" in clause else None
    return behind_equals if behind_equals is not None else next(_numbers(clause), None)


def _numbers(text: str) -> Iterator[Fraction]:
    """The numbers of a text in their order; what has more than `MAX_DIGITS` digits is no number."""
    position = 0
    while (match := _NUMBER.search(text, position)) is not None:
        position = match.end()
        written = match["number"]
        if len(written) > MAX_DIGITS:
            continue
        value, position = _with_fraction(Fraction(written.replace(",", "")), written, text, position)
        if value is not None:
            negative = (match["sign"] or "+") in _MINUS or bool(match["inner"])
            yield -value if negative else value


def _with_fraction(value: Fraction, written: str, text: str, position: int) -> tuple[Fraction | None, int]:
    """The value with what a fraction adds to it, and where it ends; None for a division by zero."""
    if not written.isdigit():
        return value, position
    if (half := _SECOND_HALF.match(text, position)) is not None:
        below = _bounded(half["below"])
        return (value / below if below else None), half.end()
    if (mixed := _MIXED.match(text, position)) is not None:
        above, below = _bounded(mixed["above"]), _bounded(mixed["below"])
        return (value + Fraction(above, below) if below else None), mixed.end()
    return value, position


def _bounded(digits: str) -> int:
    return int(digits) if len(digits) <= MAX_DIGITS else 0
