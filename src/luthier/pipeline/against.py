"""Opens what a run is compared with: endpoints with their keys, checkpoints, earlier runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from luthier.config.keys.base import QUANTIZED_BY
from luthier.config.load import LoadedRun, load
from luthier.config.schema import EndpointSection
from luthier.core.candidates import TUNED
from luthier.core.errors import NotYetError
from luthier.core.events import EventLog
from luthier.core.files import read_json
from luthier.core.protocols import Generator
from luthier.core.records import JsonObject, Plan
from luthier.core.runs import RunFolder
from luthier.evaluate.asking.against import Rival, checkpoint_folder
from luthier.evaluate.asking.sources import Others, Source, checkpoint_source, endpoint_source, run_source
from luthier.model.answering.parts import ModelParts
from luthier.model.locate import locate

Open = Callable[[], AbstractContextManager[Generator]]


@dataclass(frozen=True, slots=True)
class Models:
    """How a run's own models are opened: with the machine facts `plan`, in the engine that its run file names."""

    loaded: LoadedRun
    folder: RunFolder
    plan: Callable[[], Plan]
    engine: str

    def opener(self, checkpoint: Path | None = None) -> Open:
        """Opens the base and what the run trained, or the weights in `checkpoint`."""

        def open_generator() -> AbstractContextManager[Generator]:
            config, folder = self.loaded.config, self.folder
            base = locate(config.base_model, config.revision_of_model, folder.hashes)
            parts = ModelParts(
                base,
                checkpoint or folder.tuned,
                config.base_settings(),
                self.plan(),
                read_json(folder.templates),
                config.token_settings(),
                tokenizer_folder=folder.tuned,
            )
            if self.engine == "vllm":
                from luthier.model.answering.vllm import open_vllm

                return open_vllm(parts)
            from luthier.model.answering.local import open_local

            return open_local(parts, config.evaluate.batch_size)

        return open_generator

    def harness_arguments(self, model: str) -> JsonObject:
        """What lm-eval opens `base` or `tuned` with: the base's files, the tuned tokenizer, and for `tuned` its adapter or model."""
        config, plan = self.loaded.config, self.plan()
        if config.quantization != "none":
            raise NotYetError(
                "lm-eval's tasks over a quantised base",
                where=QUANTIZED_BY[config.quantization],
                hint="take suites of the kind `lm_eval` out",
            )
        base = locate(config.base_model, config.revision_of_model, self.folder.hashes)
        tuned = str(self.folder.tuned.resolve())
        arguments: JsonObject = {"pretrained": str(base.path), "tokenizer": tuned, "dtype": plan.dtype}
        if model == TUNED:
            arguments["pretrained" if self.folder.tuned == self.folder.model else "peft"] = tuned
        return {"model_args": arguments, "device": plan.device, "batch_size": config.evaluate.batch_size}


def open_endpoint(name: str, endpoint: EndpointSection, events: EventLog, role: str = "") -> Open:
    """Opens a remote model, and tells at the end, by its role and name, what it was asked and what that cost."""

    @contextmanager
    def open_generator() -> Iterator[Generator]:
        from luthier.model.remote import open_remote

        with open_remote(name, endpoint) as generator:
            try:
                yield generator
            finally:
                spent = generator.spent
                if spent.replies or spent.retries:
                    cost = spent.cost(endpoint.price)
                    told = f"{role}`{name}` gave {spent.replies:,} replies, "
                    told += f"{spent.prompt_tokens:,} tokens in and {spent.completion_tokens:,} out"
                    told += f", {spent.retries:,} tries were repeated" if spent.retries else ""
                    events.note(told + (f"; cost {cost:.4g} at the price in the run file" if cost is not None else ""))

    return open_generator


def evaluation_sources(models: Models, found: Sequence[Rival], events: EventLog) -> Others:
    """What answers beside the run's own model, none of it opened yet: the rivals' sources by name, and the judge's model."""
    from luthier.evaluate.stage import asking_fields

    config, folder = models.loaded.config, models.folder
    size = config.evaluate.batch_size
    sources: dict[str, Source] = {}
    for rival in found:
        if rival.kind == "endpoint":
            endpoint = config.endpoints[rival.where]
            sources[rival.name] = endpoint_source(endpoint, open_endpoint(rival.where, endpoint, events))
        elif rival.kind == "checkpoint":
            checkpoint = checkpoint_folder(folder, rival.where)
            sources[rival.name] = checkpoint_source(folder, checkpoint, models.opener(checkpoint), asking_fields(config), size)
        elif rival.kind == "run":
            other = _other_run(rival, models.plan, models.engine)
            other.folder.hashes = folder.hashes
            asking = asking_fields(other.loaded.config.model_copy(update={"evaluate": config.evaluate}))
            sources[rival.name] = run_source(other.folder, other.opener(), asking, size, plan=folder)
    judge = config.evaluate.judge
    asked = None
    if judge is not None:
        asked = endpoint_source(config.endpoints[judge], open_endpoint(judge, config.endpoints[judge], events, "the judge "))
    return Others(sources, asked, models.harness_arguments)


def _other_run(rival: Rival, plan: Callable[[], Plan], engine: str) -> Models:
    """The models of an earlier run, opened with this run's machine facts."""
    loaded = load(Path(rival.where))
    return Models(loaded, RunFolder(loaded.folder), plan, engine)
