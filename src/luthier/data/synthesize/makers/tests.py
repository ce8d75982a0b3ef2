"""Rows of tests: a function to the test that calls it, and a test to the function that it proves."""

from __future__ import annotations

import re
from collections.abc import Iterator

from luthier.data.synthesize.budget import within_budget
from luthier.data.synthesize.made import Made, Material, Unfit, asked
from luthier.data.synthesize.reading.structure import CODE_KINDS, Structure, spoken
from luthier.data.synthesize.reading.worth import split_words
from luthier.data.synthesize.wording import dedented, drawn, fenced, ticked, worded
from luthier.retrieval.records import Chunk
from luthier.retrieval.repository.spdx import together

VERSION = 2
PER_FILE = 8
_MOST_LINES = 60
_LEAST_LINES = 2
# Tests that call more of the source than this prove no single function.
_MOST_TESTED = 12

_TO_TEST = (
    "Write a test for {name} of {source}.\n\n{code}",
    "How would you test this {kind} from {place} in {source}?\n\n{code}",
    "{code}\n\nWrite a test for it; it is {name} in {place} of {source}.",
    "Add a test of {name} to {test_place} in {source}. This is the code under test:\n\n{code}",
)
_TO_CODE = (
    "This test of {source} must pass. Write {name} ({place}):\n\n{code}",
    "Implement {name} in {place} of {source} so that this test holds:\n\n{code}",
    "{code}\n\nWrite the {kind} {name} that this test of {source} proves.",
)
_TEST_NAME = re.compile(r"_*(?:[Tt]est|[Ss]hould|[Ii]t_|[Ss]pec|[Ee]xample|[Cc]heck)")
_ASSERTS = re.compile(
    r"\bassert\w*\b|\bself\.(?:assert|fail)\w*|\bexpect\s*\(|\bt\.(?:Error|Fatal|Fail)\w*|\brequire\.\w+\(|\bcheck\w*\(|\bshould\b|assert(?:_eq|_ne)?!|"
    r"->\s*(?:equal|ok|notEqual|notOk|is|isNot|same|fail|throws)\b|\bpytest\.raises\b|\bEXPECT_|\bASSERT_|\bTest\.run\(|\btest\.(?:equal|ok)"
)


def make(material: Material) -> Iterator[Made | Unfit]:
    """A row for each function of `material` that a test names, calls and asserts about."""
    structure = Structure(material)
    if not any(chunk.is_test for chunk in material.chunks):
        return
    for chunks in structure.files().values():
        yield from within_budget((row for chunk in chunks if (row := _row(structure, chunk))), PER_FILE)


def _row(structure: Structure, chunk: Chunk) -> Made | Unfit | None:
    if chunk.kind not in (*CODE_KINDS, "class") or chunk.is_test:
        return None
    tests = [use.chunk for use in structure.uses(chunk) if use.chunk.is_test and use.chunk.kind in (*CODE_KINDS, "block")]
    if not tests:
        return None
    code = chunk.text
    if code.count("\n") >= _MOST_LINES:
        return Unfit(chunk.path, chunk.lines, "long_code", f"{code.count(chr(10)) + 1} lines, {_MOST_LINES} are allowed")
    fit = [test for test in tests if _LEAST_LINES <= test.text.count("\n") + 1 <= _MOST_LINES and _ASSERTS.search(test.text)]
    fit = [test for test in fit if len(test.calls) <= _MOST_TESTED and (test.kind == "block" or _TEST_NAME.match(test.name))]
    if not fit:
        return Unfit(chunk.path, chunk.lines, "no_fit_test", f"{len(tests)} tests call it, none is short, asserts and proves it alone")
    test = max(fit, key=lambda one: (_nearness(one, chunk), -len(one.text)))
    if not _nearness(test, chunk):
        return Unfit(chunk.path, chunk.lines, "test_of_another", f"no test that calls it names it or its file: `{test.full_name}` does not")
    to_code = chunk.kind in CODE_KINDS and chunk.body.count("\n") >= 3 and drawn("direction", chunk.path, chunk.text) % 3 == 0
    shown, given = (test.text, chunk.text) if to_code else (code, test.text)
    request = worded(
        _TO_CODE if to_code else _TO_TEST,
        chunk,
        name=ticked(spoken(chunk)),
        source=ticked(structure.material.name),
        place=ticked(chunk.path),
        test_place=ticked(test.path),
        kind=chunk.kind,
        code=fenced(dedented(shown), chunk.language),
    )
    return Made(asked(request, fenced(dedented(given), chunk.language)), chunk.path, chunk.lines, together((chunk.license, test.license)))


def _nearness(test: Chunk, chunk: Chunk) -> int:
    """How plainly a test is one of `chunk`: 3 its name holds the chunk's, 2 a title in it names that, 1 its file is named alike."""
    wanted, named = split_words(chunk.name), split_words(f"{test.scope}.{test.name}")
    if wanted and all(word in named for word in wanted):
        return 3
    if re.search(rf"[\"'`][^\"'`\n]*\b{re.escape(chunk.name)}\b[^\"'`\n]*[\"'`]\s*,", test.text):
        return 2
    file_words = [word for word in split_words(chunk.path.rsplit("/", 1)[-1].split(".")[0]) if word]
    return int(bool(file_words) and set(file_words) <= set(split_words(test.path)))
