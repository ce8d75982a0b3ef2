"""Answers from the local model: one base in memory, its adapter switched on for `tuned` and off for `base`.

Shapes: B rows of the batch that still run, L tokens of prompt and answer so far, V vocabulary.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from peft import PeftModel
from transformers import DynamicCache, PreTrainedModel

from luthier.core.candidates import BASE, TUNED
from luthier.core.protocols import ErrorEvent, GenerationEvent, GenerationRequest, Scored, Tokenizer
from luthier.core.records import Message
from luthier.model.adapters.files import load_adapter
from luthier.model.answering.batch import Prompts, RunningBatch
from luthier.model.answering.parts import ModelParts
from luthier.model.answering.rows import Row, chosen
from luthier.model.answering.scores import fitting, positions_of, summed_logprobs
from luthier.model.answering.voices import Voice, make_voices, worded
from luthier.model.base import load_base, load_trained_model
from luthier.model.device import apply
from luthier.model.tokenizer import TextTokenizer


class LocalGenerator:
    """The `Generator` of a local model. One iterator of `generate` at a time: the adapter is switched on or off for all.

    Where no adapter but the model itself was trained, `open_base` loads the untuned one, which stays beside it once it was asked: two such
    models take less memory than training the one took.
    """

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        tokenizer: Tokenizer,
        voices: Mapping[str, Voice],
        batch_size: int = 32,
        open_base: Callable[[], PreTrainedModel] | None = None,
    ) -> None:
        self._peft = model if isinstance(model, PeftModel) else None
        # The same module with the adapter's layers in it, without the wrapper's work for each token.
        self._net: PreTrainedModel = model.get_base_model() if self._peft is not None else model
        self._open_base = open_base
        self._nets: dict[str, PreTrainedModel] = {TUNED: self._net}
        self._tokenizer = tokenizer
        self._voices = dict(voices)
        self._batch_size = batch_size
        self.device = self._net.get_input_embeddings().weight.device
        self._longest = positions_of(self._net.config)
        self._busy = False

    def names(self) -> tuple[str, ...]:
        """`base`, and `tuned` where an adapter is loaded."""
        return tuple(self._voices)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GenerationEvent]:
        """The events of all requests; those of like length run together. Closing the iterator stops at the next token.

        A request that cannot be worded, or leaves no room in the model's positions, ends with an `ErrorEvent`. `temperature` 0 takes the
        likeliest token; otherwise a request draws from its own `seed`, so that an answer does not depend on what runs beside it.
        """
        if self._busy:
            raise RuntimeError("this generator is answering already: finish or close the iterator before the next `generate`")
        self._busy = True
        try:
            rows: dict[str, list[Row]] = {name: [] for name in self._voices}
            for request in requests:
                prompt = worded(request, self._voices, self._longest)
                if isinstance(prompt, ErrorEvent):
                    yield prompt
                else:
                    stops = self._voices[request.model].stops_of(request.messages)
                    rows[request.model].append(Row.of(request, prompt, stop_ids=stops))
            for name, waiting in rows.items():
                waiting.sort(key=lambda row: len(row.prompt))
                with self._speaking_as(name):
                    for start in range(0, len(waiting), self._batch_size):
                        yield from self._run_batch(waiting[start : start + self._batch_size], self._voices[name].stop_ids)
        finally:
            self._busy = False

    def longest_prompt(self, max_new_tokens: int) -> int:
        """The most tokens of a prompt that leave room for so many more in the model's positions."""
        return self._longest - max_new_tokens

    def continued(
        self, requests: Sequence[GenerationRequest], prompts: Sequence[list[int]], stop_ids: frozenset[int], top_k: int = 0
    ) -> Iterator[GenerationEvent]:
        """The events of `requests`, each from ids in place of its messages, with the adapter if there is one; `top_k` 0 bounds nothing."""
        rows = [Row.of(request, prompt, top_k) for request, prompt in zip(requests, prompts, strict=True)]
        for start in range(0, len(rows), self._batch_size):
            yield from self._run_batch(rows[start : start + self._batch_size], stop_ids)

    def _speaking_as(self, name: str) -> AbstractContextManager[Any]:
        if self._peft is not None:
            return self._peft.disable_adapter() if name == BASE else nullcontext()
        if self._open_base is not None:
            if name not in self._nets:
                self._nets[name] = self._open_base().eval()
            self._net = self._nets[name]
        return nullcontext()

    def _run_batch(self, rows: list[Row], stop_ids: frozenset[int]) -> Iterator[GenerationEvent]:
        """Answers `rows` together; rows that end leave the batch."""
        batch = RunningBatch(self._tokenizer, stop_ids, self._forward, self._choose, self.device)
        prompts = Prompts(rows, self._net.config, self._tokenizer.pad_id, self.device)
        logits = prompts.read(self._forward)
        assert logits is not None
        yield from batch.join(prompts, logits)
        while batch.rows:
            yield from batch.step()

    @torch.inference_mode()
    def _forward(self, ids: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        return self._logits(ids, mask, positions, cache)

    def _logits(self, ids: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        """The float32 logits of the last position, [B, V]."""
        output = self._net(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        return output.logits[:, -1].float()

    def _choose(self, rows: Sequence[Row], logits: torch.Tensor) -> list[int]:
        return chosen(rows, logits)

    def score(self, rows: Iterable[tuple[tuple[Message, ...], str]], model: str) -> list[Scored]:
        """For each (messages, answer): the answer's log-probability in nats and its tokens, the end of turn not counted.

        A prompt that leaves the answer no room in the model's positions loses its beginning, which the score says; `ModelError` where the
        answer alone has none.
        """
        voice = self._voices[model]
        fitted = [fitting(voice.prompt(messages), self._tokenizer.encode(answer), self._longest) for messages, answer in rows]
        with self._speaking_as(model):
            nats = summed_logprobs(self._net, self._tokenizer.pad_id, [(prompt, answer) for prompt, answer, _ in fitted], self.device)
        return [Scored(value, len(answer), cut_tokens) for value, (_, answer, cut_tokens) in zip(nats, fitted, strict=True)]


@contextmanager
def open_local(parts: ModelParts, batch_size: int = 32) -> Iterator[LocalGenerator]:
    """The base ready to answer, with the adapter or the model that was trained as `tuned`. The memory is given back at the end."""
    apply(parts.plan)
    tokenizer = TextTokenizer.from_folder(parts.own_tokenizer)
    voices = make_voices(parts, tokenizer)
    location, settings, plan = parts.location, parts.settings, parts.plan
    is_whole = parts.tuned is not None and not parts.is_adapted
    model: PreTrainedModel | PeftModel
    if parts.tuned is None:
        model = load_base(location, settings, plan)
    elif is_whole:
        model = load_trained_model(location, parts.tuned, settings, plan)
    else:
        model = load_adapter(load_base(location, settings, plan), parts.tuned)
    model.eval()
    try:
        yield LocalGenerator(model, tokenizer, voices, batch_size, (lambda: load_base(location, settings, plan)) if is_whole else None)
    finally:
        del model
        gc.collect()
        if plan.device == "cuda":
            torch.cuda.empty_cache()
