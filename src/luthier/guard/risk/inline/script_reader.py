"""Tokens of a script with what its names hold: literals, strings with what is computed inside them, attributes."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from luthier.guard.risk.inline.calls import table
from luthier.guard.risk.inline.found import Findings
from luthier.guard.risk.inline.results import is_fetching, variable
from luthier.guard.risk.inline.script_tokens import SYNTAXES, Scanner, Token
from luthier.guard.risk.inline.texts import Ref, Thing, Value, concat, keep
from luthier.guard.values.symbols import NETWORK, SECRET, UNKNOWN

_MAX_TOKENS = 60_000
_MAX_INNER = 4
_END = Token("end", "", 0, 0)
OPENERS = {"(": ")", "[": "]", "{": "}"}
_ESCAPE = re.compile(r"\\(x\{?[0-9A-Fa-f]{1,6}\}?|u\{?[0-9A-Fa-f]{1,6}\}?|[0-7]{1,3}|(?s:.))")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b", "\n": ""}
_INTERPOLATIONS = {
    "#{": re.compile(r"#\{"),
    "${": re.compile(r"\$\{"),
    "perl": re.compile(r"[$@]\{|\$\w+(?:::\w+)*(?:->)?(?:\{[^{}]{0,80}\}|\[[^\[\]]{0,80}\])?|@[A-Za-z_]\w*"),
    "php": re.compile(r"\{\$|\$\{|\$\w+(?:\[[^\[\]]{0,80}\]|->\w+)?"),
    "julia": re.compile(r"\$\(|\$\w+"),
}


class TooDeep(Exception):
    """The code is deeper or longer than is followed."""


class Place:
    """A name and its value: it may be assigned to."""

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: Value) -> None:
        self.name = name
        self.value = value


def plain(value: Value) -> Value:
    """The value without the name that it is reached by."""
    return value.value if isinstance(value, Place) else value


class Cursor(ABC):
    """Goes through the tokens once; what evaluates expressions builds on it."""

    def __init__(self, language: str, code: str, findings: Findings, outer: Cursor | None = None, offset: int = 0) -> None:
        self.language = language
        self.syntax = SYNTAXES[language]
        self.table = table(language, "scripts")
        self.findings = findings
        self.tokens = Scanner(language, code).read()
        self.position = 0
        self.depth: int = 0 if outer is None else outer.depth + 1
        self.inner: int = 0 if outer is None else outer.inner + 1
        self.offset = offset
        self.names: dict[str, Value] = {} if outer is None else outer.names
        self.loops: int = 0 if outer is None else outer.loops
        self.subject: Value = UNKNOWN
        if len(self.tokens) > _MAX_TOKENS:
            raise TooDeep

    def peek(self, ahead: int = 0) -> Token:
        """The token at hand, or one after it."""
        index = self.position + ahead
        return self.tokens[index] if index < len(self.tokens) else _END

    def take(self) -> Token:
        """The token at hand, passed."""
        token = self.peek()
        self.position += 1
        return token

    def is_operator(self, *texts: str) -> bool:
        """Whether the token at hand is one of these operators."""
        token = self.peek()
        return token.kind == "operator" and token.text in texts

    def skip_lines(self) -> None:
        while self.peek().kind == "line":
            self.position += 1

    def literal(self, token: Token) -> Value:
        if token.kind == "number":
            try:
                return (
                    int(token.text.replace("_", ""), 0)
                    if not token.text.startswith("0") or (token.text[1:2] in "xXbo" and token.text[1:])
                    else int(token.text, 8)
                )
            except ValueError:
                return UNKNOWN
        if token.kind == "words":
            return tuple(token.text.split()[:2000])
        text = self.interpolated(token)
        if token.kind == "shell":
            if self.language == "julia":
                return text
            self.findings.add("shell", (text,), self.offset + token.start, self.offset + token.end)
            return NETWORK if is_fetching(text) else UNKNOWN
        return text

    def interpolated(self, token: Token) -> str:
        """A string's text: escapes read, inner expressions evaluated."""
        pattern = _INTERPOLATIONS.get(self.syntax.interpolation)
        text = token.text
        if not token.cooked:
            return text
        if pattern is None or (self.language == "javascript" and token.kind == "text"):
            return _unescaped(text)
        whole: str = ""
        position = 0
        for _ in range(500):
            match = pattern.search(text, position)
            if match is None:
                break
            if _is_escaped(text, match.start()):
                whole = concat(whole, _unescaped(text[position : match.end()]))
                position = match.end()
                continue
            whole = concat(whole, _unescaped(text[position : match.start()]))
            value, position = self._inner(text, match, token)
            whole = concat(whole, value)
        return concat(whole, _unescaped(text[position:]))

    def _inner(self, text: str, match: re.Match[str], token: Token) -> tuple[Value, int]:
        opener = match[0][-1]
        if opener in "{(" and len(match[0]) == 2:
            end = _closing(text, match.end(), opener)
            code = text[match.end() : end]
            if match[0] == "{$":
                code = "$" + code
            elif match[0] in ("${", "@{") and self.language in ("perl", "php") and re.fullmatch(r"\w{1,80}", code):
                return plain(self.names.get(code, UNKNOWN)), end + 1
            return self.nested(code, token.start + match.start()), end + 1
        return self.nested(match[0] if match[0][0] in self.syntax.sigils else match[0][1:], token.start + match.start()), match.end()

    def nested(self, code: str, start: int) -> Value:
        """The value of code inside a string."""
        if self.inner >= _MAX_INNER:
            self.findings.add("dynamic", (), self.offset + start, self.offset + start + len(code))
            return UNKNOWN
        return plain(type(self)(self.language, code, self.findings, self, self.offset + start).read()) or UNKNOWN

    def global_value(self, token: Token, name: str) -> Value:
        if name in ("ENV", "_ENV", "_SERVER") or (self.language == "perl" and name == "ENV"):
            return Thing("environ", SECRET)
        return UNKNOWN

    def reference(self, name: str) -> Value:
        plain_name = self.table.names.get(name)
        if plain_name is None:
            return Place(name, Ref(name) if name.split(".", maxsplit=1)[0] in self.table.roots or name[:1].isupper() else UNKNOWN)
        if plain_name[0].startswith("="):
            return plain_name[0][1:]
        if plain_name[0].startswith("@"):
            return Thing(plain_name[0][1:], SECRET if plain_name[0] == "@environ" else UNKNOWN)
        return Ref(plain_name[1]) if plain_name[0] == "ref" else UNKNOWN

    def attribute(self, base: Value, name: str) -> Value:
        """`base.name`."""
        base = plain(base)
        if isinstance(base, Ref) and base.receiver is None:
            full = f"{base.name}.{name}" if self.syntax.case else f"{base.name}.{name.lower()}"
            if full in self.table.names:
                return self.reference(full)
            return Ref(full)
        if isinstance(base, Thing) and base.kind == "environ":
            return variable(name)
        if isinstance(base, dict) and name in base:
            return plain(base[name])
        return Ref("@." + name, base)

    @abstractmethod
    def read(self) -> Value:
        """Everything to the end; gives the last value."""


def _is_escaped(text: str, position: int) -> bool:
    count = 0
    while count < 50 and position - count > 0 and text[position - count - 1] == "\\":
        count += 1
    return count % 2 == 1


def _closing(text: str, position: int, opener: str) -> int:
    """Where the bracket opened just before `position` closes."""
    closer = OPENERS[opener]
    depth = 1
    while position < len(text):
        letter = text[position]
        if letter == opener:
            depth += 1
        elif letter == closer:
            depth -= 1
            if not depth:
                return position
        position += 1
    return len(text)


def _unescaped(text: str) -> str:
    """Backslash escapes of a string in double quotes."""
    if "\\" not in text:
        return text

    def replaced(match: re.Match[str]) -> str:
        body = match[1]
        if body[0] in "xu" and len(body) > 1:
            number = int(body[1:].strip("{}"), 16)
            return chr(number) if number < 0x110000 else UNKNOWN
        if body[0] in "01234567" and (len(body) > 1 or body == "0"):
            return chr(int(body, 8))
        return _LETTERS.get(body, body)

    return keep(_ESCAPE.sub(replaced, text), text)
