"""The scanner of our own: shapes that issuers publish, and values that their place gives away. Needs no package; fast."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from importlib import resources

from luthier.guard.secrets.assigned import assigned, is_placeholder
from luthier.guard.secrets.findings import Finding, Lines

_Shape = tuple[str, tuple[str, ...], tuple[re.Pattern[str], ...]]


def _load() -> tuple[_Shape, ...]:
    table = tomllib.loads(resources.files("luthier.guard.secrets").joinpath("patterns.toml").read_text(encoding="utf-8"))
    return tuple(
        (kind, tuple(row["anchors"]), tuple(re.compile(expression) for expression in row["expressions"])) for kind, row in table.items()
    )


_SHAPES = _load()
# Looked for before any anchor, for few texts have one: every shape is at least this long, or has one of these words in it.
_LONG_RUN = re.compile(r"[\w+/=.~%-]{15}")
_SPACED_SHAPES = ("PRIVATE KEY", "OpenVPN Static key")
ISSUED_KINDS = tuple(kind for kind, _, _ in _SHAPES)
# Shapes with so little of their own that a placeholder can have them; the rest is believed whatever it spells.
_LOOSE_KINDS = frozenset(
    (
        "openai-key",
        "anthropic-key",
        "npm-token",
        "slack-token",
        "gitlab-token",
        "stripe-key",
        "huggingface-token",
        "github-token",
        "payment-key",
        "aws-access-key",
    )
)


class PatternScanner:
    """Issuers' published shapes from `patterns.toml`, and `assigned`."""

    name = "patterns"

    def scan(self, texts: Sequence[str]) -> list[list[Finding]]:
        """The findings of each text."""
        return [_scan(text) for text in texts]


def _scan(text: str) -> list[Finding]:
    spans = [*_issued(text), *assigned(text)]
    if not spans:
        return []
    lines = Lines(text)
    return [lines.finding(start, end, kind) for start, end, kind in spans]


def _issued(text: str) -> Iterator[tuple[int, int, str]]:
    if _LONG_RUN.search(text) is None and not any(words in text for words in _SPACED_SHAPES):
        return
    for kind, anchors, expressions in _SHAPES:
        for anchor in anchors:
            if anchor in text:
                break
        else:
            continue
        for expression in expressions:
            group = "secret" if "secret" in expression.groupindex else 0
            for match in expression.finditer(text):
                if kind not in _LOOSE_KINDS or not is_placeholder(match[group]):
                    yield (*match.span(group), kind)
