"""Whether what a run's rows were read from is still what it was, by the record in its folder."""

from __future__ import annotations

from dataclasses import replace

from luthier.config.load import LoadedRun
from luthier.config.row_sections import DatasetEntry, SourceEntry
from luthier.core.errors import DataError, Problem, UserError
from luthier.core.files import HashMemory, read_json
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder
from luthier.data.reading.data_sets import identify as identify_files

_SHOWN_DIGITS = 12
_HINT = "bring back what was read, or leave `--from-sources` out: then the rows in the run folder are taken"


def refuse_changed(loaded: LoadedRun, folder: RunFolder) -> None:
    """`UserError` with every recorded input of the finished run `folder` that is gone, or holds other bytes than were read.

    Commits of repositories and of hub data sets can be had again, whatever came after them; of a folder's repository that is looked at,
    nothing is fetched.
    """
    provenance = read_json(folder.provenance) if folder.provenance.is_file() else {}
    problems = [problem for row in provenance.get("sources", ()) for problem in _problems(row, loaded, folder.hashes)]
    if problems:
        raise UserError([*problems[:-1], replace(problems[-1], hint=_HINT)])


def _problems(row: JsonObject, loaded: LoadedRun, hashes: HashMemory) -> list[Problem]:
    name, _, place = row["key"].partition("[")
    entry: DatasetEntry | SourceEntry = getattr(loaded.config, name)[int(place.rstrip("]"))]
    try:
        present = _present(entry, row, hashes)
    except DataError as error:
        return [replace(problem, hint="") for problem in error.problems]
    problems = []
    for label, was in row["files"].items():
        if label not in present:
            problems.append(Problem("what was read is no longer there", where=row["key"], found=label))
        elif present[label] != was:
            found = f"{label}, {_short(present[label])}"
            problems.append(Problem("this is not what was read", where=row["key"], found=found, expected=f"{_short(was)}, as recorded"))
    problems += [
        Problem("this was not there when the rows were read", where=row["key"], found=label)
        for label in present
        if label not in row["files"]
    ]
    return problems


def _present(entry: DatasetEntry | SourceEntry, row: JsonObject, hashes: HashMemory) -> dict[str, str]:
    """What the entry's labels stand for today, its commit being the recorded one. `DataError` where there is nothing of the name."""
    if isinstance(entry, DatasetEntry):
        pinned = str(row["sha256"]).startswith("commit:")
        return dict(row["files"]) if pinned else identify_files(entry, hashes, where=f"{row['key']}.path")
    from luthier.retrieval.sources.reading import identify as identify_source

    entry = entry.model_copy(update={"commit": row["commit"]}) if row.get("commit") else entry
    return dict.fromkeys(row["files"], identify_source(entry, hashes, where=row["key"]))


def _short(digest: str) -> str:
    """A hash as far as it is shown, with the word that says its kind."""
    kind, colon, digits = digest.rpartition(":")
    return f"{kind}{colon or 'sha256:'}{digits[:_SHOWN_DIGITS]}"
