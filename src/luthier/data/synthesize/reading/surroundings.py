"""What stands around a function and must be known to write it: imports, definitions of the source that it calls, members of its type."""

from __future__ import annotations

import builtins
import re
from dataclasses import dataclass

from luthier.data.synthesize.reading.bindings import read_binding
from luthier.data.synthesize.reading.imports import imports_of, used
from luthier.data.synthesize.reading.shapes import shape
from luthier.data.synthesize.reading.structure import Structure, spoken
from luthier.data.synthesize.reading.worth import declared, signature_of
from luthier.data.synthesize.wording import dedented, fenced, paragraphs
from luthier.retrieval.chunks.pieces import CODE_KINDS
from luthier.retrieval.records import Chunk

_MOST_CALLED = 6
_MOST_MEMBERS = 8
_MOST_VALUES = 8
_MOST_CHARACTERS = 160
# A type is shown whole up to so many lines.
_MOST_TYPE_LINES = 5
# Of what a body names and nothing around it shows so many may be left, and so large a share: set by reading rows, not counted.
_MOST_UNKNOWN = 1
_MOST_UNKNOWN_SHARE = 0.34

_TEXT = re.compile(r"(?s)\"\"\".*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`[^`]*`|//[^\n]*|#[^\n]*|/\*.*?\*/")
_NAME = re.compile(r"(?<![\w$])(?P<name>[A-Za-z_$][\w$]*)(?P<labels>\s*=(?!=)|\s*:(?![:=]|[ \t]*(?:#.*)?$))?", re.MULTILINE)
_MEMBER = re.compile(r"(?:\.|::)\s*$")
# A name that is no member of something, and whether it is set there.
_SINGLE = re.compile(r"(?<![\w$.])(?P<name>[\w$]+)(?P<set>\s*(?::=|=(?!=)))?")
# Elsewhere an arrow pipes a value into a function, whose name stands free.
_ARROWS = {"c", "c++", "php"}
_BOUND = re.compile(
    r"\b(?:let|const|var|def|class|func|fn|for|as|import|global|nonlocal|type|with|catch|lambda|rec|mut|and)\s+\(?([A-Za-z_$][\w$]*)|"
    r"([A-Za-z_$][\w$]*)(?:\s*,\s*([A-Za-z_$][\w$]*))?(?:\s*,\s*([A-Za-z_$][\w$]*))?\s*(?::=|=(?!=)|\bin\b|=>)|"
    r"\(\s*([a-z_$][\w$]*)(?:\s*,\s*([a-z_$][\w$]*))?\s*\)\s*=>"
)
_LONG_TEXT = re.compile(r"(?s)(\"\"\"|''')(?:\\.|[^\\])*?\1")
_FIELD = re.compile(r"\s+(?:(?:readonly|private|public|protected|static)\s+)*([A-Za-z_$][\w$]*)\??\s*(?::(?!=)|=(?!=))\s*\S")
_FIELD_OF_GO = re.compile(r"\s+([A-Za-z_]\w*)\s+[\w.*\[\]]+")
_CLOSER = re.compile(r"[\s})\];,]*$")
# A value at the top of a file, in a block of Go's constants also one set in: `SPACE = " "`, `const eof = 0`, `itemEOF`.
_VALUE = re.compile(
    r"^(?:(?:export|pub|static|const|let|var|final|public|private|readonly)\s+)*(?P<name>[A-Za-z_$][\w$]*)\s*(?::\s*[^=\n]+)?=(?![=>])[^\n]*$",
    re.MULTILINE,
)
_VALUE_OF_GO = re.compile(
    r"^(?:(?:const|var)\s+(?P<name>[A-Za-z_]\w*)[^\n]*|\t(?P<one>[A-Za-z_]\w*)(?:\s+[\w.*\[\]]+)?\s+=(?!=)[^\n]*|"
    r"\t(?P<bare>[A-Za-z_]\w*)[ \t]*(?://[^\n]*)?)$",
    re.MULTILINE,
)
_OPENED = re.compile(r"[(\[{\\]\s*$")
# An import in a function's own body that only its source tells of.
_INNER_IMPORT = re.compile(r"^[ \t]*(from[ \t]+\.[\w.]*[ \t]+import[ \t]+[^(\n]+)$", re.MULTILINE)
_KEYWORD_LIST = """
if else elif for while in is not and or return yield from import as with try except finally raise assert del pass break continue
def class lambda global nonlocal async await None True False self cls super func go defer select switch case default range type
struct interface map chan const var package fallthrough goto nil true false iota string int int8 int16 int32 int64 uint uint8
uint16 uint32 uint64 byte rune float32 float64 bool error make len cap append copy delete panic recover new print println complex
real imag close any let rec when of open include module external switch mutable Some None Ok Error unit option array list ref
ignore lsl lsr mod land lor function this new typeof instanceof void throw catch static public private protected final extends
implements do undefined null Promise Array Object String Number Boolean Math JSON Map Set Error console fn mut pub impl trait use
crate where match loop move Vec Result Option Box Self usize isize u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 str char local done fi
then esac echo exit shift read
"""
_KEYWORDS = frozenset(_KEYWORD_LIST.split()) | frozenset(dir(builtins))


