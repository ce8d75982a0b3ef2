"""How a training is cut to the memory that there is: sizes of micro batches, layers that are made again, and what else would fit.

Without torch: the plan before a run asks the same questions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from luthier.config.keys.batches import BatchSettings
from luthier.core.records import JsonObject
from luthier.model.division import ALONE, Division, process_parts, state_bytes
from luthier.model.memory import EVERY_LAYER, Load, Training
from luthier.model.shapes import BaseShapes
from luthier.train.step.batches import BatchPlan, evaluation_batches

# What `auto` fills of the memory that there is: an estimate is no measurement.
FILLED_SHARE = 0.9
# A training that ran out of memory has this share of its estimate too much, or more.
_SMALLER_SHARE = 0.9
# A part of a change that takes less than this share of the whole away is not worth writing.
_LEAST_GAIN = 0.02
# After a lack of memory `auto` makes a further quarter of the layers again, and not one more at a time.
_LEAPS = 4
# `sequence_len` is no smaller.
_SHORTEST = 8


@dataclass(frozen=True, slots=True)
class RowSizes:
    """Lengths of rows and those of their tokens that carry loss, both empty where the rows are not made yet."""

    lengths: Sequence[int] = ()
    trained: Sequence[int] = ()

    def up_to(self, tokens: int) -> RowSizes:
        """The rows of at most so many tokens."""
        kept = [number for number, length in enumerate(self.lengths) if length <= tokens]
        return RowSizes([self.lengths[number] for number in kept], [self.trained[number] for number in kept])


@dataclass(frozen=True, slots=True)
class Largest:
    """What the largest micro batch takes, and its rows."""

    load: Load
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Cut:
    """How a step is cut: sequences of a micro batch, and the layers whose activations are made again, from the first one on."""

    micro_batch_size: int
    recomputed: int


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the run file, and the bytes that the training would take with it."""

    written: JsonObject
    total_bytes: int

    @property
    def text(self) -> str:
        """The change as it is written."""
        return ", ".join(f"{name}: {'true' if value is True else value}" for name, value in self.written.items())


@dataclass(frozen=True, slots=True)
class _Way:
    """A change as it is written, the training and the cut that it leads to, and those that it leads to without each of its parts."""

    written: JsonObject
    sizing: Sizing
    cut: Cut
    without: tuple[tuple[Sizing, Cut], ...]

    @property
    def kind(self) -> tuple[str, ...]:
        """What it changes, whatever the values."""
        return tuple(sorted(set(self.written) - {"gradient_accumulation_steps"}))

    def gains(self, total: int) -> bool:
        """Whether each part makes the `total` bytes of the whole clearly less than they would be without it."""
        return all(total < (1 - _LEAST_GAIN) * sizing.total(cut) for sizing, cut in self.without)


def sizes_of_step(settings: BatchSettings) -> list[int]:
    """The sizes that a micro batch may have with the same sequences in each step, the largest first."""
    whole = settings.micro_batch_size * settings.accumulation_steps
    return [size for size in range(whole, 0, -1) if whole % size == 0]


def resized(settings: BatchSettings, micro_batch_size: int) -> BatchSettings:
    """The same steps in micro batches of this size; the evaluation's follow where they were as large."""
    follows = settings.eval_micro_batch_size == settings.micro_batch_size
    return replace(
        settings,
        micro_batch_size=micro_batch_size,
        accumulation_steps=settings.micro_batch_size * settings.accumulation_steps // micro_batch_size,
        eval_micro_batch_size=micro_batch_size if follows else settings.eval_micro_batch_size,
    )


