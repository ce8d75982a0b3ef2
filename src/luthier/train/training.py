"""One training put together: model, objective, strategy and loop, attempt by attempt until one fits the memory there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from luthier.config.keys.batches import BatchSettings
from luthier.config.training_settings import TrainingSettings
from luthier.core.errors import ModelError
from luthier.core.events import EventLog
from luthier.core.records import JsonObject, Plan
from luthier.core.runs import RunFolder
from luthier.model import device, device_memory
from luthier.model.adapters.files import save_adapter_config
from luthier.model.adapters.make import add_lora, go_on
from luthier.model.adapters.weights import has_adapter
from luthier.model.adapters.whole import whole_warnings
from luthier.model.attention import use_rows
from luthier.model.base import checkpoint_layers, empty_base, load_base, parameter_counts, places_of
from luthier.model.division import division_of
from luthier.model.locate import ModelLocation
from luthier.model.memory import EVERY_LAYER, Training, WholeCounts, whole_note
from luthier.model.shapes import BaseShapes, read_shapes
from luthier.model.tokens import RowEncoder
from luthier.model.weights.trained import RowGuard, checkpoint_file, unfreeze, write_model_config
from luthier.train.loop import Loop, Settings, Store
from luthier.train.memory.attempts import Attempts
from luthier.train.memory.fitting import Asked, Cut, RowSizes, Sizing
from luthier.train.memory.rehearsal import rehearse
from luthier.train.step.batches import BatchPlan, Rows
from luthier.train.step.objective import SupervisedObjective, trained_tokens
from luthier.train.step.optim import make_optimizer
from luthier.train.step.schedule import Schedule
from luthier.train.strategies.data_parallel import DataParallel
from luthier.train.strategies.processes import Processes
from luthier.train.strategies.sharded import Sharded
from luthier.train.strategies.strategy import Single, Strategy
from luthier.train.strategies.zero import Zero, check_precision
from luthier.train.watching.divided_samples import DividedGenerator
from luthier.train.watching.meters import Meter
from luthier.train.watching.observers import Observers
from luthier.train.watching.progress import Progress
from luthier.train.watching.samples import Sampler

Model = PreTrainedModel | PeftModel


@dataclass(frozen=True, slots=True)
class Start:
    """What every attempt of a training begins with.

    `group` are the processes that train together, None where there is one; those after the first tell nothing, and have an `encoder` only
    where they take part in samples.
    `process_bytes` is what this process held before; 0 where it is not known.
    """

    settings: TrainingSettings
    folder: RunFolder
    location: ModelLocation
    plan: Plan
    events: EventLog
    key: str
    rows: Rows
    encoder: RowEncoder | None = None
    group: Processes | None = None
    process_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Trained:
    """A training at its end; `counts` are the trained parameters and all of them, `memory` what the summary tells of it.

    `row_losses` are those of the held-out rows, where they are asked for; `peaks` the most bytes that each of several processes held.
    """

    model: Model
    loop: Loop
    progress: Progress
    counts: tuple[int, int]
    memory: JsonObject
    row_losses: Sequence[JsonObject] = ()
    peaks: Sequence[int] = ()


def train(start: Start) -> Trained:
    """The training to its end, from the newest checkpoint.

    `TrainingError` where it breaks off, and `Interrupted` after Ctrl-C or SIGTERM has saved.
    """
    attempts = attempts_of(start)
    return attempts.run(lambda cut: _attempt(start, attempts, cut))


def attempts_of(start: Start) -> Attempts:
    """The ways in which the run file lets this training be cut."""
    settings, rows = start.settings, start.rows
    sizes = RowSizes([len(row.ids) for row in rows.train], [trained_tokens(row) for row in rows.train])
    try:
        sizing = sizing_of(settings, read_shapes(start.location.path), start.plan, sizes, start.process_bytes or None)
    except ModelError:
        if settings.finds_batch or settings.finds_layers:
            raise
        sizing = None  # No estimate, and nothing that rests on one.
    own = Cut(settings.batches.micro_batch_size, EVERY_LAYER if settings.recomputes else 0)
    return Attempts(sizing, own, start.plan, start.events, start.folder.checkpoints, start.key, start.group)


def sizing_of(settings: TrainingSettings, base: BaseShapes, plan: Plan, rows: RowSizes, process: int | None = None) -> Sizing:
    """The memory of this run's training, for every way in which the run file lets it be cut."""
    training = Training(
        dtype=plan.dtype,
        device=plan.device,
        quantization=settings.base.quantization,
        attention=settings.base.attention,
        lora=settings.lora,
        unfrozen=settings.unfrozen,
        optimizer=settings.optimizer,
        recomputed=EVERY_LAYER if settings.recomputes else 0,
    )
    asked = Asked(settings.finds_batch, settings.finds_layers, settings.accumulation_follows)
    devices = device_memory.gpu_count() if plan.device == "cuda" else 1
    division = division_of(settings, base, plan.processes, max(1, devices))
    return Sizing(base, training, rows, settings.batches, asked, division, process)


