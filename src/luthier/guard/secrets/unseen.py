"""Characters of no width, which part a credential for every scanner and for no reader who copies it.

`folded` gives a text without them; what a scanner finds there is told by its place in the text itself.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from luthier.guard.secrets.findings import FAILED_KINDS, Finding, whole

# Soft hyphen, zero width space, non-joiner and joiner, word joiner, byte order mark.
_UNSEEN = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")


class Folded:
    """`text` without characters of no width, and the way back to the bytes of the text itself."""

    def __init__(self, original: str) -> None:
        self._original = original
        parts: list[str] = []
        # Behind how many bytes of the folded text something was taken out, and how many bytes up to there, all in all.
        self._cuts: list[int] = []
        self._taken = [0]
        position = size = 0
        for match in _UNSEEN.finditer(original):
            parts.append(original[position : match.start()])
            position = match.end()
            size += len(parts[-1].encode("utf-8"))
            self._cuts.append(size)
            self._taken.append(self._taken[-1] + len(match[0].encode("utf-8")))
        self.text = "".join([*parts, original[position:]])

    def _byte(self, position: int) -> int:
        return position + self._taken[bisect_right(self._cuts, position)]

    def unfolded(self, finding: Finding) -> Finding:
        """What was found in the folded text as a span of the text itself, with the characters of no width that stand within it."""
        if finding.kind in FAILED_KINDS:
            return whole(self._original, finding.kind)
        start = self._byte(finding.start)
        return Finding(start, self._byte(finding.end - 1) + 1 if finding.end > finding.start else start, finding.line, finding.kind)


def folded(text: str) -> Folded | None:
    """`text` without characters of no width; None where it has none, or nothing else."""
    if text.isascii() or _UNSEEN.search(text) is None:
        return None
    found = Folded(text)
    return found if found.text else None
