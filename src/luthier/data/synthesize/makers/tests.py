"""Rows of tests: a function to the tests that name and call it, and a test to the function that it proves."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import takewhile

from luthier.data.synthesize.budget import within_budget
from luthier.data.synthesize.made import Made, Material, Unfit, asked
from luthier.data.synthesize.makers.complete import body_fault, head_with_doc
from luthier.data.synthesize.reading.structure import Structure, owner_of, spoken
from luthier.data.synthesize.reading.surroundings import Surroundings
from luthier.data.synthesize.reading.worth import head_and_rest, split_words, stem
from luthier.data.synthesize.wording import dedented, drawn, fenced, paragraphs, ticked, worded
from luthier.retrieval.chunks.pieces import CODE_KINDS
from luthier.retrieval.records import Chunk
from luthier.retrieval.repository.spdx import together

VERSION = 8
PER_FILE = 16
_MOST_LINES = 60
_LEAST_LINES = 2
# Tests that call more of the source than this prove no single function.
_MOST_TESTED = 12
# Several tests of one function are several rows: each proves something else, and its name says what.
_MOST_OF_A_FUNCTION = 3
_MOST_BESIDE = 2

_TO_TEST = (
    "Write a test for {name} of {source}.\n\n{code}",
    "How would you test this {kind} from {place} in {source}?\n\n{code}",
    "{code}\n\nWrite a test for it; it is {name} in {place} of {source}.",
    "Add a test of {name} to {test_place} in {source}. This is the code under test:\n\n{code}",
)
_TO_NAMED_TEST = (
    "Write the test {test} for {name} of {source}.\n\n{code}",
    "{code}\n\nThis is {name} from {place} of {source}. Write its test {test}.",
    "Add {test}, a test of {name}, to {test_place} in {source}. This is the code under test:\n\n{code}",
    "In {source}, {test} proves {name} ({place}). Write that test for this code:\n\n{code}",
)
_TO_CODE = (
    "This test of {source} must pass. Write {name} ({place}):\n\n{code}{head}",
    "Implement {name} in {place} of {source} so that this test holds:\n\n{code}{head}",
    "{code}{head}\n\nWrite the {kind} {name} that this test of {source} proves.",
)
_TEST_NAME = re.compile(r"_*(?:[Tt]est|[Ss]hould|[Ii]t_|[Ss]pec|[Ee]xample|[Cc]heck)")
# Where the language's runner knows tests by their names, another name is a helper's.
_TEST_NAMES = {"python": re.compile(r"_*test"), "go": re.compile(r"Test(?![a-z])|Example")}
# How JUnit, Rust, xUnit and their like mark tests of any name.
_MARKED = re.compile(r"^\s*(?:@(?:Parameterized|Repeated)?Test\b|#\[(?:\w+::)*test\b|\[(?:Test|Fact|Theory|TestMethod)\b)", re.MULTILINE)
_ASSERTS = re.compile(
    r"\bassert\w*\b|\bself\.(?:assert|fail)\w*|\bt\.(?:Error|Fatal|Fail)\w*|\brequire\.\w+\(|\bshould\b|assert(?:_eq|_ne)?!|"
    r"->\s*(?:equal|ok|notEqual|notOk|is|isNot|same|fail|throws)\b|\bpytest\.raises\b|\bEXPECT_|\bASSERT_|\bTest\.run\(|\btest\.(?:equal|ok)|"
    r"\bAssert\.\w+|\b\w*[eE]qual\w*\s*\(|\bmust_\w+|"
    r"\b(?:expect|check|verify|ensure|must|got|compare)[A-Z_]?\w*\s*\("
)
_MODULE = re.compile(r"\bmodule\s+(?:type\s+|rec\s+)?([A-Z]\w*)\s*[:=]")
# Methods that values of any type may have, those of other packages too: a call alone does not tell whose it is.
_OF_ANY_TYPE = frozenset(
    [
        "Error",
        "String",
        "Unwrap",
        "Is",
        "As",
        "Close",
        "Read",
        "Write",
        "Len",
        "Less",
        "Swap",
        "Get",
        "Set",
        "Next",
        "Reset",
        "Name",
        "Run",
        "toString",
        "equals",
        "hashCode",
        "compareTo",
        "close",
        "get",
        "set",
        "next",
        "read",
        "write",
        "size",
        "length",
        "to_s",
        "to_str",
        "fmt",
    ]
)
_NO_SUBJECT = frozenset(("test", "tests", "should", "it", "spec", "example", "check"))


def make(material: Material) -> Iterator[Made | Unfit]:
    """Rows for each function of `material` that a test names, calls and asserts about."""
    if not any(chunk.is_test for chunk in material.chunks):
        return
    testing = _Testing(Structure(material))
    for chunks in testing.structure.files().values():
        yield from within_budget((row for chunk in chunks for row in testing.rows(chunk)), PER_FILE)


class _Testing:
    """The tests of one material, by what they call."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self._surroundings = Surroundings(structure)
        self._set_up: dict[str, frozenset[str]] = {}
        self._by_call = defaultdict[str, list[Chunk]](list)
        for chunk in structure.material.chunks:
            if chunk.is_test and chunk.kind in (*CODE_KINDS, "block"):
                for name in dict.fromkeys(re.split(r"[.:]+", call)[-1] for call in chunk.calls):
                    self._by_call[name].append(chunk)

    def rows(self, chunk: Chunk) -> Iterator[Made | Unfit]:
        """The rows of one definition: its best test, then others that bear its name."""
        if chunk.kind not in (*CODE_KINDS, "class") or chunk.is_test or _only_declares(chunk) or self._is_interface(chunk):
            return
        tests = self._tests_of(chunk)
        if not tests:
            return
        if chunk.text.count("\n") >= _MOST_LINES and not chunk.doc.strip():
            yield Unfit(
                chunk.path, chunk.lines, "long_code", f"{chunk.text.count(chr(10)) + 1} lines, {_MOST_LINES} are allowed without a doc"
            )
            return
        fit = [test for test in tests if _is_test(test) and not self._needs_fixture(test) and not self._is_of_another(test, chunk)]
        if not fit:
            yield Unfit(chunk.path, chunk.lines, "no_fit_test", f"{len(tests)} tests call it, none is short, asserts and proves it alone")
            return
        ranked = sorted(fit, key=lambda test: (-_nearness(test, chunk), len(test.text), test.path, test.lines))
        ranked = [test for test in ranked if _nearness(test, chunk) != 1 or self._is_alone(test, chunk)]
        if not ranked or not _nearness(ranked[0], chunk):
            ranked = ranked or fit
            detail = f"no test that calls it names it, or its file and little else: `{ranked[0].full_name}` does not"
            yield Unfit(chunk.path, chunk.lines, "test_of_another", detail)
            return
        yield self._row(chunk, ranked[0], is_first=True)
        for test in [test for test in ranked[1:] if _nearness(test, chunk) == 3][: _MOST_OF_A_FUNCTION - 1]:
            yield self._row(chunk, test, is_first=False)

    def _tests_of(self, chunk: Chunk) -> list[Chunk]:
        """The tests that use a definition beyond doubt, and those that call its name and bear it in theirs."""
        found = [use.chunk for use in self.structure.uses(chunk) if use.chunk.is_test and use.chunk.kind in (*CODE_KINDS, "block")]
        others = [one for one in self.structure.defined(chunk.name) if not one.is_test]
        for test in self._by_call.get(chunk.name, ()):
            is_meant = (len(others) < 2 and chunk.name not in _OF_ANY_TYPE) or _names_owner(test, chunk)
            if test.language == chunk.language and is_meant and _nearness(test, chunk) == 3 and all(test is not one for one in found):
                found.append(test)
        return [test for test in found if test.kind != "block" or _is_nearest(test, chunk, others)]

    def _is_interface(self, chunk: Chunk) -> bool:
        """Whether a chunk of an interface is defined by the file beside it, whose row the test is."""
        beside = self.structure.files().get(chunk.path[:-1], ()) if chunk.path.endswith(".resi") else ()
        return any(one.full_name == chunk.full_name for one in beside)

    def _needs_fixture(self, test: Chunk) -> bool:
        """Whether a test of ReScript rests on a module that its own file sets up, or on help of other tests, which nobody asked knows."""
        if test.language != "rescript":
            return False
        if test.path not in self._set_up:
            text = next((one.text for one in self.structure.material.files if one.path == test.path), "")
            self._set_up[test.path] = frozenset(_MODULE.findall(text))
        own = self._set_up[test.path] - set(_MODULE.findall(test.text))
        rests = any(re.search(rf"(?<![\w.]){re.escape(name)}\b(?!\s*\()", test.text) for name in own)
        return rests or any(one.is_test for one in self.structure.callees(test))

    def _is_of_another(self, test: Chunk, chunk: Chunk) -> bool:
        """Whether the title of a called test, or that around it, names something else: "length >= 1" in `#stem` is one of `stem`."""
        if test.kind != "block":
            return False
        if re.search(rf"\b{re.escape(chunk.name)}\s*[<>=!]=?\s*\d", test.name):
            return True
        titles = (re.fullmatch(r"(?P<mark>#?)(?P<name>\w+)", title) for title in (test.name, test.scope.rsplit(".", 1)[-1]))
        called = {re.split(r"[.:]+", call)[-1] for call in test.calls}
        named = (one["name"] for one in titles if one and (one["mark"] or one["name"] in called))
        return any(name != chunk.name and bool(self.structure.defined(name)) for name in named)

    def _is_alone(self, test: Chunk, chunk: Chunk) -> bool:
        """Whether a test that does not name `chunk` proves it all the same: it asserts what that gives, and calls and names hardly more.

        A call that only prepares what is asserted later proves nothing, and neither does one beside a name nearer to the test's own.
        """
        others = [one for one in self.structure.callees(test) if not one.is_test and one is not chunk]
        if len(others) >= _MOST_BESIDE or any(_nearness(test, one) == 3 for one in others) or not _asserts_of(test, chunk.name):
            return False
        called = (one for call in test.calls for one in self.structure.defined(re.split(r"[.:]+", call)[-1]) if not one.is_test)
        own = _shared(test, chunk)
        return own > 0 and all(_shared(test, one) < own for one in called if one.name != chunk.name)

    def _row(self, chunk: Chunk, test: Chunk, *, is_first: bool) -> Made:
        is_shown = chunk.text.count("\n") < _MOST_LINES
        to_code = is_first and is_shown and chunk.kind in CODE_KINDS and drawn("direction", chunk.path, chunk.text) % 3 == 0
        head, beside = head_with_doc(chunk), ""
        if to_code:
            around = self._surroundings.around(chunk, f"{head}\n{test.text}", head_and_rest(chunk)[1])
            to_code, beside = body_fault(chunk) is None and around.is_enough, around.text
        if to_code:
            templates: tuple[str, ...] = _TO_CODE
            shown, given = test.text, chunk.text
        else:
            named = not is_first or drawn("named", chunk.path, test.text) % 2 == 0
            templates = _TO_NAMED_TEST if named and test.kind != "block" else _TO_TEST
            shown, given = chunk.text if is_shown else head, test.text
        request = worded(
            templates,
            test,
            name=ticked(spoken(chunk)),
            source=ticked(self.structure.material.name),
            place=ticked(chunk.path),
            test=ticked(test.name),
            test_place=ticked(test.path),
            kind=chunk.kind,
            code=fenced(dedented(shown), chunk.language),
            head="\n\n" + paragraphs("Its declaration:", fenced(dedented(head), chunk.language), beside) if to_code else "",
        )
        license_ = together((chunk.license, test.license))
        return Made(asked(request, fenced(dedented(given), chunk.language)), chunk.path, chunk.lines, license_)


