"""Whether what a file imports, or where it stands, tells that a name means one type of the source, and none from elsewhere."""

from __future__ import annotations

import re

from luthier.data.synthesize.reading.calls.sources import Sources, is_in
from luthier.retrieval.records import Chunk

# Languages that name what they import by its whole name, with how a file says which package it is of.
_PACKAGED = {
    **dict.fromkeys(("java", "kotlin", "scala"), re.compile(r"^[ \t]*package[ \t]+(?P<name>[\w.]+)", re.MULTILINE)),
    "php": re.compile(r"^[ \t]*namespace[ \t]+(?P<name>[\w\\]+)", re.MULTILINE),
}
_IMPORT = re.compile(r"^[ \t]*(?:import|use)[ \t]+(?:static[ \t]+|function[ \t]+|const[ \t]+)?(?P<said>[^;\n]+)", re.MULTILINE)
_USE = re.compile(r"\buse\s+(?P<path>[^;{}]*(?:\{[^;]*\})?[^;{}]*);")
_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*\"(?P<path>[^\"\n]+)\"", re.MULTILINE)


def means(sources: Sources, user: Chunk, one: Chunk) -> bool:
    """Whether the name of `one`, a type of another file and the only one of its name in the source, means it in the file of `user`."""
    if user.language in _PACKAGED:
        return _by_whole_name(sources, user, one)
    if user.language == "rust":
        return _by_crate(sources, user, one)
    return user.language == "ruby" and _by_scope(sources, user, one)


def included(sources: Sources, path: str) -> list[str]:
    """The headers of the source that a file of C includes by `"..."`: beside it, else the only ones whose paths end as it is written."""
    found = list[str]()
    for one in _INCLUDE.finditer(sources.text(path)):
        written = _joined(path.rpartition("/")[0], one["path"])
        if written in sources.files:
            found.append(written)
            continue
        ending = one["path"].removeprefix("./")
        there = [] if ending.startswith("../") else [other for other in sources.files if other == ending or other.endswith(f"/{ending}")]
        found += there if len(there) == 1 else []
    return found


def _joined(folder: str, written: str) -> str:
    parts = folder.split("/") if folder else []
    for part in written.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _package(sources: Sources, path: str, language: str) -> str:
    found = _PACKAGED[language].search(sources.code(path))
    return found["name"].replace("\\", ".") if found else ""


def _by_whole_name(sources: Sources, user: Chunk, one: Chunk) -> bool:
    """By an import of the whole name; without an import of that name by its package, also where that is taken in with `*`."""
    package, own = _package(sources, one.path, one.language), _package(sources, user.path, user.language)
    taken = list[str]()
    for found in _IMPORT.finditer(sources.code(user.path)):
        said, _, alias = re.sub(r"\s*(?:=>|\bas\b)\s*", " as ", found["said"].strip()).partition(" as ")
        *before, last = re.split(r"[.\\]", said.strip().lstrip("\\"))
        if (alias or last) == one.name:
            return last == one.name and _is_named(before, package, one.scope)
        taken += [".".join(before)] if last in ("*", "_") else []
    is_beside = package == own and user.path.rpartition("/")[0] == one.path.rpartition("/")[0]
    return not one.scope and (is_beside or (bool(package) and package in (own, *taken)))


def _is_named(before: list[str], package: str, scope: str) -> bool:
    return ".".join(before) == ".".join(part for part in (package, scope) if part)


def _by_crate(sources: Sources, user: Chunk, one: Chunk) -> bool:
    """By a `use` that begins in the crate at hand, or in another of the source that this one depends on."""
    name = re.escape(one.name)
    for found in _USE.finditer(sources.code(user.path)):
        if not re.search(rf"(?<!\bas )\b{name}\b(?!\s+as\b|\s*::)", found["path"]):
            continue
        head = found["path"].strip().removeprefix("::").split("::", 1)[0].strip()
        own, other = sources.package(user.path, "cargo"), sources.package(one.path, "cargo")
        if other is not None and head == other.name:
            return own is other or (own is not None and other.name in own.dependencies)
        declares = re.search(rf"\bmod\s+{re.escape(head)}\b", sources.code(user.path)) if head.isidentifier() else None
        return own is other and (head in ("crate", "self", "super") or declares is not None)
    return False


def _by_scope(sources: Sources, user: Chunk, one: Chunk) -> bool:
    """By the modules around the place where Ruby reads it, in one gem: constants are looked for from the inside out."""
    around = user.full_name.split(".") if user.kind in ("class", "module") else user.scope.split(".")
    is_seen = one.scope in ("", *(".".join(around[:count]) for count in range(1, len(around) + 1)))
    own, other = ({gem for gem in sources.gems if is_in(path, gem)} for path in (user.path, one.path))
    return is_seen and (own == other or not own)
