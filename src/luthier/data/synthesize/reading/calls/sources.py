"""The files of a material as those who look for the meaning of a call read them: code without texts and comments, definitions by file."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from luthier.retrieval.chunks.marks import blanked, rules
from luthier.retrieval.chunks.pieces import CONTAINERS
from luthier.retrieval.records import Chunk, Layout, Package, SourceFile

# How far names are followed: from an import to what that file imports itself, from a class to those that it derives from.
MOST_STEPS = 6
_NAME_BEFORE = r"(?:[A-Za-z_$][\w$]*(?:\?\.|\.|::|->|!\.))*"
_CALL = re.compile(
    rf"(?<![\w$@#'\"])(?P<before>{_NAME_BEFORE})(?P<name>[A-Za-z_$][\w$]*[!?]?)"
    r"(?=\s{0,3}(?:::<[^<>]*>|<[^<>()]{0,80}>|\[[\w.*, ]{1,80}\]|!)?\()"
)
# Where no bracket tells a call, as in Ruby and in shells, the names that the chunker took for calls.
_BARE = re.compile(rf"(?<![\w$@#'\"-])(?P<before>{_NAME_BEFORE})(?P<name>[A-Za-z_][\w]*[!?]?)(?![\w'-])")
_BARE_CALLS = frozenset(("bash", "shell", "ruby", "elixir", "haskell", "ocaml", "reason", "fsharp", "elm"))
_OPEN_BEFORE = re.compile(r"(?:(?<!\.)\.|\?\.|::|->|!\.)\s*\Z")
_DECLARES = re.compile(r"\b(?:def|func|function|fn|fun|class|interface|struct|type|macro_rules!|sub|proc)\s+\Z")


@dataclass(frozen=True, slots=True)
class Mention:
    """A call in a chunk: the name that is called, the names before it, where it stands in the file's text, and its line in the chunk.

    `is_open` where what stands before is no row of names: a call's result, an entry of an array.
    """

    name: str
    before: tuple[str, ...]
    at: int
    line: int
    is_open: bool = False


class Sources:
    """Files and definitions of one material by path. Tests of other languages, sections and blocks of tests define nothing."""

    def __init__(self, files: Iterable[SourceFile], chunks: Iterable[Chunk], layout: Layout) -> None:
        self.files = {file.path: file for file in files}
        self.layout = layout
        # Folders of Ruby's gems.
        self.gems = sorted({path.rpartition("/")[0] for path in self.files if path.endswith(".gemspec")})
        self._packages: dict[tuple[str, str], Package | None] = {}
        self._chunks = defaultdict[str, list[Chunk]](list)
        for chunk in chunks:
            if chunk.kind not in ("section", "block"):
                self._chunks[chunk.path].append(chunk)
        self._code: dict[str, str] = {}
        self._starts: dict[str, list[int]] = {}

    def package(self, path: str, system: str) -> Package | None:
        """The package of a system that a file belongs to: that whose manifest stands nearest above it; None where none does."""
        if (path, system) not in self._packages:
            found = [one for one in self.layout.packages if one.system == system and is_in(path, one.folder)]
            self._packages[path, system] = max(found, key=lambda one: len(one.folder), default=None)
        return self._packages[path, system]

    def text(self, path: str) -> str:
        """The file as it was cut: with `\\n` at the end of each line."""
        file = self.files.get(path)
        return file.text.replace("\r\n", "\n") if file else ""

    def code(self, path: str) -> str:
        """The file with comments and the inside of literals as blanks, of equal length."""
        if path not in self._code:
            file = self.files.get(path)
            self._code[path] = blanked(self.text(path), rules(file.language))[0] if file else ""
        return self._code[path]

    def chunks(self, path: str) -> list[Chunk]:
        """The definitions of a file in the order of their lines."""
        return self._chunks.get(path, [])

    def named(self, path: str, scope: str, name: str) -> list[Chunk]:
        """The definitions of a name in one scope of a file."""
        return [chunk for chunk in self.chunks(path) if chunk.name == name and chunk.scope == scope]

    def paths(self) -> Iterator[str]:
        """The paths of files with definitions."""
        yield from self._chunks

    def span(self, path: str, lines: tuple[int, int]) -> tuple[int, int]:
        """Where lines (first and last, from 1) of a file begin and end in its text."""
        if path not in self._starts:
            self._starts[path] = [0, *(found.end() for found in re.finditer("\n", self.code(path)))]
        starts = self._starts[path]
        if lines[0] > len(starts):
            return 0, 0
        return starts[lines[0] - 1], starts[lines[1]] if lines[1] < len(starts) else len(self.code(path))

    def own_code(self, chunk: Chunk) -> str:
        """The code of a chunk, of equal length; what stands in definitions within it, which are chunks themselves, as blanks."""
        start, end = self.span(chunk.path, chunk.lines)
        code = self.code(chunk.path)[start:end]
        if chunk.kind in CONTAINERS:
            for inner in self.chunks(chunk.path):
                if (
                    inner is not chunk
                    and chunk.lines[0] <= inner.lines[0]
                    and inner.lines[1] <= chunk.lines[1]
                    and inner.lines != chunk.lines
                ):
                    first, last = (at - start for at in self.span(chunk.path, inner.lines))
                    code = code[:first] + re.sub(r"[^\n]", " ", code[first:last]) + code[last:]
        return code

    def mentions(self, chunk: Chunk) -> list[Mention]:
        """The calls in a chunk's own code, in their order: names with brackets, in languages without those what the chunker calls so."""
        code = self.own_code(chunk)
        pattern, called = _CALL, frozenset[str]()
        if chunk.language in _BARE_CALLS:
            pattern, called = _BARE, frozenset(re.split(r"[.:]+", name)[-1] for name in chunk.calls)
        calls = (found for found in pattern.finditer(code) if pattern is _CALL or found["name"] in called)
        calls = (found for found in calls if not _DECLARES.search(code[max(0, found.start() - 16) : found.start()]))
        return [mention_at(self, chunk, code, found) for found in calls]


def mention_at(sources: Sources, chunk: Chunk, code: str, found: re.Match[str]) -> Mention:
    """The mention of a match with the groups `before` and `name` in the own `code` of a chunk."""
    start = sources.span(chunk.path, chunk.lines)[0]
    before = tuple(re.split(r"\?\.|!\.|\.|::|->", found["before"])[:-1])
    is_open = _OPEN_BEFORE.search(code[max(0, found.start() - 80) : found.start()]) is not None
    return Mention(found["name"], before, start + found.start("name"), code.count("\n", 0, found.start("name")), is_open)


def is_in(path: str, folder: str) -> bool:
    """Whether a path is a folder, or stands below it; the folder of all is empty."""
    return not folder or path == folder or path.startswith(f"{folder}/")


def only(found: list[Chunk]) -> Chunk | None:
    """The one definition of a list; None where there is none, or a choice."""
    return found[0] if len(found) == 1 else None
