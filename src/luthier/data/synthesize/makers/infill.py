"""Rows that fill in the middle: a definition with a hole at statement boundaries is shown, the answer is the missing code alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from luthier.data.synthesize.budget import within_budget
from luthier.data.synthesize.made import Made, Material, Unfit, asked
from luthier.data.synthesize.reading.bindings import Binding, read_binding, stands_for
from luthier.data.synthesize.reading.statements import balance, is_comment, is_trivial, statements
from luthier.data.synthesize.reading.structure import Structure, spoken
from luthier.data.synthesize.reading.worth import head_and_rest, signature_of, without_doc_attribute
from luthier.data.synthesize.wording import dedented, drawn, fenced, ticked, worded
from luthier.retrieval.chunks.pieces import CODE_KINDS
from luthier.retrieval.records import Chunk

VERSION = 7
PER_FILE = 10
# Bindings are few: some of them show how a module is bound, and more would only repeat it.
PER_FILE_OF_BINDINGS = 4
MOST_HOLE_LINES = 8
_LEAST_LINES, _MOST_LINES = 6, 80
# A longer function is shown by its head and by so many lines on both sides of the hole; it has a hole for each so many lines.
_MOST_LONG_LINES = 600
_AROUND = 30
_MOST_HEAD_LINES = 16
_LINES_OF_A_HOLE = 120
_MOST_HOLES = 3
# The hole is at most this share of the code: what stands around it must tell what is missing.
_MOST_SHARE = 0.4
_LEAST_HOLE_CHARACTERS = 20
_MOST_SHOWN_BINDINGS = 8
_LEAST_KNOWN = 0.66
_LEAST_NAMES = 3
_MOST_QUOTED = 0.4
_IMPORT = re.compile(r"\s*(?:import|from|use|require|open|include)\b")
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`")
_NUMBER = re.compile(r"(?<![\w.])\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?")
_PLAIN_NUMBERS = frozenset(("0", "1", "2", "0.0", "1.0", "2.0", "0.5", "10", "100"))
# One word of a text is often the plain name of a thing; more of them are somebody's own words.
_MOST_UNTOLD_WORDS = 1
# Code within a text: `${code}`, `{code}`.
_INSERTED = re.compile(r"\$?\{[^{}\"'`]*\}")
_WORDS = frozenset(("return", "let", "var", "const", "if", "await", "yield", "raise", "throw", "new", "self", "this", "not"))

_HOLE = "<missing>"
_REQUESTS = (
    "Fill in the {hole} in {name} ({place}, {source}). Answer with the missing code alone.\n\n{code}",
    "Some lines of {name} in {source} were lost where it says {hole}. Restore them.\n\n{code}",
    "Which code belongs at {hole}? This is {name} from {place}.\n\n{code}",
    "{code}\n\nWrite what stands at {hole} in {name} of {source}.",
    "Complete the gap {hole} in this {kind} from {place} of {source}:\n\n{code}",
)
_BINDING_REQUESTS = (
    "In {place} of {source}, {name} is missing at {hole}. It stands for {what}. Write it in its neighbours' style.\n\n{code}",
    "Add {name}, a binding of {what}, at {hole} in {place} ({source}):\n\n{code}",
    "{code}\n\nThe declaration at {hole} is {name}: {what}. What does it look like in {source}?",
    "One `external` was cut out of {place}: {name}, which binds {what}. Restore it at {hole}.\n\n{code}",
)


def make(material: Material) -> Iterator[Made | Unfit]:
    """One hole for each function of `material` that is long enough, and for each binding that stands among others.

    What could be asked for in two places of the source is asked for in none: a reader learns no more from it each time.
    """
    files = list(Structure(material).files().values())
    answers: Counter[str] = Counter()
    holes: dict[int, list[tuple[int, int]]] = {}
    for chunks in files:
        for chunk in chunks:
            if _has_holes(chunk):
                lines, head = _lines(chunk)
                holes[id(chunk)] = _holes(lines, head)
                answers.update({_joined(lines[first:end]) for first, end in holes[id(chunk)]})
            elif not chunk.is_test and read_binding(chunk):
                answers[_joined(declaration(chunk).split("\n"))] += 1
    for chunks in files:
        in_functions = (
            row
            for chunk in chunks
            if id(chunk) in holes
            for row in (
                _long_rows(material, chunk, answers) if _is_long(chunk) else (_function_row(material, chunk, holes[id(chunk)], answers),)
            )
        )
        found = list(within_budget(in_functions, PER_FILE))
        yield from found
        left = PER_FILE - sum(isinstance(row, Made) for row in found)
        bindings = [(chunk, binding) for chunk in chunks if not chunk.is_test and (binding := read_binding(chunk))]
        rows = (_binding_row(material, bindings, at, answers) for at in range(len(bindings)))
        yield from within_budget(rows, min(left, PER_FILE_OF_BINDINGS))


def _has_holes(chunk: Chunk) -> bool:
    return not chunk.is_test and chunk.kind in CODE_KINDS and bool(chunk.body.strip()) and not read_binding(chunk)


def _lines(chunk: Chunk) -> tuple[list[str], int]:
    """The lines of a function without its doc, and how many of them are its head."""
    top, rest = head_and_rest(chunk)
    return f"{top}\n{rest}".split("\n"), top.count("\n") + 1


def _holes(lines: list[str], head: int) -> list[tuple[int, int]]:
    if not _LEAST_LINES <= len(lines) <= _MOST_LINES:
        return []
    return [span for span in statements(lines) if _is_fit(lines, span, head)]


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())


def _function_row(material: Material, chunk: Chunk, fit: list[tuple[int, int]], answers: Counter[str]) -> Made | Unfit:
    lines, _ = _lines(chunk)
    if not _LEAST_LINES <= len(lines) <= _MOST_LINES:
        return Unfit(chunk.path, chunk.lines, "unfit_length", f"{len(lines)} lines, {_LEAST_LINES} to {_MOST_LINES} are asked")
    holes = [(first, end) for first, end in fit if answers[_joined(lines[first:end])] == 1]
    if fit and not holes:
        return Unfit(chunk.path, chunk.lines, "common_answer", "what could be left out stands in another function of the source too")
    if not holes:
        return Unfit(
            chunk.path,
            chunk.lines,
            "no_fit_hole",
            "no statement is long enough, short enough, to be known from around it, and more than a value passed on",
        )
    # Longer holes first would always choose loops; shorter ones always assignments: each length has its turn.
    first, end = holes[drawn("hole", chunk.path, chunk.full_name, chunk.text) % len(holes)]
    missing = lines[first:end]
    indent = missing[0][: len(missing[0]) - len(missing[0].lstrip())]
    shown = "\n".join([*lines[:first], f"{indent}{_HOLE}", *lines[end:]])
    return _made(material, chunk, _REQUESTS, shown, "\n".join(missing), "")


def _is_long(chunk: Chunk) -> bool:
    return _MOST_LINES < len(_lines(chunk)[0]) <= _MOST_LONG_LINES


def _long_rows(material: Material, chunk: Chunk, answers: Counter[str]) -> Iterator[Made | Unfit]:
    """Holes in a long function, each shown with the function's head and the lines around it."""
    lines, head = _lines(chunk)
    spans = sorted(statements(lines), key=lambda span: drawn("hole", chunk.path, chunk.full_name, chunk.text, *span))
    top = lines[:head] if head <= _MOST_HEAD_LINES else [*lines[: _MOST_HEAD_LINES - 1], _gap(chunk)]
    taken = list[tuple[int, int]]()
    for first, end in spans:
        if len(taken) >= min(_MOST_HOLES, 1 + len(lines) // _LINES_OF_A_HOLE):
            break
        if (
            first < head
            or end - first > MOST_HOLE_LINES + 2
            or any(first < other + _AROUND and begin < end + _AROUND for begin, other in taken)
        ):
            continue
        begin, last = max(head, first - _AROUND), min(len(lines), end + _AROUND)
        before = [*top, *([_gap(chunk)] if begin > head and len(top) == head else []), *lines[begin:first]]
        after = [*lines[end:last], *([_gap(chunk)] if last < len(lines) else [])]
        missing = lines[first:end]
        if not _is_fit([*before, *missing, *after], (len(before), len(before) + len(missing)), len(top)) or answers[_joined(missing)] > 1:
            continue
        taken.append((first, end))
        indent = missing[0][: len(missing[0]) - len(missing[0].lstrip())]
        yield _made(material, chunk, _REQUESTS, "\n".join([*before, f"{indent}{_HOLE}", *after]), "\n".join(missing), "")
    if not taken:
        yield Unfit(chunk.path, chunk.lines, "no_fit_hole", f"no statement of its {len(lines)} lines is known from the lines around it")


def _gap(chunk: Chunk) -> str:
    """The line that stands for lines that are not shown."""
    return "    # ..." if chunk.language in ("python", "ruby", "bash", "shell") else "  // ..."


def _is_fit(lines: list[str], span: tuple[int, int], head: int) -> bool:
    first, end = span
    hole = [line for line in lines[first:end] if line.strip()]
    if first < head or not 1 <= len(hole) <= MOST_HOLE_LINES or end - first > MOST_HOLE_LINES + 2 or len(hole) > _MOST_SHARE * len(lines):
        return False
    if is_trivial(hole) or (any(is_comment(line) for line in hole) and len(hole) < 3) or sum(balance(line) for line in hole) != 0:
        return False
    text = " ".join(line.strip() for line in hole)
    if len(text) < _LEAST_HOLE_CHARACTERS or text in " ".join(line.strip() for line in (*lines[:first], *lines[end:])):
        return False
    shown = "\n".join((*lines[:first], *lines[end:]))
    if _is_thin(hole, text) or _is_by_heart(text, shown):
        return False
    # A name that stands nowhere else in the function cannot be known from what is around it.
    around = set(re.findall(r"\w+", shown))
    names = set(re.findall(r"[A-Za-z_]\w+", re.sub(r"\"[^\"]*\"|'[^']*'", "", text)))
    return bool(names) and len(names & around) >= _LEAST_KNOWN * len(names)


def _is_thin(hole: list[str], text: str) -> bool:
    """Whether a hole is no task: one line that passes a value on, an import, or mostly the words of a message, which nobody can know."""
    if any(_IMPORT.match(line) for line in hole):
        return True
    quoted = sum(len(found[0]) for found in _QUOTED.finditer(text))
    if quoted > _MOST_QUOTED * len(text):
        return True
    plain = _QUOTED.sub("", text)
    return len(hole) == 1 and ("(" not in plain or len(set(re.findall(r"[A-Za-z_]\w*", plain)) - _WORDS) < _LEAST_NAMES)


def _is_by_heart(text: str, shown: str) -> bool:
    """Whether a hole holds what nothing around it tells: a number that is no step or bound, or a text of words that stand nowhere."""
    numbers = set(_NUMBER.findall(text)) - set(_NUMBER.findall(shown)) - _PLAIN_NUMBERS
    words = set(re.findall(r"[^\W\d_]{2,}", shown.lower()))
    told = (word for found in _QUOTED.findall(_INSERTED.sub(" ", text)) for word in re.findall(r"[^\W\d_]{2,}", found.lower()))
    return bool(numbers) or len(set(told) - words) > _MOST_UNTOLD_WORDS


def _binding_row(material: Material, bindings: list[tuple[Chunk, Binding]], at: int, answers: Counter[str]) -> Made | Unfit:
    chunk, binding = bindings[at]
    if answers[_joined(declaration(chunk).split("\n"))] > 1:
        return Unfit(
            chunk.path, chunk.lines, "common_answer", f"`{chunk.name}` is declared word for word in another place of the source too"
        )
    what = stands_for(binding)
    near = [other for other, _ in bindings[max(0, at - _MOST_SHOWN_BINDINGS // 2) : at + _MOST_SHOWN_BINDINGS // 2 + 1]]
    near = [other for other in near if other.scope == chunk.scope]
    if not what or len(near) < 4:
        return Unfit(chunk.path, chunk.lines, "no_neighbours", "fewer than three bindings around it, or what it binds is not known")
    shown = "\n".join(_HOLE if other is chunk else declaration(other) for other in near)
    # Its neighbours show how it is written; which of their types it has, nobody could know.
    return _made(material, chunk, _BINDING_REQUESTS, shown, declaration(chunk), f"{what}, of type {ticked(binding.type)}")


def declaration(chunk: Chunk) -> str:
    """A binding without its doc comment and without the indentation of its module."""
    if not chunk.doc.strip() or "external" not in chunk.signature:
        return dedented(chunk.text)
    return without_doc_attribute(signature_of(chunk)).strip("\n").rstrip()


def _made(material: Material, chunk: Chunk, templates: tuple[str, ...], shown: str, missing: str, what: str) -> Made:
    request = worded(
        templates,
        chunk,
        name=ticked(spoken(chunk)),
        source=ticked(material.name),
        place=ticked(chunk.path),
        kind=chunk.kind,
        hole=ticked(_HOLE),
        what=what,
        code=fenced(shown, chunk.language),
    )
    return Made(asked(request, fenced(missing, chunk.language)), chunk.path, chunk.lines, chunk.license)
