"""The library: names, search over several sources, deleting, and readers beside a writer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_repositories import write_files
from ingest_parts import spec
from luthier.core.errors import DataError
from luthier.serve.ingest.library import (
    FACT,
    INDEX,
    NAME,
    Library,
    SourceInUseError,
    UnknownSourceError,
    UnreadableSourceError,
    checked_name,
    source_name,
)
from luthier.serve.ingest.taking import take_in
from luthier.serve.state.root import ServeRoot


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    root = ServeRoot(tmp_path_factory.mktemp("serve"))
    code = tmp_path_factory.mktemp("code")
    made = Library(root)
    for name, thing in (("garden", "rose"), ("works", "rocket")):
        steps = "".join(f"def {verb}_{thing}() -> None:\n    print('{verb}')\n\n\n" for verb in ("plan", "make", "sell"))
        write_files(code / name, {f"{thing}.py": steps})
        with made.held(name) as folder:
            take_in(spec(code / name, name), folder, lambda step, done: None)
    return made


def test_search_is_over_all_sources_or_those_named(library: Library) -> None:
    assert [found.source for found in library.search("make", limit=9)] == ["garden", "works"]
    assert [found.source for found in library.search("make", ["works"], limit=9)] == ["works"]
    assert [found.name for found in library.search("sell the rocket", limit=1)] == ["sell_rocket"]
    assert library.search("", limit=9) == library.search("make", [], limit=9) == []
    with pytest.raises(UnknownSourceError, match="`other`"):
        library.search("make", ["works", "other"])


def test_a_source_that_is_not_there(library: Library) -> None:
    for name in ("other", "../works", "", ".", "..", "works/", "WORKS", "a" * 65):
        with pytest.raises(UnknownSourceError):
            library.get(name)
        with pytest.raises(UnknownSourceError):
            library.remove(name)


def test_a_source_that_is_being_taken_in_is_not_deleted_nor_taken_in_twice(library: Library) -> None:
    with library.held("works"):
        with pytest.raises(SourceInUseError):
            library.remove("works")
        with pytest.raises(SourceInUseError), library.held("works"):
            pass
    assert library.get("works").files == 1


def test_a_deleted_source_is_gone_whole(tmp_path: Path) -> None:
    library = Library(ServeRoot(tmp_path / "serve"))
    write_files(tmp_path / "code" / "shop", {"shop.py": "def sell() -> None: ...\n"})
    with library.held("shop") as folder:
        take_in(spec(tmp_path / "code" / "shop"), folder, lambda step, done: None)
    assert [source.name for source in library.all()] == ["shop"]
    library.remove("shop")
    assert library.all() == library.search("sell") == []
    assert list((tmp_path / "serve" / "sources").iterdir()) == []


def other_index_format(index: Path) -> None:
    with closing(sqlite3.connect(index)) as connection, connection:
        connection.execute("PRAGMA user_version = 1")


def other_fields(index: Path) -> None:
    with closing(sqlite3.connect(index)) as connection, connection:
        ((kept,),) = connection.execute("SELECT value FROM facts WHERE name = ?", (FACT,))
        connection.execute("UPDATE facts SET value = ? WHERE name = ?", (json.dumps({**json.loads(kept), "stars": 5}), FACT))


def without_its_end(index: Path) -> None:
    index.write_bytes(index.read_bytes()[:4_096])


def no_index(index: Path) -> None:
    index.write_bytes(b"no index at all" * 100)


@pytest.mark.parametrize("change", [other_index_format, other_fields, without_its_end, no_index])
def test_a_source_that_cannot_be_read_is_told_of_and_deleted_or_taken_in_again(tmp_path: Path, change: Callable[[Path], None]) -> None:
    library = Library(ServeRoot(tmp_path / "serve"))
    for name in ("shop", "works"):
        write_files(tmp_path / "code" / name, {f"{name}.py": f"def sell_{name}() -> None: ...\n"})
        with library.held(name) as folder:
            take_in(spec(tmp_path / "code" / name, name), folder, lambda step, done: None)
    assert library.unreadable() == []
    change(library.folder("shop") / INDEX)
    assert ([source.name for source in library.all()], library.unreadable()) == (["works"], ["shop"])
    assert [found.source for found in library.search("sell", limit=9)] == ["works"]
    for ask in (lambda: library.get("shop"), lambda: library.search("sell", ["shop"])):
        with pytest.raises(UnreadableSourceError, match=r"`shop` cannot be read.*take it in again, or delete it"):
            ask()
    with library.held("shop") as folder:
        take_in(spec(tmp_path / "code" / "shop"), folder, lambda step, done: None)
    assert ([source.name for source in library.all()], library.unreadable()) == (["shop", "works"], [])
    change(library.folder("shop") / INDEX)
    library.remove("shop")
    assert not library.folder("shop").exists()
    assert library.unreadable() == []


def test_a_source_of_which_nothing_was_taken_in_yet_is_none(tmp_path: Path) -> None:
    library = Library(ServeRoot(tmp_path))
    with library.held("shop"):
        assert library.all() == library.search("anything") == []


@given(st.text(max_size=100))
def test_every_place_has_a_name_of_a_source(place: str) -> None:
    assert NAME.fullmatch(source_name(place))


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("https://github.com/Acme/My.Shop.git", "my.shop"),
        ("/home/ann/My Shop/", "my-shop"),
        ("C:\\code\\shop", "shop"),
        ("...", "source"),
        ("Größe", "gr-e"),
        ("a" * 70, "a" * 64),
    ],
)
def test_the_name_of_a_place(place: str, name: str) -> None:
    assert source_name(place) == name


def test_a_name_is_checked() -> None:
    assert checked_name("my-shop.2") == "my-shop.2"
    for name in ("", "My", "../x", "-x", "x.", "a b", "a\n"):
        with pytest.raises(DataError, match="cannot be the name"):
            checked_name(name)
