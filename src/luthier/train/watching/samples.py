"""Sample generations while training: what the model makes of a few held-out rows at each evaluation.

They change nothing: dropout is off, tokens are drawn from generators of their own, and torch's own generator is not touched.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from luthier.config.keys.samples import SampleSettings
from luthier.core.events import EventLog
from luthier.core.protocols import DoneEvent, GenerationRequest
from luthier.core.records import JsonObject
from luthier.model.adapters.weights import base_of
from luthier.model.answering.local import LocalGenerator
from luthier.model.attention import attention_of_the_base
from luthier.model.base import set_training
from luthier.model.token_file import TokenRow
from luthier.model.tokens import RowEncoder

EVENT = "train.sample"
# As in Axolotl: of a shorter row nothing is left to go on from.
_SHORTEST_ROW = 5


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A row as it is sampled: the ids that are given, and those that the row goes on with."""

    row_id: str
    given: list[int]
    expected: list[int]


class Sampler:
    """Generates for the same rows from the same seeds at each call, so that what differs is the model."""

    def __init__(
        self,
        model: PeftModel | PreTrainedModel,
        encoder: RowEncoder,
        rows: Sequence[TokenRow],
        settings: SampleSettings,
        dtype: torch.dtype | None = None,
        generator: LocalGenerator | None = None,
    ) -> None:
        """`dtype` is the number format of products where weights are held in a wider one; None: the base's own.

        `generator` answers in place of one of this process alone.
        """
        self._model, self._settings, self._dtype = model, settings, dtype
        self._base = base_of(model)
        self._tokenizer, self._stop_ids = encoder.tokenizer, frozenset(encoder.stop_ids)
        self._generator = generator or LocalGenerator(model, encoder.tokenizer, {})
        longest = self._generator.longest_prompt(settings.max_new_tokens)
        self._prompts = _chosen(rows, settings, longest)

    def __call__(self, step: int, events: EventLog) -> None:
        """Tells an event `train.sample` for each row: what was given, generated and expected, and how the generation ended."""
        set_training(self._model, False)
        requests = [
            GenerationRequest(
                str(number),
                (),
                max_new_tokens=self._settings.max_new_tokens,
                temperature=self._settings.temperature,
                top_p=self._settings.top_p,
                seed=self._settings.seed + number,
            )
            for number in range(len(self._prompts))
        ]
        with attention_of_the_base(self._base), self._precision():
            told = self._generator.continued(requests, [prompt.given for prompt in self._prompts], self._stop_ids, self._settings.top_k)
            done = {event.id: event for event in told if isinstance(event, DoneEvent)}
        for number, prompt in enumerate(self._prompts):
            found = done[str(number)]
            events.emit(
                EVENT,
                step=step,
                sample=number + 1,
                id=prompt.row_id,
                prompt=self._tokenizer.decode(prompt.given),
                text=found.text,
                expected=self._tokenizer.decode(prompt.expected),
                finish_reason=found.finish_reason,
            )

    def _precision(self) -> AbstractContextManager[object]:
        if self._dtype in (None, torch.float32):
            return nullcontext()
        return torch.autocast(self._generator.device.type, self._dtype)


def _chosen(rows: Sequence[TokenRow], settings: SampleSettings, longest: int) -> list[_Prompt]:
    """So many rows, drawn with the seed, whose prompt leaves room for an answer; in the order of the file."""
    prompts = [_prompt(row, settings.prompt_share) for row in rows if len(row.ids) >= _SHORTEST_ROW]
    fitting = [prompt for prompt in prompts if len(prompt.given) <= longest]
    places = random.Random(f"samples {settings.seed}").sample(range(len(fitting)), min(settings.count, len(fitting)))
    return [fitting[place] for place in sorted(places)]


def _prompt(row: TokenRow, share: float | None) -> _Prompt:
    """The row up to its first trained token; where that is the first of all, or where a share is named, that share of its tokens."""
    first = int(row.trained.argmax()) if share is None else 0
    length = first or max(1, int(len(row.ids) * (0.5 if share is None else share)))
    ids = row.ids.tolist()
    return _Prompt(row.id, ids[:length], ids[length:])


def samples(events: Iterable[JsonObject]) -> list[JsonObject]:
    """The samples of one training among its `events`, in the order of steps; one that was repeated after a resumption counts once."""
    kept: dict[tuple[int, int], JsonObject] = {}
    for event in events:
        if event["event"] == EVENT:
            kept[event["step"], event["sample"]] = {name: value for name, value in event.items() if name not in ("time", "event")}
    return [kept[key] for key in sorted(kept)]
