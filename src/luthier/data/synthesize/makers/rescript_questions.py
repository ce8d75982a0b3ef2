"""Questions that a ReScript module answers: types of its functions, what gives a type, other names of modules, state and effects."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Protocol

from luthier.data.synthesize.brackets import split_top
from luthier.data.synthesize.made import Made
from luthier.data.synthesize.reading.bindings import declared_value_type, read_binding
from luthier.data.synthesize.reading.components import read_component
from luthier.data.synthesize.reading.hooks import Effect, State, effects_of, states_of
from luthier.data.synthesize.reading.signatures import Parameter, read_signature
from luthier.data.synthesize.reading.structure import Structure, module_of, spoken, within_module
from luthier.data.synthesize.reading.worth import declared
from luthier.data.synthesize.wording import bullets, drawn, fenced, listed, paragraphs, stands, ticked
from luthier.retrieval.chunks.pieces import CODE_KINDS
from luthier.retrieval.records import Chunk

# The form of such a question is learnt from a few; types are what the file itself tells.
_MOST_TYPED = 5
_MOST_GIVING = 2
_MOST_ALIASES = 4
_LEAST_TYPE_CHARACTERS = 24
_GIVING = range(2, 9)
_PRIMITIVES = frozenset(("string", "int", "float", "bool", "bigint"))
_MOST_CALLABLE = 6

_TYPED = (
    "What do I pass to {name} in {source}, and what does it give back?",
    "What is the type of {name} ({place}, {source})?",
    "Which arguments does {name} of {source} take, and of which types?",
    "I want to call {name} of {source}. Which types does it take and give?",
    "Which type does a call of {name} in {source} have, and which do its arguments have?",
)
_GIVES = (
    "Which functions of {module} in {source} give back {type}?",
    "I need a value of type {type}. Which functions of {module} in {source} give me one?",
    "What can I call in {module} ({place}, {source}) to get {type}?",
    "Which functions in {place} of {source} give back {type}?",
    "{type} is what I need. Which functions of {place} ({source}) give it to me?",
)
_DEPRECATED = (
    "Which definitions of {module} in {source} are deprecated?",
    "What of {module} ({place}) should new code no longer use?",
    "Is anything in {module} of {source} deprecated, and what takes its place?",
    "Which definitions in {place} of {source} are deprecated, and in favour of what?",
)
_ALIASES = (
    "What does {name} stand for in {source}, and where is its code?",
    "Which file do I open to change {name} of {source}?",
    "{place} only names {name}. Which module is that, and where is it?",
)
_STATES = (
    "Which state does {name} in {source} keep, and what does it start with?",
    "List the states of {name} ({place}) with what sets them.",
    "What is kept between renders in {name} of {source}, and how is it set?",
)
_EFFECTS = (
    "When do the effects of {name} in {source} run?",
    "What do the effects in {name} ({place}) depend on?",
    "A change of which values makes the effects of {name} in {source} run again?",
)


class Ask(Protocol):
    """Makes the row of one question: the definition, ways to ask, the answer, and what stands in the slots."""

    def __call__(
        self, chunk: Chunk, templates: tuple[str, ...], answer: str, lines: tuple[int, int] | None = None, **parts: str
    ) -> Made: ...


def rows_of_module(structure: Structure, chunks: list[Chunk], ask: Ask) -> Iterator[Made]:
    """The questions about one ReScript file, whose definitions are `chunks`."""
    typed = [row for chunk in chunks if (row := _typed(structure, chunk, ask))]
    yield from _drawn(typed, _MOST_TYPED)
    yield from _drawn(list(_giving(structure, chunks, ask)), _MOST_GIVING)
    yield from _deprecated(structure, chunks, ask)
    yield from _drawn([row for chunk in chunks if (row := _alias(structure, chunk, ask))], _MOST_ALIASES)
    for chunk in chunks:
        if chunk.kind in CODE_KINDS:
            yield from _hooks(chunk, ask)


def _of_one(structure: Structure, module: str, forms: tuple[str, ...]) -> tuple[str, ...]:
    """The ways to ask that leave no doubt which module is meant: those that name its file, where several files have one of its name."""
    return forms if structure.is_one_module(module) else tuple(form for form in forms if "{place}" in form)


def _drawn(rows: list[Made], most: int) -> list[Made]:
    return sorted(rows, key=lambda row: drawn(*(turn.content for turn in row.messages)))[:most]


def _typed(structure: Structure, chunk: Chunk, ask: Ask) -> Made | None:
    """What a function takes and gives, by its declared type; of a file and its interface the interface tells it."""
    if not chunk.is_public or chunk.kind not in CODE_KINDS or read_binding(chunk) or read_component(chunk):
        return None
    signature = read_signature(chunk)
    # Of a curried type the arguments of the later calls are none of the first.
    if signature is None or not signature.returns or len(split_top(declared_value_type(chunk), "=>")) > 2:
        return None
    if not signature.parameters or not all(one.type for one in signature.parameters):
        return None
    said = "".join((*(one.type + one.name for one in signature.parameters), signature.returns))
    has_interface = any(
        one.path == f"{chunk.path}i" and one.full_name == chunk.full_name for one in structure.files().get(f"{chunk.path}i", ())
    )
    if len(said) < _LEAST_TYPE_CHARACTERS or has_interface:
        return None
    takes = listed([_said(one) for one in signature.parameters])
    gives = "nothing back (`unit`)" if signature.returns == "unit" else f"back {ticked(signature.returns)}"
    head = f"{ticked(spoken(chunk))} takes {takes} and gives {gives}. It is declared in {stands(chunk)}:"
    return ask(chunk, _TYPED, paragraphs(head, fenced(declared(chunk), "rescript"), _advice(chunk)))


def _said(one: Parameter) -> str:
    if not one.is_labelled:
        return ticked(f"{one.name}: {one.type}" if one.name else one.type)
    plain = ticked(f"~{one.name}: {one.type}")
    if not one.default:
        return plain
    return f"{plain} (optional)" if one.default == "?" else f"{plain} ({ticked(one.default)} by default)"


def _advice(chunk: Chunk) -> str:
    """What `@deprecated` says; empty where a definition is not deprecated."""
    found = re.search(r"@deprecated(?:\(\s*\"(?P<reason>[^\"]*)\"\s*\))?", chunk.text)
    if not found:
        return ""
    return f"It is deprecated: {found['reason'].strip().rstrip('.')}." if found["reason"] else "It is deprecated."


def _giving(structure: Structure, chunks: list[Chunk], ask: Ask) -> Iterator[Made]:
    """For a type that a few functions of one module give back, which those are."""
    by_type = defaultdict[tuple[str, str], dict[str, Chunk]](dict)
    for chunk in chunks:
        signature = read_signature(chunk) if chunk.is_public and chunk.kind in CODE_KINDS and not read_component(chunk) else None
        is_plain = len(split_top(declared_value_type(chunk), "=>")) < 3
        if is_plain and signature and signature.parameters and signature.returns and not re.fullmatch(r"unit|'\w+|_", signature.returns):
            by_type[chunk.scope, signature.returns][chunk.name] = chunk
    functions = {(chunk.scope, chunk.name) for chunk in chunks if chunk.kind in CODE_KINDS and chunk.is_public}
    for (scope, kind), found in by_type.items():
        # Where nearly all of a module give one type, the list is the module's own.
        if len(found) not in _GIVING or len(found) * 3 > 2 * sum(place == scope for place, _ in functions):
            continue
        first = next(iter(found.values()))
        module = within_module(first.path, scope) if scope else module_of(first.path)
        said = bullets(f"{ticked(f'{name}: {_type(one)}')} ({stands(one)})" for name, one in found.items())
        head = f"In {ticked(module)} these give back {ticked(kind)}:"
        forms = tuple(form for form in _GIVES if "I need a value" not in form or kind not in _PRIMITIVES)
        yield ask(first, _of_one(structure, module, forms), paragraphs(head, said), module=ticked(module), type=ticked(kind))


def _type(chunk: Chunk) -> str:
    """The type of a function in one line, by its annotation or by those of its parameters and result."""
    if written := declared_value_type(chunk):
        return written
    signature = read_signature(chunk)
    assert signature is not None
    takes = [f"~{one.name}: {one.type or '_'}" if one.is_labelled else one.type or "_" for one in signature.parameters]
    left = takes[0] if len(takes) == 1 and not takes[0].startswith(("~", "(")) and "=>" not in takes[0] else f"({', '.join(takes)})"
    return f"{left} => {signature.returns}"


def _deprecated(structure: Structure, chunks: list[Chunk], ask: Ask) -> Iterator[Made]:
    """The deprecated definitions of a file, with what their authors say to use instead."""
    found = [(chunk, advice) for chunk in chunks if chunk.kind not in ("module", "type") and ":" in (advice := _advice(chunk))]
    if len(found) < 2:
        return
    first = found[0][0]
    module = module_of(first.path)
    said = bullets(f"{ticked(spoken(chunk))} ({stands(chunk)}): {advice.removeprefix('It is deprecated: ')}" for chunk, advice in found)
    lines = (first.lines[0], found[-1][0].lines[1])
    yield ask(
        first,
        _of_one(structure, module, _DEPRECATED),
        paragraphs(f"These of {ticked(module)} are deprecated:", said),
        lines,
        module=ticked(module),
    )


def _alias(structure: Structure, chunk: Chunk, ask: Ask) -> Made | None:
    """The module that another name stands for, and what stands in it."""
    found = re.fullmatch(r"\s*module\s+\w+\s*=\s*(?P<path>[A-Z][\w.]*)\s*;?\s*", chunk.text) if chunk.kind == "module" else None
    meant = structure.module(chunk, found["path"]) if found else None
    if not found or meant is None or meant[0] == chunk.path:
        return None
    path, scope = meant
    inner = [one for one in structure.files().get(path, []) if one.scope == scope and one.is_public]
    component = next((one for one in map(read_component, inner) if one), None)
    functions = list(dict.fromkeys(one.name for one in inner if one.kind in CODE_KINDS))
    if component:
        props = _few([ticked(f"~{prop.name}") for prop in component.props])
        holds = f"It is a React component{f' with the props {props}' if props else ' without props'}."
    elif functions:
        holds = f"It defines {_few([ticked(name) for name in functions])}."
    else:
        holds = ""
    place = f"{ticked(scope)} in {ticked(path)}" if scope not in (module_of(path), found["path"]) else ticked(path)
    verb = "is" if scope == module_of(path) else "stands in" if scope == found["path"] else "is"
    head = f"{ticked(spoken(chunk))} ({stands(chunk)}) is another name of the module {ticked(found['path'])}, which {verb} {place}."
    return ask(chunk, _ALIASES, paragraphs(head, holds))


def _few(names: list[str]) -> str:
    """The first of some names, and how many there are beside them."""
    if len(names) <= _MOST_CALLABLE + 1:
        return listed(names)
    return f"{', '.join(names[:_MOST_CALLABLE])} and {len(names) - _MOST_CALLABLE} more"


def _hooks(chunk: Chunk, ask: Ask) -> Iterator[Made]:
    """What a component or a hook keeps, and when its effects run."""
    component = read_component(chunk)
    name = ticked(spoken(chunk).removesuffix(".make") if component else spoken(chunk))
    states, effects = states_of(chunk), effects_of(chunk)
    if len(states) > 1:
        said = bullets(_state(one, chunk.lines[0] + one.line) for one in states)
        yield ask(chunk, _STATES, paragraphs(f"{name} ({stands(chunk)}) keeps {len(states)} states:", said), name=name)
    if len(effects) > 1 or any(one.depends_on for one in effects):
        said = bullets(_effect(one, chunk.lines[0] + one.line) for one in effects)
        yield ask(chunk, _EFFECTS, paragraphs(f"Of {name} ({stands(chunk)}):", said), name=name)


def _state(one: State, line: int) -> str:
    how = "changed by dispatching to" if one.is_reduced else "set by"
    start = f", starts as {ticked(one.start)}" if one.start else ""
    return f"{ticked(one.name)}, {how} {ticked(one.setter)}{start} (line {line})"


def _effect(one: Effect, line: int) -> str:
    kind = "layout effect" if one.is_layout else "effect"
    if one.depends_on is None:
        when = "runs after every render"
    elif not one.depends_on:
        when = "runs once, after the first render"
    else:
        when = f"runs after the first render and when {listed([ticked(part) for part in one.depends_on], 'or')} changes"
    return f"The {kind} on line {line} {when}{', and cleans up after itself' if one.cleans_up else ''}."
