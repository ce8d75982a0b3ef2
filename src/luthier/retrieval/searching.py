"""Search over one source or several: words of a question to the pieces that fit them best, with scores that can be compared.

BM25 (Robertson and Zaragoza 2009) knows how rare a word is in one collection; here it is how rare it is in all sources that are asked, so
that a piece counts the same wherever it stands. What a question says around the thing it asks for counts little or nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
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
_COMMON_WEIGHT = 0.2
# Two words of the question side by side, written as one name.
_JOINED_WEIGHT = 0.7
# A piece counts up to this much more where its name is made of words of the question; one of code where they are the question's rare ones.
_NAMED, _TOLD_BY_NAME = 0.5, 1.0
# Tests stand behind what they test, and lines between definitions behind definitions.
_TEST, _BLOCK, _SECTION = 0.75, 0.8, 1.2
_TESTS = frozenset(("test", "tests", "tested", "testing"))
_WORD_OF_QUERY = re.compile(r"\w+")
_ENDINGS = ("ations", "ation", "ings", "ing", "ies", "ers", "ed", "es", "er", "s", "e", "y")
_LEAST_STEM = 3


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
        terms = dict(_terms(text))
        places = {source: index.places(tuple(terms)) for source, index in sorted(self._indexes.items())}
        weights = self._weights(terms, places)
        most = max(_CANDIDATES, limit)
        matches = [(match, source) for source in places for match in self._indexes[source].matches(weights, places[source], most)]
        best = sorted(matches, key=lambda one: (-one[0].score, one[1], one[0].number))[:most]
        asked = _Asked(weights)
        found: list[tuple[float, str, int, Chunk]] = []
        for source in dict.fromkeys(source for _, source in best):
            own = [match for match, other in best if other == source]
            for match, chunk in zip(own, self._indexes[source].at_numbers([match.number for match in own]), strict=True):
                found.append((-asked.score(match, chunk), source, match.number, chunk))
        found.sort(key=lambda one: one[:3])
        return [Hit(source, chunk, -score) for score, source, _, chunk in found[: max(0, limit)]]

    def _weights(self, terms: Mapping[str, float], places: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
        """What each term counts that stands anywhere: the more, the fewer pieces of all sources hold it."""
        size = sum(map(len, self._indexes.values()))
        weights = {}
        for term, weight in terms.items():
            count = sum(found.get(term, 0) for found in places.values())
            if count:
                weights[term] = weight * math.log(1 + (size - count + 0.5) / (count + 0.5))
        return weights


def _terms(text: str) -> Iterator[tuple[str, float]]:
    """The terms of a question, each with what it counts beside its rarity."""
    asked = list(dict.fromkeys(words(text)))[:_QUERY_WORDS]
    telling = [word for word in asked if word not in _EMPTY] or asked
    rest = [word for word in telling if word not in _COMMON]
    said = [word.lower() for word in _WORD_OF_QUERY.findall(text) if word.lower() not in _EMPTY][:_QUERY_WORDS]
    for first, second in pairwise(said):
        if first not in _COMMON and second not in _COMMON:
            yield f"{first}{second}", _JOINED_WEIGHT
            yield f"{first}_{second}", _JOINED_WEIGHT
    for word in telling:
        yield word, _COMMON_WEIGHT if rest and word in _COMMON else 1.0


class _Asked:
    """What a question asks for, beside a piece that holds some of its words."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights: dict[str, float] = {}
        for word, weight in weights.items():
            stem = _stem(word)
            self._weights[stem] = max(weight, self._weights.get(stem, 0.0))
        self._whole = sum(self._weights.values())
        self._wants_tests = not _TESTS.isdisjoint(weights)

    def score(self, match: Match, chunk: Chunk) -> float:
        """The score by words, raised by what the name says, lowered for tests and for lines between definitions."""
        score = match.score
        if chunk.kind == "block":
            score *= _BLOCK
        elif name := {_stem(word) for word in words(chunk.name)} - _EMPTY:
            told = [self._weights[word] for word in name if word in self._weights]
            score *= 1 + _NAMED * len(told) / len(name)
            # A heading says what its section is about; what is asked stands in the text.
            score *= 1 + _TOLD_BY_NAME * sum(told) / self._whole if chunk.kind != "section" else _SECTION
        return score * _TEST if chunk.is_test and not self._wants_tests else score


# Names of a source and words of questions come again and again.
@lru_cache(maxsize=1 << 14)
def _stem(word: str) -> str:
    """`word` without its ending."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM:
            return word.removesuffix(ending)
    return word


def found_chunks(hits: Sequence[Hit]) -> list[Chunk]:
    """The pieces of hits alone."""
    return [hit.chunk for hit in hits]
