"""Passwords that a program reads from its standard input: `echo 'bob:x' | chpasswd`, `<<<`, a here-document, `--password-stdin`.

`piped(text, lowered)` yields the character spans. What reads a password there says by itself that one stands there, as in `command_lines`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from luthier.guard.secrets.finders.assigned import Span
from luthier.guard.secrets.finders.command_lines import is_about, stands_for_one

# One of these stands in every command that reads a password.
_READERS = ("passwd", "-stdin", "sudo", "cryptsetup", "-fd", "kinit", "smbpasswd", "su ")
_READER = re.compile(
    r"\b(?:(?P<pairs>chpasswd)"
    r"|(?:vncpasswd|smbpasswd)(?=\s[^\n|;&]{0,60}?-[fs])|passwd|cryptsetup|kinit|su(?=\s)"
    r"|gpg2?(?=\s[^\n|;&]{0,200}?--passphrase-fd)"
    r"|sudo\s{1,4}(?:-[A-Za-z-]{1,20}\s{1,4}){0,4}(?:-[A-Za-z]{0,5}S\b|--stdin\b)"
    r"|[a-z][\w-]{1,30}(?=\s[^\n|;&<]{0,200}?--(?:password-stdin|with-token|passphrase-stdin|passin stdin)\b))"
)
# What may stand between a pipe and the program.
_IN_FRONT = re.compile(
    r"\|\s{0,4}(?:\\?\r?\n\s{0,8})?(?:sudo\s{1,4}(?:-[A-Za-z]{1,3}\s{1,4}(?:[\w.-]{1,30}\s{1,4})??){0,3})?(?:/\w{1,6}){0,3}/?\Z"
)
_PRINTS = re.compile(r"(?<![\w-])(?:echo|printf|yes|print)\s{1,4}(?:-[neE]{1,3}\s{1,4}){0,2}")
_WORD = re.compile(r"""\$?\\?"(?P<double>[^"]{1,400}?)\\?"|\$?\\?'(?P<single>[^']{1,400}?)\\?'|(?P<bare>[^\s"'`|;<>()&]{1,200})""")
_HERE_STRING = re.compile(r"[^\n|;&<]{0,200}<<<\s{0,3}")
_HERE_DOCUMENT = re.compile(r"""<<-?\s{0,3}\\?["']?(?P<end>[A-Za-z_]\w{0,30})""")
# What ends a line within a word.
_BREAK = re.compile(r"(?:\\{1,2}[nr])+|\r?\n")
_USER = re.compile(r"""["'\\]{0,2}\$?\{?[A-Za-z_][\w.-]{0,63}\}?:""")
_MOST_BEFORE = 600
_MOST_LINES = 200


def piped(text: str, lowered: str | None = None) -> Iterator[Span]:
    """The spans of passwords that `text` writes to programs that read them, as characters `start` to `end` and a kind.

    `lowered` is `text` in small letters, where the caller has it.
    """
    lowered = text.lower() if lowered is None else lowered
    if ("|" not in text and "<<" not in text) or not [reader for reader in _READERS if reader in lowered]:
        return
    found: dict[Span, None] = {}
    for reader in _READER.finditer(text):
        is_pairs = reader["pairs"] is not None
        for start, end in _inputs(text, reader, is_pairs):
            found.update(dict.fromkeys(_passwords(text, start, end, is_pairs)))
    yield from found


def _inputs(text: str, reader: re.Match[str], is_pairs: bool) -> Iterator[tuple[int, int]]:
    """The parts of `text` that a program reads: words that are printed to it, a here-string, the lines of a here-document."""
    before = text[max(0, reader.start() - _MOST_BEFORE) : reader.start()]
    pipe = _IN_FRONT.search(before)
    if pipe is not None:
        first = before.rfind("\n", 0, pipe.start()) + 1
        offset = reader.start() - len(before)
        for printed in _PRINTS.finditer(before, 0, pipe.start()):
            yield from _printed(text, offset + printed.end(), offset + pipe.start(), is_pairs)
        if (document := _HERE_DOCUMENT.search(before, first, pipe.start())) is not None:
            yield from _lines(text, reader.end(), document["end"])
    here = _HERE_STRING.match(text, reader.end())
    if here is not None and (word := _WORD.match(text, here.end())) is not None:
        yield word.span(word.lastgroup or 0)
        return
    end = _line_end(text, reader.end())
    document = _HERE_DOCUMENT.search(text, reader.end(), end)
    # Of what else reads a document most read commands.
    if document is not None and (is_pairs or "stdin" in text[reader.end() : end]):
        yield from _lines(text, document.end(), document["end"])


def _printed(text: str, start: int, end: int, is_pairs: bool) -> Iterator[tuple[int, int]]:
    """The words that a command prints; behind a format with `%s` what it is filled with."""
    words = []
    position = start
    while position < end and (word := _WORD.match(text, position, end)) is not None:
        words.append(word.span(word.lastgroup or 0))
        position = word.end()
        while position < end and text[position] in " \t":
            position += 1
    # Of the lines above only one with a quote that goes on to the pipe is of this command.
    if "\n" in text[position:end].replace("\\\n", ""):
        return
    is_format = bool(words) and "%s" in text[slice(*words[0])]
    if is_format and is_pairs:
        # Either `bob:%s` and passwords, or `%s:%s` with names and passwords in turn.
        step = text[slice(*words[0])].count("%s")
        for first, last in words[step::step] if step <= 2 else ():
            # As the password alone, which a pair is read from otherwise.
            yield -first, last
        return
    yield from words[1:] if is_format else words


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return end if end >= 0 else len(text)


def _lines(text: str, position: int, last: str) -> Iterator[tuple[int, int]]:
    """The lines below the one at `position`, up to the one that is `last`."""
    for _ in range(_MOST_LINES):
        start = _line_end(text, position) + 1
        position = _line_end(text, start)
        line = text[start:position]
        if start >= len(text) or line.strip() == last:
            return
        yield start + len(line) - len(line.lstrip()), position


def _passwords(text: str, start: int, end: int, is_pairs: bool) -> Iterator[Span]:
    """The passwords in one part of what is read: one a line, behind a user's name where it is pairs."""
    if start < 0:
        start, is_pairs = -start, False
    position = start
    while position < end:
        broken = _BREAK.search(text, position, end)
        last = broken.start() if broken is not None else end
        user = _USER.match(text, position, last) if is_pairs else None
        first = user.end() if user is not None else position
        value = text[first:last].rstrip("\r\\\"' \t")
        if (user is not None or not is_pairs) and len(value) >= 4 and not stands_for_one(value) and not is_about(value):
            yield first, first + len(value), "password"
        position = broken.end() if broken is not None else end
