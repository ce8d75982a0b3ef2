"""The data stage: reads every source, drops what is bad with a reason, divides the rest, and writes the folder `data/`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from luthier.config.schema import DatasetEntry, PromptFormat, RunConfig, SplitSection
from luthier.core.errors import DataError, Problem
from luthier.core.events import EventLog
from luthier.core.files import write_json
from luthier.core.records import INPUT_ROLE, JsonObject, Origin, Reject
from luthier.core.runs import RunFolder
from luthier.data import formats
from luthier.data.provenance import SourceRecord, report_of
from luthier.data.readers import read_rows
from luthier.data.rows import DUPLICATE, BadRow, RejectLog, place
from luthier.data.sources import file_format, hub_advice, identify, resolve
from luthier.data.split import SIDES, TEST, TRAIN, VALIDATION, Division, check_sides, divide, hold_out, overlap, part
from luthier.data.store import RowStore
from luthier.data.wording import Wordings
from luthier.retrieval.hub import HubDataset, read_hub, snapshot

_PROGRESS_ROWS = 10_000
# A number of held-out rows, under `clean` read as a share, must leave something to train on.
_LARGEST_SHARE = 0.999


@dataclass(frozen=True, slots=True)
class _Source:
    """A source ready to be read: its record, the wording of its rows, and what it reads."""

    record: SourceRecord
    template: str
    found: list[Path] | HubDataset


class _Intake:
    """Moves rows from sources into stores and rejects into their log."""

    def __init__(self, rejects: RejectLog, events: EventLog) -> None:
        self._rejects = rejects
        self._events = events
        self._read = 0
        self._unusable: list[Problem] = []

    def take(self, source: _Source, store: RowStore) -> None:
        """Reads one source to its end."""
        convert = formats.converter(source.record.entry)
        record = source.record
        usable = bare = 0
        for file, line, row, origin in _rows_of(source):
            record.read += 1
            try:
                if isinstance(row, BadRow):
                    raise row
                fields = convert(row)
                duplicate = store.add(fields, origin, source.template, file, line)
            except BadRow as bad:
                step = "read" if isinstance(row, BadRow) else "format"
                self._rejects.add(Reject(place(file, line), step, bad.reason, bad.detail, file, line))
            else:
                usable += 1
                bare += INPUT_ROLE not in [message.role for message in fields.messages]
                record.accepted += duplicate is None
                if duplicate is not None:
                    self._rejects.add(duplicate)
            self._tick()
        if not usable:
            self._unusable += _nothing_usable(record, self._rejects).problems
        _note_default_wording(record, bare)

    def _tick(self) -> None:
        self._read += 1
        if self._read % _PROGRESS_ROWS == 0:
            self._events.emit("data.progress", done=self._read)

    def check(self) -> None:
        """`DataError` where a source had no row that can be used, or too many rows of all are bad."""
        if self._unusable:
            raise DataError(list(dict.fromkeys(self._unusable)))
        self._rejects.check_share(self._read)

    @property
    def read(self) -> int:
        """Rows read so far, over all sources."""
        return self._read


def run(config: RunConfig, folder: RunFolder, events: EventLog) -> None:
    """Writes the whole of `data/`; `DataError` where a source is missing, too much of it is bad, or nothing is left."""
    settings = config.data_settings()
    folder.data.mkdir(parents=True, exist_ok=True)
    wordings = Wordings()
    training = [_source(entry, f"datasets[{index}]", wordings, folder) for index, entry in enumerate(settings.datasets)]
    testing = [_source(entry, f"test_datasets[{index}]", wordings, folder) for index, entry in enumerate(settings.test_datasets)]
    grouped = _is_grouped(config)
    rejects = RejectLog(folder.data, settings.max_bad_rows)
    rows = RowStore(folder.data, settings.remove_duplicates, grouped=grouped)
    held_out = RowStore(folder.data, settings.remove_duplicates, grouped=False)
    with closing(rejects), closing(rows), closing(held_out):
        intake = _Intake(rejects, events)
        try:
            for source in training:
                intake.take(source, rows)
            for source in testing:
                intake.take(source, held_out)
            intake.check()
        finally:
            rejects.write(folder.rejected)
        division = _divide(config, rows)
        _compare(division, rows, held_out, grouped)
        _write_sides(folder, rows, held_out, division, grouped)
        sources = [source.record for source in (*training, *testing)]
        report = report_of(sources, rejects, division, rejects.counts[DUPLICATE], len(held_out))
    write_json(folder.templates, wordings.texts)
    write_json(folder.provenance, {"sources": [record.provenance() for record in sources]})
    write_json(folder.data_report, report)
    _tell(events, sources, division, report["rejected"], folder)


def _source(entry: DatasetEntry, where: str, wordings: Wordings, folder: RunFolder) -> _Source:
    path_key = f"{where}.path"
    found = resolve(entry, path_key)
    template = wordings.name_for(entry, where)
    if isinstance(found, HubDataset):
        known = snapshot(found, path_key, hub_advice())
        hashes = {found.id: f"commit:{known.commit}"}
        return _Source(SourceRecord(where, entry, hashes, "hub", known.commit, known.license), template, found)
    hashes = identify(entry, folder.hashes, path_key)
    file_formats = sorted({file_format(file, entry) for file in found})
    return _Source(SourceRecord(where, entry, hashes, ", ".join(file_formats)), template, found)


def _rows_of(source: _Source) -> Iterator[tuple[str, int, JsonObject | BadRow, Origin]]:
    """File, line, row and origin of every row of a source."""
    record, found = source.record, source.found
    maker = formats.maker_of(record.entry)
    if isinstance(found, HubDataset):
        commit = record.commit or ""
        for number, value in read_hub(found, commit, f"{record.key}.path", hub_advice()):
            lines = (number, number)
            origin = Origin(maker, formats.VERSION, repo=found.id, commit=commit, path=found.split, lines=lines, license=record.license)
            yield f"{found.id}/{found.split}", number, value, origin
        return
    for file in found:
        name = file.as_posix()
        for line, row in read_rows(file, file_format(file, record.entry)):
            yield name, line, row, Origin(maker, formats.VERSION, file=name, line=line)


def _nothing_usable(record: SourceRecord, rejects: RejectLog) -> DataError:
    what = "no row can be used" if record.read else "the data set holds no rows"
    if record.read and rejects.bad:
        return rejects.error(f"{what}: `{record.entry.path}` has {record.read}, all bad", where=f"{record.key}.path")
    return DataError(Problem(what, where=f"{record.key}.path", found=record.entry.path, hint="put rows into it, or take the entry out"))


def _note_default_wording(record: SourceRecord, bare: int) -> None:
    """Tells of Axolotl's trap: `format` alone leaves rows without input to the default wording."""
    settings = record.entry.type
    if bare and isinstance(settings, PromptFormat) and settings.format is not None and settings.no_input_format is None:
        text = f"{record.key}.type: {bare} rows have no input and take the default wording `{{instruction}} `, not `format`"
        record.notes.append(f"{text}; write `no_input_format` to word them")


