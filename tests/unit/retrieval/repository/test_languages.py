"""Languages by name, ending and first line, and what is a test."""

from __future__ import annotations

import pytest

from luthier.retrieval.repository.languages import is_test, language_of_first_line, language_of_path, language_of_text, languages


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("a.py", "python"),
        ("src/App.res", "rescript"),
        ("src/App.resi", "rescript"),
        ("a/b.TSX", "tsx"),
        ("index.d.ts", "typescript"),
        ("Makefile", "makefile"),
        ("Makefile.am", "makefile"),
        ("deploy/Dockerfile.dev", "dockerfile"),
        ("CMakeLists.txt", "cmake"),
        ("notes.txt", "text"),
        ("README", "markdown"),
        ("README.rst", "rst"),
        ("a.ipynb", "notebook"),
        ("a.R", "r"),
        (".gitignore", None),
        ("py", None),
        (".py", "python"),
        ("a.unknown", None),
        ("folder.py/file", None),
    ],
)
def test_by_name(path: str, language: str | None) -> None:
    assert language_of_path(path) == language


@pytest.mark.parametrize(
    ("head", "language"),
    [
        (b"#!/bin/sh\n", "bash"),
        (b"#!/usr/bin/env python3.11\nx", "python"),
        (b"#! /usr/bin/env -S deno run --allow-net\n", "typescript"),
        (b"#!/usr/bin/env FOO=1 ruby\n", "ruby"),
        (b"#!/usr/local/bin/node", "javascript"),
        (b"#!\n", None),
        (b"#!/usr/bin/env\n", None),
        (b"#!/opt/own\n", None),
        (b"# comment", None),
        (b"", None),
        (b"#!\xff\xfe\n", None),
    ],
)
def test_by_first_line(head: bytes, language: str | None) -> None:
    assert language_of_first_line(head) == language


@pytest.mark.parametrize(
    ("language", "path", "text", "expected"),
    [
        ("c", "a.h", "int add(int a, int b);\n", "c"),
        ("c", "a.h", "namespace a {\nclass B;\n}\n", "cpp"),
        ("c", "a.h", "#import <Foundation/Foundation.h>\n@interface A\n@end\n", "objectivec"),
        ("c", "a.c", "namespace a {\n", "c"),
        ("objectivec", "a.m", "function y = f(x)\n% a comment\n", None),
        ("objectivec", "a.m", "#import <a.h>\n", "objectivec"),
        ("typescript", "de.ts", '<?xml version="1.0"?>\n<!DOCTYPE TS>\n', None),
        ("python", "a.py", "x = 1\n", "python"),
    ],
)
def test_by_text(language: str, path: str, text: str, expected: str | None) -> None:
    assert language_of_text(language, path, text) == expected


@pytest.mark.parametrize(
    "path",
    [
        "test_a.py", "a_test.py", "conftest.py", "a_test.go", "a.test.ts", "a.spec.tsx", "src/__tests__/a.js", "tests/a.rs", "App_test.res",
        "src/App.test.res", "AppTests.cs", "ATest.java", "a_spec.rb", "test/a.exs", "a.bats", "src/test/java/A.java", "src/__mocks__/a.ts",
    ],
)  # fmt: skip
def test_tests(path: str) -> None:
    assert is_test(path)


@pytest.mark.parametrize(
    "path", ["testing.py", "src/testing/a.go", "contest.py", "latest.ts", "attest.go", "Contest.res", "tests/README.md", "a.resi"]
)
def test_no_tests(path: str) -> None:
    assert not is_test(path)


def test_the_table_is_sound() -> None:
    assert len([row for row in languages().values() if row.kind == "code"]) >= 40
    for attribute in ("endings", "names", "programs"):
        written = [value for row in languages().values() for value in getattr(row, attribute)]
        assert len(written) == len(set(written)), attribute
    assert all(ending.startswith(".") and ending == ending.lower() for row in languages().values() for ending in row.endings)
    assert {row.kind for row in languages().values()} == {"code", "data", "document"}
    assert {"markdown", "rst", "html", "text", "pdf", "docx", "notebook"} <= {
        row.name for row in languages().values() if row.kind == "document"
    }
