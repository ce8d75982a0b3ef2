"""A batch of rows as it is read, made ready to be stored: converted, cleaned, told by digests, and written as a line each.

A batch depends on nothing but itself and the preparation's settings, so that it can be prepared in any process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.config.row_sections import CleanSection, DatasetEntry
from luthier.config.schema import GuardSection
from luthier.core.files import json_line
from luthier.core.records import INPUT_ROLE, Example, JsonObject, Origin, Reject
from luthier.data.clean.cleaner import Cleaner
from luthier.data.clean.contamination import Decontaminator
from luthier.data.clean.records import Outcome, Row
from luthier.data.clean.secrets import SECRET
from luthier.data.reading import formats
from luthier.data.rows.digests import ROW_BYTES, digest_of, id_of
from luthier.data.rows.fields import BadRow, Fields, place
from luthier.data.rows.grams import Said, said
from luthier.data.rows.keys import exchange_keys, row_keys
from luthier.data.rows.store import NO_GROUP, GramHashes, Prepared, changed_line
from luthier.data.similar.hashing import gram_hashes
from luthier.guard.secrets.known import Told


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What the rows of one source have in common. Without `entry` its rows are Luthier's own: made ones, with their origin in them."""

    entry: DatasetEntry | None
    template: str = ""
    hub: str | None = None
    part: str | None = None
    commit: str | None = None
    license: str | None = None

    def origin(self, file: str, line: int) -> Origin:
        """The origin of a row of a data set."""
        maker = formats.maker_of(self.entry) if self.entry is not None else ""
        if self.hub is None:
            return Origin(maker, formats.VERSION, file=file, line=line, license=self.license)
        lines = (line, line)
        return Origin(maker, formats.VERSION, repo=self.hub, commit=self.commit, path=self.part, lines=lines, license=self.license)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one file of one source, by the source's number, with the line of each."""

    source: int
    file: str
    lines: list[int]
    rows: list[JsonObject | BadRow]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a preparation is built from, in whichever process: sources by number, rules, and what no training row may repeat."""

    sources: tuple[SourceFacts, ...]
    clean: CleanSection | None
    guard: GuardSection
    suite_items: tuple[Example, ...] = ()
    is_grouped: bool = False
    compares_texts: bool = False


def decontaminator_of(clean: CleanSection | None, suite_items: Sequence[Example]) -> Decontaminator | None:
    """What no training row may repeat: the questions of suites and the files of `decontaminate`; None where nothing is cleaned."""
    if clean is None or not (suite_items or clean.decontaminate):
        return None
    return Decontaminator.of(suite_items, [Path(name) for name in clean.decontaminate])


@dataclass(frozen=True, slots=True)
class StoredAgain:
    """A row that changed after it was stored: its id, the one that a teacher's row had before, and the hashes of its grams."""

    id: str
    was: str
    text_grams: GramHashes | None
    request_grams: GramHashes | None


