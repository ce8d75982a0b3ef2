"""What a call in Go means, as far as the text tells: names of the package, imports of the module, variables whose type is declared."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from luthier.data.synthesize.brackets import closing, split_top
from luthier.data.synthesize.reading.calls.sources import Mention, Sources, only
from luthier.retrieval.records import Chunk

_PACKAGE = re.compile(r"^package[ \t]+(\w+)", re.MULTILINE)
_IMPORTS = re.compile(r"^import[ \t]*(?:\((?P<block>[^()]*)\)|(?P<line>[^\n(]+))", re.MULTILINE)
_IMPORT = re.compile(r"^\s*(?:(?P<alias>[\w.]+)\s+)?\"(?P<path>[^\"\n]+)\"", re.MULTILINE)
_SHORT = re.compile(r"(?<![\w.])(?P<names>\w+(?:\s*,\s*\w+)*)\s*:=\s*(?P<value>[^\n]*)")
_DECLARED = re.compile(
    r"\b(?:var|const)\s+(?P<names>\w+(?:\s*,\s*\w+)*)(?P<type>[ \t]+[^=\n]+?)?[ \t]*(?:=(?P<value>[^\n]*))?$", re.MULTILINE
)
_INNER = re.compile(r"\bfunc\s*(?=\()")
_TYPED = re.compile(r"\btype\s+(?P<name>\w+)")
_LITERAL = re.compile(r"\s*&?(?P<type>(?:\w+\.)?[A-Za-z_]\w*)(?:\[[^\]\n]*\])?\{")
_NEW = re.compile(r"\s*new\((?P<type>(?:\w+\.)?\w+)\)")
_RESULT = re.compile(r"\s*(?P<name>(?:\w+\.)?[A-Za-z_]\w*)\(")

# A folder and the name of the package in it: tests may stand in a package of their own beside it.
_Package = tuple[str, str]
_Type = tuple[_Package, str]


class Go:
    """The meaning of calls in the Go files of one material."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._package_of: dict[str, _Package] = {}
        self._folders = defaultdict[str, set[str]](set)
        self._paths = defaultdict[_Package, list[str]](list)
        for path, file in sources.files.items():
            if file.language == "go" and (found := _PACKAGE.search(sources.code(path))):
                folder = path.rpartition("/")[0]
                self._package_of[path] = (folder, found[1])
                self._paths[folder, found[1]].append(path)
                if not file.is_test:
                    self._folders[folder].add(found[1])
        self._modules = sorted((one.name, one.folder) for one in sources.layout.packages if one.system == "go")
        self._imports: dict[str, dict[str, _Package]] = {}
        self._tops: dict[_Package, dict[tuple[str, str], list[Chunk]]] = {}
        self._types: dict[tuple[str, tuple[int, int]], dict[str, set[_Type | None]]] = {}

    def target(self, user: Chunk, mention: Mention) -> Chunk | None:
        """The definition that a call means; None where the text does not tell, or where it stands elsewhere."""
        package = self._package_of.get(user.path)
        if package is None or mention.is_open or len(mention.before) > 1:
            return None
        known = self._known(user)
        head = mention.before[0] if mention.before else mention.name
        found: Chunk | None = None
        if head in known:
            (kind, *others) = known[head]
            found = self._defined(kind[0], kind[1], mention.name) if mention.before and kind and not others else None
        elif not mention.before:
            found = self._defined(package, "", mention.name)
        elif imported := self._imports_of(user.path).get(head):
            found = self._defined(imported, "", mention.name) if mention.name[:1].isupper() else None
        return found if found is None or user.is_test or not found.is_test else None

    def _defined(self, package: _Package, scope: str, name: str) -> Chunk | None:
        """The one definition of a name in a package, or of a method of its type `scope`; files for several systems may define it twice."""
        if package not in self._tops:
            tops = defaultdict[tuple[str, str], list[Chunk]](list)
            for path in self._paths.get(package, ()):
                for chunk in self._sources.chunks(path):
                    tops[chunk.scope, chunk.name].append(chunk)
            self._tops[package] = dict(tops)
        return only(self._tops[package].get((scope, name), []))

    def _imports_of(self, path: str) -> dict[str, _Package]:
        """The packages of this source that a file imports, by the names that it gives them."""
        if path not in self._imports:
            found = dict[str, _Package]()
            for block in _IMPORTS.finditer(self._sources.text(path)):
                for one in _IMPORT.finditer(block["block"] or block["line"]):
                    if package := self._imported(path, one["path"]):
                        found[one["alias"] or package[1]] = package
            self._imports[path] = found
        return self._imports[path]

    def _imported(self, user: str, path: str) -> _Package | None:
        """The package that an import path names: below the folder of a `go.mod`; for files of no module a folder of that whole path."""
        folders = list[str]()
        if self._sources.package(user, "go") is None and "." in path:
            folders += [folder for folder in self._folders if folder == path or folder.endswith(f"/{path}")]
        for module, root in self._modules:
            folder = "/".join(part for part in (root, path[len(module) + 1 :]) if part)
            # A folder below may be a module of its own, which other paths name.
            if (path == module or path.startswith(f"{module}/")) and (own := self._sources.package(folder, "go")) and own.folder == root:
                folders.append(folder)
        names = [(folder, name) for folder in dict.fromkeys(folders) for name in self._folders.get(folder, ())]
        return names[0] if len(names) == 1 else None

    def _known(self, user: Chunk) -> dict[str, set[_Type | None]]:
        """The names that a function sets itself, each with the types that it has there; None is a type that the text does not tell."""
        key = (user.path, user.lines)
        if key not in self._types:
            found = defaultdict[str, set[_Type | None]](set)
            code = self._sources.own_code(user)
            if user.kind != "type":
                self._take_set(user.path, code, found)
            self._types[key] = dict(found)
        return self._types[key]

    def _take_set(self, path: str, code: str, found: defaultdict[str, set[_Type | None]]) -> None:
        head = re.match(r"(?:\s*\n)*\s*func\s*(?P<receiver>\([^()]*\))?\s*\w*\s*(?:\[[^\]]*\])?\s*(?=\()", code)
        if head:
            _add(found, self._parameters(path, (head["receiver"] or "()")[1:-1]))
        heads = [head.end()] if head else []
        for start in (*heads, *(one.end() for one in _INNER.finditer(code, heads[0] if heads else 0))):
            end = closing(code, start)
            if end < 0:
                continue
            _add(found, self._parameters(path, code[start + 1 : end]))
            if (named := re.match(r"\s*\(", code[end + 1 :])) and (last := closing(code, end + named.end())) > 0:
                _add(found, self._parameters(path, code[end + 1 + named.end() : last]))
        for one in _SHORT.finditer(code):
            names = re.split(r"\s*,\s*", one["names"])
            for index, name in enumerate(names):
                found[name].add(self._type_of_value(path, one["value"], index, len(names)))
        for one in _DECLARED.finditer(code):
            for index, name in enumerate(re.split(r"\s*,\s*", one["names"])):
                kind = (one["type"] or "").strip()
                found[name].add(self._type(path, kind) if kind else self._type_of_value(path, one["value"] or "", index, 1))
        for one in _TYPED.finditer(code):
            found[one["name"]].add(None)

    def _parameters(self, path: str, inner: str) -> Iterator[tuple[str, _Type | None]]:
        """Names and types of a list of parameters; `a, b T` gives both the type, a list of types alone gives nothing."""
        pieces = [piece.split(None, 1) for piece in split_top(inner, ",")]
        kind = ""
        if any(len(one) == 2 for one in pieces):
            for one in reversed(pieces):
                kind = one[1] if len(one) == 2 else kind
                yield one[0], self._type(path, kind)

    def _type(self, path: str, kind: str) -> _Type | None:
        """A type as it is written in a file; None for what is no plain type of this source."""
        plain = re.fullmatch(r"\*?(?:(?P<package>\w+)\.)?(?P<name>[A-Za-z_]\w*)(?:\[[^\]]*\])?", kind.strip())
        if not plain:
            return None
        package = self._imports_of(path).get(plain["package"]) if plain["package"] else self._package_of[path]
        return (package, plain["name"]) if package else None

    def _type_of_value(self, path: str, value: str, index: int, count: int) -> _Type | None:
        """The type of what is set: by a literal, by `new`, or by a function of this source whose result is declared."""
        if count == 1 and (found := _LITERAL.match(value) or _NEW.match(value)):
            is_whole = value.rstrip().endswith("{") or closing(value, found.end() - 1) == len(value.rstrip()) - 1
            return self._type(path, found["type"]) if found.re is _NEW or is_whole else None
        made = _RESULT.match(value)
        end = closing(value, made.end() - 1) if made else -1
        if not made or (end >= 0 and value[end + 1 :].strip(" ;{")) or (end < 0 and not value.rstrip().endswith(("(", ",", "{"))):
            return None
        head, _, name = made["name"].rpartition(".")
        package = self._imports_of(path).get(head) if head else self._package_of[path]
        maker = self._defined(package, "", name) if package else None
        if maker is None or maker.kind != "function":
            return None
        return self._result(maker, index, count)

    def _result(self, maker: Chunk, index: int, count: int) -> _Type | None:
        """The type of one of so many results of a function, by its declaration."""
        start = maker.signature.find("(", maker.signature.find(maker.name))
        end = closing(maker.signature, start) if start >= 0 else -1
        rest = re.sub(r"\{\s*$", "", maker.signature[end + 1 :]).strip() if end > 0 else ""
        kinds = split_top(rest[1:-1], ",") if rest.startswith("(") else [rest]
        if len(kinds) != count:
            return None
        return self._type(maker.path, kinds[index].split()[-1] if kinds[index] else "")


def _add(found: defaultdict[str, set[_Type | None]], pairs: Iterator[tuple[str, _Type | None]]) -> None:
    for name, kind in pairs:
        found[name].add(kind)
