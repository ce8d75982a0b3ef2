"""Answers through vLLM's offline engine, for suites that are large: the same prompts and stops as `model/answering/local`.

Prompts are worded and answers decoded here, with the run's own tokenizer and template, so that both engines are asked the same tokens.
Equal seeds give equal draws in one vLLM version on one device; its kernels round otherwise than PyTorch's, so that answers may differ
from the local engine's where two tokens are nearly as likely.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.config.keys.base import BaseSettings
from luthier.core.candidates import TUNED
from luthier.core.files import read_json
from luthier.core.optional import load
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest, Scored, TokenEvent, Tokenizer
from luthier.core.records import JsonObject, Message, Plan
from luthier.model.answering.parts import ModelParts
from luthier.model.answering.scores import UNBOUNDED, fitting
from luthier.model.answering.voices import Voice, make_voices, worded
from luthier.model.tokenizer import TextTokenizer

# Requests handed over at once: vLLM batches them itself, and between two lots progress is told and a closed iterator is heeded.
_LOT = 512
# The ranks that vLLM has kernels for (`LoRAConfig.max_lora_rank`); an adapter's rank is rounded up to one.
_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)


@dataclass(frozen=True, slots=True)
class Engine:
    """vLLM's module and its `LLM`, the request that switches the adapter on, and the longest prompt with answer in tokens, where known."""

    module: Any
    llm: Any
    adapter: Any | None
    longest: int | None


class VllmGenerator:
    """The `Generator` over vLLM's offline API."""

    def __init__(self, engine: Engine, tokenizer: Tokenizer, voices: Mapping[str, Voice]) -> None:
        self._engine, self._tokenizer, self._voices = engine, tokenizer, dict(voices)

    def names(self) -> tuple[str, ...]:
        """`base`, and `tuned` where an adapter is loaded."""
        return tuple(self._voices)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GenerationEvent]:
        """The events of all requests, a lot of one model after another; closing the iterator stops before the next lot."""
        waiting: dict[str, list[tuple[GenerationRequest, list[int]]]] = {name: [] for name in self._voices}
        for request in requests:
            prompt = worded(request, self._voices, self._engine.longest or UNBOUNDED)
            if isinstance(prompt, ErrorEvent):
                yield prompt
            else:
                waiting[request.model].append((request, prompt))
        for model, asked in waiting.items():
            for start in range(0, len(asked), _LOT):
                lot = asked[start : start + _LOT]
                stops = [self._voices[model].stops_of(request.messages) for request, _ in lot]
                parameters = [self._parameters(request, own) for (request, _), own in zip(lot, stops, strict=True)]
                outputs = self._run(model, [prompt for _, prompt in lot], parameters)
                for (request, prompt), output, own in zip(lot, outputs, stops, strict=True):
                    yield from self._events(request, len(prompt), output.outputs[0], own)

    def score(self, rows: Iterable[tuple[tuple[Message, ...], str]], model: str) -> list[Scored]:
        """For each (messages, answer): the answer's log-probability in nats and its tokens, cut and refused as by the local engine."""
        voice, longest = self._voices[model], self._engine.longest or UNBOUNDED
        pairs = [fitting(voice.prompt(messages), self._tokenizer.encode(answer), longest) for messages, answer in rows]
        # One token must be asked for; what counts are the log-probabilities of the tokens that are there.
        parameters = [self._engine.module.SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=0, detokenize=False) for _ in pairs]
        outputs = self._run(model, [prompt + answer for prompt, answer, _ in pairs], parameters)
        scores = []
        for (prompt, answer, cut_tokens), output in zip(pairs, outputs, strict=True):
            told = output.prompt_logprobs[len(prompt) :]
            nats = sum(float(entry[token].logprob) for entry, token in zip(told, answer, strict=True))
            scores.append(Scored(nats, len(answer), cut_tokens))
        return scores

    def _parameters(self, request: GenerationRequest, stops: frozenset[int]) -> Any:
        """vLLM's sampling parameters. The wording's own ends of turn alone stop an answer, as they do with the local engine."""
        return self._engine.module.SamplingParams(
            max_tokens=request.max_new_tokens,
            temperature=request.temperature,
            top_p=request.top_p if request.temperature > 0 else 1.0,
            seed=request.seed if request.temperature > 0 else None,
            stop_token_ids=sorted(stops),
            ignore_eos=True,
            detokenize=False,
        )

    def _run(self, model: str, prompts: Sequence[list[int]], parameters: Sequence[Any]) -> Sequence[Any]:
        asked = [{"prompt_token_ids": prompt} for prompt in prompts]
        adapter = self._engine.adapter if model == TUNED else None
        outputs: Sequence[Any] = self._engine.llm.generate(asked, list(parameters), use_tqdm=False, lora_request=adapter)
        return outputs

    def _events(self, request: GenerationRequest, prompt_tokens: int, output: Any, stops: frozenset[int]) -> Iterator[GenerationEvent]:
        ids = list(output.token_ids)
        # A stop token ends the list where one was met; it counts as generated and is no text.
        is_stopped = bool(ids) and ids[-1] in stops
        text = self._tokenizer.decode(ids[:-1] if is_stopped else ids)
        if text:
            yield TokenEvent(request.id, text)
        yield DoneEvent(request.id, text, "stop" if is_stopped else "length", prompt_tokens, len(ids))


@contextmanager
def open_vllm(parts: ModelParts) -> Iterator[VllmGenerator]:
    """The base in vLLM, with the adapter of `parts` as `tuned`. `MissingExtraError` where vLLM is not installed."""
    module = load("vllm", extra="vllm", reason="evaluate.engine: vllm")
    tokenizer = TextTokenizer.from_folder(parts.own_tokenizer)
    voices = make_voices(parts, tokenizer)
    config = read_json(parts.location.path / "config.json")
    llm = module.LLM(**engine_arguments(parts.location.path, config, parts.tuned, parts.settings, parts.plan))
    adapter = None
    if parts.tuned is not None:
        adapter = load("vllm.lora.request", extra="vllm").LoRARequest(TUNED, 1, str(parts.tuned))
    try:
        yield VllmGenerator(Engine(module, llm, adapter, longest_of(config)), tokenizer, voices)
    finally:
        del llm
        gc.collect()


def engine_arguments(model: Path, config: JsonObject, adapter_folder: Path | None, settings: BaseSettings, plan: Plan) -> JsonObject:
    """What `vllm.LLM` is made with: no code from the model's folder, our own tokenizer, the plan's number format and a fixed seed."""
    arguments: JsonObject = {
        "model": str(model),
        "skip_tokenizer_init": True,
        "trust_remote_code": False,
        "dtype": plan.dtype,
        "seed": 0,
    }
    if (longest := longest_of(config)) is not None:
        arguments["max_model_len"] = longest
    if settings.quantization != "none":
        arguments["quantization"] = "bitsandbytes"
    if adapter_folder is not None:
        arguments |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": rank_of(read_json(adapter_folder / "adapter_config.json"))}
    return arguments


def longest_of(config: JsonObject) -> int | None:
    """The number of positions that a model's `config.json` tells, in it or in its text model's part; None where it tells none."""
    inner = config.get("text_config")
    told = (inner if isinstance(inner, dict) else config).get("max_position_embeddings")
    return told if type(told) is int and told > 0 else None


def rank_of(adapter: JsonObject) -> int:
    """The rank that vLLM holds an adapter in, by its `adapter_config.json`."""
    largest = max([int(adapter["r"]), *(int(rank) for rank in (adapter.get("rank_pattern") or {}).values())])
    return next((rank for rank in _RANKS if rank >= largest), largest)
