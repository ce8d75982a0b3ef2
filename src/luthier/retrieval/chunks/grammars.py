"""The grammars of `grammars.toml`: a compiled parser and query for each, made when a file first asks for it."""

from __future__ import annotations

import importlib
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from tree_sitter import Language, Parser, Query


@dataclass(frozen=True, slots=True)
class Grammar:
    """How one language is read: see the head of `grammars.toml`."""

    parser: Parser
    query: Query
    public_words: re.Pattern[str] | None
    public_if: re.Pattern[str] | None
    public_at_top: bool
    hidden_words: re.Pattern[str] | None
    hidden_prefix: str
    capital_is_public: bool


@cache
def rows() -> dict[str, dict[str, object]]:
    """The tables of `grammars.toml` by language."""
    return tomllib.loads(resources.files(__package__).joinpath("grammars.toml").read_text(encoding="utf-8"))


@cache
def grammar(language: str) -> Grammar | None:
    """The grammar of `language`; None where there is none."""
    own = rows().get(language)
    if own is None:
        return None
    row = {**rows().get(str(own.get("same_as", "")), {}), **own}
    spoken = Language(getattr(importlib.import_module(str(row["package"])), str(own.get("entry", "language")))())
    return Grammar(
        parser=Parser(spoken),
        query=Query(spoken, str(row["query"]) + str(row.get("more", ""))),
        public_words=_words(row.get("public_words")),
        public_if=re.compile(str(row["public_if"]), re.MULTILINE) if "public_if" in row else None,
        public_at_top=bool(row.get("public_at_top", False)),
        hidden_words=_words(row.get("hidden_words")),
        hidden_prefix=str(row.get("hidden_prefix", "")),
        capital_is_public=bool(row.get("capital_is_public", False)),
    )


def _words(words: object) -> re.Pattern[str] | None:
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b") if isinstance(words, list) else None
