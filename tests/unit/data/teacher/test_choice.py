"""Which chunks are asked about first."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from luthier.data.teacher.choice import LONGEST_CHARACTERS, SHORTEST_CHARACTERS, chosen
from luthier.retrieval.records import Chunk


def chunk(path: str, name: str, text: str = "", **fields: Any) -> Chunk:
    return Chunk(path, "python", "function", name, text or f"def {name}(): ...\n" + "x" * SHORTEST_CHARACTERS, (1, 2), **fields)


def test_files_take_turns_and_tests_come_last() -> None:
    chunks = [chunk(f"{file}.py", f"f{number}", is_test=file == "t") for file in "abt" for number in range(4)]
    found = chosen(chunks, 1)
    assert sorted(found, key=lambda one: (one.path, one.name)) == chunks
    assert [Counter(one.path for one in found[start : start + 2]) for start in (0, 2, 4, 6)] == [{"a.py": 1, "b.py": 1}] * 4
    assert {one.path for one in found[8:]} == {"t.py"}


def test_public_and_documented_come_first() -> None:
    chunks = [
        chunk("a.py", "hidden", is_public=False),
        chunk("a.py", "public"),
        chunk("a.py", "told", doc="It says."),
        chunk("b.py", "private", is_public=False),
    ]
    assert [one.name for one in chosen(chunks, 3)] == ["told", "private", "public", "hidden"]


def test_the_short_and_the_long_are_left() -> None:
    texts = ["x" * (SHORTEST_CHARACTERS - 1), "x" * SHORTEST_CHARACTERS, "x" * LONGEST_CHARACTERS, "x" * (LONGEST_CHARACTERS + 1)]
    assert sorted(len(one.text) for one in chosen([chunk("a.py", "f", text) for text in texts], 1)) == [
        SHORTEST_CHARACTERS,
        LONGEST_CHARACTERS,
    ]


@given(st.permutations([chunk(f"{file}.py", f"f{number}") for file in "abc" for number in range(3)]), st.integers(0, 3))
def test_the_order_of_what_is_given_does_not_matter(chunks: list[Chunk], seed: int) -> None:
    found = chosen(chunks, seed)
    assert found == chosen(reversed(chunks), seed)
    fewer = [one for one in found if one.path != "b.py"]
    assert fewer == chosen([one for one in chunks if one.path != "b.py"], seed)
