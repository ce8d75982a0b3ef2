"""Which engine answers: our own, or vLLM where it and a GPU are there and it runs what is served as it was trained."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from luthier.config.adapter_folder import read_config
from luthier.config.load import LoadedRun, load
from luthier.config.paths import STARTER
from luthier.config.serve_section import ServeSection
from luthier.config.vllm_fit import unfit_keys
from luthier.core.errors import LuthierError, Problem, UserError
from luthier.core.optional import missing
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder


def engine_of(settings: ServeSection, served: LoadedRun | None) -> JsonObject:
    """What the engine's process is told of it. `UserError` where vLLM is asked for and not installed, or does not run the served run."""
    kind, unfit = settings.engine, unfit_keys(served.config) if served is not None else []
    if kind == "vllm" and unfit:
        hint = "write `own`, or leave it out"
        raise UserError(Problem(f"vLLM does not run a model with `{unfit[0]}` as it was trained", "serve.engine", "vllm", hint=hint))
    if kind == "vllm" and (absent := missing("vllm", extra="vllm", reason="serve.engine: vllm")) is not None:
        raise absent
    return {
        "kind": "own" if unfit else kind,
        "memory": settings.vllm.memory,
        "arguments": settings.vllm.arguments,
        "adapters": settings.limits.loaded_models,
        "threads": settings.limits.threads,
        "opening_seconds": settings.limits.opening_seconds,
    }


def is_from_hub(models: Iterable[str]) -> bool:
    """Whether one of these models, or the base of one that is an adapter, is no folder of this machine: the engine may have to fetch it."""
    bases = map(_base_of, models)
    return any(base != STARTER and not Path(base).expanduser().is_dir() for base in bases)


def _base_of(model: str) -> str:
    # What cannot be read is told when it is opened.
    with suppress(LuthierError):
        if RunFolder(Path(model)).resolved_yaml.is_file():
            return load(model).config.base_model
    return str((read_config(model) or {}).get("base_model_name_or_path") or model)
