"""One entry of `sources`, from reading to rows: read, cut into chunks, indexed, handed to each maker, thinned to the budgets.

The rows of an entry are kept in a file named by all that they depend on, so that neither a second run nor one that was killed makes them
again; what a teacher answered stands in its journal besides.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from luthier.config.row_sections import MakerName, SourceEntry
from luthier.config.schema import EndpointSection
from luthier.core.errors import DataError, Problem
from luthier.core.files import HashMemory, json_line, read_json, remove_leftovers, sha256_json, write_json, write_with
from luthier.core.records import Example, JsonObject, Origin, Reject
from luthier.core.runs import package_versions
from luthier.core.stages import STAGES
from luthier.data.rows.fields import place
from luthier.data.sources.families import without_families
from luthier.data.sources.masking import without_secrets
from luthier.data.sources.steps import Crew, Cut, Workbench, crew_for, index_file, parts, rows_of, working_folder
from luthier.data.sources.versions import row_versions
from luthier.data.synthesize.budget import thinned
from luthier.data.synthesize.made import Made, Material, Unfit
from luthier.data.synthesize.makers.registry import MAKERS, TEACHER, kind_of_source, makers_of
from luthier.data.teacher.ledger import ASKED_AGAIN, TeacherReport
from luthier.data.teacher.teach import VERSION as TEACHER_VERSION
from luthier.data.teacher.teach import teach
from luthier.guard.secrets.strength import STRENGTHS, Strength, default_strength
from luthier.retrieval.chunks import apart
from luthier.retrieval.documents.marked import pages_of
from luthier.retrieval.index import build
from luthier.retrieval.records import Chunk, Excluded, Reading, SourceFile
from luthier.retrieval.sources.cutting import code_of
from luthier.retrieval.sources.reading import identify, read

_STEP = "make"
# Made rows are cleaned when they are taken in; until then they hold what the source holds, its secrets too.
_PRIVATE = 0o600
# What reading leaves out is no row yet.
_SOURCE_STEP = "source"
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Teachers:
    """What a source with a teacher needs: the run file's endpoints, the journal, and the seed."""

    endpoints: dict[str, EndpointSection]
    journal: Path
    seed: int


@dataclass(frozen=True, slots=True)
class MadeRows:
    """The rows of one entry: `path` holds them as JSON Lines of examples, `rejects` what makers and reading left out, `facts` counts.

    `facts` is `{name, kind, repo, commit, license, identity, files, languages, licenses, chunks, commits, excluded, makers, rows, unfit,
    over_budget, notes}`, with a teacher also `teacher` and `teacher_failed`, the requests that stayed without a reply.
    """

    path: Path
    rejects: Path
    facts: JsonObject


def made_rows(
    entry: SourceEntry,
    cache: Path,
    hashes: HashMemory,
    progress: Progress,
    teachers: Teachers,
    where: str = "sources",
    scanners: Strength = "fast",
    processes: int = 1,
) -> MadeRows:
    """The rows of `entry`, made now or taken from `cache`. `DataError`, which names the key `where`, if the source cannot be read.

    The source is scanned for secrets by `scanners`, as its rows will be; where a teacher is asked, at least as what is sent to it.
    `processes` divide the work on a source that is not small; the bytes do not depend on how many there are.
    """
    identity = identify(entry, hashes, where)
    if entry.teacher is not None:
        scanners = max(scanners, default_strength(), key=STRENGTHS.index)
    name = sha256_json({**_depends_on(entry, identity, teachers), "scanners": scanners})[:24]
    found = MadeRows(cache / "made" / f"{name}.jsonl", cache / "made" / f"{name}.rejects.jsonl", {})
    facts_path = cache / "made" / f"{name}.json"
    # Written last: rows without it are those of a process that was killed.
    if facts_path.is_file() and found.path.is_file() and found.rejects.is_file():
        return MadeRows(found.path, found.rejects, read_json(facts_path))
    remove_leftovers(facts_path.parent)
    reading = read(entry, cache, progress, where)
    if reading.commit is not None and identity != f"commit:{reading.commit}":
        hint = "run the same command again"
        what = "the repository got another commit while it was read"
        raise DataError(Problem(what, where=f"{where}.repo: {reading.repo}", found=reading.commit, hint=hint))
    bench = Workbench()
    with working_folder(cache / "made" / f".work.{os.getpid()}.tmp") as folder, crew_for(reading, processes, bench) as crew:
        division = _Division(crew, bench, folder)
        reading = without_secrets(reading, progress, scanners, crew)
        facts = _write(entry, reading, identity, found, progress, teachers, division)
    # What a teacher could not be asked is asked again by the next run; what it replied stands in its journal.
    if not facts.get("teacher_failed"):
        write_json(facts_path, facts)
    return MadeRows(found.path, found.rejects, facts)


