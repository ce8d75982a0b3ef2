"""Rows with the right piece among others."""

from __future__ import annotations

from luthier.data.synthesize.made import Made, asked
from luthier.data.teacher.context import FEWEST, LONGEST_CHARACTERS, MOST, in_context
from luthier.retrieval.records import Chunk
from luthier.retrieval.searching import Hit


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
        first += text.startswith(f"{RIGHT.path}, lines 1 to 1:\n```python\n{RIGHT.text}\n```")
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
