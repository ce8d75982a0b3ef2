"""Where a candidate's answers come from, and what they depend on beside the question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from luthier.config.schema import EndpointSection
from luthier.core.candidates import BASE
from luthier.core.files import read_json, sha256_json
from luthier.core.protocols import Generator
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder
from luthier.core.weight_files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, MODEL_CONFIG, weights_of

# Goes up when a request is worded otherwise than before, so that what was answered to the old wording is not taken for an answer.
GENERATION_VERSION = 1
_WEIGHTS = (ADAPTER_WEIGHTS, ADAPTER_CONFIG, "README.md")
_MODEL = ("model*.safetensors", "model.safetensors.index.json", MODEL_CONFIG)
# Fields of training that change how a run's own models are asked, beside what the adapter, the base's record and the plan tell.
ASKING_FIELDS = ("load_in_4bit", "load_in_8bit", "attn_implementation", "default_system_message")
_PLAN_FACTS = ("device", "device_name", "dtype", "threads", "deterministic", "tf32", "versions")

HarnessArguments = Callable[[str], JsonObject]
OpenGenerator = Callable[[], AbstractContextManager[Generator]]


@dataclass(frozen=True, slots=True)
class Source:
    """A generator that is opened when the first answer is missing, and what its answers depend on.

    `identity` gives that for one of its models, as JSON: equal identities share answers, also across runs. `batch_size` is the number of
    requests that one `generate` call is handed, where the bytes of an answer may depend on what runs beside it; None hands it all.
    `by_id`: the answer is looked up by the row's id, and not by what is asked. `can_score`: its generator has log-probabilities.
    `harness` gives what lm-eval opens one of its models with, where it can. `may_recover`: a request that failed may be answered another
    time, as with an endpoint that was down; a model at hand, and a file, fail the same way each time.
    """

    open: OpenGenerator
    identity: Callable[[str], JsonObject]
    batch_size: int | None = None
    by_id: bool = False
    can_score: bool = True
    harness: HarnessArguments | None = None
    may_recover: bool = False

    def identity_sha256(self, model: str) -> str:
        """The identity of `model` as one hash."""
        return sha256_json({"version": GENERATION_VERSION, "model": model, **self.identity(model)})


Sources = Mapping[str, Source]


@dataclass(frozen=True, slots=True)
class Others:
    """What answers beside the run's own model: sources by rival's name, and the judge's model where the run file names one.

    `harness` gives what lm-eval opens the run's own models with.
    """

    sources: Mapping[str, Source] = field(default_factory=dict)
    judge: Source | None = None
    harness: HarnessArguments | None = None


def run_source(
    folder: RunFolder, open_generator: OpenGenerator, asking: JsonObject, batch_size: int, plan: RunFolder | None = None
) -> Source:
    """A run's own model. `asking` are the fields of its run file that change how it is asked; `plan` is the run whose machine facts hold.

    The untuned base is asked without the adapter's weights, but with the tokenizer and, where it has none of its own, the wording of the
    tuned model: a sibling run with equal data and another learning rate has the same base.
    """

    def identity(model: str) -> JsonObject:
        files = {path.name: path for path in _files(folder.tuned) if model != BASE or not _is_weights(path)}
        return _identity(folder, files, asking, plan or folder)

    return Source(open_generator, identity, batch_size)


def checkpoint_source(folder: RunFolder, checkpoint: Path, open_generator: OpenGenerator, asking: JsonObject, batch_size: int) -> Source:
    """The run's model with the weights of a checkpoint; one that has the final weights has the tuned model's answers."""

    def identity(model: str) -> JsonObject:
        files = {path.name: path for path in _files(folder.tuned)}
        weights = {name: checkpoint / name for name in _WEIGHTS if name in files and (checkpoint / name).is_file()}
        if folder.tuned == folder.model:
            files = {name: path for name, path in files.items() if not _is_weights(path)}
            weights = {path.name: path for path in (weights_of(checkpoint), checkpoint / MODEL_CONFIG) if path.is_file()}
        return _identity(folder, files | weights, asking, folder)

    return Source(open_generator, identity, batch_size)


def endpoint_source(endpoint: EndpointSection, open_generator: OpenGenerator) -> Source:
    """A remote model: known by its address and name, whatever the run file calls it."""

    def identity(_: str) -> JsonObject:
        return {"base_url": endpoint.base_url, "remote_model": endpoint.model}

    return Source(open_generator, identity, can_score=endpoint.log_probabilities, may_recover=True)


def _files(tuned: Path) -> list[Path]:
    return sorted(path for path in tuned.rglob("*") if path.is_file()) if tuned.is_dir() else []


def _is_weights(path: Path) -> bool:
    """Whether a file of training's result says how the weights are, and not how the model is spoken to."""
    return path.name in _WEIGHTS or any(path.match(pattern) for pattern in _MODEL)


def _identity(folder: RunFolder, files: Mapping[str, Path], asking: JsonObject, planned: RunFolder) -> JsonObject:
    summary = read_json(folder.train_summary) if folder.train_summary.is_file() else {}
    plan = read_json(planned.plan_json) if planned.plan_json.is_file() else {}
    return {
        "base": summary.get("base", {}),
        "adapter": {name: folder.hashes.sha256(path) for name, path in sorted(files.items())},
        "templates": _hash_of(folder.templates, folder),
        "plan": {name: plan.get(name) for name in _PLAN_FACTS},
        "asking": asking,
    }


def _hash_of(path: Path, folder: RunFolder) -> str:
    return folder.hashes.sha256(path) if path.is_file() else ""
