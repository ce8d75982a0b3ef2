"""How the files of a repository belong together: what its manifests say of packages, and which modules are there without being read.

Manifests are hostile text: they are read as data, each by itself, and one that cannot be read says nothing.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from luthier.retrieval.git.program import Git
from luthier.retrieval.records import Layout, Package, SourceFile
from luthier.retrieval.repository.objects import Entry, contents

_MOST_BYTES = 200_000
# The upper ones first where they are many.
_MOST_FILES = 5_000
_MODULES = (".py", ".pyi", ".res", ".resi")
_RESCRIPT = ("rescript.json", "bsconfig.json")
_OPENED = re.compile(r"-open\s+(?P<path>[A-Z][\w.]*)")
_GO_MODULE = re.compile(r"^module[ \t]+\"?(?P<path>[^\s\"]+)", re.MULTILINE)
# ReScript's configuration may hold comments, and a comma behind the last entry.
_COMMENT = re.compile(r"(?s)(\"(?:\\.|[^\"\\])*\")|//[^\n]*|/\*.*?\*/")
_LAST_COMMA = re.compile(r"(\"(?:\\.|[^\"\\])*\")|,(?=\s*[\]}])")


def layout_of(git: Git, listed: Sequence[Entry], read: frozenset[str]) -> Layout:
    """The layout of a tree, of which the files at the paths `read` are read."""
    there = [item for item in listed if item.path is not None and not (item.is_link or item.is_submodule)]
    wanted = [item for item in there if _reader(item.path or "") and item.size <= _MOST_BYTES and not item.is_missing]
    wanted = sorted(wanted, key=lambda item: (item.shown.count("/"), item.shown))[:_MOST_FILES]
    texts = {
        item.path or "": content.decode("utf-8", "replace")
        for item, content in zip(wanted, contents(git, [item.object_id for item in wanted]) if wanted else (), strict=True)
    }
    modules = (item.path or "" for item in there if (item.path or "").endswith(_MODULES))
    return Layout(packages_of(texts), frozenset(path for path in modules if path not in read))


def layout_of_files(files: Iterable[SourceFile]) -> Layout:
    """The layout that can be told from files that were read."""
    return Layout(packages_of({file.path: file.text for file in files if _reader(file.path)}))


def packages_of(manifests: Mapping[str, str]) -> tuple[Package, ...]:
    """The packages that manifests, given by path, tell of, in the order of their paths."""
    found = list[Package]()
    for path in sorted(manifests):
        folder, _, name = path.rpartition("/")
        # `rescript.json` takes the place of the older name beside it.
        if name == "bsconfig.json" and f"{folder}/rescript.json".lstrip("/") in manifests:
            continue
        reader = _reader(path)
        if reader and (package := reader(folder, manifests[path])):
            found.append(package)
    return tuple(found)


def _reader(path: str) -> Callable[[str, str], Package | None] | None:
    return _READERS.get(path.rpartition("/")[2])


def _json(text: str) -> dict[str, Any]:
    plain = _LAST_COMMA.sub(lambda found: found[1] or "", _COMMENT.sub(lambda found: found[1] or "", text))
    try:
        said = json.loads(plain)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _names(said: object) -> Iterable[str]:
    """The names in a list of names, in a list of objects with a name, or the keys of an object."""
    for one in said if isinstance(said, (list, dict)) else ():
        name = one.get("name") if isinstance(one, dict) else one
        if isinstance(name, str):
            yield name


def _rescript(folder: str, text: str) -> Package:
    """By the keys of ReScript's configuration: https://rescript-lang.org/docs/manual/build-configuration."""
    said = _json(text)
    name = said.get("name")
    name = name if isinstance(name, str) else ""
    space = said.get("namespace")
    spoken = space if isinstance(space, str) and space not in ("true", "false") else name if space in (True, "true") else ""
    keys = [f"{old}{kind}dependencies" for old in ("", "bs-") for kind in ("", "dev-")]
    flags = [*_names(said.get("compiler-flags")), *_names(said.get("bsc-flags"))]
    opened = tuple(found["path"] for found in _OPENED.finditer(" ".join(flags)))
    return Package(folder, "rescript", name, namespace_of(spoken), frozenset(one for key in keys for one in _names(said.get(key))), opened)


def namespace_of(name: str) -> str:
    """The module that a package's name becomes: `@org/my-lib` is `OrgMyLib`, as the compiler's `ext_namespace.ml` makes it."""
    parts = (re.sub(r"\W", "", part, flags=re.ASCII) for part in re.split(r"[-/]", name))
    return "".join(part[:1].upper() + part[1:] for part in parts)


def _npm(folder: str, text: str) -> Package:
    said = _json(text)
    keys = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")
    name = said.get("name")
    return Package(
        folder, "npm", name if isinstance(name, str) else "", dependencies=frozenset(one for key in keys for one in _names(said.get(key)))
    )


def _go(folder: str, text: str) -> Package | None:
    found = _GO_MODULE.search(text)
    return Package(folder, "go", found["path"]) if found else None


def _cargo(folder: str, text: str) -> Package | None:
    """A crate, and what it may name: the keys of its tables of dependencies; of a workspace alone nothing."""
    try:
        said = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    package, library = said.get("package"), said.get("lib")
    name = library.get("name") if isinstance(library, dict) else None
    name = name or (package.get("name") if isinstance(package, dict) else None)
    if not isinstance(name, str):
        return None
    targets = said.get("target")
    tables = [said, *(one for one in (targets.values() if isinstance(targets, dict) else ()) if isinstance(one, dict))]
    keys = ("dependencies", "dev-dependencies", "build-dependencies")
    names = (one for table in tables for key in keys for one in _names(table.get(key)))
    return Package(folder, "cargo", name.replace("-", "_"), dependencies=frozenset(one.replace("-", "_") for one in names))


def _python(folder: str, _: str) -> Package:
    return Package(folder, "python", "")


_READERS: dict[str, Callable[[str, str], Package | None]] = {
    **dict.fromkeys(_RESCRIPT, _rescript),
    "package.json": _npm,
    "go.mod": _go,
    "Cargo.toml": _cargo,
    **dict.fromkeys(("pyproject.toml", "setup.cfg", "setup.py"), _python),
}
