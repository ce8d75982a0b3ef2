"""Secrets of whole texts, masked before anything is cut from them: line by line, so that lines keep their numbers, and in every piece.

What a whole text gives away (a key between its marks) a piece of it may not: `KnownSecrets` knows the parts again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from luthier.guard.secrets.assigned import entropy
from luthier.guard.secrets.findings import FAILED_KINDS, Finding
from luthier.guard.secrets.private_keys import is_of_a_key
from luthier.guard.secrets.scan import mark

# A part of this many characters is told from chance.
PART_CHARACTERS = 16
_LEAST_ENTROPY = 3.0
_RUN = re.compile(rf"\S{{{PART_CHARACTERS},}}")
_WORD_OF_A_KEY = re.compile(rf"[A-Za-z0-9+/]{{{PART_CHARACTERS},}}={{0,2}}")
_LINE = re.compile(
    r"""(?P<lead>[-+ ]?(?=-----)|[-+]?\s*(?:[#>*|;]+\s+|//\s*|[-+.]\s+)*(?:[rbf]?\\?["'`]{1,3})?)(?P<core>.*?)"""
    r"""(?P<tail>(?:\\+[rnt])*(?:["'`]+[\s+,;)\]\\]*)?\s*)"""
)


def masked_by_line(text: str, findings: Sequence[Finding]) -> str:
    """`text` with a mark for each line of each finding: as many lines as before, and code that can still be read.

    The findings must be of a text that could be judged.
    """
    source, parts, position = text.encode("utf-8"), [], 0
    for finding in findings:
        parts.append(source[position : finding.start].decode("utf-8", "replace"))
        lines = source[finding.start : finding.end].decode("utf-8", "replace").split("\n")
        parts.append(mark(finding.kind) if len(lines) == 1 else "\n".join(_masked_line(line, mark(finding.kind)) for line in lines))
        position = finding.end
    return "".join([*parts, source[position:].decode("utf-8", "replace")])


def _masked_line(line: str, written: str) -> str:
    match = _LINE.fullmatch(line)
    if match is None:
        return written
    return f"{match['lead']}{written}{match['tail']}" if any(map(str.isalnum, match["core"])) else line


class KnownSecrets:
    """Secrets that were found in whole texts."""

    def __init__(self) -> None:
        self._parts: dict[str, str] = {}

    def note(self, text: str, findings: Sequence[Finding]) -> None:
        """Remembers what was found in `text`: every line of a key, and values that look drawn."""
        source = text.encode("utf-8")
        for finding in findings:
            if finding.kind in FAILED_KINDS:
                continue
            found = source[finding.start : finding.end].decode("utf-8", "replace")
            if finding.kind == "private-key":
                words = [word for word in _WORD_OF_A_KEY.findall(found) if is_of_a_key(word)]
            else:
                words = [word for word in _RUN.findall(found) if any(map(str.isdigit, word))]
            for word in words:
                for at in range(len(word) - PART_CHARACTERS + 1):
                    part = word[at : at + PART_CHARACTERS]
                    if entropy(part) >= _LEAST_ENTROPY:
                        self._parts.setdefault(part, finding.kind)

    def masked(self, text: str) -> str:
        """`text` with a mark over each run of characters that holds `PART_CHARACTERS` or more of a known secret; itself where none does."""
        if not self._parts:
            return text
        return _RUN.sub(lambda match: self._masked_run(match[0]), text)

    def _masked_run(self, run: str) -> str:
        parts, position, at = [], 0, 0
        while at <= len(run) - PART_CHARACTERS:
            kind = self._parts.get(run[at : at + PART_CHARACTERS])
            if kind is None:
                at += 1
                continue
            end = at + PART_CHARACTERS
            while run[end - PART_CHARACTERS + 1 : end + 1] in self._parts and end < len(run):
                end += 1
            parts += [run[position:at], mark(kind)]
            position = at = end
        return "".join([*parts, run[position:]]) if parts else run