def _is_test(test: Chunk) -> bool:
    """Whether a chunk of a test's file is a test: its name says so, it asserts, and it is short."""
    if not _LEAST_LINES <= test.text.count("\n") + 1 <= _MOST_LINES or not _ASSERTS.search(test.body or test.text):
        return False
    is_named = test.kind == "block" or _MARKED.search(test.text) or _TEST_NAMES.get(test.language, _TEST_NAME).match(test.name)
    return bool(is_named) and len(test.calls) <= _MOST_TESTED


def _asserts_of(test: Chunk, name: str) -> bool:
    """Whether a test asserts something of what `name` gives: in the line of the call, or by a variable that this sets."""
    lines = test.text.split("\n")
    calls = [line for line in lines if re.search(rf"\b{re.escape(name)}\s*\(", line)]
    known = {variable for line in calls for variable in _set_by(line)}
    asserting = [at for at, line in enumerate(lines) if _ASSERTS.search(line)]
    if any(_ASSERTS.search(line) or re.match(r"\s*(?:\}\s*else\s+)?(?:if|for|while|with)\b", line) for line in calls):
        return True
    # An assertion may stand under the condition that it is about: `if got != want {` and then `t.Errorf`.
    about = " ".join(" ".join(lines[max(0, at - 2) : at + 3]) for at in asserting)
    return any(re.search(rf"\b{re.escape(variable)}\b", about) for variable in known)


