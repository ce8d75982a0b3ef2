"""Answers of two candidates beside each other, row by row: all, those that failed, those that were gained, those that were lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from luthier.core.candidates import BASE, TUNED
from luthier.report.book import Book, Entry
from luthier.report.leaves import Shown, shown_row, verdict_of
from luthier.report.shown import shown
from luthier.report.wording import candidate_name
from luthier.serve.door.errors import unknown
from luthier.serve.pages.frame.page import link, page
from luthier.serve.pages.frame.paging import cut_page
from luthier.serve.pages.runs.library import Listed, RunLibrary
from luthier.serve.pages.runs.reading import PageShelf, RunReader, readable

ROWS_OF_A_PAGE = 20
_MOST_MARK_WORDS = 120
# What is compared is whether an answer is right; what is nearly right counts so, as on the report's pages.
OUTCOMES = {
    "": "all",
    "failed": "failed: the second is wrong",
    "gained": "gained: the second is right, the first wrong",
    "lost": "lost: the second is wrong, the first right",
    "differ": "answers that differ",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """One row of a suite: the first candidate's answer and the second's; either may have none."""

    number: int
    left: Entry | None
    right: Entry | None

    @property
    def any(self) -> Entry:
        """One of the two, for what is the same in both."""
        found = self.right or self.left
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class AnswerPages:
    """The answers of a run in `library`, read by `reader`."""

    library: RunLibrary
    reader: RunReader

    def routes(self) -> list[Route]:
        """Their route."""
        return [Route("/runs/{key}/answers", self.show)]

    def show(self, request: Request) -> Response:
        """Two candidates' answers to a suite's rows; fields `suite`, `left`, `right`, `outcome`, `mark`, `q`, `page`."""
        listed = self.library.get(request.path_params["key"])
        read, _ = self.reader.read(listed)
        suites = list(dict.fromkeys(suite for suite, _ in read.shelf.books))
        query = request.query_params
        if not suites:
            return page(request, "run_answers.html", one=listed, tab="answers", suites=[])
        with readable(listed):
            return self._show(request, listed, read.shelf, _one_of(suites, query.get("suite", ""), "suite"), suites)

    def _show(self, request: Request, listed: Listed, shelf: PageShelf, suite: str, suites: Sequence[str]) -> Response:
        query = request.query_params
        names = [name for of_suite, name in shelf.books if of_suite == suite]
        right = _one_of(names, query.get("right", "") or (TUNED if TUNED in names else names[-1]), "right")
        left = _one_of(names, query.get("left", "") or _rival(names, right), "left")
        books = shelf.books[suite, left], shelf.books[suite, right]
        outcome, mark, text = query.get("outcome", ""), query.get("mark", ""), query.get("q", "").strip()
        pairs = [pair for pair in paired(*books) if _is_wanted(pair, outcome, mark, text)]
        part = cut_page(pairs, query, ROWS_OF_A_PAGE)
        kept = {"suite": suite, "left": left, "right": right, "outcome": outcome, "q": text}
        return page(
            request,
            "run_answers.html",
            one=listed,
            tab="answers",
            suites=[(name, name) for name in suites],
            suite=suite,
            names=[(name, candidate_name(name)) for name in names],
            left=left,
            right=right,
            labels=(candidate_name(left), candidate_name(right)),
            outcomes=list(OUTCOMES.items()),
            outcome=outcome,
            text=text,
            mark=mark,
            mark_words=shown(books[1].marks[mark][1], _MOST_MARK_WORDS) if mark in books[1].marks else mark,
            groups=list(_groups(books[1], request.url.path, kept)),
            total=len(list(paired(*books))),
            without_mark=link(request.url.path, **kept),
            part=part,
            rows=[_shown(pair, books, shelf) for pair in part.items],
        )


def paired(left: Book, right: Book) -> Iterator[Pair]:
    """The rows of a suite that either has answered, in the suite's order."""
    ours, theirs = ({entry.number: entry for leaf in book.leaves for entry in leaf.entries} for book in (left, right))
    for number in sorted({*ours, *theirs}):
        yield Pair(number, ours.get(number), theirs.get(number))


def _is_wanted(pair: Pair, outcome: str, mark: str, text: str) -> bool:
    if mark and (pair.right is None or mark not in pair.right.marks):
        return False
    if text and not _has(pair, text.casefold()):
        return False
    if outcome == "differ":
        return _text(pair.left) != _text(pair.right)
    before, after = _is_right(pair.left), _is_right(pair.right)
    wanted = {"failed": after is False, "gained": after is True and before is False, "lost": after is False and before is True}
    return wanted.get(outcome, True)


def _is_right(entry: Entry | None) -> bool | None:
    """Whether an answer is right; None where its kind knows no right and wrong, or there is none."""
    if entry is None:
        return None
    verdict = verdict_of(entry)[0]
    return verdict != "wrong" if verdict else None


def _text(entry: Entry | None) -> str:
    return str(entry.generation.get("text", "")).strip() if entry is not None else ""


def _has(pair: Pair, wanted: str) -> bool:
    found = (pair.any.row_id, str(pair.any.generation.get("request", "")), _text(pair.left), _text(pair.right))
    return any(wanted in text.casefold() for text in found)


def _one_of(names: Sequence[str], asked: str, field: str) -> str:
    """The name that is asked for, the first where none is."""
    if asked and asked not in names:
        raise unknown(f"there is no such {field}: {shown(asked, 80)}; there are {', '.join(names)}", field)
    return asked or names[0]


def _rival(names: Sequence[str], right: str) -> str:
    """Whom the second is put beside where nobody is named: base, else any other, else itself."""
    return BASE if BASE in names and right != BASE else next((name for name in names if name != right), right)


def _groups(book: Book, path: str, kept: dict[str, str]) -> Iterator[tuple[str, list[tuple[str, str, int, str]]]]:
    """What rows of the second can be narrowed to, by group: the mark, its words, how many, and the way."""
    groups: dict[str, list[tuple[str, str, int, str]]] = {}
    for mark, (group, words) in book.marks.items():
        way = link(path, **{**kept, "mark": mark})
        groups.setdefault(group, []).append((mark, shown(words, _MOST_MARK_WORDS), book.count(mark), way))
    yield from groups.items()


def _shown(pair: Pair, books: tuple[Book, Book], shelf: PageShelf) -> tuple[Shown, Shown | None, Shown | None]:
    """The row, and both answers as a page shows them."""
    found = [
        shown_row(book, entry, shelf) if entry is not None else None for book, entry in zip(books, (pair.left, pair.right), strict=True)
    ]
    either = found[1] or found[0]
    assert either is not None
    return either, found[0], found[1]
