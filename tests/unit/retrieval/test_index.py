"""The index of chunks: words, definitions, uses, and the file that it is kept in."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.core.errors import DataError
from luthier.retrieval.index import Index, build, words
from luthier.retrieval.records import Chunk

CHUNKS = (
    Chunk("a.py", "python", "function", "readRows", "def readRows(): ...", (1, 3), doc="Rows of a file.", calls=("open", "parse_line")),
    Chunk(
        "a.py",
        "python",
        "function",
        "parse_line",
        "def parse_line(): ...",
        (5, 9),
        doc="One line as fields.",
        calls=("parse_line", "strip"),
    ),
    Chunk(
        "b.py",
        "python",
        "method",
        "close",
        "def close(self): ...",
        (2, 4),
        scope="Reader",
        calls=("parse_line",),
        is_public=False,
        license="MIT",
    ),
    Chunk("c.md", "markdown", "section", "Install", "## Install\npip", (1, 2), scope="Guide", body="pip"),
)


def names(chunks: list[Chunk]) -> list[str]:
    return [chunk.name for chunk in chunks]


def test_words_are_names_and_their_parts() -> None:
    assert list(words("parseHTMLFile snake_case x2")) == [
        "parsehtmlfile",
        "parse",
        "html",
        "file",
        "snake_case",
        "snake",
        "case",
        "x2",
        "x",
        "2",
    ]


def test_search_finds_names_by_their_parts_and_whole() -> None:
    index = build(CHUNKS)
    assert names(index.search("rows", 5)) == ["readRows"]
    assert names(index.search("readrows", 5)) == ["readRows"]
    assert names(index.search("parse", 1)) == ["parse_line"]
    assert index.search("", 5) == index.search("line", 0) == []


def test_equal_chunks_come_in_the_order_of_their_path() -> None:
    same = [Chunk(path, "python", "function", "same", "def same(): pass", (1, 1)) for path in ("c.py", "a.py", "b.py")]
    assert [chunk.path for chunk in build(same).search("same", 5)] == ["a.py", "b.py", "c.py"]


@given(st.text(max_size=80))
def test_no_query_acts_as_syntax(text: str) -> None:
    search_result = INDEX.search(text, 3)
    assert len(search_result) <= 3


@pytest.mark.parametrize(
    "text",
    ['"', "rows NOT rows", "name:rows", "rows*", "(rows", "NEAR(rows, 2)", "rows OR", "-rows", "rows AND nothing", "'; DROP TABLE chunks"],
)
def test_operators_are_words(text: str) -> None:
    expected = ["readRows"] if "rows" in text else []
    assert names(INDEX.search(text, 9))[:1] == expected


def test_defined_by_bare_and_full_name() -> None:
    assert names(INDEX.defined("close")) == names(INDEX.defined("Reader.close")) == ["close"]
    assert names(INDEX.defined("Guide > Install")) == ["Install"]
    assert INDEX.defined("clos") == []


def test_uses_leave_the_definition_out() -> None:
    assert names(INDEX.uses("parse_line")) == ["readRows", "close"]
    assert INDEX.uses("nothing") == []


def test_the_file_holds_all_that_the_chunks_say(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "index.sqlite"
    build(reversed(CHUNKS), path).close()
    index = Index.at(path)
    assert len(index) == 4
    assert [index.defined(chunk.full_name) for chunk in CHUNKS] == [[chunk] for chunk in CHUNKS]
    assert [entry.name for entry in path.parent.iterdir()] == ["index.sqlite"]
    first = path.read_bytes()
    build(CHUNKS, path).close()
    assert path.read_bytes() == first


def test_what_is_no_index_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no index here"):
        Index.at(tmp_path / "missing")
    (tmp_path / "text").write_text("no data base at all, but long enough for a header of one hundred bytes" * 3, encoding="utf-8")
    with pytest.raises(DataError, match="This is no index"):
        Index.at(tmp_path / "text")
    (tmp_path / "empty").touch()
    with pytest.raises(DataError, match="another version"):
        Index.at(tmp_path / "empty")


INDEX = build(CHUNKS)
