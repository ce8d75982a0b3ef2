"""Characters that part or disguise a credential for every scanner and for no reader who copies it: those of no width, and wide letters.

`folded` gives a text without the first and with the plain form of the second; what a scanner finds there is told by its place in the text
itself.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right

from luthier.guard.characters import UNSEEN
from luthier.guard.secrets.findings import FAILED_KINDS, Finding, whole

# Full-width forms and the mathematical alphabets: NFKC makes one plain character of each.
_DISGUISED = "\uff01-\uff5e\U0001d400-\U0001d7ff"
_FOLDED = re.compile(f"[{UNSEEN}{_DISGUISED}]")
_IS_DISGUISED = re.compile(f"[{_DISGUISED}]")


class Folded:
    """`text` without characters of no width and with plain letters, and the way back to the bytes of the text itself."""

    def __init__(self, original: str) -> None:
        self._original = original
        parts: list[str] = []
        # Twice the bytes of the folded text up to a change, and one more where something was taken out: what ends right behind a letter
        # that was made plain ends behind the letter, but in front of what was taken out there. And the bytes lost up to there, all in all.
        self._cuts: list[int] = []
        self._lost = [0]
        position = size = 0
        for match in _FOLDED.finditer(original):
            plain = unicodedata.normalize("NFKC", match[0]) if _IS_DISGUISED.match(match[0]) else ""
            parts += [original[position : match.start()], plain]
            position = match.end()
            size += len(parts[-2].encode("utf-8")) + len(plain.encode("utf-8"))
            self._cuts.append(2 * size + (not plain))
            self._lost.append(self._lost[-1] + len(match[0].encode("utf-8")) - len(plain.encode("utf-8")))
        self.text = "".join([*parts, original[position:]])

    def _start(self, position: int) -> int:
        return position + self._lost[bisect_right(self._cuts, 2 * position + 1)]

    def _end(self, position: int) -> int:
        return position + self._lost[bisect_right(self._cuts, 2 * position)]

    def unfolded(self, finding: Finding) -> Finding:
        """What was found in the folded text as a span of the text itself, with the characters of no width that stand within it."""
        if finding.kind in FAILED_KINDS:
            return whole(self._original, finding.kind)
        start = self._start(finding.start)
        return Finding(start, self._end(finding.end) if finding.end > finding.start else start, finding.line, finding.kind)


def folded(text: str) -> Folded | None:
    """`text` without characters of no width and with plain letters; None where it has none to change, or nothing else."""
    if text.isascii() or _FOLDED.search(text) is None:
        return None
    found = Folded(text)
    return found if found.text else None