@dataclass(frozen=True, slots=True)
class Around:
    """What can be shown of a function's surroundings, as text, and which names of its body neither that nor its head shows."""

    text: str
    unknown: tuple[str, ...]
    names: int

    @property
    def is_enough(self) -> bool:
        """Whether so little is left open that somebody can be asked to write the body."""
        return len(self.unknown) <= _MOST_UNKNOWN and len(self.unknown) <= _MOST_UNKNOWN_SHARE * max(self.names, 1)


class Surroundings:
    """The surroundings of the functions of one material; what a file imports is read once."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._texts = {file.path: (file.text, file.language) for file in structure.material.files}
        self._imports: dict[str, tuple[tuple[str, str, str], ...]] = {}
        self._values: dict[str, dict[str, str]] = {}

    def around(self, chunk: Chunk, head: str, body: str) -> Around:
        """What `body` needs beside `head`, the part of `chunk` that is shown."""
        if chunk.path not in self._imports:
            self._imports[chunk.path] = imports_of(*self._texts[chunk.path]) if chunk.path in self._texts else ()
        plain = _TEXT.sub(" ", body)
        interface = self.interface(chunk)
        imports = used(self._imports[chunk.path], f"{head}\n{plain}")
        members = self._members(chunk, plain)
        called = self._called(chunk, plain, f"{imports}\n{members}\n{head}")
        inner = "\n".join(found[1].rstrip() for found in _INNER_IMPORT.finditer(body))
        needed = _needed(chunk, plain)
        shown = f"{imports}\n{interface}\n{inner}\n{members}\n{called}\n{_TEXT.sub(' ', head)}"
        free = _free_names(plain)
        values = self._values_of(chunk, [name for name in needed if name in free], shown)
        text = paragraphs(
            f"Its interface declares:\n\n{fenced(interface, chunk.language)}" if interface else "",
            f"The file imports:\n\n{fenced(imports, chunk.language)}" if imports else "",
            f"The file has:\n\n{fenced(values, chunk.language)}" if values else "",
            f"Its type has:\n\n{fenced(members, chunk.language)}" if members else "",
            f"It can call:\n\n{fenced(called, chunk.language)}" if called else "",
            f"It imports within itself:\n\n{fenced(inner, chunk.language)}" if inner else "",
        )
        known = set(re.findall(r"[A-Za-z_$][\w$]*", f"{shown}\n{values}"))
        return Around(text, tuple(name for name in needed if name not in known), len(needed))

    def interface(self, chunk: Chunk) -> str:
        """What the interface beside a ReScript file declares of a definition; empty where there is none."""
        beside = self._structure.files().get(f"{chunk.path}i", ()) if chunk.language == "rescript" else ()
        return next((declared(one) for one in beside if one.full_name == chunk.full_name and one.kind == chunk.kind), "")

    def _values_of(self, chunk: Chunk, needed: list[str], shown: str) -> str:
        """The lines at the top of the file, or of its package in Go, that set or declare what the body names and nothing else shows."""
        known = set(re.findall(r"[A-Za-z_$][\w$]*", shown))
        own = {one.name: one for one in self._beside(chunk) if one.kind in ("class", "type", "function") and one is not chunk}
        lines = dict[str, None]()
        for name in needed:
            if name in known:
                continue
            line = _shown(own[name]) if name in own else self._value(chunk, name)
            if line:
                lines.setdefault(line)
        return "\n".join(list(lines)[:_MOST_VALUES])

    def _beside(self, chunk: Chunk) -> list[Chunk]:
        """The definitions that a bare name in `chunk` may mean: those of its file, in Go of its folder."""
        files = self._structure.files()
        paths = [path for path in files if path == chunk.path or (chunk.language == "go" and _beside(path, chunk.path))]
        return [one for path in paths for one in files[path] if one.language == chunk.language and not one.scope]

    def _value(self, chunk: Chunk, name: str) -> str:
        """The line that sets a value of the file's top; empty where none does."""
        paths = [chunk.path]
        if chunk.language == "go":
            paths += sorted(path for path in self._texts if path != chunk.path and _beside(path, chunk.path))
        for path in paths:
            if path not in self._values:
                text, language = self._texts.get(path, ("", ""))
                pattern = _VALUE_OF_GO if language == "go" else _VALUE
                self._values[path] = {}
                for found in pattern.finditer(_LONG_TEXT.sub("", text)):
                    name_of = next(group for group in found.groups() if group)
                    self._values[path].setdefault(name_of, found[0].strip())
            if line := self._values[path].get(name):
                line = re.sub(r"\s+(?://|#)\s.*$", "", line)
                if len(line) > _MOST_CHARACTERS:
                    return f"{line[:_MOST_CHARACTERS].rstrip()} ..."
                return f"{line} ..." if _OPENED.search(line) else line
        return ""

    def _called(self, chunk: Chunk, body: str, shown: str) -> str:
        """Declarations of what the body calls and nothing else shows."""
        words = set(re.findall(r"[A-Za-z_$][\w$]*", body))
        known = set(re.findall(r"[A-Za-z_$][\w$]*", shown))
        found = [self._implemented(one) for one in self._structure.callees(chunk)]
        found = [one for one in found if one.name in words and one.name not in known and not one.is_test]
        lines = dict.fromkeys(line for one in found if (line := _declared(one)))
        return "\n".join(list(lines)[:_MOST_CALLED])

    def _implemented(self, one: Chunk) -> Chunk:
        """The definition itself where `one` is only one of its overloads."""
        if "overload" not in one.signature:
            return one
        others = (other for other in self._structure.defined(one.name) if other.path == one.path and other.scope == one.scope)
        return next((other for other in others if "overload" not in other.signature), one)

    def _members(self, chunk: Chunk, body: str) -> str:
        """The lines that declare or first set those members of the function's own type which the body names."""
        own = _own(chunk)
        wanted = dict.fromkeys(re.findall(rf"\b{own}(?:\.|->)([A-Za-z_$][\w$]*)", body)) if own else {}
        if not chunk.scope or not own:
            return ""
        name = chunk.scope.split(".")[-1]
        lines = dict[str, None]()
        files = self._structure.files()
        paths = [chunk.path, *sorted(path for path in files if path != chunk.path and chunk.language == "go" and _beside(path, chunk.path))]
        for path in paths:
            for one in files[path]:
                if one.scope.split(".")[-1] == name and one.name in wanted and one is not chunk and (line := _declared(one)):
                    lines.setdefault(line)
                    wanted.pop(one.name)
                elif one.name == name and one.kind in ("class", "type"):
                    if line := _head_of_type(one):
                        lines.setdefault(line)
                    _take_set(one, chunk, own, wanted, lines)
        return "\n".join(list(lines)[:_MOST_MEMBERS])


