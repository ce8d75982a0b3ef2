"""Secrets, URLs and personal data: masked by kind, or a reason to drop the row. Fails closed.

All texts of a row are scanned as one, so that a secret that two turns share is seen. What was found in one place is masked wherever the
row holds it. A row in which something was masked is scanned once more: what is found then drops it, as does a text that no scanner could
judge. No detail ever holds what was found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from luthier.config.row_sections import CleanSection
from luthier.data.clean.leaves import CollidingKeys, Leaf, leaves, whole, with_texts
from luthier.data.clean.personal import Span, personal
from luthier.data.clean.records import Outcome, Row
from luthier.data.clean.urls import CREDENTIALS, PRIVATE_HOST, may_name_a_host, private_hosts, urls
from luthier.data.rows.fields import BadRow
from luthier.guard.secrets.findings import FAILED_KINDS, Finding
from luthier.guard.secrets.known import KnownSecrets
from luthier.guard.secrets.scan import has_remains, holds_mark, mark, replaced, scan
from luthier.guard.secrets.strength import Strength
from luthier.guard.secrets.values import url_values

SECRET, URL, PERSONAL_DATA = "secret", "url", "personal_data"
URL_MARK, HOST_MARK = mark("url"), mark("host")
# What the password of a URL counts as where it stands without the URL.
_IN_URL = "credential-uri"
# Few rows need this much; what is scanned together is kept apart in memory once more.
_BATCH_CHARACTERS = 1 << 22

# One look finds what there is, and another what only a mark beside it let be told.
_MOST_LOOKS = 4

Action = Literal["keep", "mask", "reject"]


@dataclass(frozen=True, slots=True)
class Masking:
    """What is done with the secrets, URLs and personal data of one row."""

    secrets: Action
    urls: Action
    personal: Action

    @staticmethod
    def of(settings: CleanSection | None, row: Row) -> Masking:
        """What a run file says of `row`. The secrets of rows that are made are never kept, their rule is never off."""
        if settings is None:
            return Masking("mask", "keep", "mask") if row.is_made else Masking("keep", "keep", "keep")
        secrets: Action = "reject" if settings.secrets == "reject" else "mask"
        if not row.is_made and (settings.secrets == "keep" or SECRET in settings.off):
            secrets = "keep"
        return Masking(
            secrets,
            "keep" if URL in settings.off else settings.urls,
            "keep" if PERSONAL_DATA in settings.off else settings.personal_data,
        )

    @property
    def does_nothing(self) -> bool:
        """Whether no row changes under it."""
        return self.secrets == self.urls == self.personal == "keep"


def masked(rows: Sequence[Row], maskings: Sequence[Masking], strength: Strength) -> list[Outcome]:
    """What becomes of each row under its masking: itself, the row with marks, or why it is dropped."""
    works = [_Work(row, masking) for row, masking in zip(rows, maskings, strict=True)]
    _mask_origins([work for work in works if work.masking.secrets != "keep"], strength)
    _scanned([work for work in works if work.masking.secrets != "keep" and work.bad is None], strength, _Work.take_secrets)
    for work in works:
        work.mask_rest()
    changed = [work for work in works if work.changes and work.bad is None]
    for work in changed:
        work.put_together()
    _scanned([work for work in changed if work.masking.secrets != "keep" and work.bad is None], strength, _Work.look_again)
    return [work.outcome() for work in works]


def masked_by(rows: Sequence[Row], maskings: Sequence[Masking], known: KnownSecrets, strength: Strength) -> list[Outcome]:
    """What becomes of rows that `masked` let pass when it is known what others hold: itself, the row with marks, or why it is dropped."""
    works = [_Work(row, masking) for row, masking in zip(rows, maskings, strict=True)]
    for work in works:
        if work.masking.secrets != "keep":
            work.mask_told(known)
    changed = [work for work in works if work.changes and work.bad is None]
    for work in changed:
        work.put_together()
    _scanned([work for work in changed if work.bad is None], strength, _Work.look_again)
    return [work.outcome() for work in works]


# Of a row's origin what may be written with a password, such as the URL of a repository. Its own paths and hosts are no secrets of it.
_ORIGIN = ("file", "repo", "path", "license")


def _mask_origins(works: Sequence[_Work], strength: Strength) -> None:
    """Masks secrets in the origins of rows; many rows have the same, and each text is scanned once."""
    origins = [work.row.origin for work in works]
    texts = list(dict.fromkeys(text for origin in origins for name in _ORIGIN if (text := getattr(origin, name)) is not None))
    changed: dict[str, tuple[str, Counter[str]]] = {}
    found_in: dict[str, Sequence[Finding]] = {}
    for text, findings in zip(texts, scan(texts, strength) if texts else (), strict=True):
        # A URL with a mark in it tells no secret, and where the row comes from.
        spans = [span for span in _secret_url_spans(text) if span[2] == CREDENTIALS and not holds_mark(text[span[0] : span[1]])]
        kinds = Counter(f"{SECRET}:{finding.kind}" for finding in findings) or Counter({f"{SECRET}:{CREDENTIALS}": len(spans)})
        if findings or spans:
            changed[text] = (replaced(text, findings) if findings else _replaced(text, spans), kinds)
            found_in[text] = findings
    if not changed:
        return
    for work in works:
        origin = work.row.origin
        found = {name: changed[text] for name in _ORIGIN if (text := getattr(origin, name)) in changed}
        if found:
            values: dict[str, Any] = {name: text for name, (text, _) in found.items()}
            work.row = replace(work.row, origin=replace(origin, **values))
            work.changes.update(sum((kinds for _, kinds in found.values()), Counter()))
            for name in found:
                text = getattr(origin, name)
                work.known.note(text, found_in[text])
                work.note_urls(text, list(_secret_url_spans(text)))


class _Work:
    """One row on its way."""

    def __init__(self, row: Row, masking: Masking) -> None:
        self.row = row
        self.masking = masking
        self.bad: BadRow | None = None
        self.changes: Counter[str] = Counter()
        self.texts: list[str] = []
        self._keys: list[str] = []
        self._known: KnownSecrets | None = None
        if masking.does_nothing:
            return
        try:
            found = leaves(row)
        except RecursionError:
            self.bad = BadRow(SECRET, "it is nested deeper than it can be scanned")
            return
        self.texts = [leaf.text for leaf in found]
        self._keys = [leaf.key for leaf in found]
        if masking.secrets == "reject" and row.is_made and any(map(holds_mark, self.texts)):
            # Reading a source masks what its whole files give away; such a row held a secret all the same.
            self.bad = BadRow(SECRET, "it holds the mark of a secret that was masked where its source was read")
        elif masking.secrets != "keep":
            self._mask_secret_urls()

    def whole(self) -> str:
        """All of its texts as one."""
        return whole(self._leaves())

    def _leaves(self) -> list[Leaf]:
        return [Leaf(text, key) for text, key in zip(self.texts, self._keys, strict=True)]

    def _mask_secret_urls(self) -> None:
        if not any("://" in text or may_name_a_host(text) for text in self.texts):
            return
        counts = self._mask(SECRET, _secret_url_spans)
        if counts and self.masking.secrets == "reject":
            self.bad = _bad(SECRET, counts)

    def _mask(self, rule: str, spans: Callable[[str], Iterable[Span]]) -> Counter[str]:
        """Writes over all spans and counts them by kind. What stands beside a mark may only then be told, so it is looked for again."""
        counts: Counter[str] = Counter()
        for index, text in enumerate(self.texts):
            for _ in range(_MOST_LOOKS):
                if not (found := list(spans(text))):
                    break
                counts.update(f"{rule}:{kind}" for _, _, kind, _ in found)
                if self.masking.secrets != "keep":
                    self.note_urls(text, found)
                text = _replaced(text, found)  # noqa: PLW2901 - The next look is at the result.
            self.texts[index] = text
        if counts:
            self.changes += counts
        return counts

    def note_urls(self, text: str, spans: Sequence[Span]) -> None:
        """Remembers the credentials of the URLs at `spans`."""
        for start, end, kind, _ in spans:
            if kind == CREDENTIALS:
                self.known.note_values(url_values(text[start:end]), _IN_URL)

    @property
    def known(self) -> KnownSecrets:
        """What was found in the row so far."""
        if self._known is None:
            self._known = KnownSecrets()
        return self._known

    def _mask_known(self) -> None:
        """Writes over every other place of what was found, and drops the row where its origin holds such a value."""
        known = self._known
        if not known or self.bad is not None:
            return
        known.spare(self.texts)
        self.texts = [known.masked(text) for text in self.texts]
        self.changes.update({f"{SECRET}:{kind}": count for kind, count in known.counts.items()})
        known.counts.clear()
        origin = self.row.origin
        if any(known.holds(text) for name in _ORIGIN if (text := getattr(origin, name)) is not None):
            self.bad = BadRow(SECRET, "where it comes from holds a secret that was found in it")

    def take_secrets(self, findings: Sequence[Finding]) -> None:
        """Masks what a scan of the whole found, or says why the row is dropped."""
        if not findings:
            self._mask_known()
            return
        failed = Counter(f"{SECRET}:{finding.kind}" for finding in findings if finding.kind in FAILED_KINDS)
        if failed:
            self.bad = _bad(SECRET, failed)
            return
        # Behind the texts stand words that two of them share; what is found there alone no mark can cover, and the second scan finds it.
        size = sum(len(f"{leaf.before}{leaf.text}{leaf.behind}".encode()) + 1 for leaf in self._leaves())
        kinds = Counter(f"{SECRET}:{finding.kind}" for finding in findings if finding.start < size or findings[0].start >= size)
        together = self.whole()
        self.known.note(together, findings)
        if self.masking.secrets == "reject":
            self.bad = _bad(SECRET, kinds)
            return
        if has_remains(together, findings):
            self.bad = BadRow(SECRET, f"beside a mark would stand what may be the rest of it: {_counted(kinds)}")
            return
        self.changes += kinds
        position = 0
        for index, leaf in enumerate(self._leaves()):
            source = leaf.text.encode()
            start = position + len(leaf.before.encode())
            self.texts[index] = _marked(source, start, findings)
            position = start + len(source) + len(leaf.behind) + 1
        self._mask_known()

    def mask_rest(self) -> None:
        """Masks URLs and personal data, or says why the row is dropped."""
        for rule, action, spans in ((URL, self.masking.urls, _url_spans), (PERSONAL_DATA, self.masking.personal, personal)):
            if action == "keep" or self.bad is not None:
                continue
            counts = self._mask(rule, spans)
            if counts and action == "reject":
                self.bad = _bad(rule, counts)
        if self.changes and self.masking.secrets != "keep" and self.bad is None:
            self._mask_secret_urls()
            self._mask_known()

    def put_together(self) -> None:
        """Makes the row of its changed texts."""
        try:
            self.row = with_texts(self.row, self.texts)
        except CollidingKeys:
            self.bad = BadRow(SECRET, "two keys of an object would have one mark")

    def look_again(self, findings: Sequence[Finding]) -> None:
        """Drops the row where a scan still finds something."""
        if findings:
            kinds = Counter(f"{SECRET}:{finding.kind}" for finding in findings)
            self.bad = BadRow(SECRET, f"after masking a scan still finds: {_counted(kinds)}")

    def outcome(self) -> Outcome:
        """What became of the row."""
        told = self._known.told() if self._known else ()
        if self.bad is not None:
            return Outcome(None, self.bad, told=told)
        return Outcome(self.row, None, dict(sorted(self.changes.items())) if self.changes else {}, told=told)

    def mask_told(self, known: KnownSecrets) -> None:
        """Masks what other rows and sources told, also in the row's origin, or says why the row is dropped."""
        self.texts = [known.masked(text) for text in self.texts]
        origin = self.row.origin
        given = {name: text for name in _ORIGIN if (text := getattr(origin, name)) is not None}
        values: dict[str, Any] = {name: known.masked(text) for name, text in given.items()}
        if values != given:
            self.row = replace(self.row, origin=replace(origin, **values))
        self.changes.update({f"{SECRET}:{kind}": count for kind, count in known.counts.items()})
        known.counts.clear()
        if self.changes and self.masking.secrets == "reject":
            self.bad = BadRow(SECRET, f"it holds what another row or source gives away: {_counted(self.changes)}")


