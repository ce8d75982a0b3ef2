"""Rows that explain a definition: its code is shown without its doc, the answer says what the code does not say word for word.

The answer is the doc comment, cleaned of markup, with what it says of parameters, results and errors, and facts of structure. Where there
is no doc, it is what a ReScript binding stands for in JavaScript, or how a React component is put together.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from luthier.data.synthesize.budget import within_budget
from luthier.data.synthesize.made import Made, Material, Unfit, asked
from luthier.data.synthesize.reading.bindings import Binding, is_plain, read_binding, same_javascript, stands_for, traits, typed, written_as
from luthier.data.synthesize.reading.components import Component, read_component, said_of
from luthier.data.synthesize.reading.docs import Doc, read_doc
from luthier.data.synthesize.reading.structure import Structure, spoken
from luthier.data.synthesize.reading.worth import code_without_doc, fault, names_in, told_once
from luthier.data.synthesize.wording import bullets, dedented, fenced, listed, paragraphs, sentence, stands, ticked, worded
from luthier.retrieval.records import Chunk

VERSION = 8
PER_FILE = 16
# Longer code is no longer read at a glance, and a doc of a line or two does not explain it.
_MOST_LINES = 80
_KINDS = ("function", "method", "class", "type", "constant", "module")
_WORDS_FOR = {"class": "class", "type": "type", "constant": "value", "module": "module", "method": "method"}

_REQUESTS = (
    "What does {name} in {source} do?\n\n{code}",
    "Explain this {kind} from {place} ({source}):\n\n{code}",
    "I came across {name} in {place} of {source}. What is it for?\n\n{code}",
    "Can you explain what this {kind} does? It is {name} of {source}.\n\n{code}",
    "{code}\n\nThis is {name} from {place}. What is its purpose in {source}?",
    "Reading {source}, I found this:\n\n{code}\n\nWhat does {name} do, and what should I know before using it?",
    "Describe {name} ({place} in {source}) for someone new to the code.\n\n{code}",
    "In {source}, what is the point of {name}?\n\n{code}",
)
_DOES = re.compile(r"\{(?:name|kind)\}(?: in \{source\})? do(?:es)?\b")
_BINDING_REQUESTS = (
    "Which JavaScript does this ReScript binding stand for?\n\n{code}",
    "What does {name} compile to? It is declared in {place} of {source}:\n\n{code}",
    "I want to call {name} from {source}. What does this `external` do at run time?\n\n{code}",
    "How does this declaration in {place} reach JavaScript?\n\n{code}",
    "{code}\n\nWhat happens in JavaScript when {name} is used?",
)
_COMPONENT_REQUESTS = (
    "Give me an overview of the component {name} in {source}: props, hooks and what it renders.",
    "What do I need to know to render {name} from {place} in {source}?",
    "How is the React component {name} ({place}, {source}) put together?",
    "Which props does {name} in {source} take, and what does it render?",
)


def make(material: Material) -> Iterator[Made | Unfit]:
    """Explanations of the definitions of `material` that have a doc worth telling, of bindings and of components."""
    structure = Structure(material)
    for chunks in structure.files().values():
        yield from within_budget((row for chunk in chunks if (row := _row(structure, chunk))), PER_FILE)


def _row(structure: Structure, chunk: Chunk) -> Made | Unfit | None:
    if chunk.kind not in _KINDS or chunk.is_test:
        return None
    if chunk.doc.strip():
        if chunk.kind == "constant" and chunk.language == "python" and chunk.name.startswith("_"):
            return Unfit(chunk.path, chunk.lines, "remark", "a comment above a private value is a remark, seldom on what it is for")
        return _from_doc(structure, chunk)
    if component := read_component(chunk):
        return _from_component(structure, chunk, component)
    if binding := read_binding(chunk):
        return _from_binding(structure, chunk, binding)
    return None


def _from_doc(structure: Structure, chunk: Chunk) -> Made | Unfit | None:
    doc, code = read_doc(chunk.doc), code_without_doc(chunk)
    bad = fault(doc, chunk, code)
    if bad:
        return Unfit(chunk.path, chunk.lines, *bad)
    if told_once(chunk, doc) == "document":
        return None
    names = names_in(code)
    if code.count("\n") >= _MOST_LINES:
        if chunk.kind in ("class", "module", "type") and chunk.signature.strip():
            code = chunk.signature  # The parts of a class are rows of their own.
        else:
            return Unfit(chunk.path, chunk.lines, "long_code", f"{code.count(chr(10)) + 1} lines, {_MOST_LINES} are allowed")
    answer = paragraphs(sentence_end(doc.prose, names), *told(doc, names), _binding_note(chunk), neighbours(structure, chunk))
    return _made(structure, chunk, _REQUESTS, code, answer)


def sentence_end(prose: str, names: Container[str] = ()) -> str:
    """Prose whose last paragraph ends as a sentence does; `names` are identifiers, which keep their small letters."""
    head, blank, last = prose.rpartition("\n\n")
    return head + blank + (last if last.lstrip().startswith(("```", "-", "*")) else sentence(last, names))


def told(doc: Doc, names: Container[str] = ()) -> list[str]:
    """What a doc says of parameters, result and errors, as Markdown; `names` are identifiers, which keep their small letters."""
    said = list[str]()
    if doc.parameters:
        said.append("Parameters:\n\n" + bullets(f"{ticked(name)}: {sentence(text, names)}" for name, text in doc.parameters))
    if doc.returns:
        said.append(f"Returns: {sentence(doc.returns, names)}")
    if doc.errors:
        errors = (f"{ticked(name)}: {sentence(text, names)}" if text else ticked(name) for name, text in doc.errors)
        said.append("Errors:\n\n" + bullets(errors))
    if doc.deprecated:
        said.append(f"It is deprecated: {sentence(doc.deprecated, names)}")
    return said


def neighbours(structure: Structure, chunk: Chunk) -> str:
    """Which definitions of the source a chunk calls and which use it, with their places; empty where none is known."""
    said = list[str]()
    callees = [one for one in structure.callees(chunk) if one.path != chunk.path][:3]
    if callees:
        said.append(f"It relies on {listed([f'{ticked(spoken(one))} ({stands(one)})' for one in callees])}.")
    users = [use.chunk for use in structure.uses(chunk) if not use.chunk.is_test]
    if users:
        shown = listed([f"{ticked(spoken(one))} ({stands(one)})" for one in users[:2]])
        more = f", and in {len(users) - 2} more places" if len(users) > 3 else ""
        said.append(f"It is used by {shown}{more}.")
    return " ".join(said)


def _binding_note(chunk: Chunk) -> str:
    binding = read_binding(chunk)
    what = stands_for(binding) if binding else ""
    return f"The declaration binds {what}." if what else ""


def _from_binding(structure: Structure, chunk: Chunk, binding: Binding) -> Made | Unfit:
    what, said = stands_for(binding), traits(binding)
    if not what or (binding.is_compilers and binding.target != "%identity"):
        return Unfit(chunk.path, chunk.lines, "unknown_binding", "nothing says which JavaScript it becomes")
    near, js = neighbours(structure, chunk), written_as(binding)
    if is_plain(binding) and not near:
        return Unfit(chunk.path, chunk.lines, "plain_binding", "its name and attribute say it all")
    first = f"{ticked(spoken(chunk))} binds {what}." + (f" A use of it compiles to {js}." if js else "")
    second = f"It {typed(binding)}."
    answer = paragraphs(first, " ".join([second, *said]), _rivals(structure, chunk, binding), near)
    return _made(structure, chunk, _BINDING_REQUESTS, chunk.text, answer)


def _rivals(structure: Structure, chunk: Chunk, binding: Binding) -> str:
    """The other bindings of its file that stand for the same JavaScript, and how their types differ."""
    found = [
        (other, read_binding(other)) for other in structure.files().get(chunk.path, []) if other is not chunk and other.scope == chunk.scope
    ]
    same = [(other, one) for other, one in found if one and same_javascript(one, binding)]
    if not same or binding.is_compilers:
        return ""
    said = [f"{ticked(other.name)}, of type {ticked(one.type)}" for other, one in same[:3]]
    return f"The same JavaScript is also bound as {listed(said)}."


def _from_component(structure: Structure, chunk: Chunk, component: Component) -> Made | Unfit:
    name = ticked(spoken(chunk).removesuffix(".make") if chunk.language == "rescript" else component.name)
    said = [f"{name} is a React component in {stands(chunk)}."]
    if component.props:
        said.append("Props:\n\n" + bullets(said_of(prop) for prop in component.props))
    elif not component.children and not component.hooks:
        return Unfit(chunk.path, chunk.lines, "bare_component", "no props, no hooks, no other component")
    else:
        said.append("It takes no props." if chunk.language == "rescript" else "")
    if component.children:
        said.append(f"It renders {listed([f'`<{name}>`' for name in component.children[:8]])}.")
    if component.hooks:
        said.append(f"It uses the hook{'s' if len(component.hooks) > 1 else ''} {listed([ticked(hook) for hook in component.hooks[:8]])}.")
    said.append(neighbours(structure, chunk))
    templates = structure.telling(_COMPONENT_REQUESTS, chunk, by_file=True)
    request = worded(templates, chunk, name=name, source=ticked(structure.material.name), place=ticked(chunk.path))
    return Made(asked(request, paragraphs(*said)), chunk.path, chunk.lines, chunk.license)


def _made(structure: Structure, chunk: Chunk, templates: tuple[str, ...], code: str, answer: str) -> Made:
    if chunk.kind in ("constant", "type", "module"):
        # What is no function does nothing.
        templates = tuple(template for template in templates if not _DOES.search(template))
    request = worded(
        structure.telling(templates, chunk),
        chunk,
        name=ticked(spoken(chunk)),
        source=ticked(structure.material.name),
        place=ticked(chunk.path),
        kind=_WORDS_FOR.get(chunk.kind, "function"),
        code=fenced(dedented(code), chunk.language),
    )
    return Made(asked(request, answer), chunk.path, chunk.lines, chunk.license)
