"""Texts of rows and answers as a page may show them: every character visible, secrets marked, and no longer than is stated."""

from __future__ import annotations

from collections.abc import Sequence

from luthier.core.visible import visible
from luthier.guard.secrets.patterns import PatternScanner
from luthier.guard.secrets.scan import redact_with, scan_with

# Bounds in characters. What is cut is said with its length; `generations.jsonl` has it whole.
LONGEST_REQUEST = 1_200
LONGEST_EXPECTED = 700
LONGEST_ANSWER = 2_000
LONGEST_OUTPUT = 1_000
MOST_EXPECTED = 5


def cut(text: str, most: int) -> str:
    """`text`, or its first `most` characters and how many more there are."""
    return text if len(text) <= most else f"{text[:most].rstrip()} … ({len(text) - most} more characters)"


def shown(text: str, most: int) -> str:
    """`text` for a page: cut, what hides in it written as `\\x1b`, secrets as its mark, such as `<GITHUB_TOKEN>`."""
    return shown_all([text], most)[0]


def shown_all(texts: Sequence[str], most: int) -> list[str]:
    """Each text for a page, as `shown`.

    Secrets are looked for by the scanner that needs no package, so that a run's report is the same on every machine, and before anything
    is cut: half a key would pass for none. One that is still seen after that takes its whole text with it.
    """
    # What lies far beyond the cut is not shown and need not be judged.
    sound = [text[: most + _MARGIN].encode("utf-8", "backslashreplace").decode("utf-8") for text in texts]
    left = [max(0, len(text) - most - _MARGIN) for text in texts]
    redacted = redact_with(_SCANNERS, sound)
    kept = [one.text if one.is_clean or not one.findings else "<REDACTED>" for one in redacted]
    return [_bounded(visible(text), most, more) for text, more in zip(kept, left, strict=True)]


def holds_secret(text: str) -> bool:
    """Whether something in the text passes for a secret."""
    return bool(scan_with(_SCANNERS, [text.encode("utf-8", "backslashreplace").decode("utf-8")])[0])


def _bounded(text: str, most: int, more: int) -> str:
    over = max(0, len(text) - most) + more
    return f"{text[:most].rstrip()} … ({over} more characters)" if over else text


_SCANNERS = (PatternScanner(),)
_MARGIN = 4_000
