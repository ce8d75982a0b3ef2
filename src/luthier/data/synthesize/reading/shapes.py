"""Declarations of ReScript on one line, as a list of them shows each: what it takes, and its type where that is written."""

from __future__ import annotations

import re
from itertools import accumulate

from luthier.data.synthesize.brackets import split_top
from luthier.data.synthesize.reading.bindings import declared_value_type, read_binding
from luthier.data.synthesize.reading.signatures import Parameter, Signature, declared_type, read_signature
from luthier.data.synthesize.reading.worth import code_without_doc
from luthier.retrieval.chunks.pieces import CODE_KINDS
from luthier.retrieval.records import Chunk

MOST_CHARACTERS = 140
_MOST_VALUE = 80
_ATTRIBUTES = re.compile(r"^(?:@@?[\w.]+(?:\((?:[^()]|\([^()]*\))*\))?\s*)+")
_COMMENT = re.compile(r"(?s:/\*.*?\*/)|(?:^|\s)//[^\n]*", re.MULTILINE)
_ALIAS = re.compile(r"module\s+\w+\s*=\s*[A-Z][\w.]*")
# What the binding passes itself, and how a function is handed on, is no part of what a caller sees.
_FIXED = re.compile(r"@as\((?:[^()`]|`[^`]*`)*\)\s*_\s*,?\s*")
_PASSED = re.compile(r"@(?:uncurry|unwrap|this)\s+")


def shape(chunk: Chunk) -> str:
    """The declaration of a ReScript chunk on one line of at most `MOST_CHARACTERS`; less of it, at least its name, where it is longer."""
    if chunk.kind in CODE_KINDS or chunk.kind == "constant":
        found = _value(chunk)
    elif chunk.kind == "type":
        found = _type(chunk)
    else:
        found = (_one_line(chunk) if _ALIAS.fullmatch(_one_line(chunk)) else "", f"module {chunk.name}")
    return next((one for one in found if one and len(one) <= MOST_CHARACTERS), chunk.name)


def _one_line(chunk: Chunk) -> str:
    return _ATTRIBUTES.sub("", re.sub(r",\s*(?=[)\]}>])", " ", " ".join(_COMMENT.sub(" ", code_without_doc(chunk)).split())))


def seen(kind: str) -> str:
    """A type as its callers see it: without fixed arguments and notes to the compiler."""
    return _PASSED.sub("", _FIXED.sub("", kind)).replace(", )", ")")


def _value(chunk: Chunk) -> tuple[str, ...]:
    name = chunk.name if re.fullmatch(r"[a-z_]\w*", chunk.name) else f'\\"{chunk.name}"'
    operator = re.search(r"\bexternal\s+\\?\"[^\"]+\"\s*:\s*(?P<rest>.+)", _one_line(chunk))
    binding = read_binding(chunk)
    written = binding.type if binding else declared_type(operator["rest"]) if operator else declared_value_type(chunk)
    signature = read_signature(chunk) if chunk.kind in CODE_KINDS else None
    if written and not _is_cut(written):
        return (f"{name}: {seen(written)}", *(_called(name, signature) if signature else ()))
    if signature is None:
        value = re.fullmatch(r"let\s+(?:rec\s+)?\S+\s*=\s*(?P<value>.+)", _one_line(chunk))
        return (f"{name} = {value['value']}" if value and len(value["value"]) <= _MOST_VALUE and "=>" not in value["value"] else "",)
    gives = f": {signature.returns}" if signature.returns else ""
    whole = [_said(one, is_whole=True) for one in signature.parameters]
    if len(whole) == 1 and re.fullmatch(r"[a-z_]\w*", whole[0]) and not gives:
        return (f"{name} = {whole[0]} => ...",)
    return (f"{name} = ({', '.join(whole)}){gives} => ...", *_called(name, signature))


def _called(name: str, signature: Signature) -> tuple[str, ...]:
    """A function by the names of what it takes; by as many of them as fit, where all do not."""
    names = [_said(one, is_whole=False) for one in signature.parameters]
    kept = list(accumulate(names, lambda before, one: f"{before}, {one}"))
    fits = [one for one in kept if len(name) + len(one) + len(" = (, ...) => ...") <= MOST_CHARACTERS]
    if not fits:
        return ()
    return (f"{name} = ({fits[-1]}{'' if len(fits) == len(names) else ', ...'}) => ...",)


def _is_cut(kind: str) -> bool:
    """Whether a type goes on where it was taken to end: `(_workers, id)` is what a function binds, and no type."""
    return len(split_top(kind, "=>")) == 1 and kind.endswith("=>")


def _said(one: Parameter, is_whole: bool) -> str:
    mark = "~" if one.is_labelled else ""
    kind = f": {one.type}" if one.type and is_whole else ""
    default = "" if not one.default else f"={one.default}" if is_whole or one.default == "?" else "=..."
    return f"{mark}{one.name}{kind}{default}" if one.name else one.type


def _type(chunk: Chunk) -> tuple[str, ...]:
    whole = re.sub(r" = \| ", " = ", _one_line(chunk))
    if whole.startswith("module type "):
        return (f"module type {chunk.name}",)  # Its body is declarations of its own, which one line cannot part.
    return whole, whole.split(" = ", 1)[0].removesuffix(" =")
