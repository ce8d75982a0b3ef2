"""Text from elsewhere in a form that shows every character and acts on nothing."""

from __future__ import annotations


def visible(text: str) -> str:
    r"""`text` with every character that is not plainly seen as `\x1b` or `\u202e`, so that an answer cannot act on the terminal.

    Line breaks and tabs stay; blanks other than the space, marks of direction and half characters do not.
    """
    return "".join(character if character.isprintable() or character in "\n\t" else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