def own_device(plan: Plan, group: Processes) -> torch.device:
    """That of this process among those of the machine."""
    return torch.device("cuda", group.rank.local) if plan.device == "cuda" else torch.device("cpu")


def _attempt(start: Start, attempts: Attempts, cut: Cut) -> Trained:
    """One training from the newest checkpoint to its end, with steps cut in this way."""
    settings, rows, events, plan = start.settings, start.rows, start.events, start.plan
    model, guards = make_model(start, cut)
    counts = parameter_counts(model)
    if has_adapter(model) and settings.lora is not None:
        for warning in whole_warnings(model, settings.lora.modules_to_save):
            events.warn(warning)
    else:
        held = sum(value.numel() * value.element_size() for value in model.parameters())
        changed = counts[0] - sum(guard.staying for guard in guards)
        events.note(whole_note(WholeCounts(counts[0], changed, counts[1], held), plan.dtype, settings.optimizer_name))
    batches = attempts.settings(settings.batches, cut)
    loop, store = make_loop(start, model, guards, batches, attempts)
    events.emit(
        "train.start",
        steps=loop.course.steps,
        rows=len(rows.train),
        validation_rows=len(rows.validation),
        device=plan.device,
        dtype=plan.dtype,
    )
    sampler = None if start.encoder is None else _sampler(start, start.encoder, model, loop.strategy)
    if start.group is not None and not start.group.rank.is_first:
        progress = loop.run(store, events, Observers(sample=sampler))
    else:
        with Meter(plan) as meter:
            progress = loop.run(store, events, Observers(lambda: {"devices": meter.figures()}, sampler))
    row_losses = loop.row_losses() if settings.row_losses else []
    settled = loop.settled()
    peaks = []
    if start.group is not None:
        peaks = [int(peak) for peak in start.group.gather(str(device_memory.peak_bytes(plan)).encode())]
        start.group.close()  # What follows is the first process's alone, and nobody waits for it.
    return Trained(settled, loop, progress, counts, attempts.facts(cut, batches), row_losses, peaks)


def make_model(start: Start, cut: Cut) -> tuple[Model, list[RowGuard]]:
    """The base with its adapter, a fresh one or one to go on with, or with its own weights to be trained, and the guards of rows that stay.

    Set to attention by rows where the run file names none.
    """
    settings = start.settings
    # Where all weights are trained they are read in the precision that they are held in.
    whole = settings.lora is None and not settings.unfrozen
    plan = replace(start.plan, dtype="float32") if whole else start.plan
    # Weights that are to be divided are read into main memory: a device may not hold them whole.
    plan = replace(plan, device="cpu") if settings.divides_weights and start.group is not None else plan
    base = _base(start, plan)
    if settings.spreads:
        places = ", ".join(f"cuda:{place}" if isinstance(place, int) else str(place) for place in places_of(base))
        start.events.note(f"device_map: auto: the base lies on {places}")
    if settings.base.attention is None:
        use_rows(base)
    model: Model = base
    guards: list[RowGuard] = []
    if (lora := settings.lora) is None:
        guards = unfreeze(base, settings.unfrozen)
    else:
        model = go_on(base, lora, Path(lora.go_on_with)) if lora.go_on_with else add_lora(base, lora, settings.seed)
    if cut.recomputed:
        checkpoint_layers(base, cut.recomputed if settings.finds_layers else None)
    # Dropout draws from here on; loading and the adapter's first weights have no part in it. Each process has a source of its own: with the
    # first one's they would leave out the same places.
    torch.manual_seed(settings.seed + (start.group.rank.number if start.group else 0))
    return model, guards


