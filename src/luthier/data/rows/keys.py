"""What may tie a row to others, as keys of 64 bits, 0 for none: rows with an equal key ask, answer or are about the same.

Two different texts of ten million may meet in one number with a chance of 1 in 400,000; that would keep two groups together that need not
be, and never part rows that belong together.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b

from luthier.core.records import Origin
from luthier.data.rows.digests import canonical
from luthier.data.rows.grams import Said, normalised
from luthier.data.rows.masks import has_words, masked

NO_KEY = 0
# Answers under so many words are compared as they stand.
FEWEST_WORDS = 3
# Ties by pairs of keys, of which a row may have several.
EXCHANGE = "exchange"
# The order in which `row_keys` gives a row's keys.
REQUEST, ANSWER, FILE, MASKED_ANSWER, COMMIT = "request", "answer", "file", "masked_answer", "commit"
# Makers whose rows are about the code of one file; of two rows of such a file one would tell the other.
CODE_MAKERS = frozenset(
    ("explain", "complete", "document", "question", "commits", "infill", "locate", "usage", "tests", "tools", "teacher"),
)
# One or two words without another sign than what ends a sentence.
_PLAIN_WORDS = re.compile(r"\w+(?:\s+\w+)?[.!?]?")


@dataclass(slots=True)
class ExchangeColumns:
    """Of rows with several answers each exchange that counts: the row's number, and the keys of request and answer.

    A row with one answer has no entry: its exchange is its request and its answer.
    """

    row: array[int] = field(default_factory=lambda: array("Q"))
    request: array[int] = field(default_factory=lambda: array("Q"))
    answer: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, row: int, keys: Iterable[tuple[int, int]]) -> None:
        """Adds the exchanges of one row, as `exchange_keys` gives them."""
        for request, answer in keys:
            self.row.append(row)
            self.request.append(request)
            self.answer.append(answer)

    def extend(self, other: ExchangeColumns, offset: int) -> None:
        """Adds those of further rows, whose first has the number `offset`."""
        self.row.extend(offset + row for row in other.row)
        self.request.extend(other.request)
        self.answer.extend(other.answer)


@dataclass(slots=True)
class KeyColumns:
    """For each row its keys, in the order of `row_keys`."""

    request: array[int] = field(default_factory=lambda: array("Q"))
    answer: array[int] = field(default_factory=lambda: array("Q"))
    file: array[int] = field(default_factory=lambda: array("Q"))
    masked_answer: array[int] = field(default_factory=lambda: array("Q"))
    commit: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, keys: tuple[int, int, int, int, int]) -> None:
        """Adds the keys of one row."""
        for name, key in zip(self.__slots__, keys, strict=True):
            getattr(self, name).append(key)

    def of(self, number: int) -> tuple[int, int, int, int, int]:
        """The keys of row `number`."""
        return self.request[number], self.answer[number], self.file[number], self.masked_answer[number], self.commit[number]


def text_key(text: str) -> int:
    """The key of a text; never 0."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") or 1


def row_keys(said: Said, origin: Origin) -> tuple[int, int, int, int, int]:
    """The keys of one row: request, answer, file (strong), masked answer and commit (weak); 0 where it has none."""
    request = answer = mask = NO_KEY
    if said.request is not None:
        request = text_key(normalised(said.request) or said.request.strip())
    if said.answer is not None:
        plain = canonical(said.answer)
        answer = text_key(answer_form(plain))
        masks = masked(plain)
        mask = text_key(masks) if has_words(masks) else NO_KEY
    return request, answer, file_key(origin), mask, commit_key(origin)


def exchange_keys(exchanges: Iterable[tuple[str, str]]) -> list[tuple[int, int]]:
    """The keys of request and answer of each exchange that counts: one of the two has three words or more.

    Of "hello" and "Hi there" each conversation has its own, and nothing that it says is learnt of another.
    """
    found = []
    for request, answer in exchanges:
        plain, form = normalised(request), answer_form(canonical(answer))
        if _has_words(plain) or _has_words(normalised(answer)):
            found.append((text_key(plain or request.strip()), text_key(form)))
    return found


def _has_words(form: str) -> bool:
    return form.count(" ") >= FEWEST_WORDS - 1


def answer_form(plain: str) -> str:
    """The form in which canonical answers are equal: the normalised one from three words on, and of one or two plain words; else the text.

    Of `ls -L` and `ls -l`, or `a - b` and `a + b`, too little would be left: rows would be tied that answer differently. A form cannot be
    mistaken for such a text, which holds a sign.
    """
    form = normalised(plain)
    return form if _has_words(form) or _PLAIN_WORDS.fullmatch(plain) else plain


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
