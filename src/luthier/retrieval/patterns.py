"""Patterns of paths, as run files and `.gitattributes` write them: `*` stays in one folder, `**` goes through any number of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import cache

_MAX_PATTERN = 1000


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Whether one of `patterns` fits the posix `path`.

    A pattern without a slash fits the name at any depth; one that ends in a slash all below a folder; `[...]` and `?` are of one folder.
    No pattern takes more steps than its parts times those of the path: a foreign source may write what it likes.
    """
    parts = path.split("/")
    return any(_fits(parts, _parts(pattern)) for pattern in patterns)


@cache
def _parts(pattern: str) -> tuple[re.Pattern[str] | None, ...]:
    """An expression for each folder and the name; None for any number of folders."""
    written = pattern[:_MAX_PATTERN]
    if not written.strip("/"):
        return ()  # Which fits no path.
    if "/" not in written.rstrip("/"):
        written = written if written.endswith("/") else f"**/{written}"
    names = [name for name in written.removeprefix("./").strip("/").split("/") if name]
    if written.endswith("/"):
        names += ["**", "*"]
    elif names[-1:] == ["**"]:
        names.append("*")  # What lies in a folder, not the folder.
    # `fnmatch` writes expressions that never go back behind a star that was matched.
    return tuple(None if name == "**" else re.compile(translate(re.sub(r"\*+", "*", name))) for name in names)


def _fits(parts: list[str], pattern: tuple[re.Pattern[str] | None, ...]) -> bool:
    if None not in pattern:
        return len(parts) == len(pattern) and all(one is not None and one.match(part) for one, part in zip(pattern, parts, strict=True))
    # The numbers of parts that the pattern so far can have taken.
    taken = {0}
    for one in pattern:
        if not taken:
            return False
        if one is None:
            taken = set(range(min(taken), len(parts) + 1))
        else:
            taken = {number + 1 for number in taken if number < len(parts) and one.match(parts[number])}
    return len(parts) in taken
