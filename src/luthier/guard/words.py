"""Words of a shell command without their quotes: what is literal, what the shell still acts on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from luthier.guard.syntax import nodes

Form = str | int | list["Form"]


class Part(NamedTuple):
    """A part of a word.

    `text` is literal; `active` is a character that the shell acts on; `quoted` and `split` are an expansion inside and outside double
    quotes; `raw` is source that is not taken apart; `assignment` is the name in an argument of `export` and its like. `inner` is the form
    of the commands in a substitution, which then has no text.
    """

    kind: str
    text: str
    inner: Form | None = None


Word = list[Part]
_EMPTY = Part("text", "")
InnerForm = Callable[[nodes.Script], Form]

EXPANSIONS = frozenset(("quoted", "split", "raw"))
_NO_HISTORY = frozenset(" \t\n=(")
_ACTING = re.compile(r"[*?\[{~!]")
# What may stand in the name after a tilde.
_HOME = frozenset("~/_-.:")
_BRACES_ACT = re.compile(r",|\.\.")


def literal_text(word: Word) -> str | None:
    """The word as the program receives it, where the shell changes nothing in it; else None."""
    if any(part.kind != "text" for part in word):
        return None
    return "".join(part.text for part in word)


def read_word(word: nodes.Word | nodes.Assignment | None, inner_form: InnerForm) -> Word:
    """The parts of a word, neighbouring text joined; an empty word has no part or empty text.

    `inner_form` gives the form of the commands in a substitution; what it raises is not caught.
    """
    text = word.plain() if isinstance(word, nodes.Word) else None
    if text is not None and not _ACTING.search(text):
        return [Part("text", text)]
    reader = _Reader(inner_form)
    if isinstance(word, nodes.Assignment):
        reader.assignment(word)
    elif word is not None:
        reader.read(word)
    return reader.finish()


class _Reader:
    """Collects (character or expansion, whether quotes protect it), then decides which characters are active."""

    def __init__(self, inner_form: InnerForm) -> None:
        self._inner_form = inner_form
        # `bare` and `safe` hold one character each; the other kinds are those of a part.
        self._atoms: list[Part] = []

    def read(self, word: nodes.Word) -> None:
        for part in word.parts:
            if isinstance(part, nodes.Text):
                self._text(part)
            else:
                self._atoms.append(self._expansion(part))

    def assignment(self, assignment: nodes.Assignment) -> None:
        """An argument such as that of `export x=1`, which is not split as other words are."""
        self._atoms.append(Part("assignment", assignment_name(assignment)))
        if assignment.items is not None:
            items: list[Form] = [plain(read_word(item, self._inner_form)) for item in assignment.items]
            self._atoms.append(Part("split", "", ["(", *items]))
        elif assignment.value is not None:
            self.read(assignment.value)

    def finish(self) -> Word:
        parts: Word = []
        active = _active(self._atoms)
        for index, atom in enumerate(self._atoms):
            if atom.kind not in ("bare", "safe"):
                parts.append(atom)
            elif index in active:
                parts.append(Part("active", atom.text))
            elif parts and parts[-1].kind == "text" and (atom.text or parts[-1].text):
                parts[-1] = Part("text", parts[-1].text + atom.text)
            else:
                parts.append(Part("text", atom.text))
        has_tilde = Part("active", "~") in parts
        return [part for index, part in enumerate(parts) if part != _EMPTY or not _is_idle(parts, index, has_tilde)]

    def _text(self, part: nodes.Text) -> None:
        if part.source:
            self._atoms.append(Part("raw", part.source))
        elif not part.quoted:
            self._atoms.extend(Part("bare", character) for character in part.text)
        else:
            # An interactive shell still acts on `!` in double quotes.
            acting = "!" if part.in_double_quotes else ""
            self._atoms.extend(Part("bare" if character in acting else "safe", character) for character in part.text)
            if not part.text:
                self._atoms.append(Part("safe", ""))

    def _expansion(self, part: nodes.Part) -> Part:
        if isinstance(part, nodes.Substitution):
            return Part("quoted" if part.quoted else "split", "", ["$(", self._inner_form(part.body)])
        if isinstance(part, nodes.Process):
            return Part("split", "", [f"{part.direction}(", self._inner_form(part.body)])
        assert not isinstance(part, nodes.Text)
        source = part.source
        if isinstance(part, nodes.Variable) and not source:
            source = f"${part.name}" if len(part.name) == 1 or not part.name.isdigit() else f"${{{part.name}}}"
        return Part("quoted" if part.quoted else "split", source)


def assignment_name(assignment: nodes.Assignment) -> str:
    """Name and operator of an assignment, `=` or `+=`, as written."""
    return f"{assignment.name}{assignment.index}{'+=' if assignment.appends else '='}"


def plain(word: Word) -> Form:
    """A word as JSON: its text where it is literal, else its parts."""
    text = literal_text(word)
    return text if text is not None else [[part.kind, part.text if part.inner is None else part.inner] for part in word]


def _is_idle(parts: Word, index: int, has_tilde: bool) -> bool:
    """Whether the empty text at `index` changes nothing: what stands beside it keeps the word from vanishing anyway.

    After a tilde it changes something: `~''` is no home.
    """
    beside = [*parts[max(index - 1, 0) : index], *parts[index + 1 : index + 2]]
    return any((part.kind == "active" and not has_tilde) or (part != _EMPTY and is_one_word(part)) for part in beside)


def is_one_word(part: Part) -> bool:
    """Whether a part can neither vanish nor split: text, and what is expanded in double quotes, but for `"$@"` and its like."""
    return part.kind == "text" or (part.kind == "quoted" and "@" not in part.text)


def is_one_value(word: Word) -> bool:
    """Whether a program receives exactly one word for `word`: no glob, no unquoted expansion; a home such as `~/x` is one."""
    if word[:1] != [Part("active", "~")]:
        return all(map(is_one_word, word))
    return all(is_one_word(part) or (part.kind == "active" and (part.text.isalnum() or part.text in _HOME)) for part in word)


def _active(atoms: Sequence[Part]) -> set[int]:
    """Positions of the unquoted characters that mean something to the shell: globs, braces, a tilde in front, history."""
    bare = {index: atom.text for index, atom in enumerate(atoms) if atom.kind == "bare"}
    if "[" in bare.values() and ("]" in bare.values() or any(atom.kind in ("split", "raw") for atom in atoms)):
        # Inside brackets even a quoted letter or hyphen can mean something else than an unquoted one.
        return set(bare)
    found = {index for index, character in bare.items() if character in "*?"}
    found |= _braces("".join(bare.get(index, "_") for index in range(len(atoms))), bare)
    for index, character in bare.items():
        before = atoms[index - 1].text[-1:] if index else ""
        if character == "~" and (index == 0 or before in ("=", ":")):
            # A quoted character in the name after a tilde keeps the tilde as it is.
            found |= _tilde_prefix(atoms, index)
        elif character == "!" and _starts_history(atoms, index):
            found.add(index)
    return found


def _starts_history(atoms: Sequence[Part], index: int) -> bool:
    """Whether an interactive shell may act on the `!` at `index`: not at the end of a word, nor before a blank and the like."""
    after = next((atoms[place] for place in range(index + 1, len(atoms)) if atoms[place] != Part("safe", "")), None)
    return after is not None and not (after.kind in ("bare", "safe") and after.text in _NO_HISTORY)


def _braces(text: str, bare: dict[int, str]) -> set[int]:
    """Positions of what acts in `{a,b}` and `{1..3}`; `text` has a place for each atom."""
    opening, closing = text.find("{"), text.rfind("}")
    if not 0 <= opening < closing or not _BRACES_ACT.search(text[opening:closing]):
        return set()
    # A quoted end of a sequence keeps it as it is.
    is_sequence = ".." in text[opening:closing]
    return {index for index, character in bare.items() if character in "{},." or (is_sequence and opening < index < closing)}


def _tilde_prefix(atoms: Sequence[Part], start: int) -> set[int]:
    """Positions of a tilde and the name after it, with the unquoted `/` or `:` that ends it."""
    found = {start}
    for index in range(start + 1, len(atoms)):
        if atoms[index].kind != "bare":
            break
        found.add(index)
        if atoms[index].text in "/:":
            break
    return found
