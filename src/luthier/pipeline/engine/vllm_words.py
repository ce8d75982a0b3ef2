"""How vLLM's server is started and asked: its command line and environment, and the completions that go to it and come back.

The flags and fields are those of vLLM 0.10 and later.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.config.vllm_fit import unfit_fields
from luthier.core.child_environment import environment_for
from luthier.core.errors import ModelError, Problem
from luthier.core.files import read_json
from luthier.core.protocols import DoneEvent, GenerationEvent, GenerationRequest, LikelyToken, TokenEvent, TokenLogprob
from luthier.core.records import JsonObject
from luthier.core.weight_files import ADAPTER_CONFIG, stamp
from luthier.model.answering.parts import ModelParts
from luthier.model.answering.vllm import longest_of, rank_of
from luthier.model.wire import BadReply, read_piece, whole

MODULE = "vllm.entrypoints.openai.api_server"
HOST = "127.0.0.1"
# No usage statistics and no hub: the files are on this machine. Adapters come and go while it runs.
_SET = {
    "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1",
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
}  # fmt: skip
# The likeliest tokens that a request may ask for.
_MOST_LIKELY = 20


@dataclass(frozen=True, slots=True)
class VllmSettings:
    """How vLLM is held: `memory` is its share of the GPU, `arguments` go to its command line, `adapters` are on the GPU at once."""

    memory: float = 0.9
    arguments: tuple[str, ...] = ()
    adapters: int = 4
    rows: int = 32
    positions: int = 131_072
    opening_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Weights:
    """What one vLLM process holds: a model, in a number format, and adapters on it up to a rank (0: none)."""

    folder: Path
    stamp: str
    quantization: str
    dtype: str
    longest: int | None
    rank: int = 0

    @staticmethod
    def of(parts: ModelParts, is_tuned: bool) -> Weights:
        """The weights that a model speaks through; `ModelError` where vLLM would answer otherwise than it was trained."""
        is_whole = is_tuned and not parts.is_adapted
        folder = parts.tuned if is_whole and parts.tuned is not None else parts.location.path
        if parts.settings.quantization == "int8":
            raise _unfit("a base in 8 bits", str(folder))
        rank = 0
        if is_tuned and parts.is_adapted and parts.tuned is not None:
            adapter = read_json(parts.tuned / ADAPTER_CONFIG)
            if found := unfit_fields(adapter):
                raise _unfit(f"an adapter with `{found[0]}`", str(parts.tuned))
            rank = rank_of(adapter)
        longest = longest_of(read_json(folder / "config.json"))
        return Weights(folder, stamp(folder), parts.settings.quantization, parts.plan.dtype, longest, rank)

    def holds(self, other: Weights) -> bool:
        """Whether a model of the weights `other` can speak through these."""
        return self.rank >= other.rank and self.base == other.base

    @property
    def base(self) -> tuple[object, ...]:
        """Whose weights these are, without adapters."""
        return self.folder, self.stamp, self.quantization, self.dtype


def _unfit(what: str, where: str) -> ModelError:
    return ModelError(Problem(f"vLLM does not run {what} as it was trained", where=where, hint="set `serve.engine: own`"))


def command(weights: Weights, served_name: str, port: int, settings: VllmSettings) -> list[str]:
    """The command line: on this machine alone, no code from the model's folder, sampling by what is asked alone, nothing logged."""
    told: dict[str, object] = {
        "--model": weights.folder,
        "--served-model-name": served_name,
        "--host": HOST,
        "--port": port,
        "--dtype": weights.dtype,
        "--seed": 0,
        # Else a file beside the weights sets temperatures and penalties that nobody asked for.
        "--generation-config": "vllm",
        "--max-num-seqs": settings.rows,
        "--max-logprobs": _MOST_LIKELY,
        "--gpu-memory-utilization": settings.memory,
    }
    if weights.longest is not None:
        told["--max-model-len"] = min(weights.longest, settings.positions)
    if weights.quantization != "none":
        told["--quantization"] = "bitsandbytes"
    if weights.rank:
        told |= {"--max-loras": settings.adapters, "--max-cpu-loras": settings.adapters, "--max-lora-rank": weights.rank}
    words = [str(word) for pair in told.items() for word in pair]
    words += ["--enable-lora"] if weights.rank else []
    return [sys.executable, "-m", MODULE, *words, "--disable-uvicorn-access-log", *settings.arguments]


def environment(key: str) -> dict[str, str]:
    """The variables that the process gets: `key` among them, and no other key."""
    return {**environment_for(["compute"]), **_SET, "VLLM_API_KEY": key}


def completion_body(request: GenerationRequest, model: str, prompt: Sequence[int], stop_ids: frozenset[int]) -> JsonObject:
    """The body of a completion of `prompt`'s ids: the wording's own ends of turn alone stop it, as they do in our own engine."""
    body: JsonObject = {
        "model": model,
        "prompt": list(prompt),
        "max_tokens": request.max_new_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p if request.temperature > 0 else 1.0,
        "stop": list(request.stop),
        "stop_token_ids": sorted(stop_ids),
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.temperature > 0 and request.seed is not None:
        body["seed"] = request.seed
    if request.top_logprobs is not None:
        body["logprobs"] = request.top_logprobs
    return body


class Completion:
    """An answer put together from the pieces that vLLM sends; `BadReply` where one is an error, or they end too early."""

    def __init__(self, request: GenerationRequest) -> None:
        self._request = request
        self._text = ""
        self._reason = ""
        self._usage = (0, 0)

    def take(self, piece: JsonObject) -> list[TokenEvent]:
        """What one piece adds."""
        choice, self._usage = read_piece(piece, self._usage)
        if choice is None:
            return []
        self._reason = choice.get("finish_reason") or self._reason
        text = whole(choice.get("text") or "")
        told = _logprobs(choice.get("logprobs") or {}, self._request.top_logprobs or 0)
        # A token that ends the answer is no part of it.
        if choice.get("finish_reason") == "stop" and isinstance(choice.get("stop_reason"), int):
            told = told[:-1]
        self._text += text
        return [TokenEvent(self._request.id, text, told)] if text or told else []

    def end(self) -> GenerationEvent:
        """The end of the answer."""
        if self._reason not in ("stop", "length"):
            raise BadReply(f"the answer ended with `{self._reason}`" if self._reason else "the answer has no end")
        return DoneEvent(self._request.id, self._text, self._reason, *self._usage)


def _logprobs(told: JsonObject, most: int) -> tuple[TokenLogprob, ...]:
    found = []
    for place, text in enumerate(told.get("tokens") or ()):
        nats = told["token_logprobs"][place]
        likely = sorted(((told.get("top_logprobs") or {})[place] or {}).items(), key=lambda one: -one[1])[:most]
        found.append(TokenLogprob(text, nats, tuple(LikelyToken(name, value) for name, value in likely)))
    return tuple(found)
