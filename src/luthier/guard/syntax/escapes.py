"""Escapes in `$'...'` (Bash Reference Manual, section 3.1.2.4, "ANSI-C Quoting"), and line continuations inside words."""

from __future__ import annotations

import re

# What no text can hold: a byte that is no character, the half of a surrogate pair, a number above U+10FFFF.
NO_CHARACTER = "\ufffd"

_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|x\{([0-9a-fA-F]*)\}?|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|c(\\\\|.)|(.))", re.DOTALL
)
_OPEN_NAME = re.compile(r"\$[A-Za-z0-9_]*\Z")
_LONGEST_NAME = 256
_LETTERS = {"a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def unescaped(text: str) -> str:
    """What `$'text'` stands for, up to its first zero byte; bytes above 127 are read as UTF-8."""
    if "\\" not in text:
        return text
    pieces: list[bytes] = []
    position = 0
    for found in _ESCAPE.finditer(text):
        pieces += (text[position : found.start()].encode("utf-8", "surrogatepass"), _bytes(found))
        position = found.end()
    pieces.append(text[position:].encode("utf-8", "surrogatepass"))
    return b"".join(pieces).split(b"\0", 1)[0].decode("utf-8", "replace")


def _bytes(found: re.Match[str]) -> bytes:
    """What one escape stands for."""
    short_byte, long_byte, short, long, octal, control, letter = found.groups()
    if long_byte is not None:
        return bytes((int(long_byte[-2:] or "0", 16),))
    if code := short_byte or octal:
        return bytes((int(code, 8 if octal else 16) & 0xFF,))
    if code := short or long:
        value = int(code, 16)
        return (chr(value) if value < 0x110000 and not 0xD800 <= value < 0xE000 else NO_CHARACTER).encode()
    if control:
        first, *others = control[:1].encode("utf-8", "surrogatepass")
        return b"\x7f" if control == "?" else bytes((first & 0x1F, *others))
    return _LETTERS.get(letter, letter if letter in "\\'\"?" else "\\" + letter).encode("utf-8", "surrogatepass")


def continuation(text: str, position: int, quoted: bool) -> tuple[int, bool]:
    """Where the line continuations that begin at `position` end, and whether they part what bash reads as one.

    That is `$` and a name, or outside quotes a name or number and the `=`, `[`, `<` or `>` after it.
    """
    end = position
    while text.startswith("\\\n", end):
        end += 2
    following = text[end : end + 1]
    has_name = _OPEN_NAME.search(text, max(0, position - _LONGEST_NAME), position) is not None
    joins_name = has_name and (following.isalnum() or following in tuple("_{[('\""))
    return end, joins_name or (not quoted and following in tuple("=+[<>("))
