"""Passages: each line that says something in one of them, with its place; long ones parted."""

from __future__ import annotations

import pytest

from luthier.retrieval.records import Chunk, SourceFile
from luthier.retrieval.sources.passages import MOST_LINES, passages_of

CODE = '''"""Shop."""

import os

LIMIT = 3


class Shop:
    """Sells."""

    name = "shop"

    def sell(self, thing: str) -> None:
        """Sells a thing."""
        print(thing)

    opening_hours = 3

    def close(self) -> None:
        print("closed")


if __name__ == "__main__":
    Shop().sell("ticket")
'''


def cut(text: str, language: str = "python", path: str = "shop.py") -> tuple[Chunk, ...]:
    found = passages_of(SourceFile(path, language, text))
    assert isinstance(found, tuple)
    return found


def test_a_class_is_what_it_holds_beside_its_methods() -> None:
    by_name = {(one.kind, one.name): one for one in cut(CODE)}
    assert by_name["class", "Shop"].text == 'class Shop:\n    """Sells."""\n\n    name = "shop"'
    assert by_name["class", "Shop"].doc == "Sells."
    assert by_name["method", "sell"].lines == (13, 15)
    assert by_name["block", "Shop"].text == "    opening_hours = 3"
    assert 'Shop().sell("ticket")' in by_name["block", "shop"].text


@pytest.mark.parametrize(
    ("text", "language", "path"),
    [
        (CODE, "python", "shop.py"),
        ('package shop\n\nimport "fmt"\n\n// Sell sells.\nfunc Sell(a int) {\n\tfmt.Println(a)\n}\n', "go", "shop.go"),
        ("all: build\n\nbuild:\n\tcc -o shop shop.c\n", "make", "Makefile"),
        ("\n".join(f"line_{number} = {number}" if number % 7 else "" for number in range(400)), "python", "long.py"),
        ("# Shop\n\nWords.\n\n## Sell\n\nHow to sell.\n", "markdown", "README.md"),
    ],
)
def test_every_line_that_says_something_stands_in_one_passage(text: str, language: str, path: str) -> None:
    lines = text.split("\n")
    seen: dict[int, int] = {}
    for one in cut(text, language, path):
        first, last = one.lines
        assert one.text == "\n".join(lines[first - 1 : last])
        assert last - first < MOST_LINES
        for line in range(first, last + 1):
            seen[line] = seen.get(line, 0) + 1
    assert set(seen.values()) == {1}
    missed = [line for number, line in enumerate(lines, 1) if number not in seen and sum(map(str.isalnum, line)) >= 8]
    assert missed == []


def test_a_long_function_is_parted_where_a_line_is_blank() -> None:
    body = "\n".join(f"    step({number})" if number % 10 else "" for number in range(1, 150))
    first, *rest = cut(f'def walk():\n    """Walks."""\n{body}\n')
    assert (first.kind, first.name, first.doc) == ("function", "walk", "Walks.")
    assert {one.name for one in rest} == {"walk"}
    assert all(not one.text.split("\n")[-1].strip() for one in (first, *rest[:-1]))
