"""Which file of a source a Python import means, by the language's own rules: https://docs.python.org/3/reference/import.html.

An absolute import is looked for from the folders that programs are started in and that packages are installed from, never beside the file
within a package. Where those are is not written anywhere: a folder of scripts is one, the folder around the outermost package too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from luthier.data.synthesize.reading.calls.sources import Sources, is_in

# Folders in which a package may stand and that are no part of its name.
_ROOTS = frozenset(("", "src", "lib", "python"))
# Modules that other versions of Python have than the one at work: what an import means does not depend on that.
_OTHER_VERSIONS = (
    "aifc annotationlib asynchat asyncore audioop binhex cgi cgitb chunk compression crypt distutils formatter imghdr imp lib2to3 mailcap "
    "msilib nis nntplib ossaudiodev parser pipes smtpd sndhdr spwd sunau symbol telnetlib tomllib uu xdrlib"
)
STANDARD = frozenset(sys.stdlib_module_names) | frozenset(_OTHER_VERSIONS.split())
# A folder with all of these is the standard library itself.
_LIBRARY = ("abc", "codecs", "io", "os")
_IMPORTED = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<module>\.*[\w.]*)[ \t]+import[ \t]*(?:\((?P<block>[^()]*)\)|(?P<names>[^\n;#]+))|"
    r"import[ \t]+(?P<plain>[\w., \t]+))",
    re.MULTILINE,
)


class Places:
    """The modules of one source by the folder that their names begin in."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        known = {path for path in sources.files if path.endswith((".py", ".pyi"))}
        unread = {path for path in sources.layout.unread if path.endswith((".py", ".pyi"))}
        self._packages = {path.rpartition("/")[0] for path in known | unread if path.rpartition("/")[2] == "__init__.py"}
        # A stub (`a.pyi`) gives way to the file that it declares.
        self._dotted = {path: self._name_of(path) for path in sorted(known | unread, reverse=True)}
        self._modules = {dotted: path for path, dotted in self._dotted.items()}
        self._roots = sorted({dotted.partition(":")[0] for dotted in self._modules})
        self._libraries = frozenset(one for one in self._roots if all(f"{one}:{name}" in self._modules for name in _LIBRARY))
        self._projects = frozenset(one.folder for one in sources.layout.packages if one.system == "python")
        self._parts: frozenset[str] | None = None

    def file(self, module: str, path: str) -> str | None:
        """The file of a module as `path` imports it, which need not be read; None where it is not of this source, or in doubt."""
        place, _, own = self._dotted[path].partition(":")
        if module.startswith("."):
            up = len(module) - len(module.lstrip("."))
            package = own.split(".") if path.endswith("/__init__.py") else own.split(".")[:-1]
            kept = package[: len(package) - up + 1]
            return self._modules.get(f"{place}:{'.'.join([*kept, *([module[up:]] if module[up:] else [])])}") if kept else None
        if module.split(".", 1)[0] in STANDARD and place not in self._libraries:
            return None
        is_packaged = "." in own or path.endswith("/__init__.py")
        if (is_packaged or self._holds_scripts(place)) and (same := self._modules.get(f"{place}:{module}")):
            return same
        named = ((one, f"{one}:{module}") for one in self._roots)
        found = [self._modules[name] for one, name in named if name in self._modules and self._is_root(one, path, module)]
        return found[0] if len(found) == 1 else None

    def within(self, path: str, name: str) -> str | None:
        """The file of the module `name` in the package that the file `path` is."""
        return self._modules.get(f"{self._dotted[path]}.{name}") if path.endswith("/__init__.py") else None

    def _name_of(self, path: str) -> str:
        """The name of a file as a module, from the outermost folder on that is a package; that folder's own place before a `:`."""
        parts = re.sub(r"\.pyi?$", "", path).split("/")
        top = len(parts) - 1
        while top > 0 and "/".join(parts[:top]) in self._packages:
            top -= 1
        inner = parts[top:]
        if inner[-1] == "__init__" and len(inner) > 1:
            inner = inner[:-1]
        return f"{'/'.join(parts[:top])}:{'.'.join(inner)}"

    def _is_root(self, place: str, path: str, module: str) -> bool:
        """Whether modules in a folder can be imported from a file elsewhere: it is one where packages stand, or lies above the file.

        A lone file in a folder above is imported from there where programs start: in the root, or where packages stand.
        """
        if place in _ROOTS:
            return True
        if "." not in module:
            return False
        return place in self._projects or place.rpartition("/")[2] in _ROOTS or is_in(path, place)

    def _holds_scripts(self, place: str) -> bool:
        """Whether a folder that is no package holds scripts, which import each other by their bare names.

        It does not where it lies in a package, or where somebody imports its files as parts of one (PEP 420).
        """
        if not place:
            return True
        above = place
        while above:
            if above in self._packages:
                return False
            above = above.rpartition("/")[0]
        if self._parts is None:
            self._parts = frozenset(self._imported_parts())
        return place not in self._parts

    def _imported_parts(self) -> Iterator[str]:
        """The folders without `__init__.py` whose files somebody imports by a name with the folder's in it, or by a dot."""
        folders: dict[str, set[str]] = {}
        for path in self._dotted:
            folder, _, name = path.rpartition("/")
            if folder and folder not in self._packages:
                folders.setdefault(folder.rpartition("/")[2], set()).add(folder)
                if path in self._sources.files and re.search(r"^[ \t]*from[ \t]+\.", self._sources.code(path), re.MULTILINE):
                    yield folder
        for path in self._dotted:
            if path not in self._sources.files:
                continue
            for said in _names(self._sources.code(path)):
                *before, name = said
                for folder in folders.get(before[-1], ()) if before else ():
                    is_there = any(f"{folder}:{name}" == self._dotted.get(f"{folder}/{name}{ending}") for ending in (".py", ".pyi"))
                    parts = folder.split("/")
                    shared = min(len(parts), len(before))
                    if is_there and parts[-shared:] == before[-shared:]:
                        yield folder


def _names(code: str) -> Iterator[list[str]]:
    """The dotted names that a file's absolute imports name, part by part: those of modules, and what is taken from them."""
    for found in _IMPORTED.finditer(code) if "import" in code else ():
        if found["plain"]:
            for one in found["plain"].split(","):
                yield one.split(" as ")[0].strip().split(".")
        elif found["module"] and not found["module"].startswith("."):
            module = found["module"].split(".")
            yield module
            for one in (found["block"] or found["names"]).split(","):
                if name := one.split(" as ")[0].strip():
                    yield [*module, name]
