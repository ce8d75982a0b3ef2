"""Kingfisher, in this process: its rules and its scanner alone, never its validator, its revoker or its cache of compiled rules.

Scanning opens no socket and, without the cache, touches no file outside the package (traced). Its rules are compiled at the first scan
of a process, which takes about three seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from luthier.core.optional import load
from luthier.guard.secrets.findings import SCANNER_ERROR, Finding, whole
from luthier.guard.secrets.kinds import kind_of

TEXT_SECONDS = 10.0


@lru_cache(maxsize=1)
def _native() -> Any:
    package = load("kingfisher_sdk", "guard", "the scanner for secrets")
    return package.Scanner(package.Rules(cache=False))


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
