"""Long lists in pages, with addresses that say which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Generic, TypeVar
from urllib.parse import urlencode

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Part(Generic[Item]):
    """One page of a list: its items, which number the first and the last are (0 where there are none), of how many; and the ways on."""

    items: Sequence[Item]
    first: int
    last: int
    total: int
    number: int
    pages: int
    before: str
    after: str


def cut_page(items: Sequence[Item], query: Mapping[str, str], size: int) -> Part[Item]:
    """The page of `items` that the field `page` of `query` asks for, the nearest where there is no such; its ways keep the other fields."""
    pages = max(1, ceil(len(items) / size))
    asked = query.get("page", "1")
    number = min(pages, max(1, int(asked))) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else 1
    start = (number - 1) * size
    part = items[start : start + size]

    def way(to: int) -> str:
        if not 1 <= to <= pages:
            return ""
        kept = [(name, value) for name, value in query.items() if name != "page" and value]
        return "?" + urlencode([*kept, ("page", to)])

    return Part(part, start + 1 if part else 0, start + len(part), len(items), number, pages, way(number - 1), way(number + 1))
