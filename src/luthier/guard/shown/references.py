"""What an answer names and nobody would run: addresses of pages, links to them, files that it speaks of."""

from __future__ import annotations

import re

# Without blanks, quotes, expansions and operators; a `&` begins a value of the query and no command.
_ADDRESS = r"https?://(?:[\w.~:/?#\[\]@!*+,=%-]|\([\w-]*\)|&(?:amp;)?[\w.~%\[\]-]+=)+"
_LINK = rf"!?\[(?:(?! -)[^\[\]\n`$])*\]\({_ADDRESS}\)"
_REFERENCE = re.compile(rf"(?:{_ADDRESS}|<{_ADDRESS}>|{_LINK})[.,;:]?")
_PART = re.compile(r"!?\[[^\[\]\n]*\]\(\S*\)\S*|\S+")
_BULLET = re.compile(r"^[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+", re.MULTILINE)
# Endings of what is run by its name alone.
_RUN = "sh|bash|zsh|fish|csh|ksh|command|run|bin|out|exe|com|bat|cmd|ps1|vbs|msi|app|appimage|jar|desktop"
_FILE = re.compile(rf"(?!\.{{0,2}}/)(?:[\w@+-][\w.@+-]*/)*[\w@+-][\w.@+-]*\.(?!(?:{_RUN})$)[A-Za-z][A-Za-z0-9]{{0,7}}(?::\d+(?:-\d+)?)?")
_TOLD_TO_RUN = re.compile(
    r"\b(?:run|execute|type|enter|issue|call|start|launch|invoke)(?:s|ning)?\b(?: (?:this|it|the|script|program|file|command)){0,3}:?\s*\Z",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[^\W\d_]{2,}")


def is_reference(text: str) -> bool:
    """Whether `text` is addresses of pages and links to them alone, also as a list: no shell finds a program by such a name."""
    return "://" in text and all(map(_REFERENCE.fullmatch, _PART.findall(_BULLET.sub("", text))))


def is_spoken_of(text: str, before: str, after: str) -> bool:
    """Whether inline code is the name of a file that a sentence speaks of: `before` and `after` are the rest of its line.

    A name by which a shell would run something (`./x`, `/x`, `x.sh`), and whatever the sentence tells its reader to run, is none.
    """
    is_sentence = len(_WORDS.findall(f"{before} {after}")) >= 2
    return is_sentence and _FILE.fullmatch(text) is not None and _TOLD_TO_RUN.search(before) is None