def _scanned(works: Sequence[_Work], strength: Strength, take: Callable[[_Work, Sequence[Finding]], None]) -> None:
    """Scans all works in batches and hands each what was found in it."""
    for batch in _batches(works):
        for work, findings in zip(batch, scan([work.whole() for work in batch], strength), strict=True):
            take(work, findings)


def _batches(works: Sequence[_Work]) -> Iterator[list[_Work]]:
    batch: list[_Work] = []
    size = 0
    for work in works:
        batch.append(work)
        size += sum(map(len, work.texts))
        if size > _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _url_spans(text: str) -> Iterator[Span]:
    return ((url.start, url.end, "url", URL_MARK) for url in urls(text))


def _secret_url_spans(text: str) -> Iterator[Span]:
    """URLs that are secrets, and private hosts outside of URLs, in the order of the text."""
    found = [(url.start, url.end, url.kind, URL_MARK) for url in urls(text) if url.kind]
    hosts = [span for span in private_hosts(text) if not any(start < span[1] and span[0] < end for start, end, _, _ in found)]
    return iter(sorted([*found, *((start, end, PRIVATE_HOST, HOST_MARK) for start, end in hosts)]))


def _marked(source: bytes, start: int, findings: Sequence[Finding]) -> str:
    """A text with marks; its first byte is number `start` of what was scanned. A finding over several texts leaves a mark in each."""
    parts, position = [], 0
    for finding in findings:
        first, last = max(finding.start - start, 0), min(finding.end - start, len(source))
        if first < last:
            parts += [source[position:first], mark(finding.kind).encode()]
            position = last
    return b"".join([*parts, source[position:]]).decode("utf-8", "replace") if parts else source.decode("utf-8")


def _replaced(text: str, spans: Sequence[Span]) -> str:
    parts, position = [], 0
    for start, end, _, written in spans:
        parts += [text[position:start], written]
        position = end
    return "".join([*parts, text[position:]])


def _bad(code: str, counts: Mapping[str, int]) -> BadRow:
    return BadRow(code, f"it holds {_counted(counts)}")


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} x {kind.partition(':')[2]}" for kind, count in sorted(counts.items()))
