"""Requests that come and go, answered together: what waits joins what runs between two tokens (continuous batching).

Orca (Yu et al., OSDI 2022) schedules by iteration in this way; prompts are read in parts, so that a long one does not hold up the answers
that run (Sarathi-Serve, Agrawal et al., OSDI 2024).
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache, PreTrainedModel

from luthier.core.protocols import ErrorEvent, GenerationEvent, GenerationRequest, Tokenizer
from luthier.model.answering.batch import Prompts, RunningBatch, can_join
from luthier.model.answering.rows import Row, chosen
from luthier.model.answering.scores import positions_of
from luthier.model.answering.voices import Voice, bounded, worded


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """`rows` run at once, over all models; `positions` bounds what their caches hold together; `part` positions are read between tokens.

    A row that has waited for `wait_seconds` without a beginning is sent away.
    """

    rows: int = 32
    positions: int = 131_072
    part: int = 512
    wait_seconds: float = math.inf


@dataclass(frozen=True, slots=True)
class Speaker:
    """One model as it is asked: its voice, and `switch`, which turns the right adapter on before each pass."""

    voice: Voice
    tokenizer: Tokenizer
    net: PreTrainedModel
    switch: Callable[[], None]

    @property
    def device(self) -> torch.device:
        """Where the model reads its input."""
        device: torch.device = self.net.get_input_embeddings().weight.device
        return device

    @torch.inference_mode()
    def forward(self, ids: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        """The float32 logits of the last position, [B, V]."""
        self.switch()
        output = self.net(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        return output.logits[:, -1].float()


class _Lane:
    """The rows of one model: waiting prompts that are being read, and the batch that runs."""

    def __init__(self, speaker: Speaker) -> None:
        self.speaker = speaker
        self.reading: Prompts | None = None
        self.joins = can_join(speaker.net.config)
        self.batch = RunningBatch(speaker.tokenizer, speaker.voice.stop_ids, speaker.forward, chosen, speaker.device)

    @property
    def rows(self) -> list[Row]:
        """Those that are read or answered."""
        return self.batch.rows + (self.reading.rows if self.reading else [])

    def most_positions(self, joining: Sequence[Row] = ()) -> int:
        """What the cache may come to hold: each line is as long as the longest, from its first token to the last one allowed."""
        rows = [*self.rows, *joining]
        if not rows:
            return 0
        longest = max(self.batch.length, *(len(row.prompt) for row in rows))
        left = max(row.request.max_new_tokens - len(row.ids) for row in rows)
        return len(rows) * (longest + left)


class AnsweringEngine:
    """Answers requests of several models in turns: `submit` and `cancel` at any time between two calls of `step`."""

    def __init__(self, limits: EngineLimits = EngineLimits()) -> None:
        self._limits = limits
        self._waiting: deque[Row] = deque()
        self._lanes: dict[str, _Lane] = {}

    def add(self, name: str, speaker: Speaker) -> None:
        """Makes a model known under `name`."""
        self._lanes[name] = _Lane(speaker)

    def remove(self, name: str) -> Iterator[GenerationEvent]:
        """Forgets a model; what was asked of it ends with an error."""
        lane = self._lanes.pop(name, None)
        gone = [row for row in self._waiting if row.request.model == name]
        if lane is not None:
            gone += lane.rows
        self._waiting = deque(row for row in self._waiting if row.request.model != name)
        yield from (ErrorEvent(row.request.id, f"the model `{name}` was unloaded", may_pass=True) for row in gone)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self._waiting and not any(lane.rows for lane in self._lanes.values())

    @property
    def running(self) -> int:
        """The rows that are read or answered."""
        return sum(len(lane.rows) for lane in self._lanes.values())

    @property
    def waiting(self) -> int:
        """The rows that wait for room."""
        return len(self._waiting)

    def positions(self, name: str) -> int:
        """The tokens of prompt and answer that the model `name` can hold."""
        return self._positions_of(self._lanes[name])

    def _positions_of(self, lane: _Lane) -> int:
        return min(positions_of(lane.speaker.net.config), self._limits.positions)

    def is_busy(self, name: str) -> bool:
        """Whether something is asked of the model `name`."""
        lane = self._lanes.get(name)
        return bool(lane and lane.rows) or any(row.request.model == name for row in self._waiting)

    def submit(self, request: GenerationRequest) -> ErrorEvent | None:
        """Takes in a request, or says why it cannot be answered."""
        return self.take(request, self.worded(request))

    def worded(self, request: GenerationRequest) -> list[int] | ErrorEvent:
        """The ids that `request` asks with, for `take`, or why it cannot be answered. It may be called by another thread."""
        lane = self._lanes.get(request.model)
        if lane is None:
            return self._no_model(request)
        return worded(request, {request.model: lane.speaker.voice}, self._positions_of(lane))

    def take(self, request: GenerationRequest, prompt: list[int] | ErrorEvent) -> ErrorEvent | None:
        """Takes in a request that was `worded`, or says why it cannot be answered."""
        if isinstance(prompt, ErrorEvent):
            return prompt
        lane = self._lanes.get(request.model)
        if lane is None:
            return self._no_model(request)
        stops = lane.speaker.voice.stops_of(request.messages)
        self._waiting.append(Row.of(bounded(request, prompt, self._positions_of(lane)), prompt, stop_ids=stops))
        return None

    def _no_model(self, request: GenerationRequest) -> ErrorEvent:
        return ErrorEvent(request.id, f"there is no model `{request.model}` here, only {', '.join(list(self._lanes))}", may_pass=True)

    def cancel(self, request_id: str) -> bool:
        """Stops a request without a word; whether it was here."""
        for row in self._waiting:
            if row.request.id == request_id:
                self._waiting.remove(row)
                return True
        for lane in self._lanes.values():
            if lane.batch.drop(request_id):
                return True
            if lane.reading is not None and any(row.request.id == request_id for row in lane.reading.rows):
                # A prompt that is half read cannot leave the others: it is read to its end, and dropped there.
                lane.reading.cancelled.add(request_id)
                return True
        return False

    def step(self) -> Iterator[GenerationEvent]:
        """One round: what has room begins to be read, each reading goes on by a part, each running row gets a token."""
        yield from self._sent_away()
        self._admit()
        for lane in self._lanes.values():
            yield from lane.batch.step()
            if lane.reading is None:
                continue
            logits = lane.reading.read(lane.speaker.forward, self._limits.part)
            if logits is None:
                continue
            prompts, lane.reading = lane.reading, None
            yield from (event for event in lane.batch.join(prompts, logits) if event.id not in prompts.cancelled)
            for request_id in prompts.cancelled:
                lane.batch.drop(request_id)

    def _sent_away(self) -> Iterator[ErrorEvent]:
        """Rows whose turn did not come in time; the one that came first is the first of them."""
        latest = time.monotonic() - self._limits.wait_seconds
        while self._waiting and self._waiting[0].came < latest:
            told = f"its turn did not come within {self._limits.wait_seconds:g} seconds"
            yield ErrorEvent(self._waiting.popleft().request.id, told, may_pass=True)

    def _admit(self) -> None:
        """Rows that waited longest go first, together with those right behind them of the same model and about as long."""
        while self._waiting:
            first = self._waiting[0]
            lane = self._lanes[first.request.model]
            # One reading at a time for each model; who waits behind it is not overtaken by later requests of other models.
            if lane.reading is not None or (lane.batch.rows and not lane.joins):
                return
            rows: list[Row] = []
            while self._waiting and self._waiting[0].request.model == first.request.model and self._fits(lane, [*rows, self._waiting[0]]):
                rows.append(self._waiting.popleft())
            if not rows:
                return
            lane.reading = Prompts(rows, lane.speaker.net.config, lane.speaker.tokenizer.pad_id, lane.speaker.device)

    def _fits(self, lane: _Lane, rows: list[Row]) -> bool:
        """Whether `rows` may be read together now."""
        running = self.running
        if running + len(rows) > self._limits.rows:
            return False
        lengths = [len(row.prompt) for row in rows]
        # Read together, each costs as much as the longest.
        if len(rows) > 1 and len(rows) * max(lengths) > max(self._limits.part, 2 * sum(lengths)):
            return False
        held = lane.most_positions(rows) + sum(other.most_positions() for other in self._lanes.values() if other is not lane)
        # What would run alone fits: `submit` saw to that.
        return held <= self._limits.positions or (running == 0 and len(rows) == 1)
