"""JSON out of a model's reply, read as it was meant where that is beyond doubt, and refused where it is not.

Accepted beside JSON itself: prose and fences around it, a leading `<think>` block, trailing commas, single quotes, control characters
inside strings, `True False None`, and a cut end where every required field stands whole before the cut. Refused: unquoted words, missing
commas or colons, quotes inside a string that are not escaped, unknown escapes, a key twice, two different answers, an answer inside a
broken one. Every character is looked at a bounded number of times, so hostile replies cost time in proportion to their length.

The package `json-repair` was tried (0.64.5, MIT). Also with `strict=True` it makes `"tru"` of `tru`, drops a key without a value, keeps the
last of two equal keys, closes a cut string as if it were whole, and does not tell what it did: it guesses content, which a row must not
hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from luthier.core.records import JsonObject, JsonValue
from luthier.core.text import is_unicode

Kind = Literal["text", "number", "texts", "text or null"]
Shape = Mapping[str, Kind]
Why = Literal["none", "broken", "cut", "ambiguous", "schema"]

# No shape that a task asks for is nested more deeply than two.
DEEPEST = 16
_LONGEST_NUMBER = 40

_BLANK = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NUMBER_CHARACTERS = re.compile(r"[-+.\dA-Za-z_]+")
_WORDS: Mapping[str, JsonValue] = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_PLAIN = {'"': re.compile(r'[^"\\]*'), "'": re.compile(r"[^'\\]*")}
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "'": "'"}
_HEX = re.compile(r"[0-9a-fA-F]{4}")
_OPENING = re.compile(r"[{\[]")
_THOUGHT = re.compile(r"\s*<think(?:ing)?>")
_THOUGHT_END = re.compile(r"</think(?:ing)?>")


class Unreadable(ValueError):
    """Why a reply is not read: there is `none` in it, it is `broken`, `cut`, `ambiguous`, or not of the shape (`schema`)."""

    def __init__(self, why: Why, detail: str) -> None:
        super().__init__(detail)
        self.why: Why = why


class _Broken(Exception):
    """What stands at `position` cannot be read."""

    def __init__(self, position: int, detail: str) -> None:
        super().__init__(detail)
        self.position = position


@dataclass(slots=True)
class _Attempt:
    """Reading one value. `has_content`: a key with its colon, or an item of a list, was read; `is_cut`: the text ended before the value."""

    text: str
    has_content: bool = False
    is_cut: bool = False

    def value(self, start: int, depth: int) -> tuple[JsonValue, int]:
        """The value at `start`, and where it ends."""
        if start >= len(self.text):
            raise _Cut
        character = self.text[start]
        if character in "{[":
            if depth == DEEPEST:
                raise _Broken(start, f"nested more than {DEEPEST} deep")
            return self._object(start, depth) if character == "{" else self._list(start, depth)
        if character in _PLAIN:
            return self._string(start)
        return self._scalar(start)

    def _blank(self, start: int) -> int:
        match = _BLANK.match(self.text, start)
        end = match.end() if match is not None else start
        if end >= len(self.text):
            raise _Cut
        return end

    def _object(self, start: int, depth: int) -> tuple[JsonValue, int]:
        found: JsonObject = {}
        position = start + 1
        try:
            while self.text[position := self._blank(position)] != "}":
                if self.text[position] not in _PLAIN:
                    raise _Broken(position, "a key in quotes is missing")
                key, position = self._string(position)
                if self.text[position := self._blank(position)] != ":":
                    raise _Broken(position, f"a colon is missing behind a key of {len(key):,} characters")
                self.has_content = True
                value, position = self.value(self._blank(position + 1), depth + 1)
                if key in found:
                    raise _Broken(position, f"a key of {len(key):,} characters stands twice")
                if self.is_cut:
                    return found, position
                found[key] = value
                position = self._behind(position, "}")
        except _Cut:
            self.is_cut = True
            return found, len(self.text)
        return found, position + 1

    def _list(self, start: int, depth: int) -> tuple[JsonValue, int]:
        found: list[JsonValue] = []
        position = start + 1
        try:
            while self.text[position := self._blank(position)] != "]":
                value, position = self.value(position, depth + 1)
                if self.is_cut:
                    return found, position
                self.has_content = True
                found.append(value)
                position = self._behind(position, "]")
        except _Cut:
            self.is_cut = True
            return found, len(self.text)
        return found, position + 1

    def _behind(self, position: int, closing: str) -> int:
        """Where the next entry or `closing` stands: behind one comma, or at once."""
        position = self._blank(position)
        if self.text[position] == ",":
            return position + 1
        if self.text[position] != closing:
            raise _Broken(position, "a comma is missing, or a quote inside a text is not escaped")
        return position

    def _string(self, start: int) -> tuple[str, int]:
        quote = self.text[start]
        plain = _PLAIN[quote]
        parts: list[str] = []
        position = start + 1
        while True:
            match = plain.match(self.text, position)
            end = match.end() if match is not None else position
            parts.append(self.text[position:end])
            if end >= len(self.text):
                raise _Cut
            if self.text[end] == quote:
                return _joined(parts, end), end + 1
            if end + 1 >= len(self.text):
                raise _Cut
            escaped = self.text[end + 1]
            if escaped == "u":
                if end + 6 > len(self.text):
                    raise _Cut
                if not (digits := _HEX.match(self.text, end + 2)):
                    raise _Broken(end, "an escape that JSON does not have")
                parts.append(chr(int(digits[0], 16)))
                position = end + 6
            elif escaped in _ESCAPES:
                parts.append(_ESCAPES[escaped])
                position = end + 2
            else:
                raise _Broken(end, "an escape that JSON does not have")

    def _scalar(self, start: int) -> tuple[JsonValue, int]:
        match = _NUMBER_CHARACTERS.match(self.text, start)
        if match is None:
            raise _Broken(start, "no value stands where one is due")
        word, end = match[0], match.end()
        if word in _WORDS:
            return _WORDS[word], end
        if end >= len(self.text):  # More digits may have followed.
            raise _Cut
        if len(word) > _LONGEST_NUMBER or not _NUMBER.fullmatch(word):
            # Where the word begins, for a bracket may follow in it; its own characters are none.
            raise _Broken(end, f"a word of {len(word):,} characters is no value")
        return (float(word) if any(sign in word for sign in ".eE") else int(word)), end


class _Cut(Exception):
    """The text ended inside a value."""


def _joined(parts: list[str], position: int) -> str:
    """The pieces as one text, halves of characters put together."""
    text = "".join(parts)
    if is_unicode(text):
        return text
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise _Broken(position, "half a character stands in a text") from None


def read(reply: str, shape: Shape) -> JsonObject:
    """The one object in `reply` that has the fields of `shape`; `Unreadable` where there is none, or not beyond doubt one.

    Every field of `shape` is required; fields beside them are left as they are. A number is finite, and neither a text nor a truth value.
    """
    start = _behind_thoughts(reply)
    found: list[JsonObject] = []
    others: list[str] = []
    while (opening := _OPENING.search(reply, start)) is not None:
        attempt = _Attempt(reply)
        try:
            value, start = attempt.value(opening.start(), 0)
        except _Broken as error:
            if attempt.has_content:
                raise Unreadable("broken", f"the JSON breaks off at character {error.position + 1}: {error}") from None
            # Brackets of prose: nothing of them was read.
            start = max(error.position, opening.start() + 1)
            continue
        if isinstance(value, dict) and value and not (problem := misfit(value, shape)):
            found.append(value)
        elif attempt.is_cut and attempt.has_content:
            raise Unreadable("cut", "the reply ends before its required fields are whole")
        elif isinstance(value, dict) and value:
            others.append(problem)
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            others.append("the reply is a list of objects, where one object is due")
    if not found:
        if others:
            raise Unreadable("schema", others[0])
        raise Unreadable("none", "there is no JSON object in the reply")
    if any(not _same(other, found[0]) for other in found[1:]):
        raise Unreadable("ambiguous", f"the reply gives {len(found)} different answers")
    return found[0]


def _behind_thoughts(reply: str) -> int:
    """Where the reply proper begins."""
    if not _THOUGHT.match(reply):
        return 0
    ends = [match.end() for match in _THOUGHT_END.finditer(reply)]
    if not ends:
        raise Unreadable("cut", "the reply ends before its thoughts do")
    return ends[-1]


def misfit(value: JsonObject, shape: Shape) -> str:
    """What of `shape` the object lacks, in words; empty where it fits."""
    for name, kind in shape.items():
        if name not in value:
            return f"the field `{name}` is missing"
        if not _fits(value[name], kind):
            return f"the field `{name}` is no {kind}"
    return ""


def _fits(value: JsonValue, kind: Kind) -> bool:
    if kind == "number":
        return type(value) in (int, float) and abs(value) != float("inf")
    if kind == "texts":
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, str) or (value is None and kind == "text or null")


def _same(first: JsonObject, second: JsonObject) -> bool:
    # As text, for 1 and True are equal to Python.
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
