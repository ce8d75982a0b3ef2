"""The entries of a run file that bring rows, found and identified, and their rows in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from luthier.config.row_sections import DatasetEntry, PromptFormat, SourceEntry
from luthier.core.errors import DataError, Problem
from luthier.core.files import read_jsonl
from luthier.core.records import JsonObject, JsonValue
from luthier.core.runs import RunFolder
from luthier.data.intake.prepare import Batch, SourceFacts
from luthier.data.intake.source_record import SourceRecord
from luthier.data.reading.data_sets import file_format, hub_advice, identify, resolve
from luthier.data.reading.readers import read_rows
from luthier.data.reading.wording import Wordings
from luthier.data.rows.fields import BadRow
from luthier.data.rows.rejects import RejectLog
from luthier.data.sources.making import MadeRows
from luthier.retrieval.hub import HubDataset, read_hub, snapshot

# A batch ends with so many rows, or so many characters: what is under way at once is bounded, whatever the rows.
BATCH_ROWS = 2_000
BATCH_CHARACTERS = 4_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """An entry ready to be read: its record, what its rows have in common, and what it reads."""

    record: SourceRecord
    facts: SourceFacts
    found: list[Path] | HubDataset | MadeRows


def dataset(entry: DatasetEntry, where: str, wordings: Wordings, folder: RunFolder) -> Source:
    """An entry of `datasets` or `test_datasets`; `DataError` where it leads nowhere."""
    path_key = f"{where}.path"
    found = resolve(entry, path_key)
    template = wordings.name_for(entry, where)
    if isinstance(found, HubDataset):
        known = snapshot(found, path_key, hub_advice())
        license_ = entry.license or known.license
        record = SourceRecord(where, entry, {found.id: f"commit:{known.commit}"}, "hub", known.commit, license_)
        return Source(record, SourceFacts(entry, template, found.id, found.split, known.commit, license_), found)
    hashes = identify(entry, folder.hashes, path_key)
    file_formats = sorted({file_format(file, entry) for file in found})
    record = SourceRecord(where, entry, hashes, ", ".join(file_formats), license=entry.license)
    return Source(record, SourceFacts(entry, template, license=entry.license), found)


def made(entry: SourceEntry, where: str, rows: MadeRows) -> Source:
    """An entry of `sources`, whose rows are made."""
    facts = rows.facts
    record = SourceRecord(
        where,
        entry,
        {facts["repo"]: facts["identity"]},
        facts["kind"],
        facts["commit"],
        facts["license"],
        facts,
        notes=list(facts["notes"]),
    )
    return Source(record, SourceFacts(None), rows)


def batches(sources: Sequence[Source], offset: int = 0) -> Iterator[Batch]:
    """All rows of `sources` in batches of one file each; the first source has the number `offset`."""
    for number, source in enumerate(sources, offset):
        for file, rows in _files_of(source):
            yield from _cut(number, file, rows)


def _cut(number: int, file: str, rows: Iterable[tuple[int, JsonObject | BadRow]]) -> Iterator[Batch]:
    batch, characters = Batch(number, file, [], []), 0
    for line, row in rows:
        batch.lines.append(line)
        batch.rows.append(row)
        characters += 0 if isinstance(row, BadRow) else _characters(row, 3)
        if len(batch.rows) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = Batch(number, file, [], []), 0
    if batch.rows:
        yield batch


def _characters(value: JsonValue, depth: int) -> int:
    """About how long a row is; what lies deeper than `depth` is not counted."""
    if isinstance(value, str):
        return len(value)
    if depth == 0 or not isinstance(value, list | dict):
        return 1
    return sum([_characters(inner, depth - 1) for inner in (value.values() if isinstance(value, dict) else value)])


def _files_of(source: Source) -> Iterator[tuple[str, Iterator[tuple[int, JsonObject | BadRow]]]]:
    record, found = source.record, source.found
    if isinstance(found, HubDataset):
        yield f"{found.id}/{found.split}", read_hub(found, record.commit or "", f"{record.key}.path", hub_advice())
    elif isinstance(found, MadeRows):
        yield f"{record.key} {found.facts['name']}", zip(count(1), read_jsonl(found.path))
    elif isinstance(record.entry, DatasetEntry):
        for file in found:
            yield file.as_posix(), read_rows(file, file_format(file, record.entry))


def unusable(record: SourceRecord, rejects: RejectLog) -> list[Problem]:
    """What is wrong with a source that brought no row; nothing where it brought some."""
    if record.usable:
        return []
    if isinstance(record.entry, SourceEntry):
        hint = "`data/rejected.jsonl` lists files and pieces that were left out; choose other makers, or mend `include` and `exclude`"
        return [Problem("no row could be made of the source", where=record.key, found=record.path, hint=hint)]
    what = "no row can be used" if record.read else "the data set holds no rows"
    if record.read and rejects.bad:
        error: DataError = rejects.error(f"{what}: `{record.path}` has {record.read}, all bad", where=f"{record.key}.path")
        return list(error.problems)
    return [Problem(what, where=f"{record.key}.path", found=record.path, hint="put rows into it, or take the entry out")]


def note_default_wording(record: SourceRecord) -> None:
    """Tells of Axolotl's trap: `format` alone leaves rows without input to the default wording."""
    settings = record.entry.type if isinstance(record.entry, DatasetEntry) else None
    if record.bare and isinstance(settings, PromptFormat) and settings.format is not None and settings.no_input_format is None:
        text = f"{record.key}.type: {record.bare} rows have no input and take the default wording `{{instruction}} `, not `format`"
        record.notes.append(f"{text}; write `no_input_format` to word them")
