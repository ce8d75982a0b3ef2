"""Secrets in texts: found by several scanners together, redacted, and looked for once more. Fails closed.

What no scanner could vouch for counts as a secret: a scanner that failed or took too long (`scanner-error`), a text that no UTF-8 file
can hold (`undecodable`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

from luthier.core.text import is_unicode
from luthier.guard.secrets.child import ChildScanner
from luthier.guard.secrets.finders.assigned import goes_on
from luthier.guard.secrets.findings import FAILED_KINDS, GENERAL_KINDS, UNDECODABLE, Finding, Scanner, merge, whole
from luthier.guard.secrets.kinds import KINDS
from luthier.guard.secrets.native import KingfisherScanner
from luthier.guard.secrets.patterns import PatternScanner
from luthier.guard.secrets.strength import Strength, default_strength
from luthier.guard.secrets.unseen import Folded, folded

SCANNERS: dict[Strength, tuple[str, ...]] = {
    "fast": ("patterns", "kingfisher"),
    "thorough": ("patterns", "kingfisher", "credsweeper"),
    "strict": ("patterns", "kingfisher", "credsweeper", "detect-secrets"),
}

_NO_WORD = re.compile(rb"[^A-Za-z0-9\x80-\xff]*")


def mark(kind: str) -> str:
    """What stands in a redacted text in place of a secret: `<GITHUB_TOKEN>` for the kind `github-token`."""
    return f"<{kind.upper().replace('-', '_')}>"


_MARK = re.compile("|".join(mark(kind) for kind in sorted(KINDS)).encode())


# Letters and digits go on a value, also behind a sign, but for the next parameter of a URL; in front may stand an option: `-pVALUE`, and
# of rar `-hpVALUE`.
_RESTS = re.compile(rb"[A-Za-z0-9]|[&*$^%#!+~][A-Za-z0-9](?![\w.-]{0,40}=)")
_MOST_REST = 500
_BEGINS = re.compile(rb"(?:(?!(?<=\s-)hp\Z)[^-\\]|[^\s\"'`-]-)[A-Za-z0-9]\Z")


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text with a mark such as `<GITHUB_TOKEN>` for each secret, what was found, and whether a second scan of it found nothing more.

    A text that is not clean must be dropped. A text that could not be judged is its mark alone, and never clean.
    """

    text: str
    findings: tuple[Finding, ...]
    is_clean: bool


@lru_cache(maxsize=1)
def _scanners() -> dict[str, Scanner]:
    """One of each, kept, because each is slow to start."""
    known: tuple[Scanner, ...] = (
        PatternScanner(),
        KingfisherScanner(),
        ChildScanner("credsweeper", "credsweeper"),
        ChildScanner("detect-secrets", "detect_secrets"),
    )
    return {scanner.name: scanner for scanner in known}


def _scanners_of(strength: Strength | None) -> list[Scanner]:
    return [_scanners()[name] for name in SCANNERS[strength or default_strength()]]


def scanner_failures() -> list[str]:
    """What is wrong with scanners that could not be started, a line each with the scanner's own last words."""
    return [scanner.failure for scanner in _scanners().values() if isinstance(scanner, ChildScanner) and scanner.failure]


def scan(texts: Sequence[str], strength: Strength | None = None) -> list[tuple[Finding, ...]]:
    """The findings of each text, merged over the scanners of `strength`, in the order of the text; none where it is clean.

    `fast` is meant for bulk rows, `thorough` for repositories, `strict` for what is to be published: see `docs/how-to/guard-secrets.md` for
    what each finds. Without `strength` it is `default_strength()`. Marks of an earlier redaction are no secrets.
    `MissingExtraError` where a package of the extra `guard`, or `credsweeper`, is not installed.
    """
    return scan_with(_scanners_of(strength), texts)


