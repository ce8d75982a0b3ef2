"""The pages of generations: which rows stand on which page, what they can be narrowed to, and the way from a figure to them.

A page is one file in `report/` of a suite and a candidate. A figure's link ends in the name of a mark (`#exact_match.missed`); the page's
style sheet then shows the rows with that mark alone, without a program.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from luthier.core.candidates import TUNED
from luthier.core.files import sha256_bytes
from luthier.core.metrics import metric_facts
from luthier.core.records import JsonObject
from luthier.report.guarding import ORDER, Standing, standing
from luthier.report.outcomes import is_met, missed
from luthier.report.reading import RunFacts, SuiteFacts
from luthier.report.shown import LONGEST_ANSWER, LONGEST_REQUEST, holds_secret
from luthier.report.wording import better, candidate_words, metric_name, reason_name

FOLDER = "report"
# A page ends after so many rows, or characters of texts, whichever comes first; the next page goes on.
ROWS_OF_A_PAGE = 300
CHARACTERS_OF_A_PAGE = 1_000_000
_MOST_SLUG = 60


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a page: its place in the suite from 1, its first answer, its marks, why it is missed, and the guard's word."""

    number: int
    row_id: str
    generation: JsonObject
    marks: tuple[str, ...]
    why: str
    guard: Standing | None

    @property
    def anchor(self) -> str:
        """The row's place on its page."""
        return f"row-{self.number}"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One page's file name and rows."""

    file: str
    entries: tuple[Entry, ...]

    def count(self, mark: str) -> int:
        """How many of its rows have `mark`."""
        return sum(mark in entry.marks for entry in self.entries)


@dataclass(frozen=True, slots=True)
class Book:
    """All pages of one candidate in one suite. `marks` are what rows can be narrowed to, each with its words and the group it is in."""

    suite: SuiteFacts
    candidate: str
    leaves: tuple[Leaf, ...]
    marks: Mapping[str, tuple[str, str]]

    def count(self, mark: str) -> int:
        """How many rows have `mark`."""
        return sum(leaf.count(mark) for leaf in self.leaves)

    def first_with(self, mark: str) -> Leaf:
        """The first page with a row that has `mark`, else the first page."""
        return next((leaf for leaf in self.leaves if leaf.count(mark)), self.leaves[0])


@dataclass(frozen=True, slots=True)
class Shelf:
    """The books of a run by suite and candidate."""

    books: Mapping[tuple[str, str], Book]
    places: Mapping[tuple[str, str, str], str] = field(default_factory=dict)

    def href(self, suite: str, candidate: str, mark: str = "") -> str:
        """The way from `report.html` to the rows with `mark`, or to all; empty where there are none."""
        book = self.books.get((suite, candidate))
        if book is None or (mark and not book.count(mark)):
            return ""
        return f"{FOLDER}/{book.first_with(mark).file}" + (f"#{mark}" if mark else "")

    def count(self, suite: str, candidate: str, mark: str) -> int:
        """How many rows have `mark`."""
        book = self.books.get((suite, candidate))
        return book.count(mark) if book is not None else 0

    def place(self, suite: str, candidate: str, row_id: str) -> str:
        """The way from a page to a row of another candidate; empty where it has none."""
        return self.places.get((suite, candidate, row_id), "")


@lru_cache(maxsize=4096)
def slug(text: str) -> str:
    """`text` as a part of a mark or of a file's name; what that would make alike is told apart by a hash; a secret is its hash alone."""
    if holds_secret(text):
        return sha256_bytes(text.encode("utf-8", "surrogatepass"))[:8]
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")
    if len(plain) > _MOST_SLUG or re.search(r"[^A-Za-z0-9_+ ,:;’/-]", text) or not plain:
        return f"{plain[:_MOST_SLUG]}-{sha256_bytes(text.encode('utf-8', 'surrogatepass'))[:8]}".strip("-")
    return plain


def why_mark(why: str) -> str:
    """The mark of a class of missed answers."""
    return f"why.{slug(why)}"


def guard_mark(level: str, label: str = "") -> str:
    """The mark of a guard's level, or of a level and a label."""
    return f"guard.{slug(level)}" + (f".{slug(label)}" if label else "")


def left_mark(metric: str, reason: str) -> str:
    """The mark of rows that left a metric's denominator for one reason."""
    return f"{slug(metric)}.left.{slug(reason)}"


def pair_mark(rival: str, metric: str, sign: int) -> str:
    """The mark of rows where the tuned model is better (1) or worse (-1) than `rival` by `metric`."""
    return f"{'better' if sign > 0 else 'worse'}.{slug(rival)}.{slug(metric)}"


def with_beside(facts: RunFacts) -> list[SuiteFacts]:
    """The run's suites, each with the generations of what was compared with it later; a name that is taken already is not used again."""
    found = []
    for suite in facts.suites:
        rows = {row_id: dict(of_row) for row_id, of_row in suite.generations.items()}
        for beside in facts.beside:
            for other in beside.suites:
                for row_id, of_row in other.generations.items() if other.name == suite.name else ():
                    if row_id in rows:
                        rows[row_id] |= {name: row for name, row in of_row.items() if name not in rows[row_id]}
        found.append(replace(suite, generations=rows))
    return found


def shelf(suites: Sequence[SuiteFacts]) -> Shelf:
    """Every candidate's pages in every suite that has generations."""
    books: dict[tuple[str, str], Book] = {}
    places: dict[tuple[str, str, str], str] = {}
    taken: set[str] = set()
    for suite in suites:
        for candidate in _candidates(suite):
            book = _book(suite, candidate, taken)
            books[suite.name, candidate] = book
            for leaf in book.leaves:
                for entry in leaf.entries:
                    places[suite.name, candidate, entry.row_id] = f"{leaf.file}#{entry.anchor}"
    return Shelf(books, places)


