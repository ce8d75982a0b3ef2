"""Which engine answers: our own, or vLLM where it and a GPU are there and it runs what is served as it was trained."""

from __future__ import annotations

from luthier.config.load import LoadedRun
from luthier.config.serve_section import ServeSection
from luthier.core.errors import Problem, UserError
from luthier.core.optional import missing
from luthier.core.records import JsonObject

# What vLLM runs otherwise than it was trained, or not at all.
_UNFIT = ("peft_use_dora", "lora_modules_to_save", "lora_rank_pattern", "lora_alpha_pattern", "load_in_8bit")


def engine_of(settings: ServeSection, served: LoadedRun | None) -> JsonObject:
    """What the engine's process is told of it. `UserError` where vLLM is asked for and not installed, or does not run the served run."""
    kind, unfit = settings.engine, [name for name in _UNFIT if served is not None and getattr(served.config, name)]
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
