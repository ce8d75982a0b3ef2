"""The lists of words in `words.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("words.toml")


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def words(name: str) -> frozenset[str]:
    """The words of a list."""
    return frozenset(_table()["lists"][name].split())


def sentence_words() -> dict[str, frozenset[str]]:
    """The words that hold sentences together, by language."""
    return {language: frozenset(text.split()) for language, text in _table()["languages"].items()}
