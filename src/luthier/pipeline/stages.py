"""The stages in their order: what each depends on, what it writes, and how it is started with the parts it takes.

Nothing heavy is imported here: whether a stage is done is decided without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from luthier.config.load import LoadedRun
from luthier.core.events import EventLog
from luthier.core.files import read_json, sha256_json
from luthier.core.records import JsonObject, Plan
from luthier.core.runs import RunFolder, stage_key
from luthier.core.stages import STAGES, StageFacts
from luthier.data.reading.data_sets import identify
from luthier.evaluate.asking.against import rival_inputs, rivals
from luthier.evaluate.asking.answers import failed_requests
from luthier.evaluate.asking.sources import ASKING_FIELDS
from luthier.evaluate.judging.grounds import verdict_inputs
from luthier.evaluate.suites.suite_files import suite_files, suite_inputs
from luthier.model.locate import ModelLocation, locate, locate_tokenizer
from luthier.pipeline.against import Models, evaluation_sources
from luthier.pipeline.suite_items import suite_identities, suite_items

if TYPE_CHECKING:
    from luthier.train.strategies.processes import Processes


@dataclass(frozen=True, slots=True)
class Context:
    """What a stage is started with; `plan` and `location` make themselves when first asked for, for not every stage needs them.

    `group` are the processes that train together; None where this one was started alone. `pinned` stages stay as they are recorded,
    whatever they were made from is today.
    """

    loaded: LoadedRun
    folder: RunFolder
    events: EventLog
    plan: Callable[[], Plan]
    group: Processes | None = None
    pinned: tuple[str, ...] = ()

    def location(self) -> ModelLocation:
        """The base model's files."""
        return base_location(self.loaded, self.folder)


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage: its fixed facts, what it reads beside the run file, and how it is started with its parts."""

    name: str
    facts: StageFacts
    inputs: Callable[[LoadedRun, RunFolder], Mapping[str, str]]
    start: Callable[[Context, str], None]
    # The stages whose results it rests on.
    needs: tuple[str, ...] = ()
    # Training goes on from its own checkpoints; what other stages left half done is removed before they start.
    resumes: bool = False
    # How many requests of the stage that was just done failed and are worth another try.
    failed: Callable[[RunFolder], int] = lambda folder: 0
    # Several processes share it where they were started together, and their number changes its result.
    is_shared: bool = False

    def key(self, loaded: LoadedRun, folder: RunFolder) -> str:
        """The stage's key for this run file, these inputs and these package versions."""
        return stage_key(self.name, self.facts.version, fields_of(loaded, self.name), self.inputs(loaded, folder), self.facts.packages)


# Fields of training that move the evaluation's key. An answer's own key has the plan in place of the number format, which the plan is made
# from when a stage runs, and in place of the seed what was drawn with it.
_EVALUATION_FIELDS = (*ASKING_FIELDS, "bf16", "fp16", "tf32", "deterministic", "seed")


def fields_of(loaded: LoadedRun, stage: str) -> JsonObject:
    """The fields of the run file that can change the stage's result."""
    config = loaded.config
    if stage == "report":
        return {}
    if stage == "card":
        return config.result_fields()
    fields = config.fields_of(stage)  # type: ignore[arg-type]
    if stage == "evaluate":
        fields |= {name: value for name, value in config.fields_of("train").items() if name in _EVALUATION_FIELDS}
    return fields


def base_location(loaded: LoadedRun, folder: RunFolder) -> ModelLocation:
    """Where the base model's files are, and their identity."""
    return locate(loaded.config.base_model, loaded.config.revision_of_model, folder.hashes)


def _recorded(folder: RunFolder, *stages: str) -> dict[str, str]:
    manifest = folder.manifest()
    return {
        f"{stage}/{output}": digest
        for stage in stages
        if (record := manifest.stages.get(stage)) is not None
        for output, digest in record.outputs.items()
    }


def _data_inputs(loaded: LoadedRun, folder: RunFolder) -> dict[str, str]:
    inputs: dict[str, str] = {}
    for name in ("datasets", "test_datasets"):
        for index, entry in enumerate(getattr(loaded.config, name)):
            found = identify(entry, folder.hashes, where=f"{name}[{index}].path")
            inputs |= {f"{name}[{index}] {label}": digest for label, digest in found.items()}
    if loaded.config.sources:
        from luthier.retrieval.sources.reading import identify as identify_source

        for index, source in enumerate(loaded.config.sources):
            inputs[f"sources[{index}]"] = identify_source(source, folder.hashes, where=f"sources[{index}]")
    if loaded.config.sources or loaded.config.augment is not None:
        from luthier.data.augment.variants import VERSION as VARIANTS_VERSION
        from luthier.data.sources.versions import row_versions

        inputs["versions"] = sha256_json({**row_versions(), "variants": VARIANTS_VERSION})
    for name, endpoint in loaded.config.teachers().items():
        inputs[f"endpoint {name}"] = endpoint.identity
    return inputs | _cleaning_inputs(loaded, folder)


def _cleaning_inputs(loaded: LoadedRun, folder: RunFolder) -> dict[str, str]:
    """What cleaning and dividing read beside the sources: suites and named files, rules of the guard, an earlier run's sides."""
    config = loaded.config
    inputs = suite_identities(config, folder)
    # Commands of rows of `sources` are rated without `clean` too.
    if config.clean is not None or config.sources:
        inputs["guard"] = sha256_json(config.guard.model_dump(mode="json"))
        for file in (*(config.clean.decontaminate if config.clean is not None else ()), *config.guard.rule_files()):
            inputs[f"clean {file}"] = folder.hashes.sha256(Path(file))
    if config.split is not None and config.split.keep is not None:
        from luthier.data.split.earlier import earlier_files

        for path in earlier_files(Path(config.split.keep)):
            inputs[f"split.keep {path.name}"] = folder.hashes.sha256(path)
    return inputs


