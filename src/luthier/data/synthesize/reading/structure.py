"""Who calls whom: definitions that a name stands for, the chunks that use them, and where in those the use stands."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from luthier.data.synthesize.made import Material
from luthier.data.synthesize.reading.calls.meaning import Meaning
from luthier.retrieval.chunks.pieces import CODE_KINDS
from luthier.retrieval.records import Chunk, Layout
from luthier.retrieval.repository.layout import layout_of_files

# A name defined in more places than this says nothing about which one a call means.
MOST_DEFINITIONS = 5
# Uses that are looked at for one name: rows show one or two and count a few.
MOST_USES = 60
# Languages that write `Ring::new` for a member of `Ring`.
_COLONS = frozenset(("rust", "cpp"))
_ON_SELF = re.compile(r"\bdef\s+(?:self|[A-Z][\w:]*)\s*\.")
# `Interface` files declare what a file beside them defines: both speak of one thing.
_INTERFACES = {".resi": ".res", ".pyi": ".py", ".d.ts": ".ts", ".h": ".c", ".hpp": ".cpp", ".mli": ".ml", ".rei": ".re"}


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a definition: the chunk that holds it and the line, counted from 0 in the chunk's text."""

    chunk: Chunk
    line: int


# Where a chunk stands and what it is called: no two chunks of a material share it, and comparing whole texts would cost more than asking.
_Key = tuple[str, tuple[int, int], str, str]


def _key(chunk: Chunk) -> _Key:
    return (chunk.path, chunk.lines, chunk.scope, chunk.name)


class Structure:
    """What the index says of a material's code, kept once asked."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self._uses: dict[str, list[Chunk]] = {}
        self._defined: dict[str, list[Chunk]] = {}
        self._files: dict[str, list[Chunk]] | None = None
        self._chunks: dict[_Key, Chunk] = {}
        self._modules: defaultdict[str, set[str]] | None = None
        layout = material.layout if material.layout != Layout() else layout_of_files(material.files)
        self._meaning = Meaning(material.files, material.chunks, layout)

    def files(self) -> dict[str, list[Chunk]]:
        """The chunks of code by path, in the order of path and line."""
        if self._files is None:
            found = defaultdict[str, list[Chunk]](list)
            for chunk in self.material.chunks:
                if chunk.kind not in ("section", "block"):
                    found[chunk.path].append(chunk)
            self._files = dict(found)
        return self._files

    def _own(self, found: list[Chunk]) -> list[Chunk]:
        """The material's own chunks in place of those that an index made anew: equal ones are then one object."""
        if not self._chunks:
            self._chunks.update((_key(chunk), chunk) for chunk in self.material.chunks)
        return [self._chunks.get(_key(chunk), chunk) for chunk in found]

    def defined(self, name: str) -> list[Chunk]:
        """The chunks of code that define a bare name; those of an interface file only where no other file beside it does."""
        if name not in self._defined:
            found = [
                chunk
                for chunk in self._own(self.material.index.defined(name))
                if chunk.kind not in ("section", "block") and chunk.name == name
            ]
            stems = {(_stem(chunk.path), chunk.scope) for chunk in found if not _is_interface(chunk.path)}
            self._defined[name] = [
                chunk for chunk in found if not (_is_interface(chunk.path) and (_stem(chunk.path), chunk.scope) in stems)
            ]
        return self._defined[name]

    def telling(self, templates: Sequence[str], chunk: Chunk, *, by_file: bool = False) -> tuple[str, ...]:
        """The templates that leave no doubt which definition is meant: where several places share its name, those that name its file.

        With `by_file` the interface of a ReScript module is another place: what is asked is answered by the text of the one or the other.
        """
        is_alone = sum(spoken(one) == spoken(chunk) for one in self.defined(chunk.name)) < 2
        if by_file and chunk.language == "rescript":
            beside = chunk.path[:-1] if chunk.path.endswith("i") else f"{chunk.path}i"
            is_alone = is_alone and all(one.full_name != chunk.full_name for one in self.files().get(beside, ()))
        return tuple(templates) if is_alone else tuple(template for template in templates if "{place}" in template)

    def is_one_module(self, name: str) -> bool:
        """Whether one file alone is, or holds, the ReScript module that is spoken of by `name`; an interface is a file too."""
        if self._modules is None:
            self._modules = defaultdict(set)
            for path, chunks in self.files().items():
                if chunks[0].language == "rescript":
                    self._modules[module_of(path)].add(path)
                    for chunk in chunks:
                        self._modules[within_module(path, chunk.scope) if chunk.scope else module_of(path)].add(path)
        return len(self._modules.get(name, ())) < 2

    def uses(self, chunk: Chunk) -> list[Use]:
        """Where other chunks use what `chunk` defines, as far as the text tells that they mean it."""
        if _UNCALLED.match(chunk.name):
            return []
        name = called_name(chunk)
        if name not in self._uses:
            self._uses[name] = [user for user in self._own(self.material.index.uses(name)) if user.kind != "section"]
        found_uses = list[Use]()
        for user in self._uses[name]:
            if len(found_uses) >= MOST_USES:
                break
            if not _within(user, chunk) and not _within(chunk, user) and (line := self._line_of(user, chunk)) is not None:
                found_uses.append(Use(user, line))
        return _innermost(found_uses)

    def callees(self, chunk: Chunk) -> list[Chunk]:
        """The definitions in the source that `chunk` calls, each once, as far as the text tells which are meant."""
        found = list[Chunk]()
        for _, one in self._meaning.edges(chunk):
            if (
                one.kind in (*CODE_KINDS, "class")
                and all(one is not other for other in found)
                and not _within(one, chunk)
                and (chunk.is_test or not one.is_test)
            ):
                found.append(one)
        return found

    def named(self, chunk: Chunk, name: str) -> Chunk | None:
        """The definition that a name, with the names before it, means at the head of `chunk`; None where the text does not tell."""
        return self._meaning.named(chunk, name)

    def module(self, chunk: Chunk, name: str) -> tuple[str, str] | None:
        """The ReScript module that a path of names means at the head of `chunk`, as its file and its scope in that; None where in doubt."""
        return self._meaning.module(chunk, name)

    def _line_of(self, user: Chunk, chunk: Chunk) -> int | None:
        """The first line of `user` that uses the very thing that `chunk` defines; None where there is none or it is in doubt."""
        meant = (line for line, one in self._meaning.edges(user) if one is chunk or _key(one) == _key(chunk))
        return next(meant, None)


