"""Variants of the training rows of a small set, kept apart from what is held out.

A variant is dropped where its request is nearly a held-out one, where its answer is a held-out one's, and where it equals a row that is
there; it is cleaned as every row is, and names its parent in its origin.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from luthier.config.row_sections import AugmentRule, DataSettings
from luthier.config.schema import EndpointSection, GuardSection
from luthier.core.files import json_line
from luthier.core.records import Example, Origin, Reject
from luthier.data.augment.held_out import without_near
from luthier.data.augment.vary import vary
from luthier.data.clean.cleaner import Cleaner
from luthier.data.clean.contamination import Decontaminator
from luthier.data.clean.records import Row
from luthier.data.division import Sides
from luthier.data.intake.store import RowStore
from luthier.data.rows.digests import canonical, digest_of, id_of
from luthier.data.rows.fields import BadRow, Fields
from luthier.data.rows.grams import said
from luthier.data.rows.rejects import DUPLICATE
from luthier.data.split.sides import TEST, TRAIN, VALIDATION
from luthier.data.synthesize.makers.registry import MAKERS, TEACHER
from luthier.data.teacher.journal import journal_in
from luthier.data.teacher.ledger import TeacherReport
from luthier.data.teacher.variants import Wording, paraphrases

# Goes up when other variants come of the same row.
VERSION = 2
PARAPHRASE = "paraphrase"
STEP = "augment"
# A row whose request a teacher cannot reword is no failure of a variant.
NOT_ASKED = "teacher_not_asked"


@dataclass(frozen=True, slots=True)
class Variants:
    """The lines of the rows that were added to the training rows, what should be known of them, and what a teacher came to."""

    lines: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    teacher: TeacherReport | None = None


@dataclass(frozen=True, slots=True)
class _Variant:
    parent: Example
    fields: Fields
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Around:
    """What variants stand beside: the guard's settings, endpoints, the cache of runs, rows that are held out in files of their own, what no
    training row may repeat, and who is told of a variant that is left out."""

    guard: GuardSection
    endpoints: Mapping[str, EndpointSection]
    cache: Path
    held_out: Sequence[Example]
    decontaminator: Decontaminator | None
    leave_out: Callable[[Reject], None]


def variants_of(store: RowStore, sides: Sides, settings: DataSettings, around: Around) -> Variants:
    """The variants of the training rows; none where the run file asks for none, or the set is not small."""
    section = settings.augment
    if section is None:
        return Variants()
    count = sides.sides.count(TRAIN)
    if count >= section.below_rows:
        text = f"`augment` adds nothing: there are {count} training rows, and `below_rows` is {section.below_rows}"
        return Variants(notes=[text])
    rows = list(_examples(store, sides, TRAIN))
    held_out = [said(row.messages) for side in (VALIDATION, TEST) for row in _examples(store, sides, side)]
    held_out += [said(row.messages) for row in around.held_out]
    found = [
        _Variant(row, fields, used)
        for row in rows
        for fields, used in vary(Fields(row.messages, row.tools), _rules_for(row, section.rules), section.copies, settings.seed)
    ]
    notes: list[str] = []
    report: TeacherReport | None = None
    if section.teacher is not None:
        report = TeacherReport()
        wording = Wording(section.copies, section.max_cost, settings.seed)
        found += _reworded(rows, section.teacher, around, wording, report)
        notes += report.notes
    apart = {id(fields) for fields, _ in without_near([(each.fields, ()) for each in found], [each.request or "" for each in held_out])}
    answers = {canonical(each.answer) for each in held_out if each.answer is not None}
    left = []
    for each in found:
        if id(each.fields) in apart and canonical(said(each.fields.messages).answer or "") not in answers:
            left.append(each)
        else:
            _leave_out(each, "near_held_out", "its request is nearly that of a held-out row, or its answer is one's", around)
    lines = _lines(left, store, Cleaner.of(settings.clean, around.guard, around.decontaminator), around)
    notes.append(f"{len(lines)} variants were added to {count} training rows; {len(found) - len(lines)} were left out")
    return Variants(lines, notes, report)


def _rules_for(row: Example, rules: Sequence[AugmentRule]) -> tuple[AugmentRule, ...]:
    """The rules that leave a row true: what a made row names stands in its source, and under another name it does not."""
    is_made = row.origin.maker in MAKERS or row.origin.maker == TEACHER
    return tuple(rule for rule in rules if rule != "argument_names" or not is_made or row.origin.maker == "commands")


def _leave_out(variant: _Variant, reason: str, detail: str, around: Around) -> None:
    origin = variant.parent.origin
    file, line = (origin.file, origin.line) if origin.file is not None else (origin.path, origin.lines[0] if origin.lines else None)
    around.leave_out(Reject(variant.parent.id, STEP, reason, f"a variant of this row: {detail}", file, line, origin))


def _examples(store: RowStore, sides: Sides, side: int) -> Iterator[Example]:
    for line in store.lines(sides.sides, side, sides.group):
        yield Example.from_json(json.loads(line))


def _reworded(rows: Sequence[Example], name: str, around: Around, wording: Wording, report: TeacherReport) -> Iterator[_Variant]:
    """Other wordings of the requests by the teacher; what cannot be used stands in the report by its reason."""
    fields = [Fields(row.messages, row.tools) for row in rows]
    replies = paraphrases(fields, name, around.endpoints[name], journal_in(around.cache), wording, report)
    for row, variants in zip(rows, replies, strict=True):
        for variant in variants:
            if isinstance(variant, Fields):
                yield _Variant(row, variant, (PARAPHRASE,))
            elif variant.reason != NOT_ASKED:
                _leave_out(_Variant(row, Fields(row.messages, row.tools), (PARAPHRASE,)), variant.reason, variant.detail, around)


def _lines(variants: Sequence[_Variant], store: RowStore, cleaner: Cleaner, around: Around) -> list[bytes]:
    """Each variant that passes cleaning and equals no row and no other variant, as a line."""
    known = {store.digest(number) for number in range(len(store))}
    rows = [Row(each.fields, _origin(each), each.parent.template, is_made=each.parent.origin.repo is not None) for each in variants]
    lines = []
    for each, outcome in zip(variants, cleaner.clean(rows), strict=True):
        try:
            if outcome.row is None:
                raise outcome.bad or BadRow("dropped", "a rule dropped the row")
            fields, parent = outcome.row.fields, each.parent
            digest = digest_of(fields, parent.template)
            if digest in known:
                raise BadRow(DUPLICATE, "it equals a row that is there")
        except BadRow as bad:
            _leave_out(each, bad.reason, bad.detail, around)
            continue
        known.add(digest)
        row = Example(id_of(digest), fields.messages, outcome.row.origin, fields.tools, parent.group, parent.template)
        lines.append(json_line(row.to_json()).encode("utf-8"))
    return lines


def _origin(variant: _Variant) -> Origin:
    maker = "augment-" + "-".join(variant.rules)
    return replace(variant.parent.origin, maker=maker, maker_version=VERSION, parents=(variant.parent.id,))
