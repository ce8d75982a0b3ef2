"""Files as chunks: one short source a language, what holds for all of them, and what is hostile."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.retrieval.chunks import apart
from luthier.retrieval.chunks import cut as module
from luthier.retrieval.chunks.cut import cut
from luthier.retrieval.chunks.pieces import CONTAINERS
from luthier.retrieval.records import Chunk, SourceFile

SOURCES = Path(__file__).parent / "sources"

LANGUAGES = {
    "sh": "bash", "c": "c", "cpp": "cpp", "cs": "csharp", "go": "go", "java": "java", "js": "javascript", "kt": "kotlin", "ml": "ocaml",
    "php": "php", "py": "python", "res": "rescript", "resi": "rescript", "rb": "ruby", "rs": "rust", "tsx": "tsx", "ts": "typescript",
    "hs": "haskell", "lua": "lua", "ex": "elixir", "swift": "swift",
}  # fmt: skip


def said(chunks: tuple[Chunk, ...]) -> str:
    """Chunks as text to compare: one block each."""
    return (
        "\n".join(
            f"{chunk.kind} {chunk.full_name} {chunk.lines[0]}-{chunk.lines[1]} {'public' if chunk.is_public else 'hidden'}"
            f" calls={','.join(chunk.calls)}\n  signature={chunk.signature!r}\n  doc={chunk.doc!r}\n  body={chunk.body!r}"
            for chunk in chunks
        )
        + "\n"
    )


def read(path: Path) -> SourceFile:
    return SourceFile(path.name.removesuffix(".txt"), LANGUAGES[path.name.split(".")[1]], path.read_text(encoding="utf-8"))


def check(file: SourceFile, chunks: tuple[Chunk, ...]) -> None:
    """What holds for the chunks of every file."""
    lines = file.text.replace("\r\n", "\n").split("\n")
    open_chunks: list[Chunk] = []
    for earlier, chunk in zip((None, *chunks), chunks, strict=False):
        first, last = chunk.lines
        assert chunk.text == "\n".join(lines[first - 1 : last])
        assert chunk.signature in chunk.text
        assert chunk.body in chunk.text
        assert all(line.strip() in chunk.text for line in chunk.doc.split("\n")) or "<" in chunk.text
        assert earlier is None or earlier.lines[0] <= first
        while open_chunks and open_chunks[-1].lines[1] < first:
            open_chunks.pop()
        assert not open_chunks or (open_chunks[-1].kind in CONTAINERS and last <= open_chunks[-1].lines[1])
        open_chunks.append(chunk)


@pytest.mark.parametrize("path", [path for path in sorted(SOURCES.iterdir()) if path.suffix != ".golden"], ids=lambda path: path.name)
def test_golden(path: Path) -> None:
    file = read(path)
    chunks = cut(file)
    check(file, chunks)
    golden = path.with_name(f"{path.name}.golden")
    if os.environ.get("LUTHIER_GOLDEN") == "write":
        golden.write_text(said(chunks), encoding="utf-8")
    assert said(chunks) == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["python", "rescript", "go", "bash", "nothing"])
@settings(max_examples=30, deadline=None)
@given(text=st.lists(st.sampled_from(
    ["def f(a):", "  return g(a)", "class A:", "let a = () => {", "}", "module B = {", "/** says what */", "// done here now", "func F() {",
     "\"", "`", "'", "/*", "*/", "\0", "é(", ")", "\r", "\t\tx", "", "@val", "type t = int", "f() {"]
)).map("\n".join))  # fmt: skip
def test_what_holds_for_every_file(language: str, text: str) -> None:
    file = SourceFile("a/b.x", language, text)
    chunks = cut(file)
    check(file, chunks)
    assert chunks == cut(file)


@pytest.mark.parametrize("language", ["python", "java", "cpp", "bash", "rescript", "haskell"])
@pytest.mark.parametrize(
    "text",
    ["(" * 100_000, "((((\n" * 25_000, "f(\n" * 50_000, "/*" * 9_000, "x = " * 4_000, "\0" * 9_000, "let a =\n" * 20_000],
    ids=lambda text: text[:4],
)
def test_hostile_text_takes_little_time(language: str, text: str) -> None:
    started = time.monotonic()
    cut(SourceFile("a.x", language, text))
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("language", ["java", "csharp"])
def test_a_grammar_that_crashes_costs_one_file(language: str) -> None:
    cut(SourceFile("a.x", language, "a<" * 20))
    (chunk,) = cut(SourceFile("A.java", language, "class A {\n}\n"))
    assert chunk.name == "A"


def test_ctrl_c_reaches_the_parent_alone() -> None:
    cut(SourceFile("A.java", "java", "class A {\n}\n"))
    assert os.getpgid(apart._CHILD._running().pid) != os.getpgrp()


def test_line_ends_are_one_kind() -> None:
    unix = "def f():\n    '''Says\n    much.'''\n    return 1\n"
    assert cut(SourceFile("a.py", "python", unix.replace("\n", "\r\n"))) == cut(SourceFile("a.py", "python", unix))


def test_bytes_are_no_characters() -> None:
    (first, second) = cut(SourceFile("a.py", "python", "def é():\n    '''Größe 📏 in Metern.'''\n\ndef g():\n    return 'ü'\n"))
    assert (first.name, first.doc, second.signature, second.body) == ("é", "Größe 📏 in Metern.", "def g():", "    return 'ü'")


@pytest.mark.parametrize("text", ["x" * (module.MAX_LINE_CHARACTERS + 1), "x = 1\n" * (module.MAX_CHARACTERS // 5)])
def test_what_no_person_wrote_gives_nothing(text: str) -> None:
    assert cut(SourceFile("a.py", "python", f"def f(): pass\n{text}")) == ()


def test_what_the_parser_cannot_read_is_cut_by_indentation() -> None:
    broken = "def f(a):\n    return a\n" + ")) ] } %%% ((\n" * 20 + "\ndef g(:\n    pass\n"
    assert "f" in [chunk.name for chunk in cut(SourceFile("a.py", "python", broken))]


def test_an_example_in_comments_of_one_line_each_stays_one_step_in() -> None:
    text = "package a\n\n// Equal tells of loads.\n//\n//\tassert.Equal(t, 1)\n//\t\tmore\nfunc Equal() int {\n\treturn 1\n}\n"
    (chunk,) = (one for one in cut(SourceFile("a.go", "go", text)) if one.name == "Equal")
    assert chunk.doc == "Equal tells of loads.\n\n    assert.Equal(t, 1)\n        more"


@pytest.mark.parametrize(
    ("between", "doc"),
    [
        ("", "Moves on."),
        ("// external seek: t => unit\n", ""),
        ("// let seek = 1\n// Gives back.\n", "Gives back."),
        ("// let it be so\n", "Moves on."),
    ],
)
def test_a_doc_comment_above_a_binding_that_was_taken_out_is_of_that(between: str, doc: str) -> None:
    text = f'/** Moves on. */\n{between}@send external read: t => string = "read"\n'
    (found,) = (chunk for chunk in cut(SourceFile("src/File.res", "rescript", text)) if chunk.name == "read")
    assert found.doc == doc


def test_a_lone_star_in_a_doc_attribute_is_no_bullet() -> None:
    text = '@ocaml.doc("\n * `read(t)`\n\nReads on.\n")\n@send external read: t => string = "read"\n'
    (found,) = (chunk for chunk in cut(SourceFile("src/File.res", "rescript", text)) if chunk.name == "read")
    assert found.doc.startswith("`read(t)`")
