"""Rows with the right piece among others."""

from __future__ import annotations

import re
from dataclasses import replace

from luthier.config.row_sections import ContextSection
from luthier.data.synthesize.context import FEWEST, LONGEST_CHARACTERS, MOST, AskedInContext, in_context
from luthier.data.synthesize.made import Made, Material, asked
from luthier.retrieval.index import build
from luthier.retrieval.records import Chunk
from luthier.retrieval.searching import Hit
from luthier.retrieval.shown import request_in


def chunk(number: int, text: str = "", path: str = "") -> Chunk:
    return Chunk(path or f"p{number}.py", "python", "function", f"f{number}", text or f"def f{number}(): ...", (1, 1))


class Found:
    """A retriever that finds what it was given."""

    def __init__(self, *chunks: Chunk) -> None:
        self.chunks = list(chunks)

    def search(self, text: str, limit: int) -> list[Hit]:
        return [Hit("", one, 1.0) for one in self.chunks[:limit]]


RIGHT = chunk(0, "def right(): ...")
OTHERS = tuple(chunk(number) for number in range(1, 9))


def made(number: int) -> Made:
    return Made(asked(f"What does `right` do, number {number}?", "It is right."), RIGHT.path, RIGHT.lines, "MIT")


def test_four_rows_of_five_show_the_right_piece_among_three_to_five_others() -> None:
    index = Found(RIGHT, *OTHERS)
    with_right, counts, first = 0, set(), 0
    for number in range(1000):
        row = in_context(made(number), RIGHT, index, 7)
        assert row is not None
        text = row.messages[0].content
        assert text.endswith(f"\n\n{made(number).messages[0].content}")
        assert row.messages[1:] == made(number).messages[1:]
        assert (row.path, row.lines, row.license) == (RIGHT.path, RIGHT.lines, "MIT")
        with_right += RIGHT.text in text
        first += text.startswith(f"[1] {RIGHT.path}, lines 1 to 1:\n```python\n{RIGHT.text}\n```")
        counts.add(sum(other.text in text for other in OTHERS))
        assert in_context(made(number), RIGHT, index, 7) == row
    # 80 % of 1,000 drawn by hash: four standard deviations are 51.
    assert 749 <= with_right <= 851
    assert counts == set(range(FEWEST, MOST + 1))
    assert 100 <= first <= 300


def test_too_few_others_or_too_long_a_piece_gives_no_row() -> None:
    assert in_context(made(1), RIGHT, Found(*OTHERS[: FEWEST - 1]), 7) is None
    same = [chunk(number, "def same(): ...") for number in range(9)]
    inside = chunk(9, "inside", RIGHT.path)
    long = [chunk(number, "x" * (LONGEST_CHARACTERS + 1)) for number in range(20, 29)]
    assert in_context(made(1), RIGHT, Found(*same, inside, *long), 7) is None
    assert in_context(made(1), long[0], Found(*OTHERS), 7) is None


def test_a_piece_with_fences_gets_a_longer_one() -> None:
    fenced = [chunk(number, f"```\n{number}\n```") for number in range(1, 5)]
    row = in_context(made(1), RIGHT, Found(*fenced), 7)
    assert row is not None
    assert "````python\n```\n" in row.messages[0].content


def material(*chunks: Chunk) -> Material:
    return Material("shop", (), chunks, build(chunks))


# Twelve functions of a file that all speak of stores, and the whole module around them.
STORES = tuple(
    Chunk(
        "store.py", "python", "function", f"store_{n}", f"def store_{n}(goods):\n    return put(goods, {n})", (3 * n, 3 * n + 1), body="put"
    )
    for n in range(1, 13)
)
MODULE = Chunk("store.py", "python", "module", "store", "the whole store\n" * 40, (1, 40))


def row(number: int, lines: tuple[int, int] | None = None) -> Made:
    asked_for = asked(f"Where is `store_{number}` that puts goods?", f"In `store.py`, lines {3 * number}-{3 * number + 1}.")
    return Made(asked_for, "store.py", lines or (3 * number, 3 * number + 1), "MIT")


def shown_in(made: Made) -> list[str]:
    return re.findall(r"^\[\d+\] (store\.py, lines \d+ to \d+):$", made.messages[0].content, re.MULTILINE)


def test_rows_are_worded_as_a_server_asks() -> None:
    in_context = AskedInContext(material(*STORES), ContextSection(pieces=4))
    with_right = 0
    for number in range(1, 13):
        plain = row(number)
        found = in_context("locate", plain)
        assert found is not None
        assert request_in(found.messages[0].content) == plain.messages[0].content
        assert (found.messages[1:], found.path, found.lines, found.license) == (plain.messages[1:], plain.path, plain.lines, plain.license)
        shown = shown_in(found)
        assert len(shown) == len(set(shown)) == 4
        with_right += f"store.py, lines {3 * number} to {3 * number + 1}" in shown
        assert in_context("locate", plain) == found
    assert 6 <= with_right < 12
    always, never = (AskedInContext(material(*STORES), ContextSection(pieces=4, with_answer=share)) for share in (1.0, 0.0))
    for number in range(1, 13):
        place = f"store.py, lines {3 * number} to {3 * number + 1}"
        for in_context, is_there in ((always, True), (never, False)):
            found = in_context("locate", row(number))
            assert found is not None
            assert (place in shown_in(found)) is is_there
            assert len(shown_in(found)) == 4


def test_the_smallest_piece_around_the_lines_is_the_right_one_and_long_ones_are_cut() -> None:
    elsewhere = Chunk("shop.py", "python", "function", "shop", "def shop(goods):\n    return store(put(goods))", (1, 2))
    in_context = AskedInContext(material(*STORES, MODULE, elsewhere), ContextSection(pieces=3, with_answer=1.0, characters=100))
    found = in_context("locate", row(2))
    assert found is not None
    assert "store.py, lines 6 to 7" in shown_in(found)
    assert all("lines 1 to 40" not in place for place in shown_in(found))
    whole = in_context("question", row(2, (1, 40)))
    assert whole is not None
    assert "store.py, lines 1 to 6" in shown_in(whole), "the module's first hundred characters"


def test_rows_that_show_their_source_and_rows_without_a_piece_stay() -> None:
    in_context = AskedInContext(material(*STORES), ContextSection())
    assert in_context("explain", row(1)) is None
    assert in_context("locate", replace(row(1), path="other.py")) is None
    assert in_context("locate", replace(row(1), lines=None)) is None
    assert AskedInContext(material(STORES[0]), ContextSection())("locate", row(1)) is None
