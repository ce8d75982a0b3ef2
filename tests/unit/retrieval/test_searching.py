"""Search over one index and over several: words, their endings, names; scores that can be compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.retrieval.index import build
from luthier.retrieval.records import Chunk
from luthier.retrieval.searching import WordSearch, found_chunks


def chunk(path: str, name: str, doc: str = "", text: str = "", *, is_test: bool = False) -> Chunk:
    return Chunk(path, "python", "function", name, text or f"def {name}(): ...", (1, 3), doc=doc, is_test=is_test)


ROWS = chunk("a.py", "readRows", "Rows of a file.")
LINE = chunk("a.py", "parse_line", "One line as fields.")
CLOSE = chunk("b.py", "close", "Gives the stream back.")
ALONE = WordSearch({"one": build((ROWS, LINE, CLOSE))})


def found(text: str, limit: int = 5, search: WordSearch = ALONE) -> list[str]:
    return [one.name for one in found_chunks(search.search(text, limit))]


def test_names_are_found_by_their_parts_whole_and_in_all_endings() -> None:
    for asked in ("rows", "readrows", "reading", "read_rows"):
        assert found(asked) == ["readRows"], asked
    assert found("parse", 1) == ["parse_line"]
    assert found("") == found("line", 0) == []


def test_two_words_find_the_name_that_is_written_as_one() -> None:
    search = WordSearch({"one": build((chunk("a.go", "readrows"), CLOSE))})
    assert found("how to read rows", search=search) == ["readrows"]


def test_words_around_the_thing_asked_for_count_nothing() -> None:
    search = WordSearch({"one": build((chunk("a.py", "where_is_it", "Where is the thing of which it is said."), ROWS, LINE, CLOSE))})
    assert found("Where is the stream that it gives back?", 1, search) == ["close"]
    assert found("where is it", 1, search) == ["where_is_it"]


def test_common_words_of_such_questions_count_little() -> None:
    many = [chunk(f"f{number}.py", f"step{number}", "Steps.") for number in range(30)]
    defines = chunk("d.py", "ruler", "The function that defines a method of a class.")
    search = WordSearch({"one": build((*many, defines, chunk("t.py", "ticket", "Prints a ticket.")))})
    assert found("Which function of the class in which file defines the ticket method?", 1, search) == ["ticket"]


def test_a_definition_named_by_the_question_comes_before_lines_that_speak_of_it() -> None:
    said = "the parser of dates gives dates, and the parser of dates takes them"
    speaks = Chunk("a.py", "python", "block", "a", said, (1, 3))
    named = chunk("z.py", "parse_dates", "", "def parse_dates(given):\n    return [one(part) for part in given.split()]")
    assert found(
        "Where are dates parsed?", 1, WordSearch({"one": build((speaks, named, *(chunk(f"{n}.py", f"f{n}") for n in range(9))))})
    ) == ["parse_dates"]


def test_tests_come_behind_what_they_test_unless_they_are_asked_for() -> None:
    code = chunk("rows.py", "sort_rows", "Sorts rows by size.")
    test = chunk("test_rows.py", "sort_rows", "Sorts rows by size.", is_test=True)
    search = WordSearch({"one": build((code, test, LINE, CLOSE))})
    assert [one.is_test for one in found_chunks(search.search("sort rows by size", 2))] == [False, True]
    assert found_chunks(search.search("test of sort rows by size", 1)) == [test]


def test_equal_pieces_come_in_the_order_of_source_and_path() -> None:
    indexes = {name: build([chunk(path, "same") for path in ("b.py", "a.py")]) for name in ("two", "one")}
    hits = WordSearch(indexes).search("same", 5)
    assert [(hit.source, hit.chunk.path) for hit in hits] == [("one", "a.py"), ("one", "b.py"), ("two", "a.py"), ("two", "b.py")]
    assert len({hit.score for hit in hits}) == 1


def test_a_word_is_as_rare_as_it_is_in_all_sources_together() -> None:
    """`rocket` is rare in the garden and common in the works: a piece about nothing else there is no better find for being alone here."""
    garden = [chunk(f"g{number}.py", f"plant{number}", "Waters a plant.") for number in range(40)]
    works = [chunk(f"w{number}.py", f"part{number}", "Part of a rocket.") for number in range(40)]
    planted = chunk("salad.py", "salad", "Part of a rocket.")
    alone = WordSearch({"garden": build((*garden, planted))}).search("rocket", 1)[0].score
    hits = WordSearch({"garden": build((*garden, planted)), "works": build(works)}).search("rocket", 41)
    assert len(hits) == 41
    assert max(hit.score for hit in hits) < 1.5 * min(hit.score for hit in hits)
    assert hits[0].score < alone / 2


@given(st.text(max_size=80))
def test_no_question_acts_as_syntax(text: str) -> None:
    assert len(ALONE.search(text, 3)) <= 3


@pytest.mark.parametrize(
    "text",
    ['"', "rows NOT rows", "name:rows", "rows*", "(rows", "NEAR(rows, 2)", "rows OR", "-rows", "rows AND nothing", "'; DROP TABLE chunks"],
)
def test_operators_are_words(text: str) -> None:
    assert found(text)[:1] == (["readRows"] if "rows" in text else [])