def largest_batches(rows: RowSizes, settings: BatchSettings, sizes: Sequence[int], processes: int = 1) -> dict[int, Largest]:
    """The largest micro batch for each of the `sizes`, divisors of a step's sequences, over all steps of the training.

    Without rows it is the largest that the settings allow.
    """
    if not rows.lengths:
        most = {size: size * settings.sequence_len for size in sizes}
        return {size: Largest(Load(tokens, tokens, settings.sequence_len)) for size, tokens in most.items()}
    found = dict.fromkeys(sizes, Largest(Load(-1, 0, max(rows.lengths))))
    # Whatever the size of a micro batch, a step holds the same sequences in the same order.
    for step in BatchPlan(rows.lengths, resized(settings, 1), processes).steps():
        tokens = np.array([sum(rows.lengths[row] for row in sequence) for sequence in step])
        trained = np.array([sum(rows.trained[row] for row in sequence) for sequence in step])
        for size, before in found.items():
            starts = np.arange(0, len(step), size)
            sums = np.add.reduceat(tokens, starts)
            most, held = before.load.tokens, before.rows
            if (largest := int(sums.max())) > most:
                start = int(starts[sums.argmax()])
                most, held = largest, tuple(row for sequence in step[start : start + size] for row in sequence)
            most_trained = max(before.load.trained, int(np.add.reduceat(trained, starts).max()))
            found[size] = Largest(Load(most, most_trained, before.load.longest), held)
    least = {size: resized(settings, size).least_tokens for size in sizes}
    return {size: Largest(replace(each.load, tokens=max(each.load.tokens, least[size])), each.rows) for size, each in found.items()}


def largest_evaluation(lengths: Sequence[int], settings: BatchSettings) -> list[int]:
    """The rows of the largest micro batch of the evaluation; none without rows."""
    return max(evaluation_batches(lengths, settings), key=lambda batch: sum(lengths[row] for row in batch), default=[])


@dataclass(frozen=True, slots=True)
class Asked:
    """What the run file leaves to the machine, and in which words its batch is written.

    `finds_batch` is `micro_batch_size: auto`, `finds_layers` `gradient_checkpointing: auto`; under `batch_size` the accumulation follows.
    """

    finds_batch: bool = False
    finds_layers: bool = False
    accumulation_follows: bool = False


