"""The scanner of our own: shapes that issuers publish, and values that their place gives away. Needs no package; fast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luthier.core.issued import issued, shapes
from luthier.guard.secrets.finders.assigned import assigned, beside_access_keys, grown, is_stand_in
from luthier.guard.secrets.finders.calls import called
from luthier.guard.secrets.finders.command_lines import handed
from luthier.guard.secrets.finders.configured import configured
from luthier.guard.secrets.finders.joined import joined
from luthier.guard.secrets.finders.pairs import paired
from luthier.guard.secrets.finders.piped import piped
from luthier.guard.secrets.finders.private_keys import KEY_MARK, KIND, key_parts
from luthier.guard.secrets.finders.prose import told, told_numbers
from luthier.guard.secrets.finders.sentences import told_in_sentences
from luthier.guard.secrets.finders.tables import tabled
from luthier.guard.secrets.findings import Finding, Lines, merge

ISSUED_KINDS = tuple(shape.kind for shape in shapes())
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
    """Issuers' published shapes of `core.issued`, and what stands where `assigned`, `handed`, `called`, `piped`, `configured`, `told`,
    `tabled`, `paired`, `key_parts` and `joined` find secrets."""

    name = "patterns"

    def scan(self, texts: Sequence[str]) -> list[list[Finding]]:
        """The findings of each text."""
        return [_scan(text) for text in texts]


def _scan(text: str) -> list[Finding]:
    spans = [*_spans(text)]
    if not spans:
        return []
    lines = Lines(text)
    return [lines.finding(start, end, kind) for start, end, kind in spans]


def key_findings(text: str) -> list[Finding]:
    """The private keys in `text` alone, with those that lost a mark."""
    spans = [(found.start, found.end, found.kind) for found in issued(text) if found.kind == KIND] if KEY_MARK in text else []
    lines = Lines(text)
    return list(merge(lines.finding(start, end, kind) for start, end, kind in (*spans, *key_parts(text))))


def _spans(text: str) -> Iterator[tuple[int, int, str]]:
    yield from _issued(text)
    lowered = text.lower()
    for start, end, kind in (*assigned(text, lowered), *handed(text, lowered), *told(text, lowered)):
        yield start, grown(text, start, end), kind
    # Their places say where each of these ends.
    yield from called(text, lowered)
    yield from told_in_sentences(text, lowered)
    yield from piped(text, lowered)
    yield from configured(text, lowered)
    yield from tabled(text, lowered)
    yield from paired(text, lowered)
    yield from beside_access_keys(text)
    yield from told_numbers(text, lowered)
    yield from key_parts(text)
    yield from joined(text)


def _issued(text: str) -> Iterator[tuple[int, int, str]]:
    for found in issued(text):
        if found.kind not in _LOOSE_KINDS or not is_stand_in(text[found.start : found.end]):
            yield found.start, found.end, found.kind
