"""The language of a file, by its name, its ending or its first line, and whether it is a test; the table is `repository/languages.toml`."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath

TABLE = Path(__file__).with_name("languages.toml")
# Folders whose files are tests in every language; as whole names, so that `testing/` of a library stays code.
TEST_FOLDERS = frozenset(
    ("test", "tests", "__tests__", "__test__", "spec", "specs", "testdata", "testsuite", "e2e", "androidTest", "integration_tests")
)
# Folders of stand-ins and stored answers for tests.
_TEST_PARTS = frozenset(("__mocks__", "__fixtures__", "fixtures", "__snapshots__"))
_HEAD_BYTES = 200
_OBJECTIVE_C = re.compile(r"^[ \t]*(?:#import\b|@interface\b|@protocol\b|@class\b)", re.MULTILINE)
_CPP_HEADER = re.compile(
    r"^[ \t]*(?:class\s+\w+[^;()]*\{|class\s+\w+;|namespace\s+\w|namespace\s*\{|template\s*<|using\s+\w|(?:public|private|protected)\s*:"
    r"|#include\s*<(?:string|vector|memory|map|set|array|utility|functional|iostream|algorithm|optional|cstd\w+)>)",
    re.MULTILINE,
)
_MATLAB = re.compile(r"^[ \t]*(?:function\b|%|end[ \t]*$|clear\b|clc\b)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Language:
    """One language: `kind` is `code`, `data` or `document`; files of a `is_binary` one hold no text."""

    name: str
    kind: str
    endings: tuple[str, ...]
    names: tuple[str, ...]
    programs: tuple[str, ...]
    tests: tuple[str, ...]
    is_binary: bool


@cache
def languages() -> dict[str, Language]:
    """All languages by name, in the table's order."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {
        name: Language(
            name,
            row["kind"],
            tuple(row.get("endings", ())),
            tuple(row.get("names", ())),
            tuple(row.get("programs", ())),
            tuple(row.get("tests", ())),
            bool(row.get("binary", False)),
        )
        for name, row in table.items()
    }


@cache
def _by(attribute: str) -> dict[str, str]:
    return {written: language.name for language in languages().values() for written in getattr(language, attribute)}


def language_of_path(path: str) -> str | None:
    """The language that a file's name tells, None where the name tells nothing. `path` is posix."""
    name = PurePosixPath(path).name
    if name in (known := _by("names")):
        return known[name]
    # `Dockerfile.dev`, `Makefile.am`; not `README.xyz`, whose ending tells something else.
    if (stem := name.split(".")[0]) in ("Dockerfile", "Containerfile", "Makefile") and name != stem:
        return known[stem]
    parts = name.lower().split(".")
    for start in range(1, len(parts)):
        if (ending := "." + ".".join(parts[start:])) in _by("endings"):
            return _by("endings")[ending]
    return None


def language_of_first_line(head: bytes) -> str | None:
    """The language of the interpreter that a file's first line (`#!...`) names, None where it names none that is known."""
    line = head[:_HEAD_BYTES].split(b"\n", 1)[0]
    if not line.startswith(b"#!"):
        return None
    words = line[2:].decode("utf-8", "replace").split()
    programs = [word.rsplit("/", 1)[-1] for word in words if not word.startswith("-") and "=" not in word]
    if programs[:1] == ["env"]:
        programs = programs[1:]
    if not programs:
        return None
    program = programs[0]
    # `python3.11`, `ruby2.7`: a version behind the name.
    return _by("programs").get(program) or _by("programs").get(program.rstrip("0123456789.-"))


def language_of_text(language: str, path: str, text: str) -> str | None:
    """`language`, or the one that its text shows where several share the ending of `path`; None where the text is of none that is known."""
    if language == "c" and path.lower().endswith(".h"):
        if _OBJECTIVE_C.search(text):
            return "objectivec"
        return "cpp" if _CPP_HEADER.search(text) else "c"
    if language == "objectivec" and path.endswith(".m") and not _OBJECTIVE_C.search(text) and _MATLAB.search(text):
        return None
    if language == "typescript" and text.lstrip("\ufeff \r\n\t").startswith(("<?xml", "<!DOCTYPE TS")):
        return None  # Qt's translations share the ending.
    return language


def is_test(path: str) -> bool:
    """Whether a file is a test, or made for tests alone, by its language's conventions and its folders; a document is none."""
    pure = PurePosixPath(path)
    language = language_of_path(path)
    if language is not None and languages()[language].kind == "document":
        return False
    if any(part in TEST_FOLDERS or part in _TEST_PARTS for part in pure.parts[:-1]):
        return True
    return language is not None and any(fnmatchcase(pure.name, pattern) for pattern in languages()[language].tests)
