"""What an entry of `datasets` names: files, folders and hub data sets, found and identified without reading a row.

Nothing heavy is imported here, for this is asked whenever a run file is run.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from pathlib import Path

from luthier.config.paths import is_hub_id
from luthier.config.row_sections import DatasetEntry
from luthier.core.errors import DataError, Problem
from luthier.core.files import HashMemory
from luthier.core.nearness import nearest
from luthier.core.state_folder import leads_through_state
from luthier.retrieval.hub import Advice, HubDataset, snapshot

_FORMATS: Mapping[str, str] = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
# Files that `datasets` puts beside its own; they describe rows and hold none.
_DESCRIPTIONS = frozenset({"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"})
_GZIP = ".gz"


def resolve(entry: DatasetEntry, where: str = "datasets.path") -> list[Path] | HubDataset:
    """The files that `entry` reads, in reading order, or the hub data set that it names; `DataError` where there is neither."""
    path = Path(entry.path)
    if path.exists():
        return _files_in(path, entry, where) if path.is_dir() else [path]
    if not is_hub_id(entry.path):
        raise _missing(path, where)
    default = "test" if where.startswith("test_datasets") else "train"
    return HubDataset(entry.path, entry.name, entry.split or default, entry.revision, entry.data_files)


def identify(entry: DatasetEntry, hashes: HashMemory, where: str = "datasets.path") -> dict[str, str]:
    """Label to SHA-256 of every file that `entry` reads; to `commit:<sha>` for a hub data set. `DataError` where something is missing."""
    found = resolve(entry, where)
    if isinstance(found, HubDataset):
        return {found.id: f"commit:{snapshot(found, where, hub_advice()).commit}"}
    return {file.as_posix(): hashes.sha256(file) for file in found}


def file_format(path: Path, entry: DatasetEntry) -> str:
    """`json`, `csv` or `parquet`: what `ds_type` says, else what the name's ending says, else `json` as in Axolotl."""
    return entry.ds_type or _format_of(path) or "json"


def _format_of(path: Path) -> str | None:
    return _FORMATS.get(Path(path.name.lower().removesuffix(_GZIP)).suffix)


def _files_in(folder: Path, entry: DatasetEntry, where: str) -> list[Path]:
    files = [file for file in folder.rglob("*") if file.is_file() and not _is_hidden(file.relative_to(folder))]
    state = {parent for parent in {file.parent for file in files} if leads_through_state(parent, folder)}
    everything = sorted(file for file in files if file.parent not in state)
    if entry.data_files is not None:
        return _named_files(folder, entry.data_files, everything, where)
    files = [file for file in everything if _format_of(file) is not None and file.name not in _DESCRIPTIONS]
    if files:
        return files
    if any(file.suffix == ".arrow" for file in everything):
        what, hint = "the folder was written by `save_to_disk`, which is not read", "write the rows with `to_parquet` or `to_json`"
    else:
        what, hint = "the folder holds no file of rows", f"its files must end in {', '.join(_FORMATS)} (or these with {_GZIP})"
    raise DataError(Problem(what, where=where, found=str(folder), hint=hint))


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith((".", "__")) for part in relative.parts)


def _named_files(folder: Path, patterns: tuple[str, ...], everything: list[Path], where: str) -> list[Path]:
    names = [file.relative_to(folder).as_posix() for file in everything]
    files: dict[Path, None] = {}
    problems = []
    for pattern in patterns:
        matching = [folder / name for name in names if fnmatch.fnmatchcase(name, pattern)]
        if not matching:
            best = nearest(pattern, names)
            hint = f"did you mean `{best}`?" if best else f"the folder holds: {', '.join(names[:10]) or 'nothing'}"
            place = where.removesuffix(".path") + ".data_files"
            problems.append(Problem("no file in the folder has this name", where=place, found=pattern, hint=hint))
        files |= dict.fromkeys(matching)
    if problems:
        raise DataError(problems)
    return list(files)


def _missing(path: Path, where: str) -> DataError:
    best = nearest(path.name, [other.name for other in path.parent.iterdir()]) if path.parent.is_dir() else None
    hint = f"did you mean `{path.parent / best}`?" if best else f"paths start at the working directory, {Path.cwd()}"
    return DataError(Problem("there is no file or folder of this name", where=where, found=str(path), hint=hint))


def hub_advice() -> Advice:
    """What an entry of `datasets` can change where its path is no file and the hub does not answer."""
    return Advice(
        f"if a file is meant, mind that paths start at {Path.cwd()}; if the hub is meant, check the id and the network",
        "mend `name` or `split`",
    )