@dataclass(frozen=True)
class Sizing:
    """The memory of a training for every way to cut it, in the process that takes most.

    `process` is what the process held before it, where that is measured.
    """

    base: BaseShapes
    training: Training
    rows: RowSizes
    settings: BatchSettings
    asked: Asked = Asked()
    division: Division = ALONE
    process: int | None = None
    _largest: dict[int, Largest] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Looks for the largest micro batch of each size at once."""
        found = largest_batches(self.rows, self.settings, sizes_of_step(self.settings), self.division.processes)
        object.__setattr__(self, "_largest", found)

    @property
    def layers(self) -> int:
        """Decoder layers of the base."""
        return self.base.sizes.layers

    def largest(self, size: int) -> Largest:
        """The largest micro batch of `size` sequences."""
        return self._largest[size]

    def parts(self, cut: Cut, *, is_first: bool = True) -> dict[str, int]:
        """Bytes of each part where the training is cut so, in the first of its processes or in another."""
        training = replace(self.training, recomputed=cut.recomputed)
        return process_parts(self.base, training, self.largest(cut.micro_batch_size).load, self.division, self.process, is_first=is_first)

    @property
    def state_bytes(self) -> int:
        """The optimizer's state in one process, on the device that computes."""
        return state_bytes(self.base, self.training, self.division)

    def total(self, cut: Cut) -> int:
        """Bytes in all."""
        return sum(self.parts(cut).values())

    def cuts(self) -> list[Cut]:
        """What the run file allows, the one that costs least time first: all micro batches before any layer that is made again."""
        own = min(self.training.recomputed, self.layers)
        sizes = sizes_of_step(self.settings) if self.asked.finds_batch else [self.settings.micro_batch_size]
        again = range(1, self.layers + 1) if self.asked.finds_layers else ()
        return [*(Cut(size, own) for size in sizes), *(Cut(sizes[-1], count) for count in again)]

    def chosen(self, room: int, kept_size: int | None = None) -> list[Cut]:
        """The first of `cuts` that fits `room` bytes with a reserve, and those to go on with should memory lack all the same.

        Where none fits the smallest one alone, and a `room` of 0 is any room. A training that goes on begins with micro batches of the
        `kept_size` that it had.
        """
        cuts = [cut for cut in self.cuts() if kept_size is None or cut.micro_batch_size <= kept_size]
        fitting = [
            number
            for number, cut in enumerate(cuts)
            if not room or self.total(cut) <= FILLED_SHARE * room or (cut.micro_batch_size == kept_size != cuts[-1].micro_batch_size)
        ]
        if not fitting:
            return cuts[-1:]
        rest = cuts[fitting[0] :]
        leap = max(1, self.layers // _LEAPS)
        last = len(rest) - 1
        return [
            cut
            for number, cut in enumerate(rest)
            if number in (0, last) or cut.recomputed == rest[0].recomputed or (cut.recomputed - rest[0].recomputed) % leap == 0
        ]

    def changes(self, room: int, cut: Cut, lacked: bool = False) -> list[Change]:
        """Changes of the run file that fit `room`, the one that costs least first, one of each kind; each part of them takes some away.

        After a lack of memory, `lacked`, only those that take clearly less than `cut` is said to take.
        """
        limit = min(room or self.total(cut), int(_SMALLER_SHARE * self.total(cut))) if lacked else room
        found: list[Change] = []
        kinds: set[tuple[str, ...]] = set()
        for way in self._ways(cut):
            if way.kind not in kinds and (total := way.sizing.total(way.cut)) <= limit and way.gains(total):
                found.append(Change(way.written, total))
                kinds.add(way.kind)
        return found

    def _ways(self, cut: Cut) -> Iterator[_Way]:
        """Each change with what it leads to.

        Smaller micro batches cost next to nothing, layers that are made again up to a third of the time; shorter rows and a base in 4 bits
        change what is trained.
        """
        shorter_ones = [size for part in (2, 4, 8) if (size := self.settings.sequence_len // part) >= _SHORTEST]
        for shorter in (None, *(size for size in shorter_ones if not self.rows.lengths or min(self.rows.lengths) <= size)):
            yield from self._shorter(shorter)._same_rows(self, cut, {} if shorter is None else {"sequence_len": shorter})
        if self.training.lora is not None and self.training.quantization == "none":
            packed = replace(self, training=replace(self.training, quantization="nf4"))
            yield from packed._same_rows(self, cut, {"adapter": "qlora", "load_in_4bit": True})

    def _shorter(self, tokens: int | None) -> Sizing:
        if tokens is None:
            return self
        return replace(self, rows=self.rows.up_to(tokens), settings=replace(self.settings, sequence_len=tokens))

    def _same_rows(self, own: Sizing, cut: Cut, written: JsonObject) -> Iterator[_Way]:
        """Other cuts of this training, which `written` made of the run file's `own`."""
        whole = self.settings.micro_batch_size * self.settings.accumulation_steps
        sizes = [size for size in sizes_of_step(self.settings) if size <= cut.micro_batch_size]
        batches: list[tuple[JsonObject, int]] = [({}, cut.micro_batch_size)]
        for size in sizes[1:] if not self.asked.finds_batch else ():
            more = {} if self.asked.accumulation_follows else {"gradient_accumulation_steps": whole // size}
            batches.append(({"micro_batch_size": size, **more}, size))
        recomputes: list[tuple[JsonObject, int]] = [({}, cut.recomputed)]
        if cut.recomputed < self.layers and not self.asked.finds_layers:
            # Under `auto` as few layers as fit; that all of them fit is what counts here.
            recomputes.append(({"gradient_checkpointing": "auto"}, EVERY_LAYER))
        for again, layers in recomputes:
            for batch, size in batches:
                parts = [
                    (written, own, Cut(size, layers)),
                    (again, self, Cut(size, cut.recomputed)),
                    (batch, self, Cut(cut.micro_batch_size, layers)),
                ]
                if without := tuple((sizing, other) for part, sizing, other in parts if part):
                    yield _Way({**written, **again, **batch}, self, Cut(size, layers), without)
