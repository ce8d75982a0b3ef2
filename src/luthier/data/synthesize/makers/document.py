"""Rows that write the doc comment of a definition: its code without doc is shown, the answer is the comment in the language's own form."""

from __future__ import annotations

from collections.abc import Iterator

from luthier.data.synthesize.budget import within_budget
from luthier.data.synthesize.made import Made, Material, Unfit, asked
from luthier.data.synthesize.reading.docs import read_doc
from luthier.data.synthesize.reading.structure import Structure, kind_word, spoken
from luthier.data.synthesize.reading.worth import code_without_doc, fault, told_once
from luthier.data.synthesize.wording import dedented, fenced, ticked, worded
from luthier.retrieval.records import Chunk

VERSION = 8
PER_FILE = 10
_MOST_CODE_LINES = 60
_MOST_DOC_LINES = 40

_REQUESTS = (
    "Write the {form} for {name} in {source}.\n\n{code}",
    "{name} from {place} has no {form} yet. Write one:\n\n{code}",
    "Document this {kind} of {source} with a {form}:\n\n{code}",
    "Add a {form} to the following code from {place}. Answer with the {form} alone.\n\n{code}",
    "{code}\n\nWhat would a good {form} for {name} ({source}) be?",
    "I need a {form} for {name}, as the rest of {source} has them:\n\n{code}",
)
_BLOCKS = frozenset(
    ("javascript", "typescript", "tsx", "jsx", "java", "c", "cpp", "c++", "csharp", "c_sharp", "kotlin", "scala", "php", "swift")
)
_HASHES = frozenset(("ruby", "bash", "shell", "perl", "r", "elixir", "yaml", "toml", "make", "makefile"))


def make(material: Material) -> Iterator[Made | Unfit]:
    """Doc comments of the definitions of `material`, as its authors wrote them, where they say more than the code."""
    for chunks in Structure(material).files().values():
        yield from within_budget((row for chunk in chunks if (row := _row(material, chunk))), PER_FILE)


def _row(material: Material, chunk: Chunk) -> Made | Unfit | None:
    if not chunk.doc.strip() or chunk.is_test or chunk.kind not in ("function", "method", "class", "type", "module", "constant"):
        return None
    if chunk.kind == "constant" and chunk.language == "python":
        return Unfit(chunk.path, chunk.lines, "no_docstring", "a comment above a value is no docstring")
    code = code_without_doc(chunk)
    doc = read_doc(chunk.doc)
    bad = fault(doc, chunk, code)
    if bad:
        return Unfit(chunk.path, chunk.lines, *bad)
    if told_once(chunk, doc) == "explain":
        return None
    if code.count("\n") >= _MOST_CODE_LINES and chunk.kind in ("class", "module", "type") and chunk.signature.strip():
        code = chunk.signature
    if code.count("\n") >= _MOST_CODE_LINES or chunk.doc.count("\n") >= _MOST_DOC_LINES:
        return Unfit(
            chunk.path, chunk.lines, "long_code", f"{code.count(chr(10)) + 1} lines of code, {chunk.doc.count(chr(10)) + 1} of doc"
        )
    # One declaration stands in several modules of ReScript: code alone does not tell which one is meant.
    templates = tuple(form for form in _REQUESTS if chunk.language != "rescript" or "{name}" in form or "{place}" in form)
    request = worded(
        templates,
        chunk,
        form=form_of(chunk.language),
        name=ticked(spoken(chunk)),
        source=ticked(material.name),
        place=ticked(chunk.path),
        kind="declaration" if chunk.language == "rescript" else kind_word(chunk),
        code=fenced(dedented(code), chunk.language),
    )
    return Made(asked(request, fenced(commented(chunk.doc, chunk.language), chunk.language)), chunk.path, chunk.lines, chunk.license)


def form_of(language: str) -> str:
    """What a doc comment is called in a language."""
    return {"python": "docstring", "javascript": "JSDoc comment", "typescript": "TSDoc comment", "java": "Javadoc comment"}.get(
        language, "doc comment"
    )


def commented(doc: str, language: str) -> str:
    """`doc` with the comment marks of the language's doc comments."""
    lines = [line.rstrip() for line in doc.strip("\n").rstrip().split("\n")]
    if language == "python":
        text = "\n".join(lines)
        quotes = "'''" if '"""' in text else '"""'
        raw = "r" if "\\" in text else ""
        return f"{raw}{quotes}{text}{quotes}" if len(lines) == 1 else f"{raw}{quotes}{text}\n{quotes}"
    if language == "rescript":
        return f"/** {lines[0].strip()} */" if len(lines) == 1 else "\n".join(["/**", *lines, "*/"])
    if language in _BLOCKS:
        safe = [line.replace("*/", "* /") for line in lines]
        return f"/** {safe[0].strip()} */" if len(lines) == 1 else "\n".join(["/**", *(f" * {line}".rstrip() for line in safe), " */"])
    mark = "///" if language == "rust" else "#" if language in _HASHES else "--" if language in ("lua", "haskell", "sql") else "//"
    return "\n".join(f"{mark} {line}".rstrip() for line in lines)