def _take_set(owner: Chunk, chunk: Chunk, own: str, wanted: dict[str, None], lines: dict[str, None]) -> None:
    """Adds the lines of a type, outside of `chunk`, that declare or set members still wanted, and strikes those off."""
    text = _LONG_TEXT.sub(lambda quoted: "\n" * quoted[0].count("\n"), owner.text)
    steps = [len(line) - len(line.lstrip()) for line in text.split("\n") if not _CLOSER.match(line)]
    # The declaration stands at the margin, and so may the comment above it.
    least = min(steps, default=0)
    first = min((step for step in steps if step > least), default=0)
    sets = re.compile(rf"\s+{own}\.([A-Za-z_$][\w$]*)\s*(?::[^=\n]+)?=(?!=)\s*\S")
    for number, line in enumerate(text.split("\n"), owner.lines[0]):
        if owner.path == chunk.path and chunk.lines[0] <= number <= chunk.lines[1]:
            continue
        found = sets.match(line)
        if not found and number > owner.lines[0] and len(line) - len(line.lstrip()) == first:
            found = (_FIELD_OF_GO if chunk.language == "go" else _FIELD).match(line)
        if found and found[1] in wanted and len(line.strip()) <= _MOST_CHARACTERS:
            wanted.pop(found[1])
            told = line.strip()
            lines.setdefault(f"{told} ..." if _OPENED.search(told) or told.endswith(",") else told)


