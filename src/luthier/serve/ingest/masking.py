"""Secrets of a source, masked before anything of it is kept; texts that were found clean before are not scanned again.

What was found in one text is masked in all of them. Values are kept in memory alone: a text that holds one is scanned each time, so that
its values are known again, and of a clean one nothing but its hash is remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from luthier.core.files import sha256_bytes
from luthier.guard.secrets.findings import FAILED_KINDS, Finding
from luthier.guard.secrets.known import KnownSecrets, masked_by_line
from luthier.guard.secrets.scan import scan
from luthier.guard.secrets.strength import Strength
from luthier.retrieval.records import Excluded, SourceFile

_PART_CHARACTERS = 400_000
_DIGEST_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Masked:
    """Files without secrets; those that had to be left out; how many secrets were masked, by kind; hashes of the texts that had none."""

    files: tuple[SourceFile, ...]
    excluded: tuple[Excluded, ...]
    kinds: Counter[str]
    clean: frozenset[str]


class Masking:
    """One source on its way. `clean` are hashes of texts in which these scanners found nothing before."""

    def __init__(self, clean: frozenset[str], strength: Strength, progress: Callable[[str, int], None]) -> None:
        self._clean, self._strength, self._progress = clean, strength, progress
        self._known = KnownSecrets()
        self._seen_clean: set[str] = set()
        self._waiting: list[str] = []
        self._waiting_characters = 0
        self._done = 0

    def take_unread(self, text: str) -> None:
        """Takes a text that nothing is kept of: what is found in it is masked elsewhere."""
        if self._is_clean(text):
            return
        self._waiting.append(text)
        self._waiting_characters += len(text)
        if self._waiting_characters >= _PART_CHARACTERS:
            self._note_waiting()

    def _note_waiting(self) -> None:
        for text, findings in zip(self._waiting, self._scanned(self._waiting), strict=True):
            if not any(finding.kind in FAILED_KINDS for finding in findings):
                self._known.note(text, findings)
        self._waiting, self._waiting_characters = [], 0

    def masked(self, files: Sequence[SourceFile]) -> Masked:
        """The files with a mark over each secret. One that no scanner could vouch for, or with a secret in its path, is left out."""
        self._note_waiting()
        kinds: Counter[str] = Counter()
        texts: dict[str, str | None] = {}
        named = self._named_after_secrets(files)
        unknown = list(dict.fromkeys(file.text for file in files if not self._is_clean(file.text)))
        for given, findings in zip(unknown, self._scanned(unknown), strict=True):
            if any(finding.kind in FAILED_KINDS for finding in findings):
                texts[given] = None
                continue
            self._known.note(given, findings)
            kinds.update(finding.kind for finding in findings)
            texts[given] = masked_by_line(given, findings)

        def read(file: SourceFile) -> str | None:
            return texts.get(file.text, file.text)

        self._known.spare(text for text in map(read, files) if text is not None)
        kept: list[SourceFile] = []
        excluded: list[Excluded] = []
        for file in files:
            text = read(file)
            if file.path in named:
                excluded.append(Excluded(self._known.masked(named[file.path]), "unscannable", "its path holds a secret"))
            elif text is None:
                why = "no scanner could tell whether it holds a secret"
                excluded.append(Excluded(self._known.masked(file.path), "unscannable", why))
            elif self._known.holds(file.path):
                why = "its path holds a secret that was found in the source"
                excluded.append(Excluded(self._known.masked(file.path), "unscannable", why))
            else:
                kept.append(replace(file, text=self._known.masked(text)))
        return Masked(tuple(kept), tuple(excluded), kinds + self._known.counts, frozenset(self._seen_clean))

    def _named_after_secrets(self, files: Sequence[SourceFile]) -> dict[str, str]:
        """Paths that hold a secret, or that no scanner could judge, with marks in its place; what they hold is masked elsewhere too."""
        found: dict[str, str] = {}
        unknown = [file.path for file in files if not self._is_clean(file.path)]
        for path, findings in zip(unknown, self._scanned(unknown), strict=True):
            if any(finding.kind in FAILED_KINDS for finding in findings):
                found[path] = "(a path that no scanner could judge)"
            elif findings:
                self._known.note(path, findings)
                found[path] = masked_by_line(path, findings)
        return found

    def told(self, text: str) -> str:
        """Words about the source, without its secrets."""
        return self._known.masked(text)

    def _is_clean(self, text: str) -> bool:
        digest = _digest(text)
        if digest in self._clean:
            self._seen_clean.add(digest)
        return digest in self._seen_clean

    def _scanned(self, texts: Sequence[str]) -> Iterable[tuple[Finding, ...]]:
        """The findings in each text; one without any is remembered by its hash."""
        for share in _shares(texts):
            for text, findings in zip(share, scan(share, self._strength), strict=True):
                if not findings:
                    self._seen_clean.add(_digest(text))
                yield findings
            self._done += len(share)
            self._progress("texts scanned for secrets", self._done)


def _shares(texts: Sequence[str]) -> Iterable[list[str]]:
    share: list[str] = []
    size = 0
    for text in texts:
        share.append(text)
        size += len(text)
        if size >= _PART_CHARACTERS:
            yield share
            share, size = [], 0
    if share:
        yield share


def _digest(text: str) -> str:
    return sha256_bytes(text.encode("utf-8", "surrogatepass"))[:_DIGEST_CHARACTERS]
