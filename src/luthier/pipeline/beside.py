"""One more comparison beside a complete run: a checkpoint, or predictions made elsewhere, without a change to the run's own results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from luthier.config.load import LoadedRun
from luthier.core.candidates import RESERVED
from luthier.core.errors import ConfigError, Problem
from luthier.core.events import EventLog, Listener
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder
from luthier.evaluate.asking.against import Rival, checkpoint_folder, rival_of, rivals
from luthier.evaluate.asking.predictions import read_predictions
from luthier.pipeline.against import Models, evaluation_sources
from luthier.pipeline.plan import saved_plan


def compare_beside(
    loaded: LoadedRun, listeners: tuple[Listener, ...], checkpoints: Sequence[str], predictions: Sequence[str]
) -> dict[str, JsonObject]:
    """Compares the tuned model of a complete evaluation with checkpoints and predictions (`FILE` or `NAME=FILE`): scores by name and suite.

    The run's own results are not touched: what is found stands in `against/<name>/` of the run folder.
    """
    from luthier.evaluate import stage

    found = _asked(loaded, checkpoints, predictions)
    folder = RunFolder(loaded.folder)
    with folder.lock():
        events = EventLog(folder.events_jsonl, listeners)
        try:
            models = Models(loaded, folder, lambda: saved_plan(loaded.config, folder), loaded.config.evaluate.engine)
            results = {}
            for rival in found:
                others = evaluation_sources(models, [rival], events)
                results[rival.name] = stage.run_beside(loaded.config, folder, rival, events, others=others)
        finally:
            events.close()
            folder.hashes.save()
    return results


def refuse_unusable(loaded: LoadedRun, predictions: Sequence[str]) -> None:
    """`UserError` where a file of predictions cannot be read or its name cannot be had: asked before anything is run."""
    for rival in _asked(loaded, (), predictions):
        read_predictions(Path(rival.where))


def _asked(loaded: LoadedRun, checkpoints: Sequence[str], predictions: Sequence[str]) -> list[Rival]:
    """The rivals that the command line names; `ConfigError` where a name is taken or a file is not there."""
    folder = RunFolder(loaded.folder)
    found = [rival_of("checkpoint", checkpoint_folder(folder, name).name) for name in checkpoints]
    problems = []
    for word in predictions:
        name, separator, file = word.partition("=")
        rival = rival_of("predictions", file, name) if separator and not Path(word).is_file() else rival_of("predictions", word)
        if not Path(rival.where).is_file():
            problems.append(Problem("the file of predictions is not there", where="--predictions", found=rival.where))
        found.append(rival)
    taken = {*RESERVED, *(one.name for one in rivals(loaded.config.evaluate.against, loaded.config.endpoints))}
    for rival in found:
        if rival.name in taken or not rival.name or rival.name.startswith(".") or "/" in rival.name:
            hint = "give it another: `--predictions NAME=FILE`"
            problems.append(Problem("the name is taken, or cannot name a folder", where="--predictions", found=rival.name, hint=hint))
        taken.add(rival.name)
    if problems:
        raise ConfigError(problems)
    return found
