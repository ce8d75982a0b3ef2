"""One entry of `sources`, from reading to rows: read, cut into chunks, indexed, handed to each maker, thinned to the budgets.

The rows of an entry are kept in a file named by all that they depend on, so that neither a second run nor one that was killed makes them
again; what a teacher answered stands in its journal besides.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from luthier.config.row_sections import MakerName, SourceEntry
from luthier.config.schema import EndpointSection
from luthier.core.errors import DataError, Problem
from luthier.core.files import (
    HashMemory,
    json_line,
    read_json,
    remove,
    remove_leftovers,
    sha256_json,
    temporary_name,
    write_json,
    write_with,
)
from luthier.core.records import Example, JsonObject, Origin, Reject
from luthier.core.runs import package_versions
from luthier.core.stages import STAGES
from luthier.data.rows.fields import place
from luthier.data.sources.families import without_families
from luthier.data.sources.masking import Scanned
from luthier.data.sources.steps import Crew, Cut, Workbench, characters, crew_for, index_file, parts, rows_of, working_folder
from luthier.data.sources.versions import row_versions
from luthier.data.synthesize.budget import thinned
from luthier.data.synthesize.context import AskedInContext
from luthier.data.synthesize.made import Made, Material, Unfit
from luthier.data.synthesize.makers.registry import MAKERS, TEACHER, kind_of_source, makers_of
from luthier.data.teacher.ledger import ASKED_AGAIN, TeacherReport
from luthier.data.teacher.teach import VERSION as TEACHER_VERSION
from luthier.data.teacher.teach import teach
from luthier.guard.secrets.known import Told
from luthier.guard.secrets.rules import rules_digest
from luthier.guard.secrets.strength import STRENGTHS, Strength, default_strength
from luthier.retrieval.chunks import apart
from luthier.retrieval.documents.marked import pages_of
from luthier.retrieval.index import build
from luthier.retrieval.records import Chunk, Excluded, Reading, SourceFile
from luthier.retrieval.sources.cutting import code_of
from luthier.retrieval.sources.reading import identify, identify_around, read

_STEP = "make"
# Made rows are cleaned when they are taken in; until then they hold what the source holds, its secrets too.
_PRIVATE = 0o600
# What reading leaves out is no row yet.
_SOURCE_STEP = "source"
# Characters of sources that are kept in memory at once until all are looked through: a gigabyte at most, with what stands around them.
_MOST_HELD = 200_000_000
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
    over_budget, notes}`, with a teacher also `teacher` and `teacher_failed`, the requests that stayed without a reply, and where the entry
    has `context`, `in_context`, the rows that show pieces.
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
    """The rows of `entry` where it stands alone, made now or taken from `cache`; errors as those of `Making`."""
    making = Making(entry, where, cache, progress, teachers, scanners, processes)
    making.identify(hashes)
    return making.kept([]) or making.made([])


class Making:
    """One entry of `sources` on its way to rows: identified, looked through for secrets, and made when it is known what others hold.

    `DataError`, which names the key `where`, if the source cannot be read. It is scanned for secrets by `scanners`, as its rows will be;
    where a teacher is asked, at least as what is sent to it. `processes` divide the work on a source that is not small; the bytes do not
    depend on how many there are.
    """

    def __init__(
        self, entry: SourceEntry, where: str, cache: Path, progress: Progress, teachers: Teachers, scanners: Strength, processes: int
    ) -> None:
        self._entry, self._where, self._cache = entry, where, cache
        self._progress, self._teachers, self._processes = progress, teachers, processes
        self._scanners = scanners if entry.teacher is None else max(scanners, default_strength(), key=STRENGTHS.index)
        self._identity = ""
        self._found = MadeRows(Path(), Path(), {})
        self._scanned: Scanned | None = None

    def identify(self, hashes: HashMemory) -> JsonObject:
        """What is known of the source by itself: what others make of theirs hangs on it."""
        self._identity = identify(self._entry, hashes, self._where)
        around = identify_around(self._entry, hashes, self._where)
        self._own: JsonObject = {"entry": self._entry.model_dump(mode="json"), "identity": self._identity, "around": around}
        return self._own

    def kept(self, others: Sequence[JsonObject]) -> MadeRows | None:
        """The rows that an earlier run made where `others`, which may give away secrets of this source, were the same; or None."""
        own = _depends_on(self._entry, self._teachers)
        name = sha256_json({**own, **self._own, "others": list(others), "scanners": self._scanners})[:24]
        # Rows that another version of the scanner passed may hold what this one knows.
        folder, begin = self._cache / "made", rules_digest()[:8]
        for path in folder.glob("*.json*"):
            if not path.name.startswith((begin, ".")):
                remove(path)
        name = f"{begin}-{name}"
        self._found = MadeRows(folder / f"{name}.jsonl", folder / f"{name}.rejects.jsonl", {})
        self._facts_path = folder / f"{name}.json"
        # Written last: rows without it are those of a process that was killed.
        if self._facts_path.is_file() and self._found.path.is_file() and self._found.rejects.is_file():
            return replace(self._found, facts=read_json(self._facts_path))
        return None

    def look(self) -> list[Told]:
        """What others are to know of the source. It is read and scanned now, where it was not before, and kept until `forget`."""
        return self._looked().told()

    def _looked(self) -> Scanned:
        if self._scanned is not None:
            return self._scanned
        with Crew(Workbench, self._processes, Workbench()) as crew:
            scanned = Scanned(self._progress, self._scanners, crew)
            reading = read(self._entry, self._cache, self._progress, self._where, scanned.take_unread)
            if reading.commit is not None and self._identity != f"commit:{reading.commit}":
                hint = "run the same command again"
                what = "the repository got another commit while it was read"
                raise DataError(Problem(what, where=f"{self._where}.repo: {reading.repo}", found=reading.commit, hint=hint))
            scanned.take(reading)
        self.characters = characters(reading)
        self._scanned = scanned
        return scanned

    def forget(self) -> None:
        """Frees what was read; it is read again where it is wanted."""
        self._scanned = None

    def made(self, others: Sequence[Told]) -> MadeRows:
        """The rows, made now, without what was found in the source and what others told."""
        remove_leftovers(self._facts_path.parent)
        reading = self._looked().masked(others)
        self.forget()
        bench = Workbench()
        work = temporary_name(self._cache / "made" / "work")
        with working_folder(work) as folder, crew_for(reading, self._processes, bench) as crew:
            division = _Division(crew, bench, folder)
            facts = _write(self._entry, reading, self._identity, self._found, self._progress, self._teachers, division)
        # What a teacher could not be asked is asked again by the next run; what it replied stands in its journal.
        if not facts.get("teacher_failed"):
            write_json(self._facts_path, facts)
        return replace(self._found, facts=facts)


def looked_through(makings: Sequence[Making]) -> list[list[Told]]:
    """What each source tells the others. Sources are kept as far as they are not large together; the others are read again when made."""
    found = []
    held = 0
    for making in makings:
        found.append(making.look())
        held += making.characters
        if held > _MOST_HELD:
            held -= making.characters
            making.forget()
    return found


def _depends_on(entry: SourceEntry, teachers: Teachers) -> JsonObject:
    named = [teachers.endpoints[name] for name in _endpoints_of(entry) if name in teachers.endpoints]
    return {
        "versions": row_versions(),
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
    chosen, in_context = _in_context(entry, material, chosen)
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
        **in_context,
    }
    if taught is None:
        return facts
    failed = sum(counted.failed for counted in taught.endpoints.values())
    return {**facts, "teacher": taught.to_json(), "teacher_failed": failed}


def _in_context(entry: SourceEntry, material: Material, rows: list[tuple[str, Made]]) -> tuple[list[tuple[str, Made]], JsonObject]:
    """The rows, those that ask about the source behind pieces of it where the entry wants that, and how many these are, as a fact."""
    if not entry.context:
        return rows, {}
    in_context = AskedInContext(material, entry.context)
    shown = [(maker, made, in_context(maker, made)) for maker, made in rows]
    return [(maker, with_pieces or made) for maker, made, with_pieces in shown], {"in_context": sum(one is not None for _, _, one in shown)}


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
