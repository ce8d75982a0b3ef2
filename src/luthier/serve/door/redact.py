"""Secrets in what the server tells and keeps: replaced by marks such as `<GITHUB_TOKEN>`, in whole texts and in text that streams.

A stream cannot wait for its end, and a scanner needs what stands around a value: plain words go out as they are finished, what may be a
secret or belong to one waits until enough follows it. What has gone out is looked at no more, but what follows is judged beside it.
"""

from __future__ import annotations

import re
from importlib.util import find_spec

from luthier.guard.secrets.finders.private_keys import KIND
from luthier.guard.secrets.findings import FAILED_KINDS, Finding, Scanner
from luthier.guard.secrets.native import KingfisherScanner
from luthier.guard.secrets.patterns import PatternScanner
from luthier.guard.secrets.scan import has_remains, mark, replaced, scan_with

_Span = tuple[int, int, str]

# How much must follow what may be a secret before it is settled: the finders look so far back from a name to a value, or two lines.
SETTLED_CHARACTERS, _SETTLED_LINES = 320, 2
# What is scanned goes out in portions of so many characters at least.
_PORTION_CHARACTERS = 160
# What has gone out and is still looked at beside what comes; of a long block its first lines too, which may be the head of a table.
_CONTEXT_CHARACTERS, _MOST_CONTEXT_CHARACTERS, _HEAD_LINES = 1_000, 1_500, 3
_NEAR_CHARACTERS = 400

_LETTERS = r"[A-Za-z\u00c0-\u024f]{1,19}"
# Words of prose, names of code and of files, numbers: no finder takes one of them for a value, but where a word of `_NAMES` stands near
# and something of `_SIGNS` says what belongs to it.
_PLAIN = re.compile(
    rf"""[^\w\s/+=@#$%^&|\\~<>]*(?:{_LETTERS}(?:(?:[-_./'’]|::){_LETTERS}){{0,8}}|\d{{1,6}}(?:[.,:]\d{{1,6}}){{0,3}})?[^\w\s/+=@#$%^&|\\~<>]*"""
)
# What names a secret, hands one over, or makes of the words around it one: words of the finders in all their languages.
_NAMES = re.compile(
    r"(?i)pass|pwd|\bpw\b|secret|token|key|cred|auth|bearer|basic|log[- ]?in|sign in|\bpin\b|value|echo|print|\byes\b|<<|begin|private"
    r"|wor[dt]|woord|kod|senha|clave|contrase|parol|salasana|hesl|has[lł]|lösenord|lozin|jelsz|şifre|[\u0370-\U0010ffff]"
)
_SIGNS = re.compile(r"[^\w\s.,;:!?'’-]|\s-|[ \t]{2}|\t|:\s*\n|\n[ \t]")
_LINE_END = re.compile(r"(?<=\S)[ \t\r]*\n")
_WORD = re.compile(r"\S+")
# The last line of a private key whose text was cut off, which is too short to be known as one.
_CUT_LINE = re.compile(r"(?P<line>(?<!-)\s*[A-Za-z0-9+/]+={0,2})\s*\Z")

_further: list[Scanner] = []


def load_scanners() -> None:
    """Adds the rules of some 480 issuers where their package is installed: takes seconds and 50 MB, once, in any thread."""
    if not _further and find_spec("kingfisher_sdk") is not None:
        scanner = KingfisherScanner()
        scanner.scan([""])
        _further.append(scanner)


def redacted(text: str) -> str:
    """`text` with a mark for each secret; about a millisecond for a thousand characters.

    Where what is left beside a secret may be its rest, its lines go; a text that cannot be judged is one mark.
    """
    return _marked(text, 0, len(text), _secrets(text))


