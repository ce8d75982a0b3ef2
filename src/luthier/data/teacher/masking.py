"""Texts without personal data, before they go to an endpoint and into the journal."""

from __future__ import annotations

from luthier.data.clean.personal import personal


def masked(text: str) -> str:
    """`text` with a mark such as `<EMAIL>` for each piece of personal data; the same text where it holds none."""
    parts: list[str] = []
    position = 0
    for start, end, _, mark in personal(text):
        parts += [text[position:start], mark]
        position = end
    return "".join([*parts, text[position:]])
