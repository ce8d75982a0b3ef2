"""What a scanner reports: where a secret stands and of which kind it is, never the secret itself."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

SCANNER_ERROR = "scanner-error"
UNDECODABLE = "undecodable"
UNREADABLE = "unreadable"
# Findings that say that a text could not be judged; nothing in such a text may be kept.
FAILED_KINDS = frozenset((SCANNER_ERROR, UNDECODABLE, UNREADABLE))
# Kinds that say how a value stands, not who issued it, the more telling first: where findings overlap, any other kind is better.
GENERAL_KINDS = ("credential-uri", "authorization", "password", "webhook", "api-key", "access-token", "generic-secret", "high-entropy")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A place that counts as a secret: bytes `start` to `end` (exclusive) of the UTF-8 text, and the line of its first byte, from 1.

    `kind` is a stable word such as `github-token`. `scanner-error`, `undecodable` and `unreadable` stand for texts that no scanner could
    vouch for: they cover the whole text.
    """

    start: int
    end: int
    line: int
    kind: str


class Scanner(Protocol):
    """Something that looks for secrets. `name` stands in error messages and in `SCANNERS`."""

    name: str

    def scan(self, texts: Sequence[str]) -> list[list[Finding]]:
        """The findings of each text, in the order of `texts`. A text that it cannot judge gets one `scanner-error` over all of it.

        The texts can be encoded as UTF-8. `MissingExtraError` where the scanner's package is not installed.
        """


class Lines:
    """Byte offsets and line numbers of one text; built at the first finding, for most texts have none."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._is_ascii = text.isascii()
        self._breaks: list[int] = []
        self.size = len(text) if self._is_ascii else len(text.encode("utf-8"))
        position = text.find("\n")
        while position >= 0:
            self._breaks.append(self.byte(position))
            position = text.find("\n", position + 1)

    def byte(self, position: int) -> int:
        """The offset in bytes of the character at `position`."""
        return position if self._is_ascii else len(self._text[:position].encode("utf-8"))

    def line(self, offset: int) -> int:
        """The line, from 1, that holds the byte at `offset`."""
        return bisect_right(self._breaks, offset - 1) + 1

    def finding(self, start: int, end: int, kind: str) -> Finding:
        """The finding over the characters `start` to `end`."""
        first = self.byte(start)
        return Finding(first, self.byte(end), self.line(first), kind)


def whole(text: str, kind: str) -> Finding:
    """A finding over all of `text`; a lone surrogate counts as the three bytes that it would take."""
    return Finding(0, len(text.encode("utf-8", "surrogatepass")), 1, kind)


def merge(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings of several scanners as spans that do not overlap, in the order of the text.

    Of kinds that meet in one span the one of an issuer wins over a general one, then the more telling one, the longer, the first by name.
    """
    merged: list[Finding] = []
    best: list[tuple[int, int, str]] = []
    for finding in sorted(findings):
        general = 1 + GENERAL_KINDS.index(finding.kind) if finding.kind in GENERAL_KINDS else 0
        rank = (general, finding.start - finding.end, finding.kind)
        if merged and finding.start < merged[-1].end:
            last = merged[-1]
            best[-1] = min(best[-1], rank)
            merged[-1] = Finding(last.start, max(last.end, finding.end), last.line, best[-1][2])
        else:
            merged.append(finding)
            best.append(rank)
    return tuple(merged)