def _train_inputs(loaded: LoadedRun, folder: RunFolder) -> dict[str, str]:
    inputs = {"base": base_location(loaded, folder).identity}
    if loaded.config.tokenizer_config is not None:
        inputs["tokenizer"] = locate_tokenizer(loaded.config.tokenizer_config, folder.hashes).identity
    if loaded.config.lora_model_dir is not None:
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            path = Path(loaded.config.lora_model_dir) / name
            inputs[f"lora_model_dir {name}"] = folder.hashes.sha256(path) if path.is_file() else "absent"
    if loaded.config.engine == "axolotl" and loaded.config.axolotl is not None:
        from luthier.train.engines.environment import versions

        inputs["engine"] = sha256_json(versions(loaded.config.axolotl.python))
    for file in (folder.split("train"), folder.split("validation"), folder.templates):
        inputs[file.name] = folder.hashes.sha256(file) if file.is_file() else "absent"
    return inputs


def _model_inputs(loaded: LoadedRun, folder: RunFolder) -> dict[str, str]:
    """The base, and of training its result alone: what else it writes tells seconds, which are never twice the same."""
    recorded = _recorded(folder, "train")
    trained = {"model": recorded["train/model"]} if "train/model" in recorded else {"adapter": recorded.get("train/adapter", "absent")}
    return {"base": base_location(loaded, folder).identity, **trained}


def _evaluate_inputs(loaded: LoadedRun, folder: RunFolder) -> dict[str, str]:
    inputs = _model_inputs(loaded, folder)
    inputs[folder.templates.name] = folder.hashes.sha256(folder.templates) if folder.templates.is_file() else "absent"
    section = loaded.config.evaluate
    for file in loaded.config.guard.rule_files():
        inputs[f"guard.rules {file}"] = folder.hashes.sha256(Path(file))
    inputs |= verdict_inputs(suite_files(section), folder)
    return inputs | suite_inputs(section, folder) | rival_inputs(rivals(section.against, loaded.config.endpoints), folder)


def _card_inputs(loaded: LoadedRun, folder: RunFolder) -> dict[str, str]:
    name = loaded.config.run_name or folder.path.name
    return {"run": name, "base": base_location(loaded, folder).identity, **_recorded(folder, "data", "train", "evaluate", "export")}


def _report_inputs(loaded: LoadedRun, folder: RunFolder) -> dict[str, str]:
    resolved = folder.hashes.sha256(folder.resolved_yaml) if folder.resolved_yaml.is_file() else "absent"
    # Judged by hand, compared, or held to another gate after the report was written: the next one shows it.
    later = [folder.review_summary, folder.evaluate / "gate.json", *sorted(folder.beside.glob("*/summary.json"))]
    added = {str(path.relative_to(folder.path)): folder.hashes.sha256(path) for path in later if path.is_file()}
    return {"run": folder.path.name, "resolved": resolved, **added, **_recorded(folder, "data", "train", "evaluate", "export")}


def _unanswered(folder: RunFolder) -> int:
    """How many requests to teachers of sources stayed without a reply, and are worth another try."""
    report = read_json(folder.data_report) if folder.data_report.is_file() else {}
    return sum(source.get("made", {}).get("teacher_failed", 0) for source in report.get("sources", ()))


def _start_data(context: Context, key: str) -> None:
    from luthier.data import stage

    stage.run(context.loaded.config, context.folder, context.events, suite_items(context.loaded.config))


def _start_train(context: Context, key: str) -> None:
    from luthier.train import stage

    stage.run(context.loaded.config, context.folder, context.location(), context.plan(), context.events, key, context.group)


def _start_evaluate(context: Context, key: str) -> None:
    from luthier.evaluate import stage

    config = context.loaded.config
    models = Models(context.loaded, context.folder, context.plan, config.evaluate.engine)
    found = rivals(config.evaluate.against, config.endpoints)
    others = evaluation_sources(models, found, context.events)
    stage.run(config, context.folder, models.opener(), context.events, others=others)


def _start_export(context: Context, key: str) -> None:
    from luthier.export import stage

    stage.run(context.loaded.config, context.folder, context.location(), context.plan(), context.events)


def _start_card(context: Context, key: str) -> None:
    from luthier.export import stage

    stage.write_model_card(context.loaded.config, context.folder, context.location(), context.plan(), context.events)


def _start_report(context: Context, key: str) -> None:
    from luthier.report import page

    page.run(context.folder, context.events)


STAGE_SPECS: tuple[StageSpec, ...] = (
    StageSpec("data", STAGES["data"], _data_inputs, _start_data, failed=_unanswered),
    StageSpec("train", STAGES["train"], _train_inputs, _start_train, needs=("data",), resumes=True, is_shared=True),
    StageSpec("evaluate", STAGES["evaluate"], _evaluate_inputs, _start_evaluate, ("data", "train"), True, failed_requests),
    StageSpec("export", STAGES["export"], _model_inputs, _start_export, needs=("train",)),
    StageSpec("card", STAGES["card"], _card_inputs, _start_card, needs=("data", "train", "evaluate", "export")),
    StageSpec("report", STAGES["report"], _report_inputs, _start_report, needs=("data", "train", "evaluate", "export")),
)