def _is_grouped(config: RunConfig) -> bool:
    """Whether equal requests and equal answers are kept on one side: under `split` and under `clean`."""
    return config.split is not None or config.clean is not None


def _divide(config: RunConfig, rows: RowStore) -> Division:
    if config.split is not None:
        return divide(rows.keys, config.split)
    if config.clean is not None:
        wanted = config.val_set_size
        share = wanted if wanted < 1 else min(wanted / len(rows), _LARGEST_SHARE)
        return divide(rows.keys, SplitSection(validation=share, seed=config.seed))
    if config.val_set_size:
        return hold_out(len(rows), config.val_set_size, config.seed)
    return Division(bytearray(len(rows)))


def _compare(division: Division, rows: RowStore, held_out: RowStore, grouped: bool) -> None:
    """Notes what rows held out without groups share with the training rows; the user may not know."""
    if len(held_out):
        requests, answers = overlap(rows.keys, held_out.keys)
        if requests or answers:
            shared = f"{requests} of {len(held_out)} rows of `test_datasets` ask, and {answers} answer, what also stands in `datasets`"
            division.warnings.append(f"{shared}; the evaluation loss is the better for it")
    elif not grouped and VALIDATION in division.sides:
        requests, answers = overlap(part(rows.keys, division, TRAIN), part(rows.keys, division, VALIDATION))
        if requests or answers:
            shared = f"{requests} rows held out by `val_set_size` ask, and {answers} answer, what also stands in the training rows"
            division.notes.append(f"{shared}; `split` keeps equal requests and answers on one side")


def _write_sides(folder: RunFolder, rows: RowStore, held_out: RowStore, division: Division, grouped: bool) -> None:
    for side in (TRAIN, VALIDATION, TEST):
        path = folder.split(SIDES[side])
        if side == VALIDATION and len(held_out):
            held_out.write(path, Division(bytearray(len(held_out))), TRAIN)
        else:
            rows.write(path, division, side)
    if grouped:
        drawn = [SIDES[side] for side in (TRAIN, VALIDATION, TEST) if side != VALIDATION or not len(held_out)]
        check_sides([folder.split(name) for name in drawn])


def _tell(events: EventLog, sources: list[SourceRecord], division: Division, rejected: dict[str, int], folder: RunFolder) -> None:
    for note in [*(note for record in sources for note in record.notes), *division.notes]:
        events.note(note)
    for warning in division.warnings:
        events.warn(warning)
    if rejected:
        counts = ", ".join(f"{count} x {reason}" for reason, count in rejected.items())
        events.note(f"rows left out: {counts}; each with its reason in {folder.rejected}")