def _set_by(line: str) -> list[str]:
    """The variables that a line sets: those before its first `=` or `:=`."""
    found = re.match(r"\s*(?:(?:let|var|const|auto|final)\s+)?(?P<left>[\w$, *().\[\]]+?)\s*:?=(?!=)", line)
    return [word for word in re.findall(r"[A-Za-z_]\w*", found["left"]) if word != "_"] if found else []


def _shared(test: Chunk, chunk: Chunk) -> int:
    """How many words of a definition's name the test's own name holds, whatever their endings."""
    named = {stem(word) for word in split_words(test.name) if word not in _NO_SUBJECT}
    return len(named & {stem(word) for word in split_words(chunk.name)})


def _nearness(test: Chunk, chunk: Chunk) -> int:
    """How plainly a test is one of `chunk`: 3 its name holds the chunk's, 2 a title in it names that, 1 its file is named alike."""
    wanted, named = split_words(chunk.name), [word for word in split_words(f"{test.scope}.{test.name}") if word not in _NO_SUBJECT]
    held = any(named[at : at + len(wanted)] == wanted for at in range(len(named) - len(wanted) + 1))
    # One word (`Name`, `Handler`) is held by the names of many tests: it must stand first, or nearly alone, or with its type's.
    is_plain = len(wanted) > 1 or named[:1] == wanted or len(named) <= 2 or set(split_words(chunk.scope.split(".")[-1])) & set(named)
    if wanted and held and is_plain:
        return 3
    if chunk.name in test.text and re.search(rf"[\"'`][^\"'`\n]*\b{re.escape(chunk.name)}\b[^\"'`\n]*[\"'`]\s*(?:,|do\b)", test.text):
        return 2
    return int(_is_of_file(test, chunk))