def _base(start: Start, plan: Plan) -> PreTrainedModel:
    """The base, read here, or without values where the first process reads it and gives each its part."""
    settings, group = start.settings, start.group
    if settings.first_reads and group is not None and not group.rank.is_first:
        return empty_base(start.location, settings.base, plan)
    return load_base(start.location, settings.base, plan, settings.spreads)


def make_loop(
    start: Start, model: Model, guards: Sequence[RowGuard], chosen: BatchSettings, attempts: Attempts | None = None
) -> tuple[Loop, Store]:
    """The loop and its store; with `attempts` after a dry run of what it will meet."""
    own, folder, rows = start.settings, start.folder, start.rows
    dtype = device.torch_dtype(start.plan)
    strategy, place = _strategy(start, chosen)
    objective = SupervisedObjective(model, chosen.embedding_noise, None if has_adapter(model) else dtype, place)
    strategy.place(model)
    optimizer = make_optimizer(model, own.optimizer)
    for guard in guards:
        guard.watch(optimizer)
    wrapped = strategy.wrap(model, optimizer)
    with torch.no_grad():
        strategy.forward(lambda: objective.check(rows.train[0]))
    batches = BatchPlan([len(row.ids) for row in rows.train], chosen, strategy.processes)
    if attempts is not None:
        largest, state_bytes = attempts.largest(rows, chosen)
        seconds = rehearse(wrapped, objective, strategy, largest, chosen, state_bytes)
        attempts.rehearsed(seconds, sum(len(row.ids) for row in largest.train), batches.course.steps)
    settings = Settings(chosen, own.optimizer, own.watch)
    schedule = Schedule(own.schedule, batches.course.steps)
    if schedule.warmup_steps >= batches.course.steps:
        start.events.warn(
            f"the warm-up takes {schedule.warmup_steps} steps and the training has {batches.course.steps}: the rate never reaches "
            "`learning_rate`; lower `warmup_steps`, or train longer"
        )
    loop = Loop(wrapped, objective, strategy, schedule, batches, rows, settings)
    if has_adapter(model):
        return loop, Store(folder.checkpoints, start.key, lambda target: save_adapter_config(model, target, own.base.base_model))
    return loop, Store(folder.checkpoints, start.key, lambda target: write_model_config(model, target), checkpoint_file(model))


def _strategy(start: Start, chosen: BatchSettings) -> tuple[Strategy, torch.device | None]:
    """How the model is held, and the device that it computes on where that is another than it is loaded on."""
    settings, group, scaled = start.settings, start.group, device.torch_dtype(start.plan) is torch.float16
    if group is None:
        return Single(scaled), None
    place = own_device(start.plan, group)
    if settings.zero is not None:
        check_precision(settings.zero, start.plan.dtype)
        return Zero(group, settings.zero, chosen, place), place
    if settings.shards is not None:
        return Sharded(group, settings.shards, place), place
    return DataParallel(group, scaled), None


def _sampler(start: Start, encoder: RowEncoder, model: Model, strategy: Strategy) -> Sampler | None:
    """None where the run file asks for no samples."""
    settings = start.settings.samples
    if settings is None:
        return None
    # An adapter's products follow the base; weights that are trained themselves are held in float32, and answer in the plan's format.
    products = None if has_adapter(model) else device.torch_dtype(start.plan)
    divided = None
    if start.group is not None and start.settings.divides_weights:
        divided = DividedGenerator(model, encoder.tokenizer, strategy, own_device(start.plan, start.group))
    return Sampler(model, encoder, start.rows.validation, settings, products, divided)
