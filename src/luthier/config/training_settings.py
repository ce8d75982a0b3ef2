"""What a training obeys: the frozen sections of its keys together, so that the rooms behind the stage's door take no whole run file."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.config.keys.adapter import LoraSettings
from luthier.config.keys.base import BaseSettings
from luthier.config.keys.batches import BatchSettings
from luthier.config.keys.optimizer import OptimizerSettings
from luthier.config.keys.processes import PARTS, Part, ShardSettings, ZeroSettings
from luthier.config.keys.samples import SampleSettings
from luthier.config.keys.schedule import ScheduleSettings
from luthier.config.keys.watching import WatchSettings
from luthier.config.schema import RunConfig
from luthier.config.strategy_table import Way


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """One training. `lora` None trains the base's own weights: those that `unfrozen` names, or all.

    `finds_batch` and `finds_layers` leave micro batches and recompute to the memory there is; `accumulation_follows` keeps the sequences
    of a step as the run file says. `recomputes` is every layer, always. `spreads` lays the base's layers on
    all GPUs of one process.
    """

    base: BaseSettings
    lora: LoraSettings | None
    unfrozen: tuple[str, ...]
    batches: BatchSettings
    optimizer: OptimizerSettings
    schedule: ScheduleSettings
    watch: WatchSettings
    samples: SampleSettings | None
    shards: ShardSettings | None
    zero: ZeroSettings | None
    spreads: bool
    finds_batch: bool
    finds_layers: bool
    accumulation_follows: bool
    recomputes: bool
    optimizer_name: str
    row_losses: bool
    seed: int

    @property
    def way(self) -> Way:
        """The way of `strategy_table.WAYS` in which several processes hold the training."""
        if self.shards is not None:
            return "fsdp"
        if self.zero is None:
            return "ddp"
        return "zero3" if self.zero.divides("weights") else "zero12"

    @property
    def divided(self) -> frozenset[Part]:
        """What each of several processes holds a part of."""
        if self.shards is not None:
            return frozenset(PARTS)
        return frozenset() if self.zero is None else frozenset(part for part in PARTS if self.zero.divides(part))

    @property
    def offloaded(self) -> frozenset[Part]:
        """What lies in main memory while a device computes."""
        if self.shards is not None:
            return self.divided if self.shards.offloads else frozenset()
        return self.zero.offloaded if self.zero is not None else frozenset()

    @property
    def divides_weights(self) -> bool:
        """Whether each of several processes holds a part of the weights alone."""
        return "weights" in self.divided

    @property
    def first_reads(self) -> bool:
        """Whether the first process alone reads the base."""
        return self.shards is not None and self.shards.first_reads


def training_settings(config: RunConfig) -> TrainingSettings:
    """What the run file's training obeys."""
    return TrainingSettings(
        base=config.base_settings(),
        lora=None if config.adapter is None else config.lora_settings(),
        unfrozen=config.unfrozen_parameters,
        batches=config.batch_settings(),
        optimizer=config.optimizer_settings(),
        schedule=config.schedule_settings(),
        watch=config.watch_settings(),
        samples=config.sample_settings(config.seed),
        shards=config.shard_settings(),
        zero=config.zero_settings(),
        spreads=config.device_map is not None,
        finds_batch=config.micro_batch_size == "auto",
        finds_layers=config.gradient_checkpointing == "auto",
        accumulation_follows=config.batch_size is not None and config.gradient_accumulation_steps is None,
        recomputes=config.gradient_checkpointing is True,
        optimizer_name=config.optimizer,
        row_losses=config.loss_per_row,
        seed=config.seed,
    )
