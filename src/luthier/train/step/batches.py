"""Which rows go into which batch: a pure function of row lengths, seed, epoch, processes and micro batch.

A plan is a list of optimizer steps, a step a list of micro batches, a micro batch a list of row numbers. No row is dropped from an
epoch's plan: its last batch and its last step may be short. Unpacked, the number of all steps is Axolotl's (`total_num_steps`, 0.19),
rows times epochs by rows of a step: where every epoch ends in a short step, the last steps of the last epoch fall away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from luthier.config.keys.batches import BatchSettings
from luthier.model.token_file import TokenRow

MicroBatch = list[int]
Step = list[MicroBatch]

# Rows of like length are drawn from so many steps' worth of rows, and from a quarter of an epoch at most: transformers' numbers.
_MEGA_STEPS, _MEGA_PARTS = 50, 4
# A row may go back into the last bins that are still open, not into all of them: linear time, and rows stay near where they were drawn.
_OPEN_BINS = 64


@dataclass(frozen=True, slots=True)
class Rows:
    """Tokenized rows to train on and to evaluate with."""

    train: Sequence[TokenRow]
    validation: Sequence[TokenRow]


@dataclass(frozen=True, slots=True)
class Course:
    """The whole training: how many steps each epoch gives, and where it ends.

    `epoch_ends` are the step numbers (from 1) after which an epoch is complete, the last one being the end, which may cut its epoch short;
    `epoch_lengths` whole epochs in steps, the last one of which may be a part. Without them none is cut.
    """

    steps: int
    epoch_ends: tuple[int, ...]
    epoch_lengths: tuple[float, ...] = field(default=(), compare=False)

    def epoch_at(self, step: int) -> float:
        """Epochs done after `step` steps, by sequences seen of those of an epoch."""
        start = 0
        for number, end in enumerate(self.epoch_ends):
            if step < end or number + 1 == len(self.epoch_ends):
                length = self.epoch_lengths[number] if self.epoch_lengths else end - start
                return number + min(1.0, (min(step, end) - start) / length)
            start = end
        return 0.0


class BatchPlan:
    """The steps of a training run over rows of these `lengths` (in tokens), for one of `processes`."""

    def __init__(self, lengths: Sequence[int], settings: BatchSettings, processes: int = 1) -> None:
        self._lengths, self._settings, self._processes = lengths, settings, processes
        self.course = self._course()

    def steps(self, after: int = 0) -> Iterator[Step]:
        """The steps from step number `after` + 1 on to the end."""
        start = 0
        for epoch, end in enumerate(self.course.epoch_ends):
            if after < end:
                plan = plan_epoch(self._lengths, self._settings, epoch, self._processes)
                yield from plan[max(after, start) - start : end - start]
            start = end

    def _course(self) -> Course:
        """Unpacked, `ceil(rows * epochs / rows of a step)`, as Axolotl counts; packed, the steps of each epoch's own packing."""
        settings = self._settings
        if not self._lengths:
            return Course(0, ())
        limit = math.inf if settings.max_steps is None else settings.max_steps
        if not settings.packing:
            rows = len(self._lengths) * settings.epochs
            limit = min(limit, math.ceil(rows / (settings.micro_batch_size * settings.accumulation_steps * self._processes) - 1e-9))
        step_sequences = settings.micro_batch_size * settings.accumulation_steps * self._processes
        ends: list[int] = []
        lengths: list[float] = []
        total, left = 0, settings.epochs
        while (left > 1e-9 or not ends) and total < limit:
            lengths.append(self._epoch_sequences(len(ends)) / step_sequences)
            total += max(1, math.ceil(math.ceil(lengths[-1]) * min(1.0, left) - 1e-9))
            ends.append(int(min(total, limit)))
            left -= 1
        return Course(ends[-1], tuple(ends), tuple(lengths))

    def _epoch_sequences(self, epoch: int) -> int:
        if self._settings.packing:
            return len(epoch_sequences(self._lengths, self._settings, epoch, self._processes))
        return len(self._lengths)


