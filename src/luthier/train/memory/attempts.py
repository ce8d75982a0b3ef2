"""A training that goes on with less memory where the device's is full, as far as the run file leaves it to the machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from luthier.config.keys.batches import BatchSettings
from luthier.core.errors import TrainingError
from luthier.core.events import EventLog
from luthier.core.files import read_json, write_json
from luthier.core.records import JsonObject, Plan
from luthier.model import device_memory
from luthier.model.memory import allocated_bytes, size_text
from luthier.train.memory.fitting import Change, Cut, RowSizes, Sizing, largest_batches, largest_evaluation, resized
from luthier.train.memory.rehearsal import LargestRows
from luthier.train.step.batches import Rows
from luthier.train.strategies.processes import Processes
from luthier.train.strategies.retreat import MemoryElsewhereError

_CHOICE = "micro_batch.json"
# A dry run costs about as much as a step: of a run of fewer steps it is said.
_FEW_STEPS = 20
Done = TypeVar("Done")


@dataclass(frozen=True)
class Attempts:
    """The ways to cut one training, the one with which it began first.

    `own` is the only way where the base's shapes are not known and `sizing` is None. The size of micro batches that `auto` chose is kept in
    `folder`, so that a training that goes on ends with the bytes that it would have had. Of several processes, `group`, the first decides
    for all, by the room of the one that has least.
    """

    sizing: Sizing | None
    own: Cut
    plan: Plan
    events: EventLog
    folder: Path
    key: str
    group: Processes | None = None

    def run(self, attempt: Callable[[Cut], Done]) -> Done:
        """The result of the first cut whose `attempt` does not run out of memory; after the last a `TrainingError` with what would fit.

        A later attempt goes on from the newest checkpoint of the one before. What one of several processes has no memory for, all leave.
        """
        room = self._room()
        cuts = self._agreed(self._cuts(room))
        for number, cut in enumerate(cuts):
            self._tell(cut, room)
            is_elsewhere = False
            try:
                return attempt(cut)
            except MemoryElsewhereError as error:
                said, is_elsewhere = str(error), True
            except (RuntimeError, MemoryError) as error:
                if not device_memory.is_full(error):
                    raise
                said = (str(error).splitlines() or ["no memory"])[0]
            # Outside the handler: the error's frames hold the model.
            if self.group is not None and not is_elsewhere:
                self.group.retreat(said)
                said = f"{self.group.rank.text()}: {said}"
            device_memory.give_back(self.plan)
            if number + 1 < len(cuts):
                self.events.note(f"the device's memory is full ({said}): training goes on with {self._words(cuts[number + 1])}")
                if self.group is not None:
                    self.group.rejoin()
        full = TrainingError(self._full(said, cuts[-1], room))
        raise full if self.group is None else full.as_shared()

    def settings(self, settings: BatchSettings, cut: Cut) -> BatchSettings:
        """The batches of this cut."""
        return settings if settings.micro_batch_size == cut.micro_batch_size else resized(settings, cut.micro_batch_size)

    def largest(self, rows: Rows, settings: BatchSettings) -> tuple[LargestRows, int]:
        """The rows of the largest batches of training and evaluation, and the bytes of the optimizer's state; 0 where it is not known."""
        lengths = [len(row.ids) for row in rows.train]
        if self.sizing is None:
            sizes, state = largest_batches(RowSizes(lengths, lengths), settings, [settings.micro_batch_size], self.plan.processes), 0
        else:
            sizes = {settings.micro_batch_size: self.sizing.largest(settings.micro_batch_size)}
            state = self.sizing.state_bytes
        held_out = largest_evaluation([len(row.ids) for row in rows.validation], settings) if rows.validation else []
        train = [rows.train[number] for number in sizes[settings.micro_batch_size].rows]
        return LargestRows(train, [rows.validation[number] for number in held_out]), state

    def rehearsed(self, seconds: float, tokens: int, steps: int) -> None:
        """Tells what the dry run took."""
        self.events.emit("train.rehearsal", seconds=round(seconds, 3), tokens=tokens, peak_bytes=device_memory.peak_bytes(self.plan))
        if steps < _FEW_STEPS:
            self.events.note(f"the dry run of the largest batch took {seconds:.1f} s, about as long as one of the {steps} steps")

    def facts(self, cut: Cut, settings: BatchSettings) -> JsonObject:
        """What the summary tells of the cut, with the estimate that stands beside the measured peak; None where shapes are not known."""
        parts = None if self.sizing is None else self.sizing.parts(cut)
        return {
            "micro_batch_size": cut.micro_batch_size,
            "gradient_accumulation_steps": settings.accumulation_steps,
            "recomputed_layers": None if self.sizing is None else min(cut.recomputed, self.sizing.layers),
            "estimated_memory_bytes": None if parts is None else allocated_bytes(parts, self.plan.device),
            "estimated_memory_parts": parts,
        }

    def _room(self) -> int:
        """What a process can hold: that of several which can hold least. On a CPU those of one machine divide what is free."""
        room = device_memory.room_bytes(self.plan)
        if self.group is None:
            return room
        if self.plan.device == "cpu":
            held = min(device_memory.held_bytes(self.plan), room)
            room = held + (room - held) // self.group.rank.local_count
        return min((told for told in map(int, self.group.gather(str(room).encode())) if told), default=0)

    def _agreed(self, cuts: list[Cut]) -> list[Cut]:
        """Those of the first process."""
        if self.group is None:
            return cuts
        told = self.group.gather(json.dumps([[cut.micro_batch_size, cut.recomputed] for cut in cuts]).encode())[0]
        return [Cut(size, recomputed) for size, recomputed in json.loads(told)]

    def _cuts(self, room: int) -> list[Cut]:
        if self.sizing is None:
            return [self.own]
        return self.sizing.chosen(room, self._kept_size())

    def _kept_size(self) -> int | None:
        path = self.folder / _CHOICE
        kept = read_json(path) if path.is_file() else {}
        return int(kept["micro_batch_size"]) if kept.get("key") == self.key else None

    def _tell(self, cut: Cut, room: int) -> None:
        if self.sizing is None:
            return
        total, asked = self.sizing.total(cut), self.sizing.asked
        told: JsonObject = {"micro_batch_size": cut.micro_batch_size, "recomputed_layers": cut.recomputed, "layers": self.sizing.layers}
        self.events.emit("train.memory", **told, estimated_bytes=total, room_bytes=room)
        is_first = self.group is None or self.group.rank.is_first
        if asked.finds_batch and self.key and is_first:
            write_json(self.folder / _CHOICE, {"key": self.key, "micro_batch_size": cut.micro_batch_size})
        if asked.finds_batch or asked.finds_layers:
            self.events.note(f"{self._words(cut)}: {size_text(total)} estimated of {size_text(room)}")
        elif self._is_warned(cut, room):
            what = f"{size_text(total)} of memory are estimated, and {size_text(room)} are there"
            self.events.warn(f"{what}. {changes_text(self.sizing.changes(room, cut))}")

    def _is_warned(self, cut: Cut, room: int) -> bool:
        """Whether the run file's own cut is estimated at more than there is, which is told with what would fit before it is tried."""
        if self.sizing is None or self.sizing.asked.finds_batch or self.sizing.asked.finds_layers:
            return False
        return bool(room) and self.sizing.total(cut) > room

    def _words(self, cut: Cut) -> str:
        settings = None if self.sizing is None else self.settings(self.sizing.settings, cut)
        if self.sizing is None or settings is None:
            return f"micro batches of {cut.micro_batch_size}"
        words = f"micro batches of {cut.micro_batch_size}, {settings.accumulation_steps} a step"
        return f"{words}, activations of {cut.recomputed} of {self.sizing.layers} layers made again"

    def _full(self, said: str, cut: Cut, room: int) -> str:
        text = f"the device's memory is full ({said}). "
        if self.sizing is None:
            return text + "Lower micro_batch_size or set gradient_checkpointing: true."
        total = self.sizing.total(cut)
        text += f"{size_text(total)} were estimated, and {size_text(room)} were there. "
        changes = self.sizing.changes(room, cut, lacked=True)
        if self._is_warned(cut, room) and changes == self.sizing.changes(room, cut):
            return text + "What would fit by the estimate is told above. Checkpoints are intact."
        if room and total > room:
            return f"{text}{changes_text(changes)} Checkpoints are intact."
        held = size_text(device_memory.peak_bytes(self.plan))
        text += f"The estimate was too low, or this process may hold less: it held {held} and asked for more. "
        if changes:
            return f"{text}These take clearly less, the cheapest first: {_listed(changes)}. Checkpoints are intact."
        return f"{text}Raise what limits it above that, or free memory on the device. Checkpoints are intact."


def changes_text(changes: list[Change]) -> str:
    """Changes that fit, the cheapest first, each with its estimate."""
    if not changes:
        return "By the estimate no change of micro batch, recompute, length or 4 bits fits."
    return f"By the estimate these fit, the cheapest first: {_listed(changes)}."


def _listed(changes: list[Change]) -> str:
    return "; ".join(f"{change.text} ({size_text(change.total_bytes)})" for change in changes)