def _is_of_file(test: Chunk, chunk: Chunk) -> bool:
    """Whether a test's path holds the name of the file that the chunk stands in."""
    words = [word for word in split_words(chunk.path.rsplit("/", 1)[-1].split(".")[0]) if word]
    return bool(words) and set(words) <= set(split_words(test.path))


def _only_declares(chunk: Chunk) -> bool:
    """Whether a chunk says what is there without being it: what TypeScript declares, and the other signatures of a function."""
    return chunk.language in ("typescript", "tsx") and not chunk.body.strip()


def _is_nearest(test: Chunk, chunk: Chunk, others: Sequence[Chunk]) -> bool:
    """Whether of all that bear the name of `chunk` none stands nearer to the test: `v3/tests` proves what is in `v3`."""

    def shared(one: Chunk) -> int:
        pairs = zip(test.path.split("/")[:-1], one.path.split("/")[:-1], strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    return shared(chunk) == max((shared(one) for one in others if not _only_declares(one)), default=shared(chunk))


def _names_owner(test: Chunk, chunk: Chunk) -> bool:
    """Whether a test speaks of the file or the type of a definition, of whose name there are several."""
    owner = owner_of(chunk) if chunk.language == "rescript" else chunk.scope.split(".")[-1]
    if chunk.language == "rescript":
        # Modules are spoken of for many a reason: only their own name before the definition's, or opened, tells which one is called.
        return (
            re.search(rf"\b{re.escape(owner)}\.{re.escape(chunk.name)}\b|\bopen!?\s+(?:\w+\.)*{re.escape(owner)}\b", test.text) is not None
        )
    if not owner:
        return _is_of_file(test, chunk)
    return owner in test.text and re.search(rf"\b{re.escape(owner)}\b", test.text) is not None
