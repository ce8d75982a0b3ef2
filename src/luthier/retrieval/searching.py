"""Search over one source or several: words of a question to the pieces that fit them best, with scores that can be compared.

BM25 (Robertson and Zaragoza 2009) knows how rare a word is in one collection; here it is how rare it is in all sources that are asked, so
that a piece counts the same wherever it stands. What a question says around the thing it asks for counts little or nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from luthier.retrieval.index import Index, Match, words
from luthier.retrieval.records import Chunk

# Words of a query that are looked for; a whole document as a query would cost as much as reading all chunks.
_QUERY_WORDS = 64
# Candidates by words alone, of each source, that are looked at more closely.
_CANDIDATES = 60
# Words without which a question asks for the same.
_EMPTY = frozenset(
    (
        "a", "about", "all", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do",
        "does", "doing", "for", "from", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "just", "like",
        "look", "looking", "located", "may", "me", "might", "mine", "must", "my", "of", "on", "one", "or", "our", "please", "point",
        "shall", "she", "should", "show", "so", "some", "tell", "than", "that", "the", "their", "them", "then", "there", "these",
        "they", "this", "those", "to", "us", "want", "was", "we", "were", "what", "when", "where", "which", "who", "whose", "why",
        "will", "with", "would", "you", "your",
    )
)  # fmt: skip
# Words that questions about code hold whatever they ask for: they tell little, unless it is a name.
_COMMON = frozenset(
    (
        "class", "code", "codebase", "constant", "declared", "define", "defined", "defines", "definition", "described", "description",
        "documented", "doc", "docs", "document", "documentation", "file", "files", "find", "found", "function", "functions", "holds",
        "implement", "implementation", "implemented", "implements", "line", "lines", "method", "module", "name", "names", "project",
        "repo", "repository", "returns", "section", "source", "type", "use", "used", "uses", "using", "written",
    )
)  # fmt: skip
_COMMON_WEIGHT = 0.35
# Two words of the question side by side, and written as one name.
_PHRASE_WEIGHT, _JOINED_WEIGHT = 0.5, 0.7
# A score is multiplied by these, raised by what is told of a piece.
_COVERED, _NAMED, _TEST = 0.6, 0.5, 0.75
_TESTS = frozenset(("test", "tests", "tested", "testing"))
_WORD_OF_QUERY = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Hit:
    """A piece of `source` that was found. `score` is above 0, higher for what fits better, whichever source it is of."""

    source: str
    chunk: Chunk
    score: float


class Retriever(Protocol):
    """Something that finds pieces by a question."""

    def search(self, text: str, limit: int) -> list[Hit]:
        """The `limit` pieces that fit `text` best, best first, in a fixed order."""


class WordSearch:
    """The `Retriever` over indexes of words, by the names of their sources."""

    def __init__(self, indexes: Mapping[str, Index]) -> None:
        self._indexes = indexes

    def search(self, text: str, limit: int) -> list[Hit]:
        """The `limit` pieces that fit the words of `text` best; ties by source, path and line. No sign in `text` acts as an operator."""
        weights = self._weights(dict(_terms(text)))
        if not weights or limit < 1:
            return []
        asked = frozenset(word for word in weights if " " not in word)
        wants_tests = not _TESTS.isdisjoint(asked)
        found: list[tuple[float, str, int, Chunk]] = []
        for source, index in sorted(self._indexes.items()):
            matches = index.matches(weights, max(_CANDIDATES, limit))
            for match, chunk in zip(matches, index.at_numbers([match.number for match in matches]), strict=True):
                found.append((-_score(match, chunk, weights, asked, wants_tests), source, match.number, chunk))
        found.sort(key=lambda one: one[:3])
        return [Hit(source, chunk, -score) for score, source, _, chunk in found[:limit]]

    def _weights(self, terms: Mapping[str, float]) -> dict[str, float]:
        """What each term counts that stands anywhere: the more, the fewer pieces of all sources hold it."""
        size = sum(map(len, self._indexes.values()))
        weights = {}
        for term, weight in terms.items():
            places = sum(index.places(term) for index in self._indexes.values())
            if places:
                weights[term] = weight * math.log(1 + (size - places + 0.5) / (places + 0.5))
        return weights


def _terms(text: str) -> Iterator[tuple[str, float]]:
    """The terms of a question, each with what it counts beside its rarity."""
    asked = list(dict.fromkeys(words(text)))[:_QUERY_WORDS]
    telling = [word for word in asked if word not in _EMPTY] or asked
    rest = [word for word in telling if word not in _COMMON]
    for word in telling:
        yield word, _COMMON_WEIGHT if rest and word in _COMMON else 1.0
    said = [word.lower() for word in _WORD_OF_QUERY.findall(text) if word.lower() not in _EMPTY][:_QUERY_WORDS]
    for first, second in pairwise(said):
        if first not in _COMMON and second not in _COMMON:
            yield f"{first} {second}", _PHRASE_WEIGHT
            yield f"{first}{second}", _JOINED_WEIGHT
            yield f"{first}_{second}", _JOINED_WEIGHT


def _score(match: Match, chunk: Chunk, weights: Mapping[str, float], asked: frozenset[str], wants_tests: bool) -> float:
    """The score by words, raised by how much of the question a piece holds and how much of its name the question, lowered for tests."""
    whole = sum(weights[word] for word in asked)
    covered = sum(weights[word] for word in asked & match.terms) / whole if whole else 0.0
    name = [word for word in dict.fromkeys(words(chunk.name)) if word not in _EMPTY]
    named = sum(word in asked for word in name) / len(name) if name else 0.0
    score = match.score * (1 - _COVERED + _COVERED * covered) * (1 + _NAMED * named)
    return score * _TEST if chunk.is_test and not wants_tests else score


def found_chunks(hits: Sequence[Hit]) -> list[Chunk]:
    """The pieces of hits alone."""
    return [hit.chunk for hit in hits]
