"""React components: their name as callers write it, their props, what they render and which hooks they use."""

from __future__ import annotations

import re
from dataclasses import dataclass

from luthier.data.synthesize.reading.signatures import Parameter, read_signature
from luthier.data.synthesize.reading.structure import module_of
from luthier.data.synthesize.wording import ticked
from luthier.retrieval.records import Chunk

_JSX = re.compile(r"<(?P<tag>[A-Z][\w.]*)(?=[\s/>])")
# What gives an element back: a generic (`<T>`) or a comparison stands behind none of these.
_ELEMENT = re.compile(r"(?:\breturn|=>)\s*\(?\s*<(?:[A-Za-z][\w.]*[\s/>]|>)|React\.createElement\(")
_HOOK = re.compile(r"\b(?:[A-Z]\w*\.)*(?P<hook>use[A-Z]\w*)\b")
# JSX stands in these files alone.
_SCRIPTS = (".jsx", ".tsx", ".js", ".mjs")


@dataclass(frozen=True, slots=True)
class Component:
    """A component: `name` stands in JSX tags; `children` are the components that it renders, in their order, each once."""

    name: str
    props: tuple[Parameter, ...]
    children: tuple[str, ...]
    hooks: tuple[str, ...]


def read_component(chunk: Chunk) -> Component | None:
    """The component that a chunk defines; None where it defines none."""
    if chunk.kind not in ("function", "method", "constant"):
        return None
    if chunk.language == "rescript":
        if "@react.component" not in chunk.text and "@jsx.component" not in chunk.text:
            return None
        name = chunk.scope.split(".")[-1] if chunk.scope else module_of(chunk.path)
    elif chunk.path.endswith(_SCRIPTS) and chunk.name[:1].isupper() and _ELEMENT.search(chunk.text):
        name = chunk.name
    else:
        return None
    code = chunk.body or chunk.text
    children = dict.fromkeys(match["tag"] for match in _JSX.finditer(code) if match["tag"].split(".")[-1] != name)
    hooks = dict.fromkeys(match["hook"] for match in _HOOK.finditer(code))
    return Component(name, _props(chunk), tuple(children), tuple(hooks))


def _props(chunk: Chunk) -> tuple[Parameter, ...]:
    signature = read_signature(chunk)
    if chunk.language == "rescript":
        return tuple(one for one in signature.parameters if one.name) if signature else ()
    taken = re.search(r"\(\s*\{(?P<names>[^{}]*)\}", chunk.signature or chunk.text)
    if not taken:
        return ()
    found = list[Parameter]()
    for piece in taken["names"].split(","):
        named = re.match(r"\s*(?P<name>\w+)\s*(?::\s*\w+\s*)?(?:=\s*(?P<default>.+?))?\s*$", piece, re.DOTALL)
        if named:
            found.append(Parameter(named["name"], "", named["default"] or "", True))
    return tuple(found)


def said_of(prop: Parameter) -> str:
    """One prop in words: `` `~size: int`, optional, `4` by default ``."""
    kind = f": {prop.type}" if prop.type else ""
    if prop.default == "?":
        return f"{ticked(prop.name + kind)}, optional"
    return f"{ticked(prop.name + kind)}, {ticked(prop.default)} by default" if prop.default else ticked(prop.name + kind)