def _candidates(suite: SuiteFacts) -> list[str]:
    """Every candidate that has an answer: those with scores in their order, then others."""
    found = dict.fromkeys(name for of_row in suite.generations.values() for name in of_row)
    return [name for name in suite.candidates if name in found] + [name for name in found if name not in suite.candidates]


def _book(suite: SuiteFacts, candidate: str, taken: set[str]) -> Book:
    marks: dict[str, tuple[str, str]] = {}
    scores = suite.told()
    entries = []
    for number, (row_id, of_row) in enumerate(suite.generations.items(), 1):
        if candidate in of_row:
            generation = of_row[candidate]
            why, guard = missed(suite.kind, generation), standing(suite.kind, generation)
            told = dict(_marks(generation, why, guard))
            if candidate == TUNED:
                told.update(_pairs(of_row, scores))
            marks.update(told)
            entries.append(Entry(number, row_id, generation, tuple(told), why, guard))
    name = _free_name(f"{slug(suite.name)}-{slug(candidate)}", taken)
    parts = list(_parted(entries))
    leaves = tuple(Leaf(f"{name}{f'.{index}' if index > 1 else ''}.html", part) for index, part in enumerate(parts, 1))
    counts = Counter(mark for entry in entries for mark in entry.marks)
    return Book(suite, candidate, leaves, dict(sorted(marks.items(), key=lambda item: _order(item[0], item[1][0], counts))))


def _order(mark: str, group: str, counts: Mapping[str, int]) -> tuple[int, str, int, str]:
    """Metrics with what became of them side by side; levels from the worst; all else by how many rows there are."""
    name = mark.partition(".")[0] if group == _METRICS else ""
    level = _LEVELS.get(mark.split(".")[1], 9) if group == _GUARD else -counts[mark]
    return _GROUPS.index(group), name, 0 if group == _METRICS else level, mark


def _free_name(name: str, taken: set[str]) -> str:
    """`name`, or one with a number behind it where a file system could take the two for one."""
    found, number = name, 1
    while found.casefold() in taken:
        number += 1
        found = f"{name}_{number}"
    taken.add(found.casefold())
    return found


def _parted(entries: Sequence[Entry]) -> Iterator[tuple[Entry, ...]]:
    part: list[Entry] = []
    size = 0
    for entry in entries:
        weight = _weight(entry.generation)
        if part and (len(part) >= ROWS_OF_A_PAGE or size + weight > CHARACTERS_OF_A_PAGE):
            yield tuple(part)
            part, size = [], 0
        part.append(entry)
        size += weight
    yield tuple(part)


def _weight(generation: JsonObject) -> int:
    """About how many characters a row takes on its page."""
    texts = min(len(str(generation.get("request", ""))), LONGEST_REQUEST) + 2 * min(len(str(generation.get("text", ""))), LONGEST_ANSWER)
    return texts + min(len(str(generation.get("details", ""))), 8 * LONGEST_ANSWER) + 500 * len(generation.get("samples", ()))


_METRICS, _WHY, _GUARD, _PAIRS = "by metric", "why not right", "by the guard", "against another"
_ENDS, _CLASSES = "how it ended", "by class of row"
_GROUPS = (_METRICS, _WHY, _GUARD, _PAIRS, _ENDS, _CLASSES)
_LEVELS = {slug(level): place for place, level in enumerate(ORDER)}


def _marks(generation: JsonObject, why: str, guard: Standing | None) -> Iterator[tuple[str, tuple[str, str]]]:
    for metric, value in (generation.get("metrics") or {}).items():
        name, words = slug(metric), metric_name(metric)
        yield name, (_METRICS, f"{words}: counted")
        if metric_facts(metric).is_rate:
            end = "met" if is_met(metric, value) else "missed"
            yield f"{name}.{end}", (_METRICS, f"{words}: {_end_words(metric, end)}")
    for metric, reason in (generation.get("left_out") or {}).items():
        yield f"{slug(metric)}.left", (_METRICS, f"{metric_name(metric)}: left out")
        yield left_mark(metric, str(reason)), (_METRICS, f"{metric_name(metric)}: left out, {reason_name(str(reason))}")
    if why:
        yield why_mark(why), (_WHY, why)
    if guard is not None:
        yield guard_mark(guard.level), (_GUARD, guard.level)
        yield guard_mark(guard.level, guard.label), (_GUARD, f"{guard.level}, {guard.label}")
    ends = {"error": ("failed", "no answer, for an error"), "length": ("cut", "cut at the longest answer")}
    if (found := ends.get(str(generation.get("finish_reason")))) is not None:
        yield found[0], (_ENDS, found[1])
    if label := (generation.get("details") or {}).get("class"):
        yield f"of.{slug(str(label))}", (_CLASSES, str(label))


def _end_words(metric: str, end: str) -> str:
    """Whether a rate is met in words: of what is bad, that it is so."""
    return {"met": "no", "missed": "yes"}[end] if metric_facts(metric).lower_is_better else end


def _pairs(of_row: Mapping[str, JsonObject], scores: Mapping[str, JsonObject]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Where the tuned model is better or worse than another by a metric, in this row; `scores` say which way is better."""
    ours = of_row[TUNED].get("metrics") or {}
    for rival, other in of_row.items():
        theirs = other.get("metrics") or {}
        for metric, value in ours.items() if rival != TUNED else ():
            sign = better(metric, scores.get(metric))
            if metric not in theirs or theirs[metric] == value or not sign:
                continue
            sign = sign if value > theirs[metric] else -sign
            words = f"{'better' if sign > 0 else 'worse'} than {candidate_words(rival)} by {metric_name(metric)}"
            yield pair_mark(rival, metric, sign), (_PAIRS, words)
