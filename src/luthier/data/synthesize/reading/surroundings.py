"""What stands around a function and must be known to write it: imports, definitions of the source that it calls, members of its type."""

from __future__ import annotations

import builtins
import re
from dataclasses import dataclass

from luthier.data.synthesize.reading.imports import imports_of, used
from luthier.data.synthesize.reading.structure import Structure, spoken
from luthier.data.synthesize.reading.worth import signature_of
from luthier.data.synthesize.wording import fenced, paragraphs
from luthier.retrieval.records import Chunk

_MOST_CALLED = 6
_MOST_MEMBERS = 8
_MOST_CHARACTERS = 160
# Of what a body names and nothing around it shows so many may be left, and so large a share: set by reading rows, not counted.
_MOST_UNKNOWN = 2
_MOST_UNKNOWN_SHARE = 0.34

_TEXT = re.compile(r"(?s)\"\"\".*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`[^`]*`|//[^\n]*|#[^\n]*|/\*.*?\*/")
_NAME = re.compile(r"(?<![\w$])(?P<name>[A-Za-z_$][\w$]*)(?P<labels>\s*=(?!=)|\s*:(?![:=]))?")
_MEMBER = re.compile(r"(?:\.|::)\s*$")
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

    def around(self, chunk: Chunk, head: str, body: str) -> Around:
        """What `body` needs beside `head`, the part of `chunk` that is shown."""
        if chunk.path not in self._imports:
            self._imports[chunk.path] = imports_of(*self._texts[chunk.path]) if chunk.path in self._texts else ()
        plain = _TEXT.sub(" ", body)
        imports = used(self._imports[chunk.path], f"{head}\n{plain}")
        members = self._members(chunk, plain)
        called = self._called(chunk, plain, f"{imports}\n{members}\n{head}")
        text = paragraphs(
            f"The file imports:\n\n{fenced(imports, chunk.language)}" if imports else "",
            f"Its type has:\n\n{fenced(members, chunk.language)}" if members else "",
            f"It can call:\n\n{fenced(called, chunk.language)}" if called else "",
        )
        needed = _needed(chunk, plain)
        shown = set(re.findall(r"[A-Za-z_$][\w$]*", f"{imports}\n{members}\n{called}\n{_TEXT.sub(' ', head)}"))
        return Around(text, tuple(name for name in needed if name not in shown), len(needed))

    def _called(self, chunk: Chunk, body: str, shown: str) -> str:
        """Declarations of what the body calls and nothing else shows."""
        words = set(re.findall(r"[A-Za-z_$][\w$]*", body))
        known = set(re.findall(r"[A-Za-z_$][\w$]*", shown))
        found = [one for one in self._structure.callees(chunk) if one.name in words and one.name not in known and not one.is_test]
        lines = dict.fromkeys(line for one in found if (line := _declared(one)))
        return "\n".join(list(lines)[:_MOST_CALLED])

    def _members(self, chunk: Chunk, body: str) -> str:
        """The lines that declare or first set those members of the function's own type which the body names."""
        own = _own(chunk)
        wanted = dict.fromkeys(re.findall(rf"\b{own}(?:\.|->)([A-Za-z_$][\w$]*)", body)) if own else {}
        if not wanted or not chunk.scope:
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
                    _take_set(one, chunk, own, wanted, lines)
        return "\n".join(list(lines)[:_MOST_MEMBERS])


def _take_set(owner: Chunk, chunk: Chunk, own: str, wanted: dict[str, None], lines: dict[str, None]) -> None:
    """Adds the lines of a type, outside of `chunk`, that declare or set members still wanted, and strikes those off."""
    text = _LONG_TEXT.sub(lambda quoted: "\n" * quoted[0].count("\n"), owner.text)
    steps = [len(line) - len(line.lstrip()) for line in text.split("\n")[1:] if line.strip()]
    first = min(steps, default=0)
    for number, line in enumerate(text.split("\n"), owner.lines[0]):
        if owner.path == chunk.path and chunk.lines[0] <= number <= chunk.lines[1]:
            continue
        found = re.match(rf"\s+{own}\.([A-Za-z_$][\w$]*)\s*(?::[^=\n]+)?=(?!=)\s*\S", line)
        if not found and number > owner.lines[0] and len(line) - len(line.lstrip()) == first:
            found = (_FIELD_OF_GO if chunk.language == "go" else _FIELD).match(line)
        if found and found[1] in wanted and len(line.strip()) <= _MOST_CHARACTERS:
            wanted.pop(found[1])
            lines.setdefault(line.strip())


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
    line = re.sub(r"\s*[={:]*$", "", " ".join(signature_of(one).split()))
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