# Names that the language itself calls.
_UNCALLED = re.compile(r"__\w+__$")


def _innermost(uses: list[Use]) -> list[Use]:
    """Uses without those of a class or module where the use stands in one of its functions."""
    inner = defaultdict[str, list[Chunk]](list)
    for use in uses:
        inner[use.chunk.path].append(use.chunk)
    return [use for use in uses if not any(one is not use.chunk and _within(one, use.chunk) for one in inner[use.chunk.path])]


def called_name(chunk: Chunk) -> str:
    """The name that stands where a definition is used: a ReScript component's `make` is written as its module, `<Button />`."""
    is_component = chunk.language == "rescript" and chunk.name == "make" and "react.component" in chunk.text
    return owner_of(chunk) if is_component else chunk.name


def owner_of(chunk: Chunk) -> str:
    """The module or class that a definition belongs to as callers write it: the last part of its scope, else its file's module."""
    return chunk.scope.split(".")[-1] if chunk.scope else module_of(chunk.path)


def module_of(path: str) -> str:
    """The module that a file is: its name without its ending, its folder for `index` and `__init__`."""
    parts = path.split("/")
    stem = _stem(parts[-1])
    if path.endswith((".res", ".resi")):
        # Each file is a module, also one that is called `index`, and its name begins with a capital.
        return stem[:1].upper() + stem[1:]
    if stem in ("__init__", "index", "mod") and len(parts) > 1:
        return parts[-2]
    return stem


def spoken(chunk: Chunk) -> str:
    """The name by which rows call a definition: with its scope, as its language joins them, for ReScript with the file's module before.

    A test that is called and not defined is called by its title.
    """
    if chunk.kind == "block":
        return chunk.name
    if chunk.language == "rescript":
        return within_module(chunk.path, chunk.full_name)
    if chunk.language == "ruby":
        return _ruby_name(chunk)
    return chunk.full_name.replace(".", "::") if chunk.language in _COLONS else chunk.full_name


def kind_word(chunk: Chunk) -> str:
    """What prose calls a definition: a constant may be a variable, as those of Go's `var` are, and is a value in any case."""
    return "value" if chunk.kind == "constant" else chunk.kind


def _ruby_name(chunk: Chunk) -> str:
    """`Ring#push` for what an object is sent, `Ring.from` and `Ring.new` for what its class is, `Ring::Full` for what stands in it."""
    owner = chunk.scope.replace(".", "::")
    if not owner or chunk.kind not in CODE_KINDS:
        return f"{owner}::{chunk.name}" if owner else chunk.name
    if chunk.name == "initialize":
        return f"{owner}.new"
    is_of_class = chunk.kind == "function" or _ON_SELF.search(chunk.signature) is not None
    return f"{owner}{'.' if is_of_class else '#'}{chunk.name}"


def within_module(path: str, name: str) -> str:
    """A ReScript name with the module that its file is, once."""
    module = module_of(path)
    return name if name.split(".", 1)[0] == module else f"{module}.{name}"


def _stem(path: str) -> str:
    for ending in _INTERFACES:
        if path.endswith(ending):
            return path.removesuffix(ending)
    head, dot, _ = path.rpartition(".")
    return head if dot and "/" not in path[len(head) :] else path


def _is_interface(path: str) -> bool:
    return path.endswith(tuple(_INTERFACES))


def _within(inner: Chunk, outer: Chunk) -> bool:
    return inner.path == outer.path and outer.lines[0] <= inner.lines[0] and inner.lines[1] <= outer.lines[1]
