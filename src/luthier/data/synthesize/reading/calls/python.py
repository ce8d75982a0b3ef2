"""What a call in Python means, as far as the text tells: names of the file, imports, `self`, variables set by a constructor."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

from luthier.data.synthesize.brackets import closing, split_top
from luthier.data.synthesize.reading.calls.places import Places
from luthier.data.synthesize.reading.calls.sources import MOST_STEPS, Mention, Sources, only
from luthier.retrieval.chunks.pieces import CODE_KINDS
from luthier.retrieval.records import Chunk

_IMPORT = re.compile(
    r"^(?P<indent>[ \t]*)(?:from[ \t]+(?P<module>\.*[\w.]*)[ \t]+import[ \t]*(?:\((?P<block>[^()]*)\)|(?P<names>[^\n;#]+))|"
    r"import[ \t]+(?P<plain>[\w., \t]+))",
    re.MULTILINE,
)
_SET = re.compile(
    r"^[ \t]*(?P<names>\(?[*\w]+(?:[ \t]*,[ \t]*[*\w]+)*,?\)?)[ \t]*(?::[^=\n(]+)?(?:[-+*/|&^%@]|//|\*\*|>>|<<)?=(?!=)(?P<value>[^\n]*)",
    re.MULTILINE,
)
_MADE = re.compile(r"^[ \t]*(?P<variable>\w+)[ \t]*(?::[^=\n]+)?=(?!=)[ \t]*(?P<name>[A-Za-z_][\w.]*)\(", re.MULTILINE)
_ATTRIBUTE = re.compile(r"(?:\bself\.|^[ \t]+)(?P<name>\w+)[ \t]*(?::[^=\n]+)?=(?!=)", re.MULTILINE)
_OVERLOAD = re.compile(r"^\s*@(?:\w+\.)*overload\b", re.MULTILINE)
_NOT_CALLED = re.compile(r"@(?:\w+\.)*(?:\w*property|setter|deleter|getter)\b")
_INNER_SELF = re.compile(r"\b(?:def\s+\w+|lambda)\s*\(?\s*(?P<word>self|cls)\b")
_BINDS = re.compile(
    r"\bfor\s+(?P<loop>[^\n]+?)\s+in\b|\bas\s+\(?(?P<alias>[\w, ]+)|\b(?:def|class)\s+(?P<defined>\w+)|"
    r"\blambda\s+(?P<lambda>[^:]*):|\b(?:global|nonlocal|del)\s+(?P<outer>[\w, ]+)|"
    r"^[ \t]*(?:if|elif|else|for|while|try|except|finally|with)\b[^\n]*:[ \t]+(?P<inline>\w+(?:\s*,\s*\w+)*)\s*=(?!=)",
    re.MULTILINE,
)
_WALRUS = re.compile(r"\b(?P<name>\w+)[ \t]*:=")
_CHAINED = re.compile(r"=\s*(?P<name>\w+)\s*(?==(?!=))")


@dataclass(slots=True)
class _Bound:
    """What a name may stand for: definitions of the file, imports as `(module, name)`, and how often anything else sets it."""

    chunks: list[Chunk] = field(default_factory=list)
    imports: list[tuple[str, str]] = field(default_factory=list)
    others: int = 0

    @property
    def count(self) -> int:
        return len(self.chunks) + len(self.imports) + self.others


@dataclass(slots=True)
class _Own:
    """What a function says of its own names: what it binds, its parameters in their order with what they are declared as, constructors."""

    names: dict[str, _Bound]
    parameters: dict[str, str]
    made: dict[str, str]
    inner: frozenset[str]


@dataclass(slots=True)
class _File:
    """The names of a module, and the modules that it takes all names from, each with the line of that statement."""

    names: dict[str, _Bound]
    stars: list[tuple[str, int]]


class Python:
    """The meaning of calls in the Python files of one material."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._files: dict[str, _File] = {}
        self._owns: dict[tuple[str, tuple[int, int], str], _Own] = {}
        self._attributes: dict[tuple[str, tuple[int, int]], frozenset[str]] = {}
        self._members: dict[tuple[str, str, str], Chunk | None] = {}
        self._places = Places(sources)

    def target(self, user: Chunk, mention: Mention) -> Chunk | None:
        """The definition that a call means; None where the text does not tell, or where it stands elsewhere."""
        if mention.is_open:
            return self._of_super(user, mention)
        if not mention.before:
            if user.kind == "class" and self._sources.named(user.path, user.full_name, mention.name):
                return None
            return self._called(self._named(user, mention.name))
        head = mention.before[0]
        if len(mention.before) == 1 and head in ("self", "cls"):
            owner = self._own_class(user, head)
            return self._member(owner, mention.name) if owner else None
        if len(mention.before) == 1 and (typed := self._type_of(user, head)):
            return self._member(typed, mention.name)
        found = self._named(user, head)
        for part in (*mention.before[1:], mention.name):
            found = self._part(found, part)
        return self._called(found)

    def _called(self, found: Chunk | str | None) -> Chunk | None:
        return found if isinstance(found, Chunk) else None

    def _named(self, user: Chunk, name: str) -> Chunk | str | None:
        """What a bare name means within a chunk: a definition, the path of a module, or None."""
        own = self._own(user).names.get(name)
        if own is None:
            return self._global(user.path, name, MOST_STEPS)
        if own.count == 1 and own.imports:
            return self._imported(user.path, *own.imports[0], MOST_STEPS)
        return None

    def _global(self, path: str, name: str, steps: int) -> Chunk | str | None:
        """What a name means at the top of a file."""
        if steps == 0 or path not in self._sources.files:
            return None
        file = self._file(path)
        bound = file.names.get(name)
        if bound is None:
            stars = [self._places.file(one, path) for one, _ in file.stars]
            found = [self._global(star, name, steps - 1) for star in stars if star]
            are_known = all(star in self._sources.files for star in stars)
            return found[0] if are_known and len(found) == 1 and not name.startswith("_") else None
        if bound.count != 1:
            return None
        if bound.chunks:
            # What a later `from x import *` brings may take its place.
            (chunk,) = bound.chunks
            is_replaced = any(line > chunk.lines[0] for _, line in file.stars)
            return None if is_replaced else chunk
        return self._imported(path, *bound.imports[0], steps - 1) if bound.imports else None

    def _imported(self, path: str, module: str, name: str, steps: int) -> Chunk | str | None:
        """What `from module import name` gives, or `import module` where `name` is empty."""
        if not name:
            return self._places.file(module, path)
        file = self._places.file(module, path)
        inner = self._places.file(f"{module}{'' if module.endswith('.') else '.'}{name}", path)
        found = self._global(file, name, steps) if file else None
        return found or (inner if file is None or name not in self._file(file).names else None)

    def _part(self, found: Chunk | str | None, name: str) -> Chunk | str | None:
        """`name` of a module or of a class."""
        if isinstance(found, Chunk):
            return self._member(found, name) if found.kind == "class" else None
        if found is None:
            return None
        inner = self._places.within(found, name)
        told = self._global(found, name, MOST_STEPS)
        return told or (inner if name not in self._file(found).names else None)

    def _file(self, path: str) -> _File:
        if path not in self._files:
            lines = self._sources.code(path).split("\n")
            names = defaultdict[str, _Bound](_Bound)
            for chunk in self._sources.chunks(path):
                if chunk.kind in (*CODE_KINDS, "class") and not chunk.scope:
                    if not _OVERLOAD.search(chunk.signature):
                        names[chunk.name].chunks.append(chunk)
                    first, last = chunk.lines
                    lines[first - 1 : last] = [""] * (last - first + 1)
            stars = _gather("\n".join(lines), names)
            self._files[path] = _File(dict(names), stars)
        return self._files[path]

    def _own(self, user: Chunk) -> _Own:
        """The names of a function; of a class and a value none."""
        key = (user.path, user.lines, user.full_name)
        if key not in self._owns:
            names = defaultdict[str, _Bound](_Bound)
            is_code = user.kind in CODE_KINDS
            code = self._sources.own_code(user) if is_code else ""
            parameters = _parameters(code)
            for name in parameters:
                names[name].others += 1
            inner = code[code.find(user.name) + len(user.name) :] if is_code else ""
            _gather(inner, names)
            made = {one["variable"]: one["name"] for one in _MADE.finditer(inner) if _is_whole(inner, one.end() - 1)}
            self._owns[key] = _Own(dict(names), parameters, made, frozenset(one["word"] for one in _INNER_SELF.finditer(inner)))
        return self._owns[key]

    def _own_class(self, user: Chunk, word: str) -> Chunk | None:
        """The class whose method `user` is, where `word` is its first parameter and stays that."""
        own = self._own(user)
        if not user.scope or next(iter(own.parameters), "") != word or "staticmethod" in user.signature:
            return None
        if own.names[word].count != 1 or word in own.inner:
            return None
        scope, _, name = user.scope.rpartition(".")
        return only([one for one in self._sources.named(user.path, scope, name) if one.kind == "class"])

    def _of_super(self, user: Chunk, mention: Mention) -> Chunk | None:
        start = self._sources.span(user.path, user.lines)[0]
        before = self._sources.code(user.path)[start : mention.at]
        owner = self._own_class(user, "self") or self._own_class(user, "cls")
        if not owner or not re.search(r"(?<![\w.])super\(\s*\)\s*\.\s*\Z", before):
            return None
        return self._inherited(owner, mention.name, MOST_STEPS)

    def _type_of(self, user: Chunk, name: str) -> Chunk | None:
        """The class of a variable that one constructor sets, or of a parameter that is declared as one."""
        bound = self._own(user).names.get(name)
        if bound is None or bound.count != 1 or bound.imports:
            return None
        kind = self._own(user).parameters.get(name) or self._own(user).made.get(name, "")
        meant: Chunk | str | None = None
        if re.fullmatch(r"[A-Za-z_][\w.]*", kind):
            head, *rest = kind.split(".")
            meant = self._named(user, head)
            for part in rest:
                meant = self._part(meant, part)
        return meant if isinstance(meant, Chunk) and meant.kind == "class" else None

    def _member(self, owner: Chunk, name: str, steps: int = MOST_STEPS) -> Chunk | None:
        """A method of a class or of those that it derives from; None where an attribute of that name takes its place."""
        key = (owner.path, owner.full_name, name)
        if key not in self._members:
            self._members[key] = self._looked_up(owner, name, steps)
        return self._members[key]

    def _looked_up(self, owner: Chunk, name: str, steps: int) -> Chunk | None:
        place = (owner.path, owner.lines)
        if place not in self._attributes:
            first, last = self._sources.span(*place)
            code = self._sources.code(owner.path)[first:last]
            self._attributes[place] = frozenset(one["name"] for one in _ATTRIBUTE.finditer(code))
        if name in self._attributes[place]:
            return None
        own = [one for one in self._sources.named(owner.path, owner.full_name, name) if not _OVERLOAD.search(one.signature)]
        if not own:
            return self._inherited(owner, name, steps)
        return None if _NOT_CALLED.search(own[0].signature) else only(own)

    def _inherited(self, owner: Chunk, name: str, steps: int) -> Chunk | None:
        """The one definition of a method in the classes that `owner` derives from; None where one of those is not known."""
        found = re.search(rf"\bclass\s+{re.escape(owner.name)}\s*\((?P<bases>[^()]*)\)", owner.signature)
        bases = [base.strip() for base in found["bases"].split(",") if "=" not in base and base.strip()] if found else []
        meant = list[Chunk]()
        for base in bases if steps else []:
            head, *rest = base.split(".")
            kind = self._global(owner.path, head, MOST_STEPS)
            for part in rest:
                kind = self._part(kind, part)
            if base == "object":
                continue
            if not isinstance(kind, Chunk) or kind.kind != "class":
                return None
            if one := self._member(kind, name, steps - 1):
                meant.append(one)
        return meant[0] if meant and all(one is meant[0] for one in meant) else None


