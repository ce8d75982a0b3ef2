"""What a call in ReScript means, as far as the text tells: names of the file above it, modules of its package, what `open` brings."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from luthier.data.synthesize.brackets import closing, split_top
from luthier.data.synthesize.reading.calls.sources import MOST_STEPS, Mention, Sources, mention_at
from luthier.retrieval.chunks.pieces import CODE_KINDS
from luthier.retrieval.records import Chunk, Package

_BROUGHT = re.compile(r"\b(?P<word>open!?|include)\s+(?P<path>\(?\s*[A-Z(][\w.]*)(?P<call>\s*\()?")
_ALIAS = re.compile(r"\bmodule\s+(?:rec\s+)?(?P<name>[A-Z]\w*)\s*(?::[^={]*)?=\s*(?P<path>[A-Z][\w.]*)(?P<call>\s*\()?")
# A parameter of a functor, a module unpacked from a value: known by its signature alone.
_PARAMETER = re.compile(
    r"[(,]\s*(?:module\s*\()?\s*(?P<name>[A-Z]\w*)\s*:(?!:)|\bmodule\s+(?P<other>[A-Z]\w*)\s*(?::[^={]*)?=\s*(?:unpack|await)\b"
)
_CALL = re.compile(
    r"(?<![\w$@#'\"~.])(?P<before>(?:[A-Za-z_]\w*\.)*)(?P<name>[a-z_]\w*)(?=\()|->\s*(?P<piped_before>(?:[A-Z]\w*\.)*)(?P<piped>[a-z_]\w*)(?![\w.])|"
    r"(?<![\w)\]])<(?P<tag>[A-Z][\w.]*)(?=[\s/>])"
)
# Modules that libraries bring by `open` under names that packages use too.
_STANDARD_LIST = (
    "Array ArrayBuffer AsyncIterator BigInt Bigint Bool Char Console DataView Date Debug Dict Dom Element Error Event Exn Float Fn "
    "Function Global HashMap HashSet Id Int Internal Intl Iterator JSON Json Lazy List Map Math MutableMap MutableQueue MutableSet "
    "MutableStack Null Null_undefined Nullable Obj Object Option Order Ordering Pervasives Promise Range Re Ref RegExp Regex Result "
    "Set SetLabels SortArray String Symbol Task Type TypedArray Types Undefined Util Utils Vector WeakMap WeakSet Window Document"
)
_STANDARD = frozenset(_STANDARD_LIST.split())
# Libraries of which those are all the modules.
_LIBRARIES = frozenset(("Belt", "Js", "RescriptCore", "Core", "Stdlib", "Pervasives"))
_LET = re.compile(
    r"\b(?:let|and)\s+(?:rec\s+)?(?:(?P<one>[a-z_]\w*)|(?P<pattern>[^=a-z_][^=]{0,400}?)=(?!>))|\bas\s+(?P<alias>[a-z_]\w*)|\bfor\s+(?P<loop>[a-z_]\w*)"
)
# No module's name holds it.
_SPACE = "@"
# Files above which no manifest stands are taken for one package.
_NO_PACKAGE = Package("", "rescript", "")
# Beyond the end of any file.
_PLACE = 10**9


@dataclass(frozen=True, slots=True)
class _Module:
    """A module of the source: its file, and its scope in that, which begins with the file's own name.

    A package's namespace has no file; its scope is `_SPACE` with the package's name.
    """

    path: str
    scope: str


@dataclass(frozen=True, slots=True)
class _Brought:
    """An `open`, an `include` or another name of a module: `name` is that, empty where all names are; it holds from start to end."""

    start: int
    end: int
    path: str
    name: str
    is_known: bool


class ReScript:
    """The meaning of calls in the ReScript files of one material."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        paths = [path for path, file in sources.files.items() if file.language == "rescript"]
        unread = [path for path in sources.layout.unread if path.endswith((".res", ".resi"))]
        known = {*paths, *unread}
        self._package = {path: sources.package(path, "rescript") or sources.package(path, "npm") or _NO_PACKAGE for path in known}
        self._modules = defaultdict[tuple[str, str], list[str]](list)
        for path in sorted(known):
            stem = path.rpartition("/")[2].partition(".")[0]
            # An interface speaks of the file beside it.
            if path.endswith(".res") or path[:-1] not in known:
                self._modules[self._package[path].folder, stem[:1].upper() + stem[1:]].append(path)
        named = defaultdict[str, list[Package]](list)
        for package in {one.folder: one for one in self._package.values()}.values():
            named[package.name].append(package)
        # Of two packages of one name nothing tells which is meant.
        self._named = {name: found[0] for name, found in named.items() if len(found) == 1}
        self._brought_by: dict[str, list[_Brought]] = {}
        self._unknown: dict[str, frozenset[str]] = {}
        self._bound: dict[tuple[str, tuple[int, int]], frozenset[str]] = {}
        self._opened: dict[tuple[str, _Brought], _Module | None] = {}

    def mentions(self, chunk: Chunk) -> list[Mention]:
        """The calls of a chunk's own code: with brackets, behind a pipe, and components by their tags."""
        code, found = self._sources.own_code(chunk), list[Mention]()
        start = self._sources.span(chunk.path, chunk.lines)[0]
        for one in _CALL.finditer(code):
            if one["name"]:
                found.append(mention_at(self._sources, chunk, code, one))
                continue
            group = "piped" if one["piped"] else "tag"
            parts = (one["piped_before"] + one["piped"] if one["piped"] else f"{one['tag']}.make").split(".")
            at = one.start(group)
            found.append(Mention(parts[-1], tuple(parts[:-1]), start + at, code.count("\n", 0, at), False))
        return found

    def target(self, user: Chunk, mention: Mention) -> Chunk | None:
        """The definition that a call means; None where the text does not tell, or where it stands elsewhere."""
        if mention.is_open or user.path not in self._package:
            return None
        if not mention.before:
            return None if mention.name in self._bound_in(user) else self._bare(user, mention.name, mention.at)
        if not mention.before[0][:1].isupper():
            return None  # A field of a record.
        module = self._module_at(user.path, mention.before, mention.at, MOST_STEPS)
        return self._value(module, mention.name, MOST_STEPS) if module else None

    def module(self, chunk: Chunk, parts: tuple[str, ...]) -> tuple[str, str] | None:
        """The module that a path of names means where a chunk begins, as its file and its scope in that."""
        start = self._sources.span(chunk.path, chunk.lines)[0]
        found = self._module_at(chunk.path, parts, start, MOST_STEPS) if chunk.path in self._package else None
        return (found.path, found.scope) if found and found.path else None

    def _file_module(self, path: str, name: str) -> _Module | None:
        """The module that is a file of its own: of the package of `path`, else of one that this package depends on."""
        own = self._package[path]
        if (own.folder, name) in self._modules:
            return self._of_package(own, name)
        needed = [self._named[one] for one in sorted(own.dependencies) if one in self._named and one != own.name]
        found = [one for one in needed if one.namespace == name or (not one.namespace and (one.folder, name) in self._modules)]
        if len(found) != 1:
            return None
        return _Module("", f"{_SPACE}{found[0].name}") if found[0].namespace else self._of_package(found[0], name)

    def _of_package(self, package: Package, name: str) -> _Module | None:
        """The file of a package that is the module `name`; None where two bear it, or where it was not read."""
        found = self._modules.get((package.folder, name), [])
        return _Module(found[0], name) if len(found) == 1 and found[0] in self._sources.files else None

    def _module_at(self, path: str, parts: tuple[str, ...], at: int, steps: int) -> _Module | None:
        """The module that a path of names means at one place of a file."""
        head = parts[0]
        if steps == 0 or head in self._unknown_in(path):
            return None
        found = self._head(path, head, at, steps)
        for part in parts[1:]:
            found = self._inner(found, part, steps) if found else None
        return found

    def _head(self, path: str, name: str, at: int, steps: int) -> _Module | None:
        """The module that one name means: the latest above that bears it, else what was opened, else a file of the package."""
        best, place = self._declared_above(path, name, at)
        flags = [_Brought(-1, _PLACE * 2, flag, "", True) for flag in self._package[path].opened]
        doubt = False
        for one in (*flags, *self._brought(path)):
            if not one.start < at < one.end or one.start < place:
                continue
            if one.name == name:
                opened = self._meant(path, one, steps)
                best, place, doubt = opened, one.start, opened is None
            elif not one.name:
                opened = self._meant(path, one, steps)
                if opened and (inner := self._inner(opened, name, steps - 1)):
                    best, place, doubt = inner, one.start, False
                elif not opened and best is None:
                    head = one.path.split(".")[0]
                    doubt = doubt or name in _STANDARD or not (head in _LIBRARIES or one.start < 0 or "_" in name)
        if doubt:
            return None
        return best or self._file_module(path, name)

    def _meant(self, path: str, one: _Brought, steps: int) -> _Module | None:
        """The module that an `open`, an `include` or another name of a module speaks of."""
        key = (path, one)
        if key not in self._opened:
            # What leads back to itself means nothing.
            self._opened[key] = None
            self._opened[key] = self._module_at(path, tuple(one.path.split(".")), one.start, steps - 1) if one.is_known else None
        return self._opened[key]

    def _declared_above(self, path: str, name: str, at: int) -> tuple[_Module | None, int]:
        """The latest module of that name above a place in the file, of those whose own module is still open there; and where it begins."""
        best, place = None, -2
        for chunk in self._sources.chunks(path):
            if chunk.kind == "module" and chunk.name == name and chunk.scope and _has_body(chunk):
                start, end = self._sources.span(path, chunk.lines)
                if end <= at and start > place and self._is_open(path, chunk.scope, at):
                    best, place = _Module(path, chunk.full_name), start
        return best, place

    def _is_open(self, path: str, scope: str, at: int) -> bool:
        """Whether a place of a file lies in a scope of it."""
        if "." not in scope:
            return True
        spans = (self._sources.span(path, one.lines) for one in self._sources.chunks(path) if one.full_name == scope)
        return any(start <= at < end for start, end in spans)

    def _inner(self, module: _Module, name: str, steps: int) -> _Module | None:
        """The module `name` within another."""
        if module.scope.startswith(_SPACE):
            return self._of_package(self._named[module.scope.removeprefix(_SPACE)], name)
        if steps == 0 or name in self._unknown_in(module.path):
            return None
        for chunk in self._sources.chunks(module.path):
            if chunk.kind == "module" and chunk.name == name and chunk.scope == module.scope and _has_body(chunk):
                return _Module(module.path, chunk.full_name)
        found: _Module | None = None
        for one in self._brought(module.path):
            if one.name == name and one.is_known and self._scope_at(module.path, one.start) == module.scope:
                found = self._meant(module.path, one, steps)
        return found

    def _value(self, module: _Module, name: str, steps: int, before: int = _PLACE) -> Chunk | None:
        """The last definition of a value in a module, also in what it includes."""
        if steps == 0:
            return None
        best, place = None, -1
        for chunk in self._sources.named(module.path, module.scope, name):
            start = self._sources.span(module.path, chunk.lines)[0]
            if chunk.kind in (*CODE_KINDS, "constant") and start < before:
                best, place = chunk, start
        for one in self._brought(module.path):
            is_included = one.name == "" and one.end == _PLACE and self._scope_at(module.path, one.start) == module.scope
            if is_included and place < one.start < before:
                included = self._meant(module.path, one, steps)
                found = self._value(included, name, steps - 1) if included else None
                best = found if included is None or found else best
        return best

    def _bare(self, user: Chunk, name: str, at: int) -> Chunk | None:
        """What a bare name means: the latest of the definitions above it and of what was opened above it."""
        best: Chunk | None = None
        place, start = -1, self._sources.span(user.path, user.lines)[0]
        for chunk in self._sources.chunks(user.path):
            if (
                chunk.name == name
                and chunk.kind in (*CODE_KINDS, "constant")
                and (user.scope == chunk.scope or user.scope.startswith(f"{chunk.scope}."))
            ):
                first, last = self._sources.span(user.path, chunk.lines)
                if last <= start and first > place:
                    best, place = chunk, first
        for one in self._brought(user.path):
            if one.name or not one.start < at < min(one.end, _PLACE) or one.start <= place:
                continue
            if one.end == _PLACE and not self._is_open(user.path, self._scope_at(user.path, one.start), at):
                continue
            module = self._meant(user.path, one, MOST_STEPS)
            if module is None:
                best = None
            elif found := self._value(module, name, MOST_STEPS):
                best = found
            elif self._has_unknown(module):
                best = None
        return best

    def _has_unknown(self, module: _Module) -> bool:
        """Whether a module includes one that is not of this source, and may so hold any name."""
        return any(
            one.end == _PLACE
            and not one.name
            and self._scope_at(module.path, one.start) == module.scope
            and self._meant(module.path, one, MOST_STEPS) is None
            for one in self._brought(module.path)
        )

    def _brought(self, path: str) -> list[_Brought]:
        """What `open`, `include` and other names of modules bring into a file, in their order. That of an `include` has no end."""
        if path not in self._brought_by:
            code, found = self._sources.code(path), list[_Brought]()
            for one in _BROUGHT.finditer(code):
                end = _PLACE if one["word"] == "include" else _extent(code, one.start())
                is_known = not one["call"] and not one["path"].startswith("(")
                found.append(_Brought(one.start(), end, one["path"], "", is_known))
            for one in _ALIAS.finditer(code):
                found.append(_Brought(one.start(), _extent(code, one.start()), one["path"], one["name"], not one["call"]))
            self._brought_by[path] = sorted(found, key=lambda one: one.start)
        return self._brought_by[path]

    def _unknown_in(self, path: str) -> frozenset[str]:
        """Names of modules that a file knows by their signature alone."""
        if path not in self._unknown:
            self._unknown[path] = frozenset(one["name"] or one["other"] for one in _PARAMETER.finditer(self._sources.code(path)))
        return self._unknown[path]

    def _scope_at(self, path: str, at: int) -> str:
        """The scope of a place in a file: that of the innermost module around it."""
        best, place = path.rpartition("/")[2].partition(".")[0], -1
        best = best[:1].upper() + best[1:]
        for chunk in self._sources.chunks(path):
            if chunk.kind in ("module", "type"):
                start, end = self._sources.span(path, chunk.lines)
                if start <= at < end and start > place and "{" in chunk.text:
                    best, place = chunk.full_name, start
        return best

    def _bound_in(self, user: Chunk) -> frozenset[str]:
        """The names that a definition may set itself: its parameters, its own `let`s, what its patterns bind."""
        key = (user.path, user.lines)
        if key not in self._bound:
            code = self._sources.own_code(user)
            self._bound[key] = frozenset(_bound(code, user.name) | _parameters(code))
        return self._bound[key]


