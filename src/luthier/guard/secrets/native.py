"""Kingfisher, in this process: its rules and its scanner alone, never its validator or its revoker.

Scanning opens no socket and touches no file outside the package but one (traced): compiling the rules takes more than three seconds, and
what comes of it is kept in the user's cache, from where each further process has it in a third of a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from luthier.core.optional import load
from luthier.guard.secrets.findings import SCANNER_ERROR, Finding, whole
from luthier.guard.secrets.kinds import kind_of

TEXT_SECONDS = 10.0


@lru_cache(maxsize=1)
def _native() -> Any:
    package = load("kingfisher_sdk", "guard", "the scanner for secrets")
    try:
        folder = Path.home() / ".cache" / "luthier" / "secret-rules"
    except RuntimeError:
        # A user without a home compiles them each time.
        return package.Scanner(package.Rules(cache=False))
    # A file that is not what was written, or not the user's alone, is left aside and written anew; where none can be, it goes on without.
    return package.Scanner(package.Rules(cache_dir=folder))


class KingfisherScanner:
    """Rules of some 480 issuers over Vectorscan; each text has ten seconds."""

    name = "kingfisher"

    def scan(self, texts: Sequence[str]) -> list[list[Finding]]:
        """The findings of each text; `scanner-error` over a text that it failed on."""
        native = _native()
        return [_scan(native, text) for text in texts]


def _scan(native: Any, text: str) -> list[Finding]:
    try:
        found = native.scan(text, timeout=TEXT_SECONDS)
    except (RuntimeError, TimeoutError, ValueError, OSError, MemoryError):
        return [whole(text, SCANNER_ERROR)]
    if not found:
        return []
    findings = []
    for item in found:
        # Rules that only help another one, such as a client's name, are not visible.
        if item.visible:
            place = item.location
            findings.append(Finding(place["start_offset"], place["end_offset"], place["line"], kind_of(item.rule_id)))
    return findings
