"""Where words stand in a text, and which of its lines are worth a look for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

# Below this it costs more to look for lines than to look through all of them.
LONG_TEXT = 2_000


def lines_with(text: str, lowered: str, words: Iterable[str]) -> list[tuple[int, int]]:
    """The spans of the lines of `text` that hold one of `words`, in order; of a short text one span over all of it.

    `lowered` is `text` in small letters; where a letter has no small form of its length, the whole is one span too.
    """
    if len(text) < LONG_TEXT or len(lowered) != len(text):
        return [(0, len(text))]
    lines: set[tuple[int, int]] = set()
    for word in words:
        at = lowered.find(word)
        while at >= 0:
            end = text.find("\n", at)
            end = end if end >= 0 else len(text)
            lines.add((text.rfind("\n", 0, at) + 1, end))
            at = lowered.find(word, end)
    return sorted(lines)


def places(lowered: str, word: str) -> Iterator[int]:
    """Where `word` stands in `lowered`."""
    at = lowered.find(word)
    while at >= 0:
        yield at
        at = lowered.find(word, at + len(word))
