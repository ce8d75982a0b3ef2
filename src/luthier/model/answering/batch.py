"""Rows of one model that are answered together: rows join between two tokens, and leave when they end.

Shapes: B rows, L positions so far (prompt and answer, padded on the left), C positions of a part of the prompts, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch.nn.functional import pad
from transformers import DynamicCache, PretrainedConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from luthier.core.protocols import DoneEvent, GenerationEvent, Tokenizer
from luthier.model.answering.rows import Row

# Rows that have ended leave the batch once they are this share of it: a copy of the cache for each would cost more than it saves.
_LEAVING_SHARE = 0.125
# (ids [B, C], mask [B, L] or None, positions [B, C], cache) -> the logits of the last position [B, V], in float32
Forward = Callable[[torch.Tensor, torch.Tensor | None, torch.Tensor, DynamicCache], torch.Tensor]
# (rows, logits [B, V]) -> a token for each row
Choose = Callable[[Sequence[Row], torch.Tensor], list[int]]


class Prompts:
    """Prompts of several rows on their way through the model, so many positions at a time."""

    def __init__(self, rows: Sequence[Row], config: PretrainedConfig, pad_id: int, device: torch.device) -> None:
        self.rows = list(rows)
        self.length = max(len(row.prompt) for row in rows)
        self.padding = [self.length - len(row.prompt) for row in rows]
        self.cache = DynamicCache(config=config)
        ids = torch.full((len(rows), self.length), pad_id, dtype=torch.long)
        for line, row in enumerate(rows):
            ids[line, self.padding[line] :] = torch.tensor(row.prompt)
        self._ids, self._read = ids.to(device), 0
        # Ids of requests that nobody waits for any more.
        self.cancelled: set[str] = set()

    def read(self, forward: Forward, most: int | None = None) -> torch.Tensor | None:
        """Reads `most` positions more, all where it is None; the logits [B, V] behind the prompts once they are read."""
        end = self.length if most is None else min(self.length, self._read + most)
        starts = torch.tensor(self.padding, device=self._ids.device).unsqueeze(1)  # [B, 1]
        positions = (torch.arange(self._read, end, device=self._ids.device).unsqueeze(0) - starts).clamp_(min=0)  # [B, C]
        logits = forward(self._ids[:, self._read : end], _mask(self.padding, end, self._ids.device), positions, self.cache)
        self._read = end
        return logits if end == self.length else None


class RunningBatch:
    """The rows of one model that are answered together. Each call tells the events of one token a row."""

    def __init__(self, tokenizer: Tokenizer, stop_ids: frozenset[int], forward: Forward, choose: Choose, device: torch.device) -> None:
        self._tokenizer, self._stop_ids = tokenizer, stop_ids
        self._forward, self._choose, self._device = forward, choose, device
        # Which row each line is; None where it has ended. Such lines stay until it pays to take them out.
        self._lines: list[Row | None] = []
        self._padding: list[int] = []
        self._length = 0
        self._next: list[int] = []
        self._cache: DynamicCache | None = None

    @property
    def rows(self) -> list[Row]:
        """The rows that still run."""
        return [row for row in self._lines if row is not None]

    @property
    def length(self) -> int:
        """The positions that each line holds."""
        return self._length

    def join(self, prompts: Prompts, logits: torch.Tensor) -> Iterator[GenerationEvent]:
        """Takes in rows whose prompts are read; their first token."""
        if self._cache is None:
            self._cache, self._length, self._padding, self._lines = prompts.cache, prompts.length, list(prompts.padding), []
        else:
            longest = max(self._length, prompts.length)
            _join(self._cache, self._length, prompts.cache, prompts.length)
            self._padding = [lost + longest - self._length for lost in self._padding]
            self._padding += [lost + longest - prompts.length for lost in prompts.padding]
            self._length = longest
        self._lines += prompts.rows
        tokens = self._choose(prompts.rows, logits)
        self._next += tokens
        yield from self._take(list(range(len(self._lines) - len(tokens), len(self._lines))), tokens, logits)

    def step(self) -> Iterator[GenerationEvent]:
        """The next token of every row."""
        if self._cache is None:
            return
        self._length += 1
        ids = torch.tensor(self._next, device=self._device).unsqueeze(1)  # [B, 1]
        starts = torch.tensor(self._padding, device=self._device).unsqueeze(1)
        logits = self._forward(ids, _mask(self._padding, self._length, self._device), self._length - 1 - starts, self._cache)
        alive = [line for line, row in enumerate(self._lines) if row is not None]
        # Logits of ended lines are no row's.
        own = logits if len(alive) == len(self._lines) else logits[alive]
        tokens = self._choose([row for row in self._lines if row is not None], own)
        for line, token in zip(alive, tokens, strict=True):
            self._next[line] = token
        yield from self._take(alive, tokens, own)

    def drop(self, request_id: str) -> bool:
        """Ends a row without a word; whether it was here."""
        for line, row in enumerate(self._lines):
            if row is not None and row.request.id == request_id:
                self._lines[line] = None
                self._leave()
                return True
        return False

    def _take(self, lines: Sequence[int], tokens: Sequence[int], logits: torch.Tensor) -> Iterator[GenerationEvent]:
        for place, (line, token) in enumerate(zip(lines, tokens, strict=True)):
            row = self._lines[line]
            assert row is not None
            row.note_logprobs(token, logits[place], self._tokenizer)
            for event in row.take(token, self._tokenizer, row.stop_ids or self._stop_ids):
                if isinstance(event, DoneEvent):
                    self._lines[line] = None
                yield event
        self._leave()

    def _leave(self) -> None:
        """Takes ended lines out of the cache, and positions that are padding in all that stay."""
        keep = [line for line, row in enumerate(self._lines) if row is not None]
        if not keep:
            self._cache, self._lines, self._padding, self._next, self._length = None, [], [], [], 0
            return
        if len(self._lines) - len(keep) < max(1, _LEAVING_SHARE * len(self._lines)):
            return
        assert self._cache is not None
        self._cache.batch_select_indices(torch.tensor(keep, device=self._device))
        self._lines, self._next = [self._lines[line] for line in keep], [self._next[line] for line in keep]
        self._padding = [self._padding[line] for line in keep]
        if empty := min(self._padding):
            self._length -= empty
            self._padding = [lost - empty for lost in self._padding]
            for layer in self._cache.layers:
                _shorten(layer, self._length)


def can_join(config: PretrainedConfig) -> bool:
    """Whether rows may join a running batch of this model: all of its layers keep keys and values by position."""
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in DynamicCache(config=config).layers)


def _join(cache: DynamicCache, length: int, other: DynamicCache, other_length: int) -> None:
    """Adds the rows of `other` to `cache`, both ending at the same position; what they lack on the left is masked by the caller."""
    longest = max(length, other_length)
    for layer, joining in zip(cache.layers, other.layers, strict=True):
        held = _held(layer, longest)
        layer.keys = torch.cat([_padded(layer.keys, held), _padded(joining.keys, held)])
        layer.values = torch.cat([_padded(layer.values, held), _padded(joining.values, held)])
        if isinstance(layer, DynamicSlidingWindowLayer):
            layer.cumulative_length = longest


def _shorten(layer: DynamicLayer, length: int) -> None:
    """Takes positions off the left of a layer until it is that of a text of `length` positions."""
    held = _held(layer, length)
    layer.keys, layer.values = layer.keys[:, :, -held:], layer.values[:, :, -held:]
    if isinstance(layer, DynamicSlidingWindowLayer):
        layer.cumulative_length = length


def _held(layer: DynamicLayer, length: int) -> int:
    """How many positions a layer keeps of `length`: with a window, one fewer than it, for the next token joins them."""
    return min(length, layer.sliding_window - 1) if isinstance(layer, DynamicSlidingWindowLayer) else length


def _padded(values: torch.Tensor, length: int) -> torch.Tensor:
    return pad(values, (0, 0, length - values.shape[2], 0))  # [B, heads, positions, size]


def _mask(padding: Sequence[int], length: int, device: torch.device) -> torch.Tensor | None:
    """[B, L] of ones where a row has a token; None where all have everywhere."""
    if not any(padding):
        return None
    starts = torch.tensor(padding, device=device).unsqueeze(1)
    return (torch.arange(length, device=device).unsqueeze(0) >= starts).long()
