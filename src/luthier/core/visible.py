"""Text from elsewhere in a form that shows every character and acts on nothing."""

from __future__ import annotations

from pathlib import Path

from luthier.core.errors import Problem

_SHOWN_BYTES = 40


def visible(text: str) -> str:
    r"""`text` with every character that is not plainly seen as `\x1b` or `\u202e`, so that an answer cannot act on the terminal.

    Line breaks and tabs stay; blanks other than the space, marks of direction and half characters do not.
    """
    return "".join(character if character.isprintable() or character in "\n\t" else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def not_utf8(error: UnicodeDecodeError, path: Path) -> Problem:
    """What is wrong with a file of text that is no UTF-8: the line, and what stands around the first such byte."""
    # Counted in what was decoded, which a byte-order mark does not belong to.
    decoded: bytes = error.object
    line = decoded.count(b"\n", 0, error.start) + 1
    start = max(decoded.rfind(b"\n", 0, error.start) + 1, error.start - _SHOWN_BYTES)
    shown = visible(decoded[start : error.start + _SHOWN_BYTES].split(b"\n", 1)[0].decode("utf-8", "backslashreplace"))
    hint = "save it as UTF-8; `iconv -f latin1 -t utf-8` turns the most frequent other encoding into it"
    found = f"byte 0x{decoded[error.start]:02x} in: {shown}"
    return Problem("the file is not UTF-8 text", where=f"{path}:{line}", found=found, hint=hint)