def _depends_on(entry: SourceEntry, identity: str, teachers: Teachers) -> JsonObject:
    fields = entry.model_dump(mode="json")
    named = [teachers.endpoints[name] for name in _endpoints_of(entry) if name in teachers.endpoints]
    return {
        "versions": row_versions(),
        "entry": fields,
        "identity": identity,
        "packages": package_versions(STAGES["data"].packages),
        "endpoints": [endpoint.identity for endpoint in named],
        "seed": teachers.seed if entry.teacher else None,
    }


def _endpoints_of(entry: SourceEntry) -> tuple[str, ...]:
    if entry.teacher is None:
        return ()
    return (entry.teacher.endpoint, entry.teacher.judge or entry.teacher.endpoint)


@dataclass(frozen=True, slots=True)
class _Division:
    """Who divides the work on a source, what this process has of it, and where the processes hand each other what they need."""

    crew: Crew
    bench: Workbench
    folder: Path


def _material_of(entry: SourceEntry, reading: Reading, progress: Progress, division: _Division) -> tuple[Material, list[Excluded]]:
    """The source cut and indexed, and the documents in it that could not be cut."""
    chunks: list[Chunk] = []
    excluded: list[Excluded] = []
    shares = parts(reading.files, lambda file: len(file.text))

    def told(parts_done: int) -> None:
        progress("files cut into pieces", sum(map(len, shares[:parts_done])))

    for found in (one for some in division.crew.each([Cut(share) for share in shares], told) for one in some):
        if isinstance(found, Excluded):
            excluded.append(found)
        else:
            chunks += found
    apart.stop()
    material = Material(
        name=entry.name or reading.name,
        files=tuple(map(code_of, reading.files)),
        chunks=tuple(chunks),
        index=build(chunks, index_file(division.folder) if division.crew.is_divided else None),
        commits=reading.commits,
        commands=reading.commands,
        tools=reading.tools,
        layout=reading.layout,
    )
    return material, excluded


def _write(
    entry: SourceEntry, reading: Reading, identity: str, found: MadeRows, progress: Progress, teachers: Teachers, division: _Division
) -> JsonObject:
    source = _Source(entry, reading, {file.path: file for file in reading.files})
    material, unreadable = _material_of(entry, reading, progress, division)
    division.bench.material = material
    left_out = [*reading.excluded, *unreadable]
    rejects = [Reject("", _SOURCE_STEP, item.reason, item.detail, item.path, item.line) for item in left_out]
    notes = list(reading.notes)
    made_rows: list[tuple[MakerName, Made]] = []
    rows: list[tuple[str, Made]] = []
    unfit: Counter[str] = Counter()
    asked = makers_of(entry)
    told = f"of {len(asked)} makers done"
    for maker, proposed in rows_of(asked, division.crew, division.bench, division.folder, lambda done: progress(told, done)):
        for made in proposed:
            if isinstance(made, Unfit):
                unfit[f"{maker}:{made.reason}"] += 1
                rejects.append(_turned_down(source, maker, made))
            else:
                made_rows.append((maker, made))
    division.crew.close()
    progress("rows proposed", len(made_rows))
    for maker, one in without_families(made_rows):
        if isinstance(one, Unfit):
            unfit[f"{maker}:{one.reason}"] += 1
            rejects.append(_turned_down(source, maker, one))
        else:
            rows.append((maker, one))
    kept = thinned(rows, {name: facts.per_file for name, facts in MAKERS.items()}, entry.max_rows_per_file, entry.max_rows)
    over = Counter(maker for (maker, _), is_kept in zip(rows, kept, strict=True) if not is_kept)
    chosen = [pair for pair, is_kept in zip(rows, kept, strict=True) if is_kept]
    taught: TeacherReport | None = None
    if entry.teacher is not None:
        taught = TeacherReport()
        for written in _taught(entry, material, teachers, taught, progress):
            if isinstance(written, Unfit):
                unfit[f"{TEACHER}:{written.reason}"] += 1
                rejects.append(_turned_down(source, TEACHER, written))
            else:
                chosen.append(written)
        notes += taught.notes
    progress(f"rows made of {material.name}, within its budget", len(chosen))
    examples = [_example(source, maker, made) for maker, made in chosen]
    _write_lines(found.path, examples)
    _write_lines(found.rejects, rejects)
    excluded = Counter(item.reason for item in left_out)
    languages = Counter(file.language for file in reading.files)
    facts: JsonObject = {
        "name": material.name,
        "kind": kind_of_source(entry),
        "repo": reading.repo,
        "commit": reading.commit,
        "license": reading.license,
        "identity": identity,
        "files": len(reading.files),
        "languages": dict(sorted(languages.items())),
        "licenses": dict(sorted(Counter(file.license or "unknown" for file in reading.files).items())),
        "chunks": len(material.chunks),
        "commits": len(reading.commits),
        "excluded": dict(sorted(excluded.items())),
        "makers": {name: MAKERS[name].version for name in makers_of(entry)},
        "rows": dict(sorted(Counter(maker for maker, _ in chosen).items())),
        "unfit": dict(sorted(unfit.items())),
        "over_budget": dict(sorted(over.items())),
        "notes": notes,
    }
    if taught is None:
        return facts
    failed = sum(counted.failed for counted in taught.endpoints.values())
    return {**facts, "teacher": taught.to_json(), "teacher_failed": failed}


