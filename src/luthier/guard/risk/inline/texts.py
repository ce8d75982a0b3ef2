"""Values as far as reading alone can know them: constants, references to what is imported, things such as an open file.

A text holds the characters of `luthier.guard.values.symbols` where it is not constant. Every function here bounds what it makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from luthier.guard.values.symbols import DECODED, HOME, NETWORK, SECRET, STAR, UNKNOWN

# Longer than any command: what grows beyond it is no longer followed.
MAX_TEXT = 1 << 16
_SPECIAL = re.compile("[\ue000-\ue00a]")
_TAINTS = (NETWORK, SECRET, DECODED)
_OPEN = re.compile("[\ue000-\ue003]")


class DecodedText(str):
    """A constant text that was written encoded."""

    __slots__ = ()


class DecodedBytes(bytes):
    """Constant bytes that were written encoded."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Ref:
    """A name that is reached: a module, a function, or the method `name` of `receiver`."""

    name: str
    receiver: object = None


@dataclass(frozen=True, slots=True)
class Thing:
    """An object of a known kind, such as `path` or `socket`, with the text that matters of it."""

    kind: str
    text: str = UNKNOWN


# A value is a str, bytes, number, None, tuple, dict, Ref, Thing, or a function of the language that is read.
Value = object


def is_constant(text: str) -> bool:
    """Whether no part of `text` is known only when it runs."""
    return _SPECIAL.search(text) is None


def is_open(text: str) -> bool:
    """Whether part of `text` may be anything, so that methods of it are not worked out."""
    return _OPEN.search(text) is not None


def text_of(value: Value) -> str:
    """The text that a value is where a path, command or message is meant."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return keep(value.decode("utf-8", "replace"), value)
    if isinstance(value, int | float):
        # Python refuses to print integers of more than 4,300 digits.
        return UNKNOWN if isinstance(value, int) and value.bit_length() > 1024 else str(value)
    if isinstance(value, Thing):
        return value.text
    return taint((value,))


def words_of(value: Value) -> list[str]:
    """The texts of a list, or of a single value."""
    if isinstance(value, tuple):
        return [word for item in value[:200] for word in (words_of(item) if isinstance(item, tuple) else [text_of(item)])]
    return [text_of(value)]


def taint(values: Iterable[Value], depth: int = 4) -> str:
    """Where the result of something not followed comes from: the network, a secret, decoded data, or just anywhere."""
    found: set[str] = set()
    for value in values:
        if isinstance(value, str):
            text = value
        elif isinstance(value, Thing):
            text = value.text
        elif isinstance(value, Ref):
            text = taint((value.receiver,), depth - 1) if depth and value.receiver is not None else ""
        elif isinstance(value, tuple | dict) and depth:
            text = taint(value.values() if isinstance(value, dict) else value, depth - 1)
        else:
            continue
        found.update(mark for mark in _TAINTS if mark in text)
    return "".join(sorted(found)) or UNKNOWN


def keep(text: str, *sources: Value) -> str:
    """`text`, remembered as decoded where one of its sources was; a text that is too long is any text."""
    if len(text) > MAX_TEXT:
        return taint(sources)
    return DecodedText(text) if any(isinstance(source, DecodedText | DecodedBytes) for source in sources) else text


def keep_bytes(data: bytes, *sources: Value) -> Value:
    """`data`, remembered as decoded where one of its sources was."""
    if len(data) > MAX_TEXT:
        return taint(sources)
    return DecodedBytes(data) if any(isinstance(source, DecodedText | DecodedBytes) for source in sources) else data


def add(left: Value, right: Value) -> Value:
    """`left + right` as most languages mean it: texts and lists are joined, numbers added."""
    if isinstance(left, bytes) and isinstance(right, bytes):
        return keep_bytes(left + right, left, right)
    if isinstance(left, tuple) and isinstance(right, tuple):
        return left + right if len(left) + len(right) < 5000 else UNKNOWN
    if isinstance(left, int | float) and isinstance(right, int | float):
        return left + right
    return concat(left, right)


def concat(left: Value, right: Value) -> str:
    """Two values as one text."""
    first, second = text_of(left), text_of(right)
    return keep(first + second, first, second)


def repeat(value: Value, times: Value) -> Value:
    """`value * times` for a text or a list, within bounds."""
    if isinstance(value, int) and isinstance(times, str | bytes | tuple):
        value, times = times, value
    if not isinstance(times, int):
        return taint((value, times))
    if isinstance(value, str | bytes | tuple):
        if len(value) * max(times, 0) > MAX_TEXT:
            return taint((value,))
        return (
            keep(value * times, value)
            if isinstance(value, str)
            else keep_bytes(value * times, value)
            if isinstance(value, bytes)
            else value * times
        )
    if isinstance(value, int) and value.bit_length() + times.bit_length() < 256:
        return value * times
    return UNKNOWN


def join_path(parts: Iterable[Value]) -> str:
    """`os.path.join`: an absolute part starts again."""
    path = ""
    for part in parts:
        text = text_of(part)
        path = text if text.startswith(("/", HOME)) or not path else keep(path.rstrip("/") + "/" + text, path, text)
    return path


def expand_home(value: Value) -> str:
    """`~` at the start of a path as the home folder; another user's home is not known further."""
    text = text_of(value)
    if text == "~" or text.startswith("~/"):
        return HOME + text[1:]
    return text


def glob(value: Value) -> str:
    """A file pattern with its wildcards active."""
    return re.sub(r"\*+", STAR, text_of(value))


_REACHING = frozenset(["os", "subprocess", "shutil", "posix", "pty", "pathlib", "exec", "eval", "builtins", "socket"])


def element_of(value: Value) -> Value:
    """What a loop over a list sees: its only item, or something of unknown content."""
    if isinstance(value, tuple):
        return value[0] if len(value) == 1 else taint(value)
    return taint((value,))


def merge(left: Value, right: Value) -> Value:
    """A value that may be either; of two functions or modules the one that starts programs or reaches files."""
    if isinstance(right, Ref) and (not isinstance(left, Ref) or right.name.split(".")[0] in _REACHING):
        left, right = right, left
    if isinstance(left, Ref) and left.receiver is None:
        return left
    if left is right or (type(left) is type(right) and left == right):
        return left
    return taint((left, right))