def plan_epoch(lengths: Sequence[int], settings: BatchSettings, epoch: int, processes: int = 1) -> list[Step]:
    """The steps of one epoch. A step holds `accumulation_steps * processes` micro batches; process p takes every p-th of them.

    Rows are drawn at random from (seed, epoch), or keep their order where `shuffle` is off; `groups_by_length` then brings rows of
    like length together. Packed, a bin of at most `sequence_len` tokens takes the place of a row.
    """
    sequences = epoch_sequences(lengths, settings, epoch, processes)
    micro_batches = [
        [row for sequence in sequences[start : start + settings.micro_batch_size] for row in sequence]
        for start in range(0, len(sequences), settings.micro_batch_size)
    ]
    size = settings.accumulation_steps * processes
    return [micro_batches[start : start + size] for start in range(0, len(micro_batches), size)]


def epoch_sequences(lengths: Sequence[int], settings: BatchSettings, epoch: int, processes: int = 1) -> list[list[int]]:
    """The sequences of one epoch in their order: rows, or packs of them."""
    order = np.random.default_rng([settings.seed, epoch]).permutation(len(lengths)) if settings.shuffle else np.arange(len(lengths))
    drawn = [int(row) for row in order]
    if settings.groups_by_length:
        drawn = by_length(drawn, lengths, settings.micro_batch_size * settings.accumulation_steps * processes)
    return pack(drawn, lengths, settings.sequence_len) if settings.packing else [[row] for row in drawn]


def by_length(order: Sequence[int], lengths: Sequence[int], step_rows: int) -> list[int]:
    """Rows in drawn order with those of like length together: each run of rows of 50 steps is sorted, longest first.

    Short sets are sorted in four runs or more, as far as there are four steps. The longest row of all comes first, so that memory that
    does not suffice shows at once. So `get_length_grouped_indices` of transformers does it.
    """
    size = step_rows * max(1, min(len(order) // (step_rows * _MEGA_PARTS), _MEGA_STEPS))
    runs = [sorted(order[start : start + size], key=lambda row: -lengths[row]) for start in range(0, len(order), size)]
    longest = max(runs, key=lambda run: lengths[run[0]], default=[])
    if longest:
        runs[0][0], longest[0] = longest[0], runs[0][0]
    return [row for run in runs for row in run]


def pack(order: Sequence[int], lengths: Sequence[int], bin_tokens: int) -> list[list[int]]:
    """Rows in drawn order into bins of at most `bin_tokens`: each into the fullest open bin that takes it (best fit), else into a new one.

    A row longer than a bin has a bin of its own. Bins come in the order in which they were opened.
    """
    bins: list[list[int]] = []
    room: dict[int, int] = {}
    for row in order:
        length = lengths[row]
        fitting = [(left, number) for number, left in room.items() if left >= length]
        if fitting:
            left, number = min(fitting)
        else:
            left, number = bin_tokens, len(bins)
            bins.append([])
        bins[number].append(row)
        room[number] = left - length
        if room[number] < 2 or len(room) > _OPEN_BINS:
            del room[min(room, key=lambda key: (room[key], key))]
    return bins


def evaluation_batches(lengths: Sequence[int], settings: BatchSettings) -> list[MicroBatch]:
    """Micro batches that hold every row once, in file order; packed ones filled first-fit."""
    order = range(len(lengths))
    sequences = pack(order, lengths, settings.sequence_len) if settings.eval_packing else [[row] for row in order]
    size = settings.eval_micro_batch_size
    return [[row for sequence in sequences[start : start + size] for row in sequence] for start in range(0, len(sequences), size)]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When something is done: by steps (a number, or a share of all steps below 1), by epoch, or so many times an epoch."""

    strategy: str | None
    every: float | None
    per_epoch: int | None

    def steps(self, course: Course, epochs: float) -> frozenset[int]:
        """The step numbers after which it is done; `no` and zero times an epoch give none.

        `per_epoch` n means every 1 / (n * epochs) of the steps, as in Axolotl. Nothing given means each epoch.
        """
        every = self.every
        if self.strategy == "no" or self.per_epoch == 0 or not course.steps:
            return frozenset()
        if self.per_epoch is not None:
            share = 1 / (self.per_epoch * epochs)
            every = share if share < 1 else None
        if self.strategy == "epoch" or every is None:
            return frozenset(course.epoch_ends)
        interval = max(1, math.ceil(every * course.steps - 1e-9)) if every < 1 else int(every)
        return frozenset(range(interval, course.steps + 1, interval))
