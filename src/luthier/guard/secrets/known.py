"""Secrets of whole texts, masked before anything is cut from them: line by line, so that lines keep their numbers, and in every piece.

What a whole text gives away (a key between its marks) a piece of it may not, nor another text that holds the same value:
`KnownSecrets` knows values and their parts again. It keeps them in memory alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from luthier.guard.secrets.finders.assigned import entropy
from luthier.guard.secrets.finders.private_keys import is_of_a_key
from luthier.guard.secrets.findings import FAILED_KINDS, GENERAL_KINDS, Finding
from luthier.guard.secrets.prefixes import Prefixes
from luthier.guard.secrets.scan import mark
from luthier.guard.secrets.values import LEAST_CHARACTERS, encoded, forms, is_wordlike, stands_elsewhere, values_of

# A part of this many characters is told from chance.
PART_CHARACTERS = 16
_LEAST_ENTROPY = 3.0
# Beyond this many parts, some 150 MB, of each further value only one in sixteen is kept: whole values are known all the same.
MOST_PARTS = 1_000_000
# Beyond this many values, some 200 MB, further ones are known as they stand and in a URL or HTML, but not within base64.
MOST_ENCODED = 50_000
# In texts of this many characters values are looked for by their first bytes before each place is looked at.
_LONG_TEXT = 2_000
_RUN = re.compile(rf"\S{{{LEAST_CHARACTERS},}}")
_RUN_WITH_BLANKS = re.compile(rf"[^\n]{{{LEAST_CHARACTERS},}}")
# A word that may be a name, and what stands around one: a word that declares it, a sign that leads to or out of it, a call, an assignment.
# One with digits is no part of a path or of a longer name by that alone.
_NAME = re.compile(r"[^\W\d][\w-]*")
_BEFORE_A_NAME = re.compile(
    r"(?:\b(?:def|class|function|func|fn|fun|let|var|val|const|import|from|struct|interface|trait|enum|type|module|package|namespace|use|as)\s+"
    r"|[\w)\]]\.|::|->|[$@])\Z"
)
_BEHIND_A_NAME = re.compile(r"\s?\(|\.\w|::|->|\s?=(?!=)|\[")
_BEFORE_A_PART = re.compile(r"(?:[/\\]|\w[-_]|(?<!\S)--?|_)\Z")
_BEHIND_A_PART = re.compile(r"[/\\]|[-_]\w")
_MOST_AROUND = 20
# A word of letters alone, or one with other signs, that stands at more places than this for each at which it is a secret is a word of
# the source.
_MOST_PLACES_OF_LETTERS, _MOST_PLACES = 5, 20
_ESCAPES = "nrtbf0"
_WORD_OF_A_KEY = re.compile(rf"[A-Za-z0-9+/]{{{PART_CHARACTERS},}}={{0,2}}")
_LINE = re.compile(
    r"""(?P<lead>[-+ ]?(?=-----)|[-+]?\s*(?:[#>*|;]+\s+|//\s*|[-+.]\s+)*(?:[rbf]?\\?["'`]{1,3})?)(?P<core>.*?)"""
    r"""(?P<tail>(?:\\+[rnt])*(?:["'`]+[\s+,;)\]\\]*)?\s*)"""
)


def masked_by_line(text: str, findings: Sequence[Finding]) -> str:
    """`text` with a mark for each line of each finding: as many lines as before, and code that can still be read.

    The findings must be of a text that could be judged.
    """
    source, parts, position = text.encode("utf-8"), [], 0
    for finding in findings:
        parts.append(source[position : finding.start].decode("utf-8", "replace"))
        lines = source[finding.start : finding.end].decode("utf-8", "replace").split("\n")
        parts.append(mark(finding.kind) if len(lines) == 1 else "\n".join(_masked_line(line, mark(finding.kind)) for line in lines))
        position = finding.end
    return "".join([*parts, source[position:].decode("utf-8", "replace")])


def _masked_line(line: str, written: str) -> str:
    match = _LINE.fullmatch(line)
    if match is None:
        return written
    return f"{match['lead']}{written}{match['tail']}" if any(map(str.isalnum, match["core"])) else line


@dataclass(frozen=True, slots=True)
class _Value:
    """A value that is known. One that reads as a word counts only where no letter or digit stands beside it."""

    text: str
    kind: str
    is_word: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A value that one place tells others: in how many it was found, and whether it is a word of a private key, known by its parts."""

    text: str
    kind: str
    times: int = 1
    is_of_a_key: bool = False


class KnownSecrets:
    """Secrets that were found in texts, by value. `counts` says how many places of them `masked` wrote over, by kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._parts: dict[str, str] = {}
        self._values: dict[str, _Value] = {}
        # The lengths of values by their first characters.
        self._lengths: dict[str, tuple[int, ...]] = {}
        self._noted: Counter[str] = Counter()
        self._has_blanks = False
        # What was noted, by value or word of a key.
        self._told: dict[tuple[str, bool], tuple[str, int]] = {}
        self._encoded = 0
        self._prefixes: Prefixes | None = None

    def __bool__(self) -> bool:
        return bool(self._parts or self._values)

    def note(self, text: str, findings: Sequence[Finding]) -> None:
        """Remembers what was found in `text`: every line of a key, and the values of the rest."""
        source = text.encode("utf-8") if findings else b""
        for finding in findings:
            if finding.kind in FAILED_KINDS:
                continue
            found = source[finding.start : finding.end].decode("utf-8", "replace")
            if finding.kind == "private-key":
                for word in filter(is_of_a_key, _WORD_OF_A_KEY.findall(found)):
                    self._note_word_of_a_key(word, finding.kind)
            else:
                self.note_values(values_of(found, finding.kind), finding.kind)

    def note_values(self, values: Iterable[str], kind: str, times: int = 1) -> None:
        """Remembers values that may stand elsewhere, with their other forms."""
        for value in dict.fromkeys(values):
            if stands_elsewhere(value):
                self._note_value(value, kind, times)

    def _note_value(self, value: str, kind: str, times: int) -> None:
        first, before = self._told.get((value, False), (kind, 0))
        self._told[value, False] = (first, before + times)
        for form in forms(value):
            self._note_form(_Value(form, kind, is_wordlike(form)))
            self._noted[form] += times
        if before:
            return
        if self._encoded < MOST_ENCODED:
            self._encoded += 1
            for form in encoded(value):
                self._note_form(_Value(form, kind, is_word=False))
        # Parts of a value that an issuer's shape gives away are known whatever it spells.
        if any(map(str.isdigit, value)) and not (kind in GENERAL_KINDS and is_wordlike(value)):
            self._note_parts(value, kind)

    def _note_form(self, form: _Value) -> None:
        if form.text in self._values:
            return
        self._values[form.text] = form
        lengths = self._lengths.get(form.text[:LEAST_CHARACTERS], ())
        if len(form.text) not in lengths:
            self._lengths[form.text[:LEAST_CHARACTERS]] = tuple(sorted((*lengths, len(form.text)), reverse=True))
        self._has_blanks |= any(map(str.isspace, form.text))
        self._prefixes = None

    def _note_word_of_a_key(self, word: str, kind: str) -> None:
        if (word, True) not in self._told:
            self._told[word, True] = (kind, 1)
            self._note_parts(word, kind)

    def told(self) -> list[Told]:
        """What other sources and rows are to know: drawn values, and words with digits in them that `spare` has left.

        A word of letters alone may be a name or mean something else there.
        """
        return [
            Told(value, kind, times, is_of_a_key)
            for (value, is_of_a_key), (kind, times) in self._told.items()
            if is_of_a_key or not is_wordlike(value) or (value in self._values and _mixes(value))
        ]

    def take(self, told: Iterable[Told]) -> None:
        """Remembers what others tell."""
        for one in told:
            if one.is_of_a_key:
                self._note_word_of_a_key(one.text, one.kind)
            else:
                self.note_values((one.text,), one.kind, one.times)

    def _note_parts(self, word: str, kind: str) -> None:
        step = 1 if len(self._parts) < MOST_PARTS else PART_CHARACTERS
        for at in range(0, len(word) - PART_CHARACTERS + 1, step):
            part = word[at : at + PART_CHARACTERS]
            if entropy(part) >= _LEAST_ENTROPY:
                self._parts.setdefault(part, kind)
        self._prefixes = None

    def spare(self, texts: Iterable[str]) -> None:
        """Forgets words that are names or common in `texts`, in which what was found is masked already."""
        words = {value.text for value in self._values.values() if value.is_word and _NAME.fullmatch(value.text)}
        if not words:
            return
        places: Counter[str] = Counter()
        names: set[str] = set()
        for text in texts:
            for run in self._runs().finditer(text) if self._may_stand_in(text) else ():
                for start, end, value in self._found(run[0]):
                    if value.text in words:
                        places[value.text] += 1
                        if _is_a_name(text, run.start() + start, run.start() + end):
                            names.add(value.text)
        for word in words:
            most = _MOST_PLACES_OF_LETTERS if word.isalpha() else _MOST_PLACES
            if word in names or places[word] > most * self._noted[word]:
                del self._values[word]

    def masked(self, text: str) -> str:
        """`text` with a mark over each known value, and each run of `PART_CHARACTERS` or more of one; itself where there is none."""
        if not self or not self._may_stand_in(text):
            return text
        runs = self._runs()
        written: dict[str, tuple[str, list[str]]] = {}
        for run in set(runs.findall(text)):
            if found := list(self._found(run)):
                written[run] = _with_marks(run, found), [value.kind for _, _, value in found]
        if not written:
            return text

        def mark_run(match: re.Match[str]) -> str:
            marked, kinds = written.get(match[0], (match[0], ()))
            self.counts.update(kinds)
            return marked

        return runs.sub(mark_run, text)

    def holds(self, text: str) -> bool:
        """Whether a known value, or a part of one, stands in `text`."""
        return bool(self) and self._may_stand_in(text) and any(True for run in self._runs().findall(text) for _ in self._found(run))

    def prefixes(self, written: Callable[[str], bytes] = lambda text: text.encode("utf-8", "surrogatepass")) -> Prefixes:
        """The first bytes of all that is known, as `written` writes characters."""
        return Prefixes(map(written, chain(self._lengths, self._parts)))

    def _may_stand_in(self, text: str) -> bool:
        """Whether something known may stand in `text`; always where it is too short to ask."""
        if len(text) < _LONG_TEXT:
            return True
        if self._prefixes is None:
            self._prefixes = self.prefixes()
        return len(self._prefixes.places(text.encode("utf-8", "surrogatepass"))) > 0

    def _runs(self) -> re.Pattern[str]:
        return _RUN_WITH_BLANKS if self._has_blanks else _RUN

    def _found(self, run: str) -> Iterator[tuple[int, int, _Value]]:
        """Where known values and parts of them stand in `run`: from, to, and what."""
        lengths, parts = self._lengths, self._parts
        begins = [
            at
            for at in range(len(run) - LEAST_CHARACTERS + 1)
            if run[at : at + LEAST_CHARACTERS] in lengths or run[at : at + PART_CHARACTERS] in parts
        ]
        behind = 0
        for at in begins:
            if at >= behind and (value := self._longest(run, at)) is not None:
                behind = at + len(value.text)
                yield at, behind, value

    def _longest(self, run: str, at: int) -> _Value | None:
        """The longest known value or part that begins at `at`."""
        found: _Value | None = None
        for length in self._lengths.get(run[at : at + LEAST_CHARACTERS], ()):
            value = self._values.get(run[at : at + length])
            if value is not None and (not value.is_word or _stands_alone(run, at, at + length)):
                found = value
                break
        kind = self._parts.get(run[at : at + PART_CHARACTERS])
        if kind is None:
            return found
        end = at + PART_CHARACTERS
        while end < len(run) and run[end - PART_CHARACTERS + 1 : end + 1] in self._parts:
            end += 1
        return found if found is not None and len(found.text) >= end - at else _Value(run[at:end], kind, is_word=False)


def _mixes(value: str) -> bool:
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _stands_alone(run: str, start: int, end: int) -> bool:
    """Whether no letter or digit stands beside characters `start` to `end`; that of an escape such as `\\n` is none."""
    before = run[start - 1 : start]
    is_begin = not before.isalnum() or (before in _ESCAPES and run[start - 2 : start - 1] == "\\")
    return is_begin and not run[end : end + 1].isalnum()


def _is_a_name(text: str, start: int, end: int) -> bool:
    """Whether characters `start` to `end` are written as the name of something in code, of a file or an option."""
    before = text[max(0, start - _MOST_AROUND) : start]
    if _BEFORE_A_NAME.search(before) is not None or _BEHIND_A_NAME.match(text, end) is not None:
        return True
    is_part = _BEFORE_A_PART.search(before) is not None or _BEHIND_A_PART.match(text, end) is not None
    return is_part and not any(map(str.isdigit, text[start:end]))


def _with_marks(run: str, found: Sequence[tuple[int, int, _Value]]) -> str:
    parts, position = [], 0
    for start, end, value in found:
        parts += [run[position:start], mark(value.kind)]
        position = end
    return "".join([*parts, run[position:]])
