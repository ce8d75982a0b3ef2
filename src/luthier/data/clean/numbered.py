"""Marks of e-mail addresses told apart: `<EMAIL_1>` and `<EMAIL_2>` where a row has several, so that a list of four stays one of four."""

from __future__ import annotations

import re

from luthier.data.clean.leaves import leaves, with_texts
from luthier.data.clean.personal import addresses
from luthier.data.clean.records import Row
from luthier.guard.secrets.scan import mark

_MARK = mark("email")
_EACH = re.compile(re.escape(_MARK))


def with_numbers(before: Row, after: Row) -> Row:
    """`after`, the row `before` with marks, with a number in each mark of an e-mail address, the same for the same address.

    As it is where one address alone was masked, and where a mark cannot be tied to its address: another rule took a part of the text.
    """
    given, masked = [leaf.text for leaf in leaves(before)], [leaf.text for leaf in leaves(after)]
    if len(given) != len(masked):
        return after
    order: dict[str, int] = {}
    told: list[list[str]] = []
    for text, changed in zip(given, masked, strict=True):
        marks = changed.count(_MARK)
        found = addresses(text) if marks else []
        if marks and (_MARK in text or len(found) != marks):
            return after
        told.append(found)
        for address in found:
            order.setdefault(address, len(order) + 1)
    if len(order) < 2:
        return after
    return with_texts(after, [_written(changed, found, order) for changed, found in zip(masked, told, strict=True)])


def _written(text: str, found: list[str], order: dict[str, int]) -> str:
    waiting = iter(found)
    return _EACH.sub(lambda _: mark(f"email-{order[next(waiting)]}"), text) if found else text