def scan_with(scanners: Sequence[Scanner], texts: Sequence[str]) -> list[tuple[Finding, ...]]:
    """The merged findings of each text by `scanners`."""
    sound = [is_unicode(text) for text in texts]
    judged = [text for text, is_sound in zip(texts, sound, strict=True) if is_sound]
    folds = {number: fold for number, text in enumerate(judged) if (fold := folded(text)) is not None}
    if len(scanners) > 2:
        with ThreadPoolExecutor(len(scanners)) as pool:
            answers = list(pool.map(lambda scanner: _answers(scanner, judged, folds), scanners))
    else:
        answers = [_answers(scanner, judged, folds) for scanner in scanners]
    rows = iter(zip(judged, *answers, strict=True))
    found: list[tuple[Finding, ...]] = []
    for text, is_sound in zip(texts, sound, strict=True):
        if not is_sound:
            found.append((whole(text, UNDECODABLE),))
            continue
        _, *lists = next(rows)
        found.append(_without_marks(text, merge(finding for some in lists for finding in some)) if any(lists) else ())
    return found


def _answers(scanner: Scanner, texts: Sequence[str], folds: Mapping[int, Folded]) -> list[list[Finding]]:
    """What a scanner finds in each text, also in the folded form of those whose number is in `folds`."""
    if not folds:
        return scanner.scan(texts)
    found = scanner.scan([*texts, *(fold.text for fold in folds.values())])
    for (number, fold), more in zip(folds.items(), found[len(texts) :], strict=True):
        found[number] = [*found[number], *map(fold.unfolded, more)]
    return found[: len(texts)]


def holds_mark(text: str) -> bool:
    """Whether a mark of a redaction stands in `text`."""
    return "<" in text and _MARK.search(text.encode("utf-8", "replace")) is not None


def _without_marks(text: str, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The findings that hold more than marks of an earlier redaction and what stands between words."""
    if "<" not in text:
        return findings
    source = text.encode("utf-8")
    marks = [match.span() for match in _MARK.finditer(source)]
    kept = []
    for finding in findings:
        rest, position, has_mark = b"", finding.start, False
        for start, end in marks:
            if start < finding.end and end > finding.start:
                has_mark = True
                rest += source[position : max(start, position)]
                position = max(position, end)
        rest += source[position : finding.end]
        if finding.kind in FAILED_KINDS or not has_mark or not _NO_WORD.fullmatch(rest):
            kept.append(finding)
    return tuple(kept)


def has_remains(text: str, findings: Sequence[Finding]) -> bool:
    """Whether right beside a finding of `text` that no issuer's shape bounds stands what may be the rest of the value.

    Behind a blank that is a long drawn token alone, which no other finding covers.
    """
    source = text.encode("utf-8")
    starts = {finding.start for finding in findings}
    return any(
        _RESTS.match(source, finding.end) is not None
        or _BEGINS.search(b" " + source[max(0, finding.start - 4) : finding.start]) is not None
        or (finding.end + 1 not in starts and goes_on(source[finding.end : finding.end + _MOST_REST].decode("utf-8", "ignore"), 0) > 0)
        for finding in findings
        if finding.kind in GENERAL_KINDS
    )


def replaced(text: str, findings: Sequence[Finding]) -> str:
    """`text` with a mark for each finding; its mark alone where the text could not be judged."""
    failed = [finding.kind for finding in findings if finding.kind in FAILED_KINDS]
    if failed:
        return mark(failed[0])
    source, parts, position = text.encode("utf-8"), [], 0
    for finding in findings:
        parts += [source[position : finding.start], mark(finding.kind).encode()]
        position = finding.end
    return b"".join([*parts, source[position:]]).decode("utf-8", "replace")


def redact(texts: Sequence[str], strength: Strength | None = None) -> list[Redacted]:
    """Each text redacted and scanned a second time. Redacting a clean result again changes nothing."""
    return redact_with(_scanners_of(strength), texts)


def redact_with(scanners: Sequence[Scanner], texts: Sequence[str]) -> list[Redacted]:
    """Each text redacted by `scanners` and scanned by them a second time."""
    found = scan_with(scanners, texts)
    results = [replaced(text, findings) if findings else text for text, findings in zip(texts, found, strict=True)]
    changed = [index for index, findings in enumerate(found) if findings]
    second = dict(zip(changed, scan_with(scanners, [results[index] for index in changed]), strict=True)) if changed else {}
    return [
        Redacted(
            text,
            findings,
            not second.get(index) and not any(finding.kind in FAILED_KINDS for finding in findings) and not has_remains(given, findings),
        )
        for index, (given, text, findings) in enumerate(zip(texts, results, found, strict=True))
    ]
