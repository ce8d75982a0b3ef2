"""Rows that show how a definition is used: one or two real call sites from other definitions, with their places."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from luthier.data.synthesize.budget import within_budget
from luthier.data.synthesize.made import Made, Material, Unfit, asked
from luthier.data.synthesize.prose import without_lead
from luthier.data.synthesize.reading.docs import read_doc
from luthier.data.synthesize.reading.statements import balance, enclosing, is_trivial
from luthier.data.synthesize.reading.structure import Structure, Use, spoken
from luthier.data.synthesize.reading.worth import fault
from luthier.data.synthesize.wording import dedented, fenced, listed, paragraphs, ticked, worded
from luthier.retrieval.chunks.pieces import CODE_KINDS
from luthier.retrieval.records import Chunk
from luthier.retrieval.repository.spdx import together

VERSION = 8
PER_FILE = 10
MOST_SITES = 2
_MOST_SITE_LINES = 10
_LEAST_SITE_CHARACTERS = 12
_LEAST_EXAMPLE_CHARACTERS = 20

_REQUESTS = (
    "How is {name} used in {source}?",
    "Show me an example of calling {name} from {source}.",
    "Where does {source} call {name}, and with what?",
    "I want to use {name} ({place}). What does a call look like in {source}?",
    "Give me real uses of {name} in the code of {source}.",
    "Who calls {name} in {source}? Show the code.",
    "What is a typical call of {name} of {source}?",
)
_EXAMPLES = (
    "Show me an example of {name} in {source}.",
    "How do I call {name} from {source}? An example would help.",
    "Is there an example for {name} in the docs of {source}?",
    "What does using {name} ({place}) look like?",
    "Give me a short example that uses {name} of {source}.",
)
_LATER_BRANCH = re.compile(r"^\}\s*else\s+if\b")
_FROM = ("In {where}, line {line}:", "In {where} (line {line}):", "From {where}, line {line}:")
# What may stand before a call that is a statement by itself.
_LED = re.compile(r"(?:(?:return|await|yield)\s+)*(?:[\w$]+(?:\.|->|::))*")


def make(material: Material) -> Iterator[Made | Unfit]:
    """Uses of the definitions of `material` by others, and the examples that their own docs give."""
    structure = Structure(material)
    for chunks in structure.files().values():
        yield from within_budget((row for chunk in chunks for row in _rows(structure, chunk)), PER_FILE)


def _rows(structure: Structure, chunk: Chunk) -> Iterator[Made | Unfit]:
    if chunk.kind not in ("function", "method", "class", "constant") or chunk.is_test:
        return
    if row := _example(structure, chunk):
        yield row
    uses = structure.uses(chunk)
    if not uses:
        return
    # Sites of other files first: they show how it is used from outside. A second site must not repeat the first.
    ordered = sorted(uses, key=lambda use: (use.chunk.path == chunk.path, use.chunk.is_test, use.chunk.kind not in CODE_KINDS))
    sites = list[tuple[Use, str, int]]()
    for use in ordered:
        site = _site(use, chunk)
        if site and all(site[1] != other for _, other, _ in sites):
            sites.append(site)
        if len(sites) == MOST_SITES:
            break
    if not sites:
        yield Unfit(chunk.path, chunk.lines, "thin_call_site", "its uses hold no statement that can be shown by itself")
        return
    yield _made(structure, chunk, sites, ordered)


def _site(use: Use, chunk: Chunk) -> tuple[Use, str, int] | None:
    """The statement around a use and the line of the file on which it begins; None where it says nothing."""
    lines = use.chunk.text.split("\n")
    first, end = enclosing(lines, use.line, _MOST_SITE_LINES)
    shown = lines[first:end]
    if is_trivial(shown) or _is_bare(shown, chunk.name) or len("".join(shown).strip()) < max(_LEAST_SITE_CHARACTERS, len(chunk.name) + 4):
        return None
    return use, _whole_branch(dedented("\n".join(shown))), use.chunk.lines[0] + first


def _is_bare(shown: list[str], name: str) -> bool:
    """Whether a site is the call alone, without arguments and without a use of its result: it shows nothing that the name does not."""
    code = re.sub(r"\s(?:#|//).*$", "", " ".join(line.strip() for line in shown)).rstrip(" ;")
    return code.endswith(f"{name}()") and _LED.fullmatch(code, 0, len(code) - len(name) - 2) is not None


def _whole_branch(code: str) -> str:
    """`} else if f(x) {` with what it does as an `if` that stands by itself."""
    plain = _LATER_BRANCH.sub("if", code, count=1)
    if plain == code or sum(balance(line) for line in plain.split("\n")) != 1:
        return code
    return f"{plain}\n}}"


def _made(structure: Structure, chunk: Chunk, shown: list[tuple[Use, str, int]], uses: list[Use]) -> Made:
    said = list[str]()
    for use, code, line in shown:
        what = "the test " if use.chunk.is_test else ""
        where = f"{what}{ticked(spoken(use.chunk))} of {ticked(use.chunk.path)}"
        said += [worded(_FROM, use.chunk, where=where, line=str(line)), fenced(code, use.chunk.language)]
    others = sorted({use.chunk.path for use in uses} - {use.chunk.path for use, _, _ in shown})
    left = len(uses) - len(shown)
    more = f"It is also used in {listed([ticked(path) for path in others[:3]])}." if others else ""
    more = f"{left} more uses stand in {ticked(shown[0][0].chunk.path)}." if not others and left > 1 else more
    license_ = together((chunk.license, *(use.chunk.license for use, _, _ in shown)))
    return replace(_row(structure, chunk, _REQUESTS, paragraphs(*said, more)), license=license_)


def _example(structure: Structure, chunk: Chunk) -> Made | None:
    """The example that a doc gives itself."""
    doc = read_doc(chunk.doc) if chunk.doc.strip() else None
    if not doc or not doc.examples or chunk.name not in doc.examples[0]:
        return None
    text = doc.examples[0].strip()
    if len(text) < _LEAST_EXAMPLE_CHARACTERS:
        return None
    shown = text if "```" in text else fenced(text, chunk.language)
    prose = "" if fault(doc, chunk, chunk.signature) else doc.prose.split("\n\n", 1)[0]
    if prose.endswith(":"):
        prose = without_lead(prose)  # What it leads to is the example above, or stands in the doc alone.
    if prose.startswith("`") and prose.endswith("`") and prose.count("`") == 2:
        prose = ""  # A call as a heading says what the example shows.
    return _row(structure, chunk, _EXAMPLES, paragraphs(shown, prose))


def _row(structure: Structure, chunk: Chunk, templates: tuple[str, ...], answer: str) -> Made:
    name, source, place = ticked(spoken(chunk)), ticked(structure.material.name), ticked(chunk.path)
    request = worded(structure.telling(templates, chunk), chunk, name=name, source=source, place=place)
    return Made(asked(request, answer), chunk.path, chunk.lines, chunk.license)
