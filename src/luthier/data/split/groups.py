"""Groups of rows: the components of strong edges, and the larger ones that weak edges make of them.

Every edge is an equal key: a 64-bit number a row, 0 where the row has none. Two different texts of ten million may meet in one number with
a chance of 1 in 400,000; that would keep two groups together that need not be, and never part rows that belong together.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from luthier.core.records import Origin
from luthier.data.rows.grams import Said, normalised
from luthier.data.similar.unions import Labels, single, tie
from luthier.data.split.masks import has_words, masked

Keys = NDArray[np.uint64]
NO_KEY = 0
# The order in which `row_keys` gives a row's keys; `near` comes from the join.
REQUEST, ANSWER, FILE, MASKED_ANSWER, COMMIT, NEAR = "request", "answer", "file", "masked_answer", "commit", "near"
# Makers whose rows are about the code of one file; of two rows of such a file one would tell the other.
CODE_MAKERS = frozenset(
    ("explain", "complete", "document", "question", "commits", "infill", "locate", "usage", "tests", "tools", "teacher"),
)


@dataclass(frozen=True, slots=True)
class Ties:
    """What ties rows: their ids (the first 64 bits of a row's digest, and the how many-eth row with it), and keys by kind of edge."""

    ids: NDArray[np.uint64]
    times: NDArray[np.uint32]
    strong: Mapping[str, Keys]
    weak: Mapping[str, Keys]

    def __len__(self) -> int:
        return len(self.ids)

    def name(self, row: int) -> str:
        """The id of a row as text, as `dedup.numbered` writes it."""
        times = int(self.times[row])
        return f"{int(self.ids[row]):016x}" + (f"-{times}" if times > 1 else "")

    def order(self) -> NDArray[np.int64]:
        """The rows in the order of their ids."""
        return np.lexsort((self.times, self.ids)) if (self.times != 1).any() else np.argsort(self.ids, kind="stable")


def text_key(text: str) -> int:
    """The key of a text; never 0."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1


def row_keys(said: Said, origin: Origin) -> tuple[int, int, int, int, int]:
    """The keys of one row: request, answer, file (strong), masked answer and commit (weak); 0 where it has none."""
    request = answer = mask = NO_KEY
    if said.request is not None:
        request = text_key(normalised(said.request) or said.request.strip())
    if said.answer is not None:
        plain = said.answer if said.answer.isascii() else unicodedata.normalize("NFC", said.answer)
        answer = text_key(plain.strip())
        masks = masked(plain)
        mask = text_key(masks) if has_words(masks) else NO_KEY
    return request, answer, file_key(origin), mask, commit_key(origin)


def file_key(origin: Origin) -> int:
    """The key of the file of code that a row is about; 0 for rows of other makers."""
    if origin.repo is None or origin.path is None or origin.maker not in CODE_MAKERS:
        return NO_KEY
    return text_key(f"{origin.repo}\n{origin.path}")


def commit_key(origin: Origin) -> int:
    """The key of the commit that a row of the maker `commits` tells of; a row about a file merely stands at a commit."""
    if origin.repo is None or origin.commit is None or origin.maker != "commits":
        return NO_KEY
    return text_key(f"{origin.repo}\n{origin.commit}")


def near_keys(labels: Labels) -> Keys:
    """Keys from `near_components`: rows of one component share one, a row alone has none."""
    sizes = np.bincount(labels, minlength=len(labels))
    return np.where(sizes[labels] > 1, labels + 1, NO_KEY).astype(np.uint64)


def components(ties: Ties) -> tuple[Labels, Labels]:
    """Strong components, and those that weak edges make of them; each is named by its smallest row number."""
    strong = single(len(ties))
    for keys in ties.strong.values():
        tie(strong, *edges(keys))
    weak = strong.copy()
    for keys in ties.weak.values():
        tie(weak, *edges(keys))
    return strong, weak


def edges(keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One row of each key with each other row that has it."""
    rows = np.flatnonzero(keys != NO_KEY)
    rows = rows[np.argsort(keys[rows])]
    if not len(rows):
        return rows, rows
    is_new = np.ones(len(rows), bool)
    is_new[1:] = keys[rows[1:]] != keys[rows[:-1]]
    firsts = rows[is_new][np.cumsum(is_new) - 1]
    return firsts[~is_new], rows[~is_new]


def pairs_across(keys: Keys, sides: NDArray[np.uint8]) -> int:
    """How many pairs of rows share a key and stand on different sides, counted by key and not one by one."""
    rows = np.flatnonzero(keys != NO_KEY)
    rows = rows[np.argsort(keys[rows])]
    if not len(rows):
        return 0
    is_new = np.ones(len(rows), bool)
    is_new[1:] = keys[rows[1:]] != keys[rows[:-1]]
    run = np.cumsum(is_new) - 1
    counts = np.bincount(run * 3 + sides[rows], minlength=3 * (int(run[-1]) + 1)).reshape(-1, 3)
    total = counts.sum(axis=1)
    return int((total * total - (counts * counts).sum(axis=1)).sum()) // 2