def _free_names(body: str) -> set[str]:
    """The names that a body uses, that are no member of something, and that it does not set itself."""
    used, own = set[str](), set[str]()
    for found in _SINGLE.finditer(body):
        used.add(found["name"])
        if found["set"]:
            own.add(found["name"])
    return used - own


def _head_of_type(one: Chunk) -> str:
    """A type's declaration where it tells something that its members do not: what it extends, or what it is."""
    line = " ".join(signature_of(one).split())
    if one.text.strip().count("\n") == 0:
        line = one.text.strip()
    says = re.search(r"\(\s*\w|\bextends\b|\bimplements\b|\w\s*=\s*\S|^type\s+\w+\s+(?!struct|interface)\S", line)
    return re.sub(r"\s*[{:]$", "", line) if says and len(line) <= _MOST_CHARACTERS else ""


def _shown(one: Chunk) -> str:
    """A type as it stands where it is short, else its declaration; that of a function; empty for a name alone."""
    whole = dedented(one.text)
    if one.kind != "function" and whole.count("\n") < _MOST_TYPE_LINES:
        return whole
    line = _declared(one)
    return "" if re.fullmatch(r"(?:\w+\s+)?\w+(?:\s+struct)?", line) else line


def _own(chunk: Chunk) -> str:
    """What a function's body calls the value that it is a method of, as an expression; empty where it is none."""
    if chunk.language == "go":
        found = re.match(r"\s*func\s*\(\s*(\w+)\s", chunk.signature)
        return re.escape(found[1]) if found else ""
    return {"python": "(?:self|cls)", "rust": "self", "ruby": "self"}.get(chunk.language, "this") if chunk.scope else ""


def _beside(path: str, other: str) -> bool:
    return path.rpartition("/")[0] == other.rpartition("/")[0]


def _declared(one: Chunk) -> str:
    """A definition's declaration on one line; empty where it is too long for that."""
    if one.language == "rescript" and one.kind in CODE_KINDS and not read_binding(one):
        return f"let {shape(one)}" if shape(one) != one.name else ""
    line = re.sub(r"\s*(?:=>|[={:]*)$", "", " ".join(signature_of(one).split()))
    line = line if spoken(one) == one.name or one.name in line else f"{spoken(one)}: {line}"
    return line if len(line) <= _MOST_CHARACTERS else ""


def _needed(chunk: Chunk, body: str) -> list[str]:
    """The names that a body uses and does not make itself: free ones, and members of its own type. No keywords, no labels."""
    bound = {name for found in _BOUND.finditer(body) for name in found.groups() if name}
    own = re.compile(rf"\b(?:{_own(chunk)})\s*(?:\.|->)\s*$") if _own(chunk) else None
    found = dict[str, None]()
    for match in _NAME.finditer(body):
        name, before = match["name"], body[max(0, match.start() - 20) : match.start()]
        if _MEMBER.search(before) or (chunk.language in _ARROWS and before.rstrip().endswith("->")):
            if own and own.search(before):
                found.setdefault(name)
        elif name not in _KEYWORDS and name not in bound and name != chunk.name and not match["labels"]:
            found.setdefault(name)
    return list(found)
