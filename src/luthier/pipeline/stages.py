"""The stages in their order: what each depends on, what it writes, and how it is started with the parts it takes.

Nothing heavy is imported here: whether a stage is done is decided without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from luthier.config.load import LoadedRun
from luthier.config.schema import Stage
from luthier.core.events import EventLog
from luthier.core.records import JsonObject, Plan
from luthier.core.runs import RunFolder, stage_key
from luthier.data.sources import identify
from luthier.evaluate.suites import suite_inputs
from luthier.model.locate import ModelLocation, locate


@dataclass(frozen=True, slots=True)
class Context:
    """What a stage is started with; `plan` and `location` make themselves when first asked for, for not every stage needs them."""

    loaded: LoadedRun
    folder: RunFolder
    events: EventLog
    plan: Callable[[], Plan]

    def location(self) -> ModelLocation:
        """The base model's files."""
        return base_location(self.loaded, self.folder)


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage. `version` goes up when the stage's output changes for equal input; `packages` are those whose versions can change it."""

    name: Stage | str
    version: int
    packages: tuple[str, ...]
    outputs: tuple[str, ...]
    inputs: Callable[[LoadedRun, RunFolder], Mapping[str, str]]
    start: Callable[[Context, str], None]
    # Training goes on from its own checkpoints; what other stages left half done is removed before they start.
    resumes: bool = False

    def key(self, loaded: LoadedRun, folder: RunFolder) -> str:
        """The stage's key for this run file, these inputs and these package versions."""
        return stage_key(self.name, self.version, fields_of(loaded, self.name), self.inputs(loaded, folder), self.packages)


def fields_of(loaded: LoadedRun, stage: str) -> JsonObject:
    """The fields of the run file that can change the stage's result."""
    config = loaded.config
    if stage == "report":
        return {}
    fields = config.fields_of(stage)  # type: ignore[arg-type]
    if stage == "evaluate":
        # A tuned model is asked with the base and the wording it was trained with; the adapter's hash covers the rest.
        fields |= {
            name: value for name, value in config.fields_of("train").items() if name in ("load_in_4bit", "attn_implementation", "bf16")
        }
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
    return inputs


def _train_inputs(loaded: LoadedRun, folder: RunFolder) -> dict[str, str]:
    inputs = {"base": base_location(loaded, folder).identity}
    if loaded.config.tokenizer_config is not None:
        inputs["tokenizer"] = locate(loaded.config.tokenizer_config, None, folder.hashes).identity
    for file in (folder.split("train"), folder.split("validation"), folder.templates):
        inputs[file.name] = folder.hashes.sha256(file) if file.is_file() else "absent"
    return inputs


def _evaluate_inputs(loaded: LoadedRun, folder: RunFolder) -> dict[str, str]:
    inputs = {"base": base_location(loaded, folder).identity, **_recorded(folder, "train")}
    return inputs | suite_inputs(loaded.config, folder)


def _export_inputs(loaded: LoadedRun, folder: RunFolder) -> dict[str, str]:
    return {"base": base_location(loaded, folder).identity, **_recorded(folder, "data", "train", "evaluate")}


def _report_inputs(loaded: LoadedRun, folder: RunFolder) -> dict[str, str]:
    return _recorded(folder, "data", "train", "evaluate", "export")


def _start_data(context: Context, key: str) -> None:
    from luthier.data import stage

    stage.run(context.loaded.config, context.folder, context.events)


def _start_train(context: Context, key: str) -> None:
    from luthier.train import stage

    stage.run(context.loaded.config, context.folder, context.location(), context.plan(), context.events, key)


def _start_evaluate(context: Context, key: str) -> None:
    from luthier.evaluate import stage
    from luthier.model.generate import open_local

    config, folder = context.loaded.config, context.folder
    stage.run(
        config, folder, lambda: open_local(context.location(), folder.adapter, config.base_settings(), context.plan()), context.events
    )


def _start_export(context: Context, key: str) -> None:
    from luthier.export import stage

    stage.run(context.loaded.config, context.folder, context.location(), context.plan(), context.events)


def _start_report(context: Context, key: str) -> None:
    from luthier.report import page

    page.run(context.folder, context.events)


_TORCH = ("torch", "transformers", "peft", "bitsandbytes", "tokenizers", "jinja2")

STAGE_SPECS: tuple[StageSpec, ...] = (
    StageSpec("data", 1, ("pyarrow",), ("data",), _data_inputs, _start_data),
    StageSpec("train", 1, _TORCH, ("train", "adapter"), _train_inputs, _start_train, resumes=True),
    StageSpec(
        "evaluate", 1, (*_TORCH, "numpy", "tree-sitter", "tree-sitter-bash"), ("evaluate",), _evaluate_inputs, _start_evaluate, resumes=True
    ),
    StageSpec("export", 1, _TORCH, ("export",), _export_inputs, _start_export),
    StageSpec("report", 1, ("jinja2",), ("report.html", "report.md"), _report_inputs, _start_report),
)