class StreamRedactor:
    """`redacted` for a text that comes in pieces: what `take` and `end` give, put together, is the text with its secrets replaced."""

    def __init__(self) -> None:
        self._context = ""
        self._held = ""
        # A scan that let nothing go is repeated when there is so much.
        self._wait_for = 0
        # How many characters of the text have gone out, and whether something was replaced among those that went last.
        self.gone = 0
        self.has_replaced = False
        # Whether what went out last names a secret, and holds signs of one.
        self._near = (False, False)

    def take(self, piece: str) -> str:
        """What may go out now."""
        self._held += piece
        plain = self._plain()
        if plain:
            return self._go(plain, [])
        sure = self._settled()
        if not sure or len(self._held) < self._wait_for:
            return self._go(0, [])
        at = len(self._context)
        secrets = _secrets(self._context + self._held)
        for start, end, _ in secrets:
            if start < at + sure < end:
                sure = max(0, start - at)
        self._wait_for = 0 if sure else len(self._held) + _PORTION_CHARACTERS
        return self._go(sure, secrets)

    def end(self) -> str:
        """The rest."""
        return self._go(len(self._held), _secrets(self._context + self._held) if self._held.strip() else [])

    def _plain(self) -> int:
        """How many characters at the beginning of what is held are plain words that ended, and nothing near makes a secret of them."""
        has_name, has_sign = self._near
        end = 0
        for word in _WORD.finditer(self._held):
            if has_name and has_sign:
                break
            reached = self._held[end : word.end()]
            has_name, has_sign = has_name or _NAMES.search(reached) is not None, has_sign or _SIGNS.search(reached) is not None
            if word.end() == len(self._held) or not _PLAIN.fullmatch(word[0]) or (has_name and has_sign):
                return word.start() if end else 0
            end = word.end()
        return end

    def _settled(self) -> int:
        """How many characters are followed by enough, up to a blank; 0 where that is too little to be worth a scan."""
        held = self._held
        most = max(0, len(held) - SETTLED_CHARACTERS)
        lines = [match.end() for match in _LINE_END.finditer(held)]
        found = lines[-1 - _SETTLED_LINES] if len(lines) > _SETTLED_LINES else 0
        blank = next((place for place in range(most, found, -1) if held[place - 1].isspace()), 0)
        found = max(found, blank)
        return found if found >= _PORTION_CHARACTERS else 0

    def _go(self, count: int, secrets: list[_Span]) -> str:
        self.has_replaced = False
        if not count:
            return ""
        at = len(self._context)
        told = _marked(self._context + self._held, at, at + count, secrets)
        self.gone += count
        self.has_replaced = told != self._held[:count]
        self._context = _kept(self._context + self._held[:count])
        self._held = self._held[count:]
        near = self._context[-_NEAR_CHARACTERS:]
        self._near = _NAMES.search(near) is not None, _SIGNS.search(near) is not None
        return told


def _kept(text: str) -> str:
    """What of a text is looked at beside what follows it: its end, and the first lines of the block that it ends in."""
    if len(text) <= _MOST_CONTEXT_CHARACTERS:
        return text
    block = text.rfind("\n\n") + 2 if "\n\n" in text else 0
    start = text.find("\n", len(text) - _CONTEXT_CHARACTERS) + 1 or len(text) - _CONTEXT_CHARACTERS
    if block >= start:
        return text[start:]
    head = "".join(text[block:start].splitlines(keepends=True)[:_HEAD_LINES])[:_CONTEXT_CHARACTERS]
    return head + text[start:]


def _secrets(text: str) -> list[_Span]:
    """The spans of secrets, as characters `start` to `end` and a kind; over whole lines where more than was found may be secret there."""
    scanners = [PatternScanner(), *_further]
    (found,) = scan_with(scanners, [text])
    if not found:
        return []
    if any(finding.kind in FAILED_KINDS for finding in found):
        return [(0, len(text), found[0].kind)]
    spans = [_characters(text, finding) for finding in found]
    start, end, kind = spans[-1]
    if kind == KIND and (rest := _CUT_LINE.match(text, end)) is not None:
        spans[-1] = (start, rest.end("line"), kind)
    if not has_remains(text, found) and not scan_with(scanners, [replaced(text, found)])[0]:
        return spans
    lines = _joined([(text.rfind("\n", 0, start) + 1, _line_end(text, end), kind) for start, end, kind in spans])
    is_clean = not scan_with(scanners, [_marked(text, 0, len(text), lines)])[0]
    return lines if is_clean else [(0, len(text), spans[0][2])]


def _characters(text: str, finding: Finding) -> _Span:
    if text.isascii():
        return finding.start, finding.end, finding.kind
    source = text.encode("utf-8")
    start = len(source[: finding.start].decode("utf-8", "ignore"))
    return start, start + len(source[finding.start : finding.end].decode("utf-8", "replace")), finding.kind


def _line_end(text: str, place: int) -> int:
    end = text.find("\n", place)
    return len(text) if end < 0 else end


def _joined(spans: list[_Span]) -> list[_Span]:
    joined: list[_Span] = []
    for start, end, kind in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]), joined[-1][2])
        else:
            joined.append((start, end, kind))
    return joined


def _marked(text: str, start: int, end: int, secrets: list[_Span]) -> str:
    """The characters `start` to `end` of `text` with a mark for each secret that ends there."""
    parts, position = [], start
    for first, last, kind in secrets:
        if last <= position or first >= end:
            continue
        parts += [text[position : max(first, position)], mark(kind)]
        position = min(last, end)
    return "".join([*parts, text[position:end]])