class Preparation:
    """Prepares batches by the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._converters = [None if facts.entry is None else formats.converter(facts.entry) for facts in settings.sources]
        decontaminator = decontaminator_of(settings.clean, settings.suite_items)
        self.cleaner = Cleaner.of(settings.clean, settings.guard, decontaminator)

    def __call__(self, batch: Batch) -> Prepared:
        """The batch made ready."""
        done = Prepared(batch.source, batch.file, read=len(batch.rows))
        lines, rows = self._converted(batch, done)
        texts: list[str] = []
        requests: list[str] = []
        told: dict[tuple[str, str, bool], int] = {}
        for line, row, outcome in zip(lines, rows, self.cleaner.clean(rows), strict=True):
            done.counts.update(outcome.counts)
            for one in outcome.told:
                name = (one.text, one.kind, one.is_of_a_key)
                told[name] = told.get(name, 0) + one.times
            try:
                if outcome.bad is not None and outcome.bad.reason == SECRET:
                    # Half of a surrogate pair is what no scanner can read; it is told as what it is.
                    digest_of(row.fields, row.template)
                if outcome.bad is not None or outcome.row is None:
                    raise outcome.bad or BadRow("dropped", "a rule dropped the row")
                heard = said(outcome.row.fields.messages)
                was = _id_before(row) if outcome.changes else ""
                self._store(outcome.row, line, heard, done, outcome.changes, was)
                texts.append(_compared(heard))
                requests.append(heard.request or "")
            except BadRow as bad:
                done.rejects.append(_rejected(row, "clean" if bad is outcome.bad else "format", bad, batch.file, line))
        done.told = [Told(text, kind, times, is_of_a_key) for (text, kind, is_of_a_key), times in told.items()]
        if self._settings.compares_texts:
            done.text_grams = gram_hashes(texts)
        if self._settings.is_grouped:
            done.request_grams = gram_hashes(requests)
        return done

    def stored_again(self, row: Row, outcome: Outcome, done: Prepared, line: int) -> StoredAgain | None:
        """Adds a row that changed after it was stored to `done`, or what it is rejected for; then there is None."""
        try:
            if outcome.row is None or outcome.bad is not None:
                raise outcome.bad or BadRow("dropped", "a rule dropped the row")
            heard = said(outcome.row.fields.messages)
            self._store(outcome.row, line, heard, done, {})
        except BadRow as bad:
            done.rejects.append(_rejected(row, "clean" if bad is outcome.bad else "format", bad, done.file, line))
            return None
        done.changes.update(outcome.changes)
        return StoredAgain(
            id_of(bytes(done.digests[-ROW_BYTES:])),
            _id_before(row),
            gram_hashes([_compared(heard)]) if self._settings.compares_texts else None,
            gram_hashes([heard.request or ""]) if self._settings.is_grouped else None,
        )

    def _converted(self, batch: Batch, done: Prepared) -> tuple[list[int], list[Row]]:
        facts, convert = self._settings.sources[batch.source], self._converters[batch.source]
        lines, rows = [], []
        for line, raw in zip(batch.lines, batch.rows, strict=True):
            try:
                if isinstance(raw, BadRow):
                    raise raw
                if convert is None:
                    example = Example.from_json(raw)
                    row = Row(Fields(example.messages, example.tools, example.ends), example.origin, facts.template, is_made=True)
                else:
                    row = Row(convert(raw), facts.origin(batch.file, line), facts.template)
                    done.bare += INPUT_ROLE not in [message.role for message in row.fields.messages]
            except BadRow as bad:
                step = "read" if isinstance(raw, BadRow) else "format"
                done.rejects.append(Reject(place(batch.file, line), step, bad.reason, bad.detail, batch.file, line))
                continue
            done.usable += 1
            lines.append(line)
            rows.append(row)
        return lines, rows

    def _store(self, row: Row, line: int, heard: Said, done: Prepared, changes: Mapping[str, int], was: str = "") -> None:
        digest = digest_of(row.fields, row.template)
        group = NO_GROUP if self._settings.is_grouped else ""
        example = Example(id_of(digest), row.fields.messages, row.origin, row.fields.tools, group, row.template, ends=row.fields.ends)
        encoded = _line(example)
        done.lines.append(line)
        done.encoded.append(encoded)
        done.digests += digest
        if row.is_made:
            done.places.append(_place_in_source(row.origin))
        done.keys.add(row_keys(heard, row.origin))
        done.exchanges.add(len(done.lines) - 1, exchange_keys(heard.exchanges))
        if changes:
            done.changes.update(changes)
            done.changed.append(changed_line(example.id, changes, was))


def _compared(heard: Said) -> str:
    return "\n".join(text for text in (heard.request, heard.answer) if text is not None)


def _id_before(row: Row) -> str:
    """The id that a row of a teacher was made with, by which rows that were made of it name it; empty for other rows."""
    if row.origin.teacher is None:
        return ""
    try:
        return id_of(digest_of(row.fields, row.template))
    except BadRow:
        return ""


def _rejected(row: Row, step: str, bad: BadRow, file: str, line: int) -> Reject:
    """The reject of a row that was converted: by its id and with its origin, so that its life can be told, without its content."""
    try:
        name = id_of(digest_of(row.fields, row.template))
    except BadRow:
        name = place(file, line)
    if row.is_made:
        file, line = _place_in_source(row.origin)
    return Reject(name, step, bad.reason, bad.detail, file, line, row.origin)


def _place_in_source(origin: Origin) -> tuple[str, int]:
    return origin.path or origin.file or "", origin.lines[0] if origin.lines else 1


def _line(example: Example) -> bytes:
    try:
        return json_line(example.to_json()).encode("utf-8")
    except UnicodeEncodeError as error:  # A surrogate in a field that takes no part in the comparison, such as a call's id.
        raise BadRow("invalid_unicode", "a field of the row holds half of a surrogate pair, which is no character") from error
