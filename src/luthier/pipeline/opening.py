"""What a run, an adapter, a model folder or a hub model is opened with, and what the guard minds of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from luthier.config.load import LoadedRun, load, load_model
from luthier.core.errors import ModelError, Problem
from luthier.core.files import HashMemory, read_json
from luthier.core.runs import RunFolder, package_versions
from luthier.core.weight_files import ADAPTER_CONFIG, MODEL_CONFIG
from luthier.guard.settings import GuardSettings, guard_settings
from luthier.model.answering.parts import ModelParts
from luthier.model.locate import locate
from luthier.pipeline.plan import PLANNED_PACKAGES, plan_of
from luthier.pipeline.stages import base_location


@dataclass(frozen=True, slots=True)
class Target:
    """What can be asked: the parts that it is opened with, and the guard's settings."""

    parts: ModelParts
    guard: GuardSettings


def target_of(target: str, overrides: Sequence[str] = ()) -> Target:
    """What stands behind `target`: a run file or a run folder, an adapter folder, a model folder, `starter` or a hub id.

    Of a run file `overrides` choose the run, of a model they set how it is asked. `ModelError` where nothing can be asked.
    """
    path = Path(target)
    # The result of a run is asked as the run is: its own files do not tell a 4-bit base from a whole one.
    if path.name in ("adapter", "model") and (path.parent / "resolved.yaml").is_file():
        path = path.parent
    if path.is_file() or (path / "resolved.yaml").is_file():
        return _run(load(path, overrides), target)
    return _model(target, overrides)


def merged_of(target: str) -> Target:
    """What the run folder `target` exported as one model, worded as its adapter is. `ModelError` where there is none."""
    found, folder = target_of(target), RunFolder(Path(target))
    if not (folder.merged / MODEL_CONFIG).is_file():
        raise ModelError(Problem("this run has no merged model", where=target, hint="export it: `export: [merged]`"))
    # Merged weights are whole, whatever the base was held in while they were trained.
    settings = replace(found.parts.settings, quantization="none")
    return replace(found, parts=replace(found.parts, tuned=folder.merged, settings=settings))


def _run(loaded: LoadedRun, target: str) -> Target:
    config, folder = loaded.config, RunFolder(loaded.folder)
    if not folder.is_trained:
        raise ModelError(Problem("this run has no trained model yet", where=str(folder.path), hint=f"type `luthier train {target}`"))
    # Wrong rules are told before a model is opened.
    guard = guard_settings(config.guard.model_dump())
    parts = ModelParts(
        base_location(loaded, folder),
        folder.tuned,
        config.base_settings(),
        plan_of(config, folder),
        templates=read_json(folder.templates),
        tokens=config.token_settings(),
    )
    return Target(parts, guard)


def _model(target: str, overrides: Sequence[str]) -> Target:
    from luthier.model.device import make_plan

    path = Path(target)
    adapter = path if (path / ADAPTER_CONFIG).is_file() else None
    name = str(read_json(path / ADAPTER_CONFIG)["base_model_name_or_path"]) if adapter else target
    if adapter is None and path.exists() and not (path / MODEL_CONFIG).is_file():
        raise ModelError(
            Problem(
                "this is neither a run folder nor a model",
                where=target,
                hint="a run folder holds `resolved.yaml`, a model folder `config.json`, an adapter `adapter_config.json`",
            )
        )
    config = load_model(name, overrides).config
    guard = guard_settings(config.guard.model_dump())
    memory = HashMemory(Path.home() / ".cache" / "luthier" / "hashes.json")
    location = locate(name, config.revision_of_model, memory, where=target)
    memory.save()
    plan = make_plan(config.precision_settings(), package_versions(PLANNED_PACKAGES))
    return Target(ModelParts(location, adapter, config.base_settings(), plan), guard)
