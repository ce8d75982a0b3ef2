"""An answer with its slots masked: two commands that differ in a file name or a number alone then read the same."""

from __future__ import annotations

import re

MARK = "<*>"

# Each alternative begins where no character of its own kind precedes: a long word is scanned once, not once a character.
_SLOT = re.compile(
    r"""
      (?<!\w)'[^'\n]*'(?!\w)                                   # quoted
    | (?<![\w\\])"(?:[^"\\\n]|\\.)*"
    | \{\{[^{}\n]*\}\}                                          # a placeholder of tldr pages
    | (?<![\w<])<[A-Za-z][\w .-]*>
    | (?<![\w+.-])[A-Za-z][A-Za-z0-9+.-]*://[^\s'"`)>\]]+       # a URL
    | \$\{[^{}\n]*\} | \$\w+                                    # a variable
    | (?<![\w.+-])[\w.+-]+@[\w.-]+                              # a user at a host
    | (?<![\w.~/-])(?:~|\.{1,2})?(?:/[\w.@%+~*:-]+)+/?          # a path
    | (?<![\w.~/-])[\w.][\w.-]*/(?:[\w.@%+~*:-]+/?)*
    | (?<![\w.-])\d[\d.,:]*[A-Za-z%]{0,3}(?!\w)                 # a number, an address of a network, a size
    | (?<![\w.-])[\w*][\w*-]*(?:\.[\w*-]+)+                     # a file name with an ending, a host
    """,
    re.VERBOSE,
)


def masked(answer: str) -> str:
    """`answer` with one mark for each quoted text, path, number, host, URL, variable and file name; programs and flags stay."""
    return " ".join(_SLOT.sub(MARK, answer).split())


def has_words(mask: str) -> bool:
    """Whether a masked answer holds more than marks: what is all slots says nothing of the rows that share it."""
    return re.search(r"\w", mask.replace(MARK, " ")) is not None
