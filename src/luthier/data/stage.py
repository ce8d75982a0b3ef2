"""The data stage: reads and makes rows, cleans them, leaves out what repeats, divides the rest, checks, and writes the folder `data/`.

The flow is the order of `run`. Each step is a room of its own: `sources` (entries of `sources` to rows, over `synthesize` and `teacher`),
`intake` (entries to batches, batches to stored rows, over `reading` and `clean`), `similar` (equal and nearly equal rows), `split` (sides,
and their check), `augment` (variants), `outputs`. What a row is, and where rows wait, stands in `rows`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import IO

from luthier.config.row_sections import CleanSection
from luthier.config.schema import RunConfig
from luthier.core.errors import DataError, Problem
from luthier.core.events import EventLog
from luthier.core.files import remove, write_json, write_with
from luthier.core.records import Example, JsonObject
from luthier.core.runs import RunFolder
from luthier.data.augment.variants import Around, Variants, variants_of
from luthier.data.clean.shell import absent_tools
from luthier.data.crew.members import processors
from luthier.data.intake.gather import Source, dataset, made, note_default_wording, unusable
from luthier.data.intake.prepare import Settings, SourceFacts, decontaminator_of
from luthier.data.intake.taking import Intake, masks_data_sets
from luthier.data.outputs.forms import write_formats
from luthier.data.outputs.provenance import Steps, provenance_of, report_of
from luthier.data.reading.wording import Wordings
from luthier.data.rows.grams import NEAR
from luthier.data.rows.rejects import CONTAMINATED, RejectLog
from luthier.data.rows.spool import JsonSpool
from luthier.data.rows.store import Prepared, RowStore
from luthier.data.similar.collection import Grams
from luthier.data.similar.removal import drop_equal, drop_held_out, drop_near, near_kept
from luthier.data.sources.making import Making, Teachers, looked_through, rejects_of
from luthier.data.split.check import check_files
from luthier.data.split.division import Sides, divided, note_overlap
from luthier.data.split.earlier import earlier_sides, latest_beside
from luthier.data.split.sides import SIDES, TEST, TRAIN, VALIDATION
from luthier.data.teacher.journal import journal_in
from luthier.data.teacher.ledger import ASKED_AGAIN


class _Work:
    """What the steps of one run share: settings, stores, what was left out, what was counted."""

    def __init__(self, config: RunConfig, folder: RunFolder, events: EventLog, stack: ExitStack) -> None:
        self.settings = config.data_settings()
        self.guard = config.guard
        self.endpoints = config.endpoints
        self.folder = folder
        self.events = events
        self.is_grouped = self.settings.split is not None or self.settings.clean is not None
        clean = self.settings.clean
        self.near = clean.near_duplicates if clean is not None else None
        if clean is not None and clean.exact_duplicates == "keep" and self.near is None:
            self.near = False
        # Where the run file does not say what is done: rows of `sources` are compared, those of `datasets` where it asks for cleaning.
        self.compares_texts = bool(self.near) or (self.near is None and bool(self.settings.sources or clean is not None))
        self.near_kept: int | None = None
        self.rejects = stack.enter_context(closing(RejectLog(folder.data, self.settings.max_bad_rows)))
        self.rows = stack.enter_context(closing(RowStore(folder.data)))
        self.held_out = stack.enter_context(closing(RowStore(folder.data)))
        self.texts = stack.enter_context(Grams(folder.data))
        self.requests = stack.enter_context(Grams(folder.data))
        self.steps = Steps()
        self.changes: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.changed = stack.enter_context(closing(JsonSpool(folder.data)))

    def note_cleaning(self, cleaned: Prepared | Variants) -> None:
        """Takes over what cleaning changed and counted in some rows."""
        self.changes.update(cleaned.changes)
        self.counts.update(cleaned.counts)
        for changed in cleaned.changed:
            self.changed.add(changed)

    def say(self, step: str, done: int) -> None:
        """Tells how far a step is."""
        self.events.emit("data.progress", step=step, done=done)


def run(config: RunConfig, folder: RunFolder, events: EventLog, suite_items: Sequence[Example] = (), processes: int | None = None) -> None:
    """Writes the whole of `data/`; `DataError` where a source is missing, too much of it is bad, or nothing is left.

    `suite_items` are questions with answers that no training row may repeat. `processes` prepare the rows, as many as there are processors
    where it is not given; the bytes do not depend on it.
    """
    folder.data.mkdir(parents=True, exist_ok=True)
    wordings = Wordings()
    with ExitStack() as stack:
        work = _Work(config, folder, events, stack)
        training = [dataset(entry, f"datasets[{index}]", wordings, folder) for index, entry in enumerate(work.settings.datasets)]
        testing = [dataset(entry, f"test_datasets[{index}]", wordings, folder) for index, entry in enumerate(work.settings.test_datasets)]
        try:
            intake = stack.enter_context(closing(_intake(work, training, testing, suite_items, processes or processors())))
            training += _looked_at(work, intake, training, testing, processes or processors())
            _take_in(work, intake, training, testing)
            _reduce(work)
            sides = divided(work.rows, work.requests, work.settings)
            note_overlap(sides, work.rows, work.held_out, work.is_grouped)
            variants = _varied(work, sides, suite_items)
        finally:
            work.rejects.write(folder.rejected)
        _write_sides(work, sides, variants)
        _check(work)
        _tell(work, [*training, *testing], sides, variants, wordings)
        _tell_moves(work, sides)


def _intake(work: _Work, training: list[Source], testing: list[Source], suite_items: Sequence[Example], processes: int) -> Intake:
    """What takes in the rows of all entries."""
    made_ones = [SourceFacts(None)] * len(work.settings.sources)
    settings = Settings(
        sources=(*(source.facts for source in training), *made_ones, *(source.facts for source in testing)),
        clean=work.settings.clean,
        guard=work.guard,
        suite_items=tuple(suite_items),
        is_grouped=work.is_grouped,
        compares_texts=work.compares_texts,
    )
    counts = len(training), len(made_ones), len(testing)
    return Intake(settings, counts, processes, work.folder.data, work.say)


def _looked_at(work: _Work, intake: Intake, training: list[Source], testing: list[Source], processes: int) -> list[Source]:
    """The entries of `sources` with their rows, which are made now where they were not before. All that the run reads is looked through
    for secrets before: what one entry gives away is made into no row of another, nor sent to a teacher."""
    clean = work.settings.clean
    teachers = Teachers(dict(work.endpoints), journal_in(work.folder.cache), work.settings.seed)
    scanners = clean.scanners if clean is not None else "fast"
    makings = [
        Making(entry, f"sources[{index}]", work.folder.cache, work.say, teachers, scanners, processes)
        for index, entry in enumerate(work.settings.sources)
    ]
    others = [making.identify(work.folder.hashes) for making in makings]
    data_sets = [*training, *testing] if masks_data_sets(clean) else []
    if data_sets and clean is not None:
        others += [
            clean.model_dump(mode="json"),
            *({"data": one.record.sha256, **one.record.entry.model_dump(mode="json")} for one in data_sets),
        ]
    kept = [making.kept(others) for making in makings]
    told = intake.look_at_data_sets(training, testing)
    # Where all rows were made before, and no others can hold what the sources give away, there is nothing to look for.
    told_by = looked_through(makings) if data_sets or None in kept else [[] for _ in makings]
    found = []
    for number, (making, before) in enumerate(zip(makings, kept, strict=True)):
        rows = before or making.made([*told, *(one for at, those in enumerate(told_by) for one in those if at != number)])
        making.forget()
        where = f"sources[{number}]"
        for reject in rejects_of(rows, where):
            work.rejects.pass_on(reject)
        found.append(made(work.settings.sources[number], where, rows))
    intake.look_at_made(found, [one for those in told_by for one in those])
    return found


def _take_in(work: _Work, intake: Intake, training: list[Source], testing: list[Source]) -> None:
    """Moves the rows of all sources into their stores, cleaned; `DataError` where one brought none, or too many rows are bad."""
    sources = [*training, *testing]
    read = unreadable = 0
    for batch in intake.batches():
        record = sources[batch.source].record
        record.read += batch.read
        record.usable += batch.usable
        record.bare += batch.bare
        unreadable += batch.read - batch.usable
        is_training = batch.source < len(training)
        (work.rows if is_training else work.held_out).add(batch)
        if is_training:
            if batch.text_grams is not None:
                work.texts.add_hashes(*batch.text_grams)
            if batch.request_grams is not None:
                work.requests.add_hashes(*batch.request_grams)
        for reject in batch.rejects:
            work.rejects.add(reject)
        work.note_cleaning(batch)
        read += batch.read
    problems = [problem for source in sources for problem in unusable(source.record, work.rejects)]
    if problems:
        raise DataError(list(dict.fromkeys(problems)))
    work.rejects.check_share(read)
    for source in sources:
        note_default_wording(source.record)
    work.steps.add("read", read, read - unreadable)
    work.steps.add("clean", read - unreadable, len(work.rows) + len(work.held_out))


def _reduce(work: _Work) -> None:
    """Leaves out equal rows where the run file asks for it, then nearly equal ones, then what `test_datasets` ask."""
    before = len(work.rows) + len(work.held_out)
    for store in (work.rows, work.held_out):
        drop_equal(store, work.rejects, work.settings.remove_duplicates)
    left = len(work.rows.kept()) + len(work.held_out.kept())
    if work.settings.remove_duplicates:
        work.steps.add("dedup", before, left)
    _reduce_near(work, left)
    clean = work.settings.clean
    if clean is not None and CONTAMINATED not in clean.off and len(work.held_out):
        before = len(work.rows.kept())
        drop_held_out(work.rows, work.held_out, work.rejects)
        rest = len(work.held_out.kept())
        work.steps.add("held_out", before + rest, len(work.rows.kept()) + rest)
    if not len(work.rows.kept()):
        hint = f"every row is listed with its reason in {work.folder.rejected}"
        raise DataError(Problem("no row is left to train on", where="clean", hint=hint))


def _reduce_near(work: _Work, left: int) -> None:
    """Leaves out nearly equal ones of the `left` rows as the run file says; where it says nothing, those that were made of `sources`.

    What a person put into a data set stays as in Axolotl, but how much of it there is twice is counted and told.
    """
    own = work.rows.first_of(len(work.settings.datasets)) if work.near is None else 0
    if work.near or (work.near is None and own < len(work.rows)):
        drop_near(work.rows, work.texts, float(work.near or NEAR), work.rejects, first=own, keeps_taught=not work.near)
        work.steps.add("near_dedup", left, len(work.rows.kept()) + len(work.held_out.kept()))
    if work.near is None and work.settings.clean is not None and own:
        work.near_kept = near_kept(work.rows, work.texts, NEAR, own)


def _varied(work: _Work, sides: Sides, suite_items: Sequence[Example]) -> Variants:
    """Variants of the training rows, apart from all that is held out: by the division, in files of its own, and by suites."""
    if work.settings.augment is None:
        return Variants()
    held_out = [Example.from_json(json.loads(line)) for line in work.held_out.lines(bytes(len(work.held_out)), TRAIN)]
    decontaminator = decontaminator_of(work.settings.clean, suite_items)
    around = Around(work.guard, work.endpoints, work.folder.cache, work.folder.data, held_out, decontaminator, work.rejects.pass_on)
    variants = variants_of(work.rows, sides, work.settings, around)
    work.note_cleaning(variants)
    if variants.teacher is not None and variants.teacher.asked_again:
        work.events.note(f"{variants.teacher.asked_again} {ASKED_AGAIN}")
    rows = len(work.rows.kept())
    work.steps.add("augment", rows, rows + len(variants.lines))
    return variants


def _write_sides(work: _Work, sides: Sides, variants: Variants) -> None:
    for side in (TRAIN, VALIDATION, TEST):
        lines = work.rows.lines(sides.sides, side, sides.group)
        if side == VALIDATION and len(work.held_out):
            lines = work.held_out.lines(bytes(len(work.held_out)), TRAIN)
        more = variants.lines if side == TRAIN else ()
        write_with(work.folder.split(SIDES[side]), lambda stream, rows=lines, more=more: _write(stream, rows, more))  # type: ignore[misc]


def _write(stream: IO[bytes], rows: Iterator[bytes], more: Sequence[bytes]) -> None:
    stream.writelines(rows)
    stream.writelines(more)


def _check(work: _Work) -> None:
    """Reads the written sides again; `IntegrityError` where one tells what another asks."""
    if work.is_grouped:
        drawn = [SIDES[side] for side in (TRAIN, VALIDATION, TEST) if side != VALIDATION or not len(work.held_out)]
        check_files([work.folder.split(name) for name in drawn])


def _tell(work: _Work, sources: list[Source], sides: Sides, variants: Variants, wordings: Wordings) -> None:
    """Writes report, provenance, wordings and the other forms of the rows, and says what should be known."""
    folder, division = work.folder, sides.division
    records = [source.record for source in sources]
    for store in (work.rows, work.held_out):
        for number, count in enumerate(store.kept_by_source(len(records))):
            records[number].accepted += count
    splits = dict(zip(SIDES, _sizes(work, sides, variants), strict=True))
    notes = [*(note for record in records for note in record.notes), *division.notes, *variants.notes]
    if work.near_kept:
        is_one = work.near_kept == 1
        said = "1 row of `datasets` is" if is_one else f"{work.near_kept:,} rows of `datasets` are"
        hint = f"`clean: {{near_duplicates: {NEAR:g}}}` leaves such rows out, `near_duplicates: false` does not look for them"
        notes.append(
            f"{said} nearly equal to an earlier one (word 3-gram Jaccard of {NEAR:g} or more) and {'stays' if is_one else 'stay'}; {hint}"
        )
    notes += _without_tools(work)
    more: JsonObject = {
        "splits": splits,
        "cleaned": work.settings.clean is not None,
        "augmented": len(variants.lines),
        "notes": [*notes, *division.warnings],
    }
    if work.near_kept is not None:
        more["near_duplicates_kept"] = work.near_kept
    if work.settings.unseen_commands is not None:
        more["commands_not_looked_at"] = work.settings.unseen_commands
    if variants.teacher is not None:
        more["augment_teacher"] = variants.teacher.to_json()
    if division.targets:
        more |= {"targets": division.targets, "weak_pairs_across": sum(division.weak_across.values()), "moves": sides.moves()}
    report = report_of(records, work.rejects, division, work.steps, work.changes, work.counts, more)
    write_json(folder.templates, wordings.texts)
    remove(folder.changed)
    if work.changed:
        work.changed.write(folder.changed)
    write_json(folder.data_report, report)
    write_formats(folder.data, work.settings.formats)
    outputs = [path for path in folder.data.rglob("*") if path.is_file() and path != folder.provenance]
    write_json(folder.provenance, provenance_of(records, report, outputs, folder.data, work.settings.sees_commands))
    for note in notes:
        work.events.note(note)
    for warning in division.warnings:
        work.events.warn(warning)
    if report["rejected"]:
        counts = ", ".join(f"{count} x {reason}" for reason, count in report["rejected"].items())
        work.events.note(f"rows left out: {counts}; each with its reason in {folder.rejected}")


def _without_tools(work: _Work) -> list[str]:
    """Notes where rows of shell were there and a tool to judge them was not; one that the run file asks for is an error before that."""
    absent = absent_tools(work.settings.clean or CleanSection()) if work.counts["shell:rows"] else []
    hints = {"bash": "install bash", "shellcheck": "pip install 'luthier[guard]'"}
    what = {"bash": "parsed", "shellcheck": "linted"}
    return [f"{name} is not on this machine: commands were not {what[name]}, only rated by the guard; {hints[name]}" for name in absent]


def _tell_moves(work: _Work, sides: Sides) -> None:
    """Warns where rows of an earlier run of this name changed their side: what was held out there may be trained on here.

    It is said and not written into `data/`, whose bytes hang on inputs and settings and not on what stands beside the run.
    """
    split = work.settings.split
    beside = latest_beside(work.folder.path) if split is not None and split.keep is None else None
    if beside is None:
        return
    try:
        moved, trained = sides.moved_since(earlier_sides(beside))
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return  # A broken folder, or one that is removed meanwhile, is no concern of this run.
    if moved:
        text = f"{moved:,} rows of the run {beside.name} stand on another side now, {trained:,} of them held out there and trained on here"
        work.events.warn(f"{text}; `split: {{keep: {beside}}}` leaves each where it was, but where a new row ties two groups")


def _sizes(work: _Work, sides: Sides, variants: Variants) -> Iterator[int]:
    for side in (TRAIN, VALIDATION, TEST):
        rows = sides.sides.count(side)
        if side == TRAIN:
            rows += len(variants.lines)
        yield rows + (len(work.held_out.kept()) if side == VALIDATION else 0)
