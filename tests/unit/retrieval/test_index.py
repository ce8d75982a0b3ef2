"""The index of chunks: words, definitions, uses, and the file that it is kept in."""

from __future__ import annotations

from pathlib import Path

import pytest

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


def test_defined_by_bare_and_full_name() -> None:
    assert names(INDEX.defined("close")) == names(INDEX.defined("Reader.close")) == ["close"]
    assert names(INDEX.defined("Guide > Install")) == ["Install"]
    assert INDEX.defined("clos") == []


def test_matches_count_what_the_weights_say() -> None:
    places = INDEX.places(("rows", "line", "nothing"))
    assert places == {"rows": 1, "line": 1}
    (first, second) = INDEX.matches({"rows": 2.0, "line": 1.0, "nothing": 9.0}, places, 5)
    assert INDEX.at_numbers([second.number, first.number]) == [CHUNKS[1], CHUNKS[0]]
    (doubled,) = INDEX.matches({"rows": 4.0}, places, 5)
    assert doubled.score == pytest.approx(2 * first.score)
    assert INDEX.matches({"rows": 1.0}, places, 0) == INDEX.matches({}, places, 5) == []


def test_words_are_found_in_all_their_endings_and_phrases_in_their_order() -> None:
    assert INDEX.places(("parses", "parsing", "one line", "line one")) == {"parses": 1, "parsing": 1, "one line": 1}
    assert INDEX.places(()) == {}


def test_facts_are_kept_with_the_chunks(tmp_path: Path) -> None:
    build(CHUNKS, tmp_path / "index", {"commit": "1" * 40, "files": {"a.py": 2}}).close()
    index = Index.at(tmp_path / "index")
    assert (index.fact("files"), index.fact("other")) == ({"a.py": 2}, None)
    assert index.chunks() == sorted(CHUNKS, key=lambda chunk: (chunk.path, chunk.lines))


def test_who_reads_an_index_goes_on_while_another_takes_its_place(tmp_path: Path) -> None:
    build(CHUNKS, tmp_path / "index").close()
    before = Index.at(tmp_path / "index")
    build(CHUNKS[:1], tmp_path / "index").close()
    assert (len(before), len(before.chunks()), len(Index.at(tmp_path / "index"))) == (4, 4, 1)


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
