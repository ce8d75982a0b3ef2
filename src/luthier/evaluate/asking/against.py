"""What the tuned model is compared with beyond its own base: endpoints, checkpoints, earlier runs, predictions made elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from luthier.config.rules import CHECKPOINT
from luthier.config.schema import AgainstEntry
from luthier.core.candidates import OWN_CANDIDATES, PARSER, RESERVED
from luthier.core.errors import ConfigError, ModelError, Problem
from luthier.core.runs import RunFolder
from luthier.core.weight_files import weights_of

Kind = Literal["endpoint", "checkpoint", "run", "predictions"]


@dataclass(frozen=True, slots=True)
class Rival:
    """One that answers in the run's comparison. `where` is the endpoint's or checkpoint's name, the run's folder, or the file.

    `candidates` are the names it has in the tables: its own, with `+parser`, or both; they read the same answers.
    """

    name: str
    kind: Kind
    where: str
    candidates: tuple[str, ...]


def rivals(against: Sequence[str | AgainstEntry], endpoints: Collection[str]) -> list[Rival]:
    """The rivals that `evaluate.against` names, in its order; `ConfigError` where two have one name."""
    mapped = [_mapped(entry) for entry in against if isinstance(entry, AgainstEntry)]
    found: dict[str, Rival] = {}
    problems: list[Problem] = []
    for index, entry in enumerate(against):
        if entry in OWN_CANDIDATES:
            continue
        rival = _named(entry, endpoints, mapped) if isinstance(entry, str) else _mapped(entry)
        if rival is None:
            problems.append(Problem("unknown entry of `evaluate.against`", f"evaluate.against[{index}]", str(entry)))
            continue
        before = found.setdefault(rival.name, rival)
        if (before.kind, before.where) != (rival.kind, rival.where) or rival.name in RESERVED:
            hint = "give one of them a name: `{run: FOLDER, name: NAME}`"
            problems.append(Problem("two things to compare with have one name", f"evaluate.against[{index}]", rival.name, hint=hint))
        names = dict.fromkeys((*before.candidates, *rival.candidates))
        found[rival.name] = replace(before, candidates=tuple(sorted(names, key=len)))
    if problems:
        raise ConfigError(problems)
    return list(found.values())


def _mapped(entry: AgainstEntry) -> Rival:
    if entry.run is not None:
        return rival_of("run", entry.run, entry.name)
    return rival_of("predictions", entry.predictions or "", entry.name)


def _named(entry: str, endpoints: Collection[str], mapped: Sequence[Rival]) -> Rival | None:
    name = entry.removesuffix(PARSER)
    if name in endpoints:
        return Rival(name, "endpoint", name, (entry,))
    if CHECKPOINT.fullmatch(name):
        return Rival(name, "checkpoint", name, (entry,))
    if "/" in name:
        found = rival_of("run", name)
        return replace(found, candidates=(found.name + entry[len(name) :],))
    return next((replace(rival, candidates=(entry,)) for rival in mapped if rival.name == name), None)


def rival_of(kind: Kind, where: str, name: str | None = None) -> Rival:
    """The rival behind a folder, a file or a checkpoint's name; without a `name` it has the folder's or the file's.

    `ConfigError` where the name ends as that of one that is read with the Markdown parser.
    """
    named = name or (Path(where).stem if kind == "predictions" else Path(where).name)
    if named.endswith(PARSER):
        other = " (`--predictions NAME=FILE`)" if kind == "predictions" else ""
        hint = f"give it another name{other}; `NAME{PARSER}` in `evaluate.against` reads NAME with the parser"
        raise ConfigError(Problem(f"a name cannot end in `{PARSER}`, which stands for the Markdown parser", where, named, hint=hint))
    return Rival(named, kind, where, (named,))


def rival_inputs(found: Sequence[Rival], folder: RunFolder) -> dict[str, str]:
    """The hash of what each rival's answers rest on and the run file does not say; `ModelError` where it is not there.

    An endpoint's is its address and model, which stand in the run file: what answers there can change without a sign.
    """
    return {f"against {rival.name}": _hash(rival, folder) for rival in found if rival.kind != "endpoint"}


def _hash(rival: Rival, folder: RunFolder) -> str:
    if rival.kind == "predictions":
        path = Path(rival.where)
        if not path.is_file():
            raise ModelError(Problem("the file of predictions is not there", where=rival.where))
        return folder.hashes.sha256(path)
    if rival.kind == "checkpoint":
        return folder.hashes.sha256(weights_of(checkpoint_folder(folder, rival.where)))
    other = RunFolder(Path(rival.where))
    if not other.is_trained:
        raise ModelError(Problem("this run has no trained model", where=rival.where, hint="train it, or take it out of `evaluate.against`"))
    return folder.hashes.sha256_tree(other.tuned)


def checkpoint_folder(folder: RunFolder, name: str) -> Path:
    """The folder of the checkpoint `name` of the run's training, here or in the run from which the training was taken.

    `ModelError` with the known ones where it is nowhere, or nowhere complete.
    """
    known = checkpoints_of(folder)
    if name not in known:
        hint = f"known: {', '.join(known)}" if known else _why_none(folder)
        raise ModelError(Problem(f"there is no checkpoint `{name}`", where=str(folder.checkpoints), hint=hint))
    return known[name]


def checkpoints_of(folder: RunFolder) -> dict[str, Path]:
    """The complete checkpoints of the run's training by name, lowest step first.

    A training that was taken from a sibling run left its checkpoints there: those of every run with the same training count.
    """
    found: dict[str, Path] = {}
    for run in (folder, *folder.same_training()):
        for marker in run.checkpoints.glob("checkpoint-*/COMPLETE"):
            found.setdefault(marker.parent.name, marker.parent)
    return dict(sorted(found.items(), key=lambda item: _step(item[0])))


def _why_none(folder: RunFolder) -> str:
    saving = "`save_steps` (or `save_strategy`, `saves_per_epoch`) says when checkpoints are written, `save_total_limit` how many are kept"
    record = folder.manifest().stages.get("train")
    if record is None:
        return f"{saving}; they come with the training"
    taken = record.taken_from
    kept = "this training kept none"
    if taken and not (folder.path.parent / taken).is_dir():
        kept = f"the training was taken from the run `{taken}`, which is gone with its checkpoints"
    homes = [str(run.tuned) for run in (folder, *folder.same_training())]
    return f"{kept}. {saving}, and they act on a training to come: set them, delete {' and '.join(homes)}, and run again"


def _step(name: str) -> int:
    return int(name.removeprefix("checkpoint-")) if CHECKPOINT.fullmatch(name) else 0
