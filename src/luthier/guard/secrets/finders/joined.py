"""Credentials of an issued shape that an end of line, a backslash before it, or two strings with a plus between them break in two.

`joined(text)` yields the character spans. The broken parts count only where they make a credential together.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache

from luthier.core.issued import issued, shapes
from luthier.guard.secrets.finders.assigned import Span, is_stand_in

# Prefixes that issuers gave their credentials so that they are known by them; shorter ones begin words.
_PREFIX = re.compile(r"[A-Za-z]\w{0,20}[A-Za-z\d][_.-]|[A-Z]{4}|AIza|eyJ\w*")
_PART = r"[A-Za-z0-9_+/=.~-]"
# One string goes on in another: as code of some language writes it, over a line or within it.
_STRINGS = r"""\\?["'`][ \t]{0,20}(?:[+.&]|\.\.|\\)?[ \t]{0,20}(?:\\?\r?\n[ \t]{0,80}(?:[+.&]|\.\.)?[ \t]{0,20})?[rbf]?\\?["'`]"""
_ESCAPED = r"\\\r?\n[ \t]{0,80}"
_LINE_END = r"\r?\n[ \t]{0,80}(?:(?:[>#*|]|//)[ \t]{0,4})?"
_MOST_PARTS = 60
# What may follow behind an end of line: no word, no name of a file or a package.
_DRAWN_PART = re.compile(r"(?=.*\d)(?=.*[A-Za-z])\w+|[A-Z0-9]+")
# A classic token of GitHub: a shorter one is broken.
_GITHUB_CHARACTERS = 40


def joined(text: str) -> Iterator[Span]:
    """The spans of broken credentials, as characters `start` to `end` and a kind."""
    if "\n" not in text and '"' not in text and "'" not in text and "`" not in text:
        return
    # Nearly all texts end here: a list costs half of what a generator does, and most prefixes have a sign that few texts hold.
    if not [sign for sign, prefixes in _gates() if sign in text and [prefix for prefix in prefixes if prefix in text]]:
        return
    for match in _broken().finditer(text):
        yield from _in_parts(text, match)


@cache
def _prefixes() -> tuple[str, ...]:
    return tuple(anchor for shape in shapes() for anchor in shape.anchors if len(anchor) >= 3 and _PREFIX.fullmatch(anchor))


@cache
def _gates() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The prefixes by the sign that they end with, if any; without those in which another one stands."""
    least = [prefix for prefix in _prefixes() if not any(other != prefix and other in prefix for other in _prefixes())]
    signs = ("_", "-", ".")
    by_sign = [(sign, tuple(prefix for prefix in least if prefix.endswith(sign))) for sign in signs]
    return (*by_sign, ("", tuple(prefix for prefix in least if not prefix.endswith(signs))))


@cache
def _broken() -> re.Pattern[str]:
    prefixes = "|".join(map(re.escape, sorted(_prefixes(), key=len, reverse=True)))
    tails = rf"(?:(?:{_STRINGS}|{_ESCAPED}|{_LINE_END}){_PART}{{1,400}}){{1,{_MOST_PARTS}}}"
    return re.compile(rf"(?<![A-Za-z0-9_])[sr]?(?:{prefixes}){_PART}{{0,400}}{tails}")


_JOINT = re.compile(rf"(?P<in_code>{_STRINGS}|{_ESCAPED})|{_LINE_END}")


def _in_parts(text: str, match: re.Match[str]) -> Iterator[Span]:
    """The credential that the parts of `match` make together, if it goes over a joint."""
    together, first, is_in_code = "", match.start(), False
    # Where each part begins in what they make together, and in the text.
    ends: list[int] = []
    starts: list[int] = []
    for joint in [*_JOINT.finditer(text, match.start(), match.end()), None]:
        part = text[first : joint.start() if joint is not None else match.end()]
        if together and not is_in_code and not _goes_on(together, part):
            break
        ends.append(len(together))
        starts.append(first)
        together += part
        if joint is None:
            break
        first, is_in_code = joint.end(), joint["in_code"] is not None
    if len(starts) < 2:
        return
    for found in issued(together):
        if found.start == 0 and found.end > ends[1] and not is_stand_in(together[found.start : found.end]):
            last = bisect_right(ends, found.end - 1) - 1
            yield match.start(), starts[last] + found.end - ends[last], found.kind


def _goes_on(together: str, part: str) -> bool:
    """Whether a credential may go on with `part` on the next line: `together` is none yet, and `part` is no word."""
    is_whole = any(found.start == 0 for found in issued(together))
    if is_whole and not (together.startswith("gh") and len(together) < _GITHUB_CHARACTERS):
        return False
    return _DRAWN_PART.fullmatch(part) is not None
