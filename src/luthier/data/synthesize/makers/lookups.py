"""Rows that look a name up: a question about a name, the call of `lookup_docs`, its result, and what of it answers the question."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from luthier.core.records import JsonObject, Message, ToolCall
from luthier.data.synthesize.made import Made, Material, Unfit
from luthier.data.synthesize.makers.explain import sentence_end, told
from luthier.data.synthesize.reading.docs import Doc, read_doc
from luthier.data.synthesize.reading.signatures import read_signature
from luthier.data.synthesize.reading.structure import spoken
from luthier.data.synthesize.reading.worth import declared, fault, names_in
from luthier.data.synthesize.wording import bullets, drawn, fenced, listed, paragraphs, pick, sentence, ticked
from luthier.retrieval.chunks.pieces import CODE_KINDS
from luthier.retrieval.records import Chunk

TOOL = "lookup_docs"
_KINDS = frozenset(("function", "method", "class", "type", "constant", "module"))
_MIN_WORDS, _MAX_WORDS = 8, 300
_LEAST_SAID = 3
_MOST_OF_FILE = 4
_GO_PACKAGE = re.compile(r"^package\s+(\w+)", re.MULTILINE)
_UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
_WHOLE = (
    "What do I need to know before I use {name}?",
    "How is {name} declared, and what do its docs say?",
    "Give me a summary of the docs of {name}.",
    "I found {name} in some code. Explain it, with its declaration.",
    "What is {name}? Please check the docs.",
    "Tell me about {name}.",
)
_PURPOSE = (
    "What is {name} for?",
    "When would I use {name}?",
    "What is the purpose of {name}?",
    "Can you check what {name} is for?",
    "Why is there {name}?",
)
_DOES = ("What does {name} do?", "Can you look up what {name} does?", "What happens when I call {name}?", *_PURPOSE)
_PARAMETERS = (
    "Which arguments does {name} take?",
    "What do I pass to {name}?",
    "What are the parameters of {name} for?",
    "I want to call {name}. What does it expect?",
    "Explain the arguments of {name}.",
)
_TAKES = (
    "Which arguments does {name} take?",
    "What do I pass to {name}, and of which types?",
    "I want to call {name}. What does it expect?",
    "Which types do the arguments of {name} have?",
    "What goes into a call of {name}, and what comes back?",
)
_RETURNS = (
    "What does {name} return?",
    "What do I get back from {name}?",
    "What is the result of {name}?",
    "What can I do with the result of {name}? Tell me what it is.",
    "What comes back from a call of {name}?",
)
_ERRORS = (
    "Which errors can {name} raise?",
    "When does {name} fail?",
    "Which exceptions do I have to handle around {name}?",
    "What can go wrong in {name}?",
    "Does {name} raise anything?",
)
_EXAMPLE = (
    "Show me an example of {name}.",
    "How is {name} called? An example, please.",
    "What does a call of {name} look like?",
    "Is there an example for {name} in its docs?",
    "How do I use {name}? Show me code.",
)
_SIGNATURE = (
    "How is {name} declared?",
    "What is the signature of {name}?",
    "What does the declaration of {name} look like?",
    "Show me the declaration of {name}.",
    "I forgot the signature of {name}. What is it?",
)
# A paragraph of fewer words than this says too little by itself.
_LEAST_LEAD_WORDS = 8
_MOST_NAMED = 6
_MOST_WHOLE_WORDS = 80


@dataclass(frozen=True, slots=True)
class _Asked:
    """One thing that the docs of a name answer: ways to ask for it, and the answer."""

    templates: tuple[str, ...]
    answer: str


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
    names_of = _Names(material)
    chunks = [chunk for chunk in material.chunks if chunk.kind in _KINDS and chunk.is_public and not chunk.is_test and chunk.doc.strip()]
    defined = (chunk for chunk in material.chunks if chunk.kind in _KINDS and not chunk.is_test)
    # A file and its interface (`a.res`, `a.resi`) speak of one thing.
    names = Counter(name for name, _ in {(names_of(chunk), chunk.path.rsplit(".", 1)[0]) for chunk in defined})
    seen = set[str]()
    taken: dict[str, list[Made]] = defaultdict(list)
    for chunk in chunks:
        name = names_of(chunk)
        doc = read_doc(chunk.doc)
        if name in seen:
            yield Unfit(chunk.path, chunk.lines, "told_before", f"`{name}` is documented in the file's other half too")
        elif names[name] > 1:
            yield Unfit(chunk.path, chunk.lines, "ambiguous_name", f"`{name}` is defined {names[name]} times")
        elif bad := _fault(chunk, doc):
            yield Unfit(chunk.path, chunk.lines, *bad)
        else:
            seen.add(name)
            taken[chunk.path].append(_row(chunk, doc, name, material.name))
    for rows in taken.values():
        # The form of a look-up is learnt from a few; the docs themselves are told by other rows too.
        kept = sorted(rows, key=lambda row: drawn(*(turn.content for turn in row.messages)))[:_MOST_OF_FILE]
        yield from (row for row in rows if any(row is one for one in kept))


def _fault(chunk: Chunk, doc: Doc) -> tuple[str, str] | None:
    """Why the docs of a name are none to look up: a reason code and a detail."""
    count = len(chunk.doc.split())
    if chunk.kind == "constant" and chunk.language == "python":
        return "remark", "a comment above a value is a remark, seldom on what it is for"
    if count < _MIN_WORDS:
        return "too_short", f"the docs of `{chunk.full_name}` have {count} words"
    if count > _MAX_WORDS:
        return "too_long", f"the docs of `{chunk.full_name}` have {count} words"
    if _UNFINISHED.search(chunk.doc) or chunk.doc.rstrip().endswith((",", ":", "(")):
        return "unfinished", f"the docs of `{chunk.full_name}` break off"
    if not chunk.signature.strip():
        return "no_signature", f"`{chunk.full_name}` has no declaration to show"
    return fault(doc, chunk, declared(chunk))


class _Names:
    """The names by which users call the definitions of a material: in Go with the package in front, in Python with the module."""

    def __init__(self, material: Material) -> None:
        go = ((file.path, _GO_PACKAGE.search(file.text)) for file in material.files if file.language == "go")
        self._packages: Mapping[str, str] = {path: found[1] for path, found in go if found}
        paths = (*(file.path for file in material.files), *material.layout.unread)
        self._folders = frozenset(path.rpartition("/")[0] for path in paths if path.rpartition("/")[2] == "__init__.py")

    def __call__(self, chunk: Chunk) -> str:
        if chunk.kind == "module" and chunk.language == "go":
            return chunk.name
        package = self._packages.get(chunk.path) or (self._module(chunk.path) if chunk.language == "python" else None)
        return f"{package}.{chunk.full_name}" if package else spoken(chunk)

    def _module(self, path: str) -> str | None:
        """The dotted name by which Python imports a file; None where its path is none that can be imported.

        It begins at the topmost of the folders above the file that are packages one in the other.
        """
        folder, _, name = path.removesuffix(".py").rpartition("/")
        parts = [name] if name != "__init__" else []
        while folder in self._folders:
            folder, _, name = folder.rpartition("/")
            parts.insert(0, name)
        return ".".join(parts) if parts and all(part.isidentifier() for part in parts) else None


def _row(chunk: Chunk, doc: Doc, name: str, source: str) -> Made:
    signature = declared(chunk)
    key = f"{chunk.path}\n{name}"
    chosen = pick(_answers(chunk, doc, name, fenced(signature, chunk.language)), key, "what is asked")
    shown = f"`{name}`" if drawn(key, "marks") % 2 else name
    messages = (
        Message("user", pick(chosen.templates, key, "asked").format(name=shown)),
        Message("assistant", "", (ToolCall(TOOL, {"name": name}),)),
        Message("tool", f"{signature}\n\n{chunk.doc.strip()}", name=TOOL),
        Message("assistant", chosen.answer),
    )
    return Made(messages, chunk.path, chunk.lines, chunk.license, tools=(definition(source),))


def _answers(chunk: Chunk, doc: Doc, name: str, fence: str) -> list[_Asked]:
    """What can be asked of a name and answered from its docs alone, each with the part of them that answers it."""
    code = ticked(name)
    names = names_in(declared(chunk))
    prose = _about(chunk, code, sentence_end(doc.prose, names))
    is_called = chunk.kind in CODE_KINDS
    examples = [example if "```" in example else fenced(example, chunk.language) for example in doc.examples]
    call = _call(chunk)
    shape = f"It {call}." if call else ""
    whole = paragraphs(prose, *told(doc, names), "Its declaration:", fence, *(["An example:", *examples] if examples else []))
    lead = prose.split("\n\n", 1)[0]
    brief = lead if len(lead.split()) >= _LEAST_LEAD_WORDS and not lead.endswith(":") else prose
    found = [_Asked(_DOES if is_called else _PURPOSE, paragraphs(brief, shape))]
    if len(prose.split()) <= _MOST_WHOLE_WORDS:
        found.append(_Asked(_WHOLE, whole))  # More of it would only be the result again.
    if doc.parameters and all(len(text.split()) >= _LEAST_SAID for _, text in doc.parameters):
        said = bullets(f"{ticked(one)}: {sentence(text, names)}" for one, text in doc.parameters)
        found.append(_Asked(_PARAMETERS, paragraphs(f"{code} takes:", said)))
    elif call:
        found.append(_Asked(_TAKES, paragraphs(f"{code} {call}.", lead if not lead.endswith(":") else "")))
    if is_called and len(doc.returns.split()) >= _LEAST_SAID:
        found.append(_Asked(_RETURNS, f"{code} returns: {sentence(doc.returns, names)}"))
    errors = [(one, text) for one, text in doc.errors if text]
    if is_called and errors:
        said = bullets(f"{ticked(one)}: {sentence(text, names)}" for one, text in errors)
        found.append(_Asked(_ERRORS, paragraphs(f"{code} raises:", said)))
    if examples and chunk.name in examples[0]:
        found.append(_Asked(_EXAMPLE, paragraphs(f"The docs of {code} give this example:", examples[0])))
    if is_called and chunk.signature.count(",") >= 2:
        found.append(_Asked(_SIGNATURE, paragraphs(f"{code} is declared as", fence)))
    return found


def _about(chunk: Chunk, code: str, prose: str) -> str:
    """What a doc says, with the name that was asked for, `code`, in place of the bare name that it begins with, else before it."""
    bare = re.match(rf"`?{re.escape(chunk.name)}(?:\(\))?`?(?=\s+[a-z])", prose)
    if bare:
        return f"{code}{prose[bare.end() :]}"
    return prose if chunk.name in prose.split("\n", 1)[0] else f"{code}: {prose}"


def _call(chunk: Chunk) -> str:
    """What a function takes and gives back by its declaration, as a predicate; empty where that tells no types."""
    signature = read_signature(chunk) if chunk.kind in CODE_KINDS else None
    if signature is None or len(signature.parameters) > _MOST_NAMED:
        return ""
    if any(not (one.name and one.type) for one in signature.parameters) or not (signature.parameters or signature.returns):
        return ""
    takes = listed([f"{ticked(one.name)} ({ticked(one.type)})" for one in signature.parameters])
    gives = f"returns {ticked(signature.returns)}" if signature.returns else ""
    if not takes:
        return f"takes no argument and {gives}"
    return f"takes {takes} and {gives}" if gives else f"takes {takes}"
