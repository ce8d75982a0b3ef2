"""Expansion of words as bash does it, over values that need not be known: braces, tilde, variables, substitutions, globs, fields.

Bash Reference Manual, section 3.5, "Shell Expansions". What is not known stays in the text as one of the characters of `values.symbols`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence

from luthier.guard.risk.environment import Environment, Value
from luthier.guard.risk.outputs import unescaped
from luthier.guard.syntax.nodes import Arithmetic, Part, Process, Script, Substitution, Text, Variable, Word
from luthier.guard.values.symbols import CLASS, HOME, NUMBER, QUESTION, STAR, UNKNOWN, UNSETTLED

# Longer than any real word or list of words; what goes past it is cut to an unknown value.
MOST_FIELDS = 256
MOST_CHARACTERS = 1 << 16

_OPEN, _COMMA, _CLOSE, _SPLIT, _EMPTY = "\ue010", "\ue011", "\ue012", "\ue013", "\ue014"
_MARKS = re.compile(f"[{_OPEN}{_COMMA}{_CLOSE}{_SPLIT}{_EMPTY}]")
_ACTIVE = re.compile(r"[*?\[{~,}]")
_UNMARK = str.maketrans({_OPEN: "{", _COMMA: ",", _CLOSE: "}", _EMPTY: None})
_MARK = str.maketrans({"*": STAR, "?": QUESTION, "{": _OPEN, ",": _COMMA, "}": _CLOSE})
_GLOBS = str.maketrans({"*": STAR, "?": QUESTION})
_BRACKET = re.compile(r"\[[!^]?\]?[^\]/]*\]")
_SEQUENCE = re.compile(r"(-?\d{1,6}|[A-Za-z])\.\.(-?\d{1,6}|[A-Za-z])(?:\.\.(-?\d{1,6}))?")
_TILDE = re.compile(r"~([A-Za-z_][A-Za-z0-9_.-]*|[+-])?(?=/|$|:)")
_SLICE = re.compile(r"\s*(-?\d+)\s*(?::\s*(-?\d+)\s*)?")

# `${name@L}` and its like; what quotes or describes the value is not followed.
_TRANSFORMS: dict[str, Callable[[str], str]] = {
    "L": str.lower,
    "U": str.upper,
    "u": lambda value: value[:1].upper() + value[1:],
    "E": unescaped,
}

RunScript = Callable[[Script, bool], str]


class Expander:
    """Expands words in one environment.

    `run` gives what a substitution prints, `connect` the path of a process substitution, `spend` is told the characters that were made,
    `evaluate` is handed arithmetic whose text holds a substitution.
    """

    def __init__(
        self,
        environment: Environment,
        run: RunScript,
        connect: Callable[[Process], str],
        spend: Callable[[int], None],
        evaluate: Callable[[str], object] = lambda text: None,
    ) -> None:
        self._environment = environment
        self._run, self._connect, self._spend = run, connect, spend
        self._evaluate = evaluate

    def fields(self, word: Word) -> list[str]:
        """The words that a program receives for this one: none, one or many."""
        plain = word.plain()
        if plain is not None and _ACTIVE.search(plain) is None:
            return [plain]
        marked = self._marked(word.parts)
        if _MARKS.search(marked) is None:
            return [_bounded(marked)] if marked or not word.parts or _is_quoted(word) else []
        fields: list[str] = []
        for braced in _braces(marked):
            for piece in braced.split(_SPLIT):
                if piece or (len(fields) == 0 and _SPLIT not in braced and _is_quoted(word)):
                    fields.append(_bounded(piece.translate(_UNMARK)))
                if len(fields) >= MOST_FIELDS:
                    return [*fields, UNKNOWN]
        return fields

    def text(self, word: Word) -> str:
        """The word as one text, as in an assignment or a redirection: no fields, no globs."""
        plain = word.plain()
        if plain is not None and "~" not in plain:
            return plain
        marked = self._marked(word.parts, splits=False)
        return _bounded(marked.replace(_SPLIT, " ").translate(_UNMARK))

    def _marked(self, parts: Sequence[Part], splits: bool = True) -> str:
        pieces: list[str] = []
        for index, part in enumerate(parts):
            if isinstance(part, Text):
                pieces.append(part.text if part.quoted else self._bare(part.text, index == 0, splits))
                if part.quoted and not part.text:
                    pieces.append(_EMPTY if splits else "")
            elif isinstance(part, Variable):
                pieces.append(self._variable(part, splits and not part.quoted))
            elif isinstance(part, Substitution):
                output = self._run(part.body, part.spans_hold).rstrip("\n")
                pieces.append(self._split(output) if splits and not part.quoted else output)
            elif isinstance(part, Arithmetic):
                pieces.append(self._arithmetic(part))
            else:
                pieces.append(self._connect(part))
        text = "".join(pieces)
        if len(text) > 1024:
            self._spend(len(text))
        return text

    def _bare(self, text: str, is_first: bool, splits: bool) -> str:
        if is_first and text[0] == "~" and (found := _TILDE.match(text)) is not None:
            text = self._home_of(found[1] or "") + text[found.end() :]
        if not splits or _ACTIVE.search(text) is None:
            return text
        if "[" in text:
            text = _BRACKET.sub(CLASS, text)
        return text.translate(_MARK)

    def _home_of(self, name: str) -> str:
        if name == "":
            value = self._environment.lookup("HOME")
            return value if isinstance(value, str) else HOME
        if name == "+":
            return self._environment.cwd
        if name == "-":
            return UNKNOWN
        return "/root" if name == "root" else f"/home/{name}"

    def _split(self, text: str) -> str:
        """An expansion outside quotes: its blanks divide fields, its globs act."""
        if "[" in text:
            text = _BRACKET.sub(CLASS, text)
        separators = self._environment.lookup("IFS")
        text = text.translate(_GLOBS)
        if not isinstance(separators, str) or UNSETTLED.search(separators):
            return text + UNKNOWN
        for separator in separators:
            text = text.replace(separator, _SPLIT)
        return text

    def _arithmetic(self, part: Arithmetic) -> str:
        text = self._marked(part.word.parts, splits=False)
        names = re.sub(r"[A-Za-z_]\w*", lambda found: _as_text(self._environment.lookup(found[0]) or "0"), text)
        if "$(" in names or "`" in names:  # A subscript in a variable's value is expanded, too.
            self._evaluate(names)
        if re.fullmatch(r"[\d\s+*()-]{1,40}", names):
            value = _sum(names)
            if value is not None:
                return str(value)
        return NUMBER

    def _variable(self, variable: Variable, splits: bool) -> str:
        value = self._value(variable)
        if isinstance(value, list):
            joined = (_SPLIT if variable.name == "@" or splits or _is_list(variable) else " ").join(value)
            return joined.translate(_GLOBS) if splits else joined
        return self._split(value) if splits else value

    def _value(self, variable: Variable) -> Value:
        environment, operator = self._environment, variable.operator
        if operator.startswith("#") and variable.word is None and operator == "#":
            return NUMBER
        value: Value | None = environment.lookup(variable.name)
        if operator.startswith("!"):
            operator = operator[1:]
            is_name = isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*|\d+|@", value) is not None
            value = environment.lookup(str(value)) if is_name else UNKNOWN
        if variable.index is not None:
            value = self._element(value, self._marked(variable.index.parts, splits=False))
        elif isinstance(value, list) and variable.name not in "@*":
            value = value[0] if value else ""
        if not operator:
            return UNKNOWN if value is None else value
        word = variable.word
        if operator.lstrip(":") in ("-", "=", "+", "?") and word is not None:
            return self._default(variable.name, value, operator, word)
        argument = self._marked(word.parts, splits=False) if word is not None else ""
        if operator + argument == "@P" and isinstance(value, str):  # A prompt: what it substitutes is run.
            self._evaluate(value)
        if value is None:
            return UNKNOWN
        if isinstance(value, list):
            if operator == ":" and (found := _SLICE.fullmatch(argument)):
                start = max(0, int(found[1]) - (variable.name in "@*"))
                return value[start : start + int(found[2]) if found[2] else None]
            return [_changed(item, operator, argument) for item in value]
        return _changed(value, operator, argument)

    def _element(self, value: Value | None, index: str) -> Value | None:
        if index in ("@", "*"):
            return [value] if isinstance(value, str) else value
        if isinstance(value, list):
            place = int(index) if re.fullmatch(r"-?\d{1,6}", index) else None
            return value[place] if place is not None and -len(value) <= place < len(value) else UNKNOWN
        return value if index == "0" else UNKNOWN

    def _default(self, name: str, value: Value | None, operator: str, word: Word) -> Value:
        """`:-` and its like. A variable that the text does not set is taken as not set: the text's own word is what it says."""
        if operator.endswith("+"):
            return self.text(word) if value is not None else UNKNOWN
        is_set = value is not None and not (operator.startswith(":") and value == "")
        if is_set and value is not None:
            return value
        if operator.endswith("?"):
            return UNKNOWN
        default = self.text(word)
        if operator.endswith("="):
            self._environment.variables[name] = default
        return default