def _taught(
    entry: SourceEntry, material: Material, teachers: Teachers, report: TeacherReport, progress: Progress
) -> Iterator[tuple[str, Made] | Unfit]:
    """The rows of the entry's teacher, each with its maker's name."""
    settings = entry.teacher
    assert settings is not None
    writer = teachers.endpoints[settings.endpoint]
    judge = teachers.endpoints[settings.judge or settings.endpoint]
    for made in teach(
        material, settings, writer, judge, teachers.journal, lambda done, _: progress("teacher", done), teachers.seed, report
    ):
        yield made if isinstance(made, Unfit) else (TEACHER, made)
    # Said, and not written into the record: the rows are the same as of a run that nothing ended.
    if report.asked_again:
        progress(ASKED_AGAIN, report.asked_again)


def _write_lines(path: Path, rows: Sequence[Example] | Sequence[Reject]) -> None:
    write_with(path, lambda stream: stream.writelines(json_line(row.to_json()).encode("utf-8", "replace") for row in rows), _PRIVATE)


@dataclass(frozen=True, slots=True)
class _Source:
    """An entry as it was read, with its files by path."""

    entry: SourceEntry
    reading: Reading
    files: dict[str, SourceFile]


def _turned_down(source: _Source, maker: str, unfit: Unfit) -> Reject:
    line = unfit.lines[0] if unfit.lines else None
    origin = _origin(source, maker, unfit)
    return Reject(place(unfit.path, line), f"{_STEP}:{maker}", unfit.reason, unfit.detail, unfit.path, line, origin)


def _origin(source: _Source, maker: str, told: Made | Unfit) -> Origin:
    entry, reading, file = source.entry, source.reading, source.files.get(told.path)
    version = MAKERS[maker].version if maker in MAKERS else TEACHER_VERSION
    own = told if isinstance(told, Made) else None
    license_ = own.license if own else file.license if file else None
    if entry.repo is not None:
        commit = (own and own.commit) or reading.commit
        # Files of one repository have licenses of their own: what is not known of a file is not known of its rows.
        return Origin(maker, version, repo=reading.repo, commit=commit, path=told.path, lines=told.lines, license=license_)
    license_ = license_ or (file.license if file else None) or entry.license or reading.license
    written, digest = (file.written or file.path, file.sha256) if file is not None else (told.path, None)
    pages = pages_of(file.text, told.lines) if file is not None and file.language == "pdf" and told.lines else None
    return Origin(maker, version, file=written, lines=told.lines, pages=pages, license=license_, sha256=digest)


def _example(source: _Source, maker: str, made: Made) -> Example:
    origin = replace(_origin(source, maker, made), parents=made.parents, teacher=made.teacher)
    return Example("", made.messages, origin, made.tools)


def rejects_of(made: MadeRows, where: str) -> Iterator[Reject]:
    """What reading and the makers left out.

    The id of what reading left out is its place behind the name of the entry, `where`, which may stand elsewhere now.
    """
    with made.rejects.open(encoding="utf-8") as stream:
        for line in stream:
            reject = Reject.from_json(json.loads(line))
            yield replace(reject, id=f"{where}:{place(reject.file, reject.line)}") if reject.step == _SOURCE_STEP else reject
