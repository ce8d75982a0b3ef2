"""What may tie a row to others, as keys of 64 bits, 0 for none: rows with an equal key ask, answer or are about the same.

Two different texts of ten million may meet in one number with a chance of 1 in 400,000; that would keep two groups together that need not
be, and never part rows that belong together.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from hashlib import blake2b

from luthier.core.records import Origin
from luthier.data.rows.digests import canonical
from luthier.data.rows.grams import Said, normalised
from luthier.data.rows.masks import has_words, masked

NO_KEY = 0
# Answers under so many words are compared as they stand.
FEWEST_WORDS = 3
# The order in which `row_keys` gives a row's keys.
REQUEST, ANSWER, FILE, MASKED_ANSWER, COMMIT = "request", "answer", "file", "masked_answer", "commit"
# Makers whose rows are about the code of one file; of two rows of such a file one would tell the other.
CODE_MAKERS = frozenset(
    ("explain", "complete", "document", "question", "commits", "infill", "locate", "usage", "tests", "tools", "teacher"),
)


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


def answer_form(plain: str) -> str:
    """The form in which canonical answers are equal: the normalised one from three words on, else the text itself.

    Of `None` or `a - b` too little would be left: rows would be tied that answer differently. A form cannot be mistaken for a text of
    fewer words, for it has three.
    """
    form = normalised(plain)
    return form if form.count(" ") >= FEWEST_WORDS - 1 else plain


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
