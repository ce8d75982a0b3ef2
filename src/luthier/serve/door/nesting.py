"""How deep lists and objects of a body may lie in each other."""

from __future__ import annotations

from typing import Any, TypeVar

# Schemas that people write are ten deep; templates and writers of JSON go down by calling themselves, and give up at a few hundred.
MOST_DEPTH = 64

T = TypeVar("T")


def of_some_depth(value: T) -> T:
    """`value`, where its lists and objects lie no deeper in each other than can be written again; `ValueError` where they do."""
    level: list[Any] = [value]
    for _ in range(MOST_DEPTH + 1):
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())]
    if level:
        raise ValueError(f"lists and objects lie {MOST_DEPTH} deep in each other at most")
    return value
