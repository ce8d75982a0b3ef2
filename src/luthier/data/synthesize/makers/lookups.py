"""Rows that look a name up: a request for the docs of a function, the call of `lookup_docs`, its result, and the answer from it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from luthier.core.records import JsonObject, Message, ToolCall
from luthier.data.synthesize.made import Made, Material, Unfit
from luthier.data.synthesize.reading.worth import declared
from luthier.data.synthesize.wording import drawn, pick
from luthier.retrieval.records import Chunk

TOOL = "lookup_docs"
_KINDS = frozenset(("function", "method", "class", "type", "constant", "module"))
_MIN_WORDS, _MAX_WORDS = 8, 300
_MOST_OF_FILE = 4
_GO_PACKAGE = re.compile(r"^package\s+(\w+)", re.MULTILINE)
_UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
_ASKED = (
    "Show me the docs of {name}.",
    "What does {name} do?",
    "Look up {name}.",
    "How is {name} documented?",
    "Can you look up what {name} is for?",
)
_ANSWERS = (
    "`{name}` is declared as\n\n{signature}\n\n{doc}",
    "{doc}\n\nIts declaration:\n\n{signature}",
    "Here are the docs of `{name}`:\n\n{signature}\n\n{doc}",
)


def definition(source: str) -> JsonObject:
    """The tool that looks a name of `source` up."""
    name = {"type": "string", "description": "Full name of a function, method, type or constant."}
    return {
        "type": "function",
        "function": {
            "name": TOOL,
            "description": f"Looks up the declaration and the documentation of a name in {source}.",
            "parameters": {"type": "object", "properties": {"name": name}, "required": ["name"], "additionalProperties": False},
        },
    }


def rows_of_docs(material: Material) -> Iterator[Made | Unfit]:
    """A row for each public name of the source's code whose docs say something."""
    packages = {file.path: found[1] for file in material.files if file.language == "go" and (found := _GO_PACKAGE.search(file.text))}
    chunks = [chunk for chunk in material.chunks if chunk.kind in _KINDS and chunk.is_public and not chunk.is_test and chunk.doc.strip()]
    defined = (chunk for chunk in material.chunks if chunk.kind in _KINDS and not chunk.is_test)
    # A file and its interface (`a.res`, `a.resi`) speak of one thing.
    names = Counter(name for name, _ in {(_name(chunk, packages), chunk.path.rsplit(".", 1)[0]) for chunk in defined})
    told = set[str]()
    taken: dict[str, list[Made]] = defaultdict(list)
    for chunk in chunks:
        name = _name(chunk, packages)
        count = len(chunk.doc.split())
        if name in told:
            yield Unfit(chunk.path, chunk.lines, "told_before", f"`{name}` is documented in the file's other half too")
        elif names[name] > 1:
            yield Unfit(chunk.path, chunk.lines, "ambiguous_name", f"`{name}` is defined {names[name]} times")
        elif count < _MIN_WORDS:
            yield Unfit(chunk.path, chunk.lines, "too_short", f"the docs of `{name}` have {count} words")
        elif count > _MAX_WORDS:
            yield Unfit(chunk.path, chunk.lines, "too_long", f"the docs of `{name}` have {count} words")
        elif _UNFINISHED.search(chunk.doc) or chunk.doc.rstrip().endswith((",", ":", "(")):
            yield Unfit(chunk.path, chunk.lines, "unfinished", f"the docs of `{name}` break off")
        elif not chunk.signature.strip():
            yield Unfit(chunk.path, chunk.lines, "no_signature", f"`{name}` has no declaration to show")
        else:
            told.add(name)
            taken[chunk.path].append(_row(chunk, name, material.name))
    for rows in taken.values():
        # The form of a look-up is learnt from a few; the docs themselves are told by other rows too.
        kept = sorted(rows, key=lambda row: drawn(*(turn.content for turn in row.messages)))[:_MOST_OF_FILE]
        yield from (row for row in rows if any(row is one for one in kept))


def _name(chunk: Chunk, packages: Mapping[str, str]) -> str:
    """The name by which users call it: in Go with the package in front, in Python with the module."""
    package = packages.get(chunk.path) or (_module(chunk.path) if chunk.language == "python" else None)
    return f"{package}.{chunk.full_name}" if package else chunk.full_name


def _module(path: str) -> str | None:
    """The dotted name by which Python imports a file; None where its path is none that can be imported."""
    parts = path.removesuffix(".py").removeprefix("src/").removesuffix("/__init__").split("/")
    return ".".join(parts) if all(part.isidentifier() for part in parts) else None


def _row(chunk: Chunk, name: str, source: str) -> Made:
    doc = chunk.doc.strip()
    signature = declared(chunk)
    tag = {"c++": "cpp", "c_sharp": "csharp"}.get(chunk.language, chunk.language)
    fence = f"```{tag}\n{signature}\n```"
    key = f"{chunk.path}\n{name}"
    shown = f"`{name}`" if drawn(key, "marks") % 2 else name
    ends = doc if doc[-1] in ".!?)`" or "\n" in doc else f"{doc}."
    messages = (
        Message("user", pick(_ASKED, key, "asked").format(name=shown)),
        Message("assistant", "", (ToolCall(TOOL, {"name": name}),)),
        Message("tool", f"{signature}\n\n{doc}", name=TOOL),
        Message("assistant", pick(_ANSWERS, key, "answer").format(name=name, signature=fence, doc=ends)),
    )
    return Made(messages, chunk.path, chunk.lines, chunk.license, tools=(definition(source),))
