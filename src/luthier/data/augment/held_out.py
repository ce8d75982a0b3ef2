"""Variants that come too near to a held-out row, told by an inverted index over what only few requests have."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from luthier.config.row_sections import AugmentRule
from luthier.data.rows.fields import Fields
from luthier.data.rows.grams import NEAR, grams, jaccard, said

Variant = tuple[Fields, tuple[AugmentRule, ...]]


def without_near(variants: Sequence[Variant], held_out_requests: Iterable[str]) -> list[Variant]:
    """The variants whose request is not nearly equal to a held-out one: Jaccard similarity of word 3-grams below `grams.NEAR`.

    Exact. Two sets of Jaccard similarity t share one of the n - ceil(t n) + 1 rarest members of each, n being its size (prefix filtering:
    Bayardo, Ma and Srikant, WWW 2007), so only those are looked up, and a gram that every request has costs nothing.
    """
    held_out = [grams(request) for request in dict.fromkeys(held_out_requests)]
    often = Counter(gram for one in held_out for gram in one)
    index: dict[str, list[int]] = defaultdict(list)
    for number, one in enumerate(held_out):
        for gram in _rarest(one, often):
            index[gram].append(number)
    return [variant for variant in variants if not _is_near(variant[0], held_out, often, index)]


def _rarest(one: frozenset[str], often: Counter[str]) -> list[str]:
    """The rarest grams of a request, by how many held-out requests have them, and by name among equals."""
    count = len(one) - math.ceil(NEAR * len(one) - 1e-9) + 1
    return sorted(one, key=lambda gram: (often[gram], gram))[:count]


def _is_near(row: Fields, held_out: Sequence[frozenset[str]], often: Counter[str], index: dict[str, list[int]]) -> bool:
    request = said(row.messages).request
    if request is None:
        return False
    own = grams(request)
    near = {number for gram in _rarest(own, often) for number in index.get(gram, ())}
    return any(jaccard(own, held_out[number]) >= NEAR for number in near)
