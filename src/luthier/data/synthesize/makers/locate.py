"""Rows that find a definition: the answer gives path, lines and the declaration, or all places of a name that has a few."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from luthier.data.synthesize.budget import within_budget
from luthier.data.synthesize.made import Made, Material, Unfit, asked
from luthier.data.synthesize.reading.bindings import is_plain, read_binding
from luthier.data.synthesize.reading.docs import read_doc
from luthier.data.synthesize.reading.structure import MOST_DEFINITIONS, Structure, kind_word, module_of, spoken
from luthier.data.synthesize.reading.worth import content_words, declared, fault, names_in, shortened, signature_of, told_of
from luthier.data.synthesize.wording import (
    bullets,
    dedented,
    drawn,
    fenced,
    first_sentence,
    lines_of,
    paragraphs,
    sentence,
    stands,
    ticked,
    worded,
)
from luthier.retrieval.records import Chunk
from luthier.retrieval.repository.spdx import together

VERSION = 8
# Places move with every change, and their requests differ by a name alone: a few of a file teach how one is told.
PER_FILE = 3
_LEAST_NAME = 3

_REQUESTS = (
    "Where is {name} defined in {source}?",
    "Which file of {source} holds {name}, and on which lines is this {kind}?",
    "I am looking for {name} in {source}. In which file is it?",
    "In {source}, where do I find {name} and how it is declared?",
    "Point me to {name} in the code of {source}.",
    "Which lines of {source} define {name}, and how is it declared?",
    "{name} in {source}: file and lines, please.",
)
_IN_INTERFACE = (
    "Where does an interface of {source} declare {name} for other modules?",
    "Which interface file of {source} declares {name}, and on which lines?",
    "How does the interface of its module declare {name} in {source}, and where?",
)
_ANSWERS = (
    "{name} is defined in {path}, {lines}:",
    "It is in {path} ({lines}):",
    "You find the {kind} {name} in {path}, {lines}:",
    "{path} holds it, {lines}:",
)
_BY_MEANING = (
    'Which {kind} of {source} is described as "{said}", and where is it?',
    'Where in {source} do I find the {kind} that is documented as "{said}"?',
    'I am looking for the {kind} of {source} of which the docs say: "{said}". Where is it?',
    'Which {kind} in {source} is this: "{said}"? Name the file and the lines, please.',
)
_FOUND = (
    "That is {name} in {path}, {lines}:",
    "It is {name}, in {path} ({lines}):",
    "{name} is what you look for. It stands in {path}, {lines}:",
)
_LEAST_TOLD_WORDS = 4
_KINDS = ("function", "method", "class", "type", "module", "constant")


def make(material: Material) -> Iterator[Made | Unfit]:
    """One row for each definition of `material` whose name is telling enough to ask for."""
    structure = Structure(material)
    meanings = Counter(told for chunks in structure.files().values() for chunk in chunks if (told := _meaning(chunk)))
    for chunks in structure.files().values():
        yield from within_budget((row for chunk in chunks if (row := _row(structure, chunk, meanings))), PER_FILE)


def _row(structure: Structure, chunk: Chunk, meanings: Counter[str]) -> Made | Unfit | None:
    if chunk.kind not in _KINDS or chunk.is_test:
        return None
    if chunk.kind == "module" and chunk.name == module_of(chunk.path):
        return None  # The file itself, by its own name.
    if bad := _fault(chunk):
        return Unfit(chunk.path, chunk.lines, *bad)
    told = _meaning(chunk)
    places = structure.defined(chunk.name)
    same = [place for place in places if spoken(place) == spoken(chunk)] or [chunk]
    if len(same) == 1 and f"{same[0].path}i" == chunk.path:
        # Its module defines it, and its interface is another answer to the same question.
        return _one(structure, chunk, "", _IN_INTERFACE)
    # Files that are built for different systems define the same name: one of them is half an answer.
    if len(same) == 1 and meanings[told] == 1 and drawn("by meaning", chunk.path, chunk.text) % 3:
        return _one(structure, chunk, told)
    if len(same) > 1:
        return _several(structure, chunk, same, spoken(chunk)) if chunk is same[0] else None
    if len(places) > 1 and spoken(chunk) == chunk.name:
        return _several(structure, chunk, places, chunk.name) if chunk is places[0] else None
    # A name with its scope is one place, however many others share its last part.
    return _one(structure, chunk, "")


def _fault(chunk: Chunk) -> tuple[str, str] | None:
    """Why nobody would ask where a definition stands: a reason code and a detail."""
    if len(chunk.name) < _LEAST_NAME or chunk.name.startswith("__"):
        return "vague_name", f"`{chunk.name}` is too short or a name of the language"
    if chunk.kind == "constant" and chunk.language != "rescript" and not chunk.doc.strip():
        return "bare_value", f"nothing is said of the value `{chunk.name}`"
    if (binding := read_binding(chunk)) and is_plain(binding) and not chunk.doc.strip():
        return "plain_binding", "its module tells the file, and its name the declaration"
    return None


def _meaning(chunk: Chunk) -> str:
    """What the docs say a definition does, without its name: by this a reader looks for it. Empty where they say too little for that."""
    if chunk.kind not in _KINDS or chunk.is_test or not chunk.doc.strip() or (chunk.kind == "constant" and chunk.language == "python"):
        return ""
    said = summary(chunk)
    if chunk.name in said:
        said = re.sub(rf"^`?{re.escape(chunk.name)}(?:\([^)]*\))?`?\s+", "", said)
    said = said.rstrip(".")
    is_telling = len(set(content_words(said))) >= _LEAST_TOLD_WORDS and '"' not in said
    is_named = chunk.name in said and re.search(rf"\b{re.escape(chunk.name)}\b", said) is not None
    return said if is_telling and not is_named else ""


def _one(structure: Structure, chunk: Chunk, told: str, requests: tuple[str, ...] = _REQUESTS) -> Made | Unfit:
    """One place: asked for by its name, or, where `told` is given, by what the docs say of it."""
    signature = dedented(chunk.text if chunk.text.count("\n") < 2 and not chunk.doc else signature_of(chunk))
    signature = declared(chunk) if chunk.kind == "type" else told_of(chunk, shortened(signature))
    parts = _parts(structure, chunk, spoken(chunk))
    head = worded(_FOUND if told else _ANSWERS, chunk, path=ticked(chunk.path), lines=lines_of(chunk.lines), **parts)
    return _made(
        structure,
        chunk,
        parts,
        paragraphs(
            head if signature else f"{head[:-1]}.", fenced(signature, chunk.language) if signature else "", "" if told else summary(chunk)
        ),
        _BY_MEANING if told else requests,
        told,
    )


def _several(structure: Structure, chunk: Chunk, places: list[Chunk], name: str) -> Made | Unfit:
    if len(places) > MOST_DEFINITIONS:
        return Unfit(chunk.path, chunk.lines, "ambiguous_name", f"`{name}` is defined in {len(places)} places")
    said = bullets(f"{stands(place)}: {ticked((place.signature or place.text).strip().split(chr(10))[0])}" for place in places)
    answer = paragraphs(f"{ticked(name)} is defined in {len(places)} places:", said)
    row = _made(structure, chunk, _parts(structure, chunk, name), answer, _REQUESTS)
    return replace(row, license=together(place.license for place in (chunk, *places)))


def summary(chunk: Chunk) -> str:
    """The first sentence of a doc that says more than the declaration; else empty."""
    doc = read_doc(chunk.doc)
    if not doc.prose or fault(doc, chunk, chunk.signature or chunk.name):
        return ""
    # A sentence that leads to a list says nothing without it.
    lead = re.split(r"\n\s*(?:[-*+]|\d+[.)])\s", doc.prose.split("\n\n", 1)[0], maxsplit=1)[0]
    said = first_sentence(lead)
    return "" if said.endswith(":") else sentence(said, names_in(chunk.signature or chunk.name))


def _parts(structure: Structure, chunk: Chunk, name: str) -> dict[str, str]:
    return {"name": ticked(name), "source": ticked(structure.material.name), "kind": kind_word(chunk)}


def _made(structure: Structure, chunk: Chunk, parts: dict[str, str], answer: str, requests: tuple[str, ...], told: str = "") -> Made:
    return Made(asked(worded(requests, chunk, said=told, **parts), answer), chunk.path, chunk.lines, chunk.license)