def _is_quoted(word: Word) -> bool:
    return any(isinstance(part, Text) and part.quoted for part in word.parts)


def _is_list(variable: Variable) -> bool:
    index = variable.index
    return index is not None and bool(index.parts) and isinstance(index.parts[0], Text) and index.parts[0].text == "@"


def _as_text(value: Value) -> str:
    return value if isinstance(value, str) else " ".join(value)


def _bounded(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + UNKNOWN


def _sum(text: str) -> int | None:
    """The value of a product or sum of small whole numbers; None where it is anything else."""
    total = 0
    for sign, term in re.findall(r"([+-]?)\s*(\d{1,9}(?:\s*\*\s*\d{1,9})*)", text):
        product = 1
        for factor in term.split("*"):
            product *= int(factor)
        total += -product if sign == "-" else product
    written = re.sub(r"\s", "", text)
    return total if re.fullmatch(r"-?\d{1,9}(?:[+*-]\d{1,9}){0,8}", written) else None


def _changed(value: str, operator: str, argument: str) -> str:
    """`value` after `operator`, one of `${name#pattern}` and its like."""
    if (unsettled := UNSETTLED.findall(value)) and operator not in ("^^", ",,", "^", ","):
        return "".join(dict.fromkeys(unsettled))
    if operator == ":":
        found = _SLICE.fullmatch(argument)
        if found is None:
            return UNKNOWN
        rest = value[int(found[1]) :]
        return rest if found[2] is None else rest[: int(found[2])]
    if operator.startswith(("#", "%")):
        return _trimmed(value, operator, argument)
    if operator.startswith("/"):
        return _replaced(value, operator, argument)
    if operator in ("^^", "^"):
        return value.upper() if operator == "^^" else value[:1].upper() + value[1:]
    if operator in (",,", ","):
        return value.lower() if operator == ",," else value[:1].lower() + value[1:]
    transform = _TRANSFORMS.get(argument) if operator == "@" else None
    return UNKNOWN if transform is None else transform(value)


def _glob(pattern: str) -> re.Pattern[str]:
    plain = pattern.replace(STAR, "*").replace(QUESTION, "?").replace(CLASS, "?")
    return re.compile(fnmatch.translate(plain[:200]))


def _trimmed(value: str, operator: str, pattern: str) -> str:
    if len(value) > 4096:
        return UNKNOWN
    glob, longest = _glob(pattern), len(operator) == 2
    ends = range(len(value), -1, -1) if longest else range(len(value) + 1)
    for size in ends:
        piece = value[:size] if operator[0] == "#" else value[len(value) - size :]
        if glob.match(piece):
            return value[size:] if operator[0] == "#" else value[: len(value) - size]
    return value


def _replaced(value: str, operator: str, argument: str) -> str:
    pattern, _, replacement = argument.partition("/")
    if not pattern or any(character in pattern for character in "*?[" + STAR + QUESTION + CLASS):
        return UNKNOWN
    if operator == "//":
        return value.replace(pattern, replacement)
    if operator.endswith("#"):
        return replacement + value[len(pattern) :] if value.startswith(pattern) else value
    if operator.endswith("%"):
        return value[: len(value) - len(pattern)] + replacement if value.endswith(pattern) else value
    return value.replace(pattern, replacement, 1)


# Characters that the expansion of one word's braces copies.
_MOST_COPIED = 1 << 22


def _braces(text: str) -> list[str]:
    """`text` with its marked braces expanded, at most `MOST_FIELDS` words."""
    if _OPEN not in text:
        return [text]
    waiting = [text]
    done: list[str] = []
    copied = 0
    while waiting and len(done) + len(waiting) <= MOST_FIELDS and copied < _MOST_COPIED:
        current = waiting.pop()
        copied += len(current)
        place = _innermost(current)
        if place is None:
            done.append(current)
            continue
        start, end = place
        inner = current[start + 1 : end]
        choices = inner.split(_COMMA) if _COMMA in inner else _sequence(inner)
        if choices is None:  # Braces that mean themselves.
            waiting.append(current[:start] + "{" + inner + "}" + current[end + 1 :])
        else:
            waiting += [current[:start] + choice + current[end + 1 :] for choice in reversed(choices)]
    return done + ([UNKNOWN] if waiting else [])


def _innermost(text: str) -> tuple[int, int] | None:
    end = text.find(_CLOSE)
    while end >= 0:
        start = text.rfind(_OPEN, 0, end)
        if start >= 0:
            return start, end
        end = text.find(_CLOSE, end + 1)
    return None


def _sequence(inner: str) -> list[str] | None:
    found = _SEQUENCE.fullmatch(inner)
    if found is None:
        return None
    first, last = found[1], found[2]
    step = abs(int(found[3] or 1)) or 1
    if first.lstrip("-").isdigit() and last.lstrip("-").isdigit():
        low, high = int(first), int(last)
        if abs(high - low) // step > 64:  # All of them are numbers, none holds a slash.
            return [NUMBER]
        width = max(len(first), len(last)) if first.startswith("0") or last.startswith("0") else 0
        numbers = range(low, high + 1, step) if low <= high else range(low, high - 1, -step)
        return [str(number).zfill(width) for number in numbers]
    if first.isalpha() and last.isalpha():
        low, high = ord(first), ord(last)
        return [chr(code) for code in (range(low, high + 1, step) if low <= high else range(low, high - 1, -step))]
    return None