def _gather(code: str, names: dict[str, _Bound]) -> list[tuple[str, int]]:
    """Adds what statements of `code` bind; gives the modules of which all names are taken, with the lines of those statements."""
    imports = list(_IMPORT.finditer(code)) if "import" in code else []
    plain = _IMPORT.sub(lambda found: "\n" * found[0].count("\n"), code) if imports else code
    stars = [(found["module"], code.count("\n", 0, found.start()) + 1) for found in imports if _take_imported(found, names)]
    for bound in names.values():
        # `import a.b` and `import a.c` both bind `a`.
        bound.imports = list(dict.fromkeys(bound.imports))
    for found in _SET.finditer(plain):
        for name in (*re.findall(r"\w+", found["names"]), *(one["name"] for one in _CHAINED.finditer(f"={found['value']}"))):
            names[name].others += 1
    for found in _WALRUS.finditer(plain) if ":=" in plain else ():
        names[found["name"]].others += 1
    for found in _BINDS.finditer(plain):
        for name in re.findall(r"\w+", " ".join(group for group in found.groups() if group)):
            names[name].others += 1
    return stars


def _take_imported(found: re.Match[str], names: dict[str, _Bound]) -> bool:
    """Adds the names that an import statement binds; says whether it takes all of a module."""
    has_star = False
    for one in (found["plain"] or found["block"] or found["names"]).split(","):
        part = re.fullmatch(r"\s*([\w.]+|\*)(?:\s+as\s+(\w+))?\s*", one)
        if part and found["plain"]:
            top = part[1].split(".")[0]
            names[part[2] or top].imports.append((part[1] if part[2] else top, ""))
        elif part and part[1] == "*":
            has_star = True
        elif part:
            names[part[2] or part[1]].imports.append((found["module"], part[1]))
    return has_star


def _is_whole(code: str, start: int) -> bool:
    """Whether nothing follows a call on its last line: `Box().open()` and `Box() if x else y` are something else than a box."""
    end = closing(code, start)
    return end > 0 and not code[end + 1 :].split("\n", 1)[0].strip()


def _parameters(code: str) -> dict[str, str]:
    """The parameters of the function that `code` begins with, each with what it is declared as."""
    declared = re.search(r"\bdef\s+\w+\s*(?:\[[^\]]*\])?\s*(?=\()", code)
    end = closing(code, declared.end()) if declared else -1
    found = dict[str, str]()
    for piece in split_top(code[declared.end() + 1 : end], ",") if declared and end > 0 else ():
        name, _, kind = piece.partition("=")[0].partition(":")
        if re.fullmatch(r"\*{0,2}\w+", name.strip()):
            found[name.strip().lstrip("*")] = "" if name.strip().startswith("*") else kind.strip()
    return found