def _has_body(chunk: Chunk) -> bool:
    """Whether a module is written out, and not another one by another name or what a functor gives."""
    return "{" in chunk.text and not _ALIAS.search(chunk.text, 0, chunk.text.index("{"))


def _extent(code: str, at: int) -> int:
    """Where the block around a place ends; the end of the code at its top."""
    depth = 0
    for found in re.compile(r"[{}()]").finditer(code, at):
        depth += 1 if found[0] in "{(" else -1
        if depth < 0:
            return found.start()
    return len(code) + 1


def _parameters(code: str) -> set[str]:
    """The parameters of the function that `code` begins with."""
    head = re.search(r"\blet\s+(?:rec\s+)?\w+[^=(]*=\s*(?:async\s*)?(?=\()", code)
    end = closing(code, head.end()) if head else -1
    pieces = split_top(code[head.end() + 1 : end], ",") if head and end > 0 else []
    return {word for piece in pieces for word in re.findall(r"[a-z_]\w*", re.split(r"[:=]", piece, maxsplit=1)[0])}


def _bound(code: str, name: str) -> set[str]:
    """Words of `code` at places where a name may be bound: before an arrow, behind `let`, `as` and `for`, in patterns, labels."""
    found = set(re.findall(r"~([a-z_]\w*)", code))
    for one in _LET.finditer(code):
        left = one["pattern"]
        found.update(re.findall(r"[a-z_]\w*", left) if left else [one["one"] or one["alias"] or one["loop"]])
    found.discard(name)
    last = 0
    for arrow in re.finditer(r"=>", code):
        segment = code[max(last, arrow.start() - 1_000) : arrow.start()].rstrip()
        last = arrow.end()
        bars = [bar.end() for bar in re.finditer(r"(?<!\|)\|(?![|>])", segment)]
        pattern = segment[bars[-1] :] if bars else ""
        if result := re.search(r"\)\s*:\s*[^()=]*$", segment):
            segment = segment[: result.start() + 1]
        if segment.endswith(")"):
            pattern += " " + segment[_opening(segment) :]
        elif word := re.search(r"[a-z_]\w*$", segment):
            pattern += f" {word[0]}"
        found.update(re.findall(r"[a-z_]\w*", pattern))
    return found


def _opening(segment: str) -> int:
    """Where the bracket opens that the last letter of `segment` closes."""
    depth, starts = 0, [found.start() for found in re.finditer(r"[(){}\[\]]", segment)]
    for at in reversed(starts):
        depth += 1 if segment[at] in ")}]" else -1
        if depth == 0:
            return at
    return 0
