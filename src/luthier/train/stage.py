"""The training stage's front door: rows of the data stage to tokens, tokens to an adapter or to weights of the base."""

from __future__ import annotations

from luthier.config.axolotl_settings import axolotl_settings
from luthier.config.schema import RunConfig
from luthier.config.training_settings import training_settings
from luthier.core.errors import ConfigError, DataError, Problem, TrainingError
from luthier.core.events import EventLog, last_training, read_events
from luthier.core.files import read_json, write_jsonl
from luthier.core.optional import missing
from luthier.core.records import JsonObject, Plan
from luthier.core.runs import RunFolder
from luthier.core.train_files import SAMPLES
from luthier.model import device, device_memory
from luthier.model.adapters.weights import has_adapter
from luthier.model.adapters.whole import whole_warnings
from luthier.model.locate import ModelLocation, locate_tokenizer
from luthier.model.token_file import load_rows
from luthier.model.tokens import EncodedRows, RowEncoder, encoder_of
from luthier.train.engines.axolotl import Handed, train_with_axolotl
from luthier.train.memory.fitting import Cut
from luthier.train.outcome import base_facts, course_facts, curve, finish, model_facts, process_facts, row_facts, write_result
from luthier.train.range_test import Point, Ramp, walk
from luthier.train.rows import Prepared, encode, encoded, reasons, refuse_many, warnings_of
from luthier.train.step.batches import Rows
from luthier.train.strategies.processes import Processes
from luthier.train.training import Start, Trained, attempts_of, make_loop, make_model, own_device, train
from luthier.train.watching.samples import samples
from luthier.train.watching.signals import signals

# Of FSDP2 and of ZeRO.
_OFFLOADED_TO_ITSELF = (
    "fsdp_config.offload_params: without a GPU divided weights lie in main memory anyway, and nothing is pinned",
    "deepspeed.zero_optimization.offload_optimizer: without a GPU all lies in main memory anyway, and what is offloaded lies there twice",
)
# In `train/`, where `loss_per_row` asks for it.
ROW_LOSSES = "row_losses.jsonl"


def run(
    config: RunConfig,
    folder: RunFolder,
    location: ModelLocation,
    plan: Plan,
    events: EventLog,
    key: str,
    group: Processes | None = None,
) -> None:
    """Trains an adapter, or weights of the base, on the rows in `data/` and writes `train/` and `adapter/` or `model/`.

    Goes on from the newest complete checkpoint of the same `key`. Raises `DataError` where no row can be trained on,
    `TrainingError` where training breaks off, and `Interrupted` after Ctrl-C or SIGTERM has saved. With a `group` of processes this is
    the first of them, and calls the others to `follow`.
    """
    if config.engine == "axolotl":
        _train_elsewhere(config, folder, location, plan, events, key, group)
        return
    _refuse_alone(config, group)
    _take_device(plan, group)
    device_memory.reset_peak(plan)
    process = device_memory.held_bytes(plan)
    prepared = _prepared(config, folder, location, plan, events)
    encoder = prepared.encoder
    if group is not None:
        group.call({"key": key, "plan": plan.to_json(), "base": location.identity, "run": folder.path.name})
        group.join(own_device(plan, group), config.ddp_timeout)
    rows = Rows(prepared.train.rows, prepared.validation.rows)
    start = Start(training_settings(config), folder, location, plan, events, key, rows, encoder, group, process)
    _write(config, start, encoder, train(start), prepared.train, prepared.warnings)


def _prepared(config: RunConfig, folder: RunFolder, location: ModelLocation, plan: Plan, events: EventLog) -> Prepared:
    """The rows in `data/` as tokens, kept in `train/tokens/`, with warnings told and rejects written.

    `DataError` where none is left to train on, or too many cannot be.
    """
    encoder = encoder_of(folder, location, config.tokenizer_config, config.token_settings())
    splits = encode(folder, encoder, "train"), encode(folder, encoder, "validation")
    write_jsonl(folder.train_rejected, [reject.to_json() for split in splits for reject in split.rejects])
    refuse_many(config.max_bad_rows, splits[0], folder)
    if not splits[0].rows:
        told = ", ".join(f"{reason} ({count})" for reason, count in reasons(splits[0]).items())
        raise DataError(Problem("no row is left to train on", where="datasets", found=told or "an empty data set"))
    positions = read_json(location.path / "config.json").get("max_position_embeddings") or 1 << 30
    warnings = [*encoder.warnings(), *warnings_of(*splits, folder, config.sequence_len, positions)]
    if not splits[1].rows:
        warnings += _unwatched(config)
    if plan.device == "cpu" and training_settings(config).offloaded:
        warnings.append(_OFFLOADED_TO_ITSELF[config.deepspeed is not None])
    for warning in warnings:
        events.warn(warning)
    return Prepared(encoder, *splits, warnings)


def _train_elsewhere(
    config: RunConfig, folder: RunFolder, location: ModelLocation, plan: Plan, events: EventLog, key: str, group: Processes | None
) -> None:
    """The same under `engine: axolotl`: rows and settings are handed over, and what comes back is put where `run` leaves it."""
    settings = axolotl_settings(config)
    if settings is None or group is not None:
        hint = "start one process, or train with `engine: luthier`"
        raise ConfigError(Problem("Axolotl is started as one process, and several were started together", "engine", "axolotl", hint=hint))
    named = config.tokenizer_config
    tokenizer = location.path if named is None else locate_tokenizer(named, folder.hashes).path
    prepared = _prepared(config, folder, location, plan, events)
    rows = prepared.train.rows, prepared.validation.rows
    handed = Handed(*rows, prepared.encoder, settings, config.base_settings(), folder, location, tokenizer, plan)
    with signals() as asked:
        brought = train_with_axolotl(handed, asked, events, key)
    summary = {
        **brought.facts,
        **row_facts(prepared.train, config.excess_length_strategy),
        **base_facts(config.base_settings(), location, plan),
        "warnings": [*prepared.warnings, *brought.warnings],
    }
    finish(folder, events, summary, brought.rows)


def follow(config: RunConfig, folder: RunFolder, location: ModelLocation, called: JsonObject, group: Processes) -> None:
    """Takes part in the training that the first process `called` for, and writes nothing.

    `TrainingError` where this machine has another run file or base than the first one, or does not see its run folder.
    """
    plan = Plan.from_json(called["plan"])
    _take_device(plan, group)
    device_memory.reset_peak(plan)
    group.join(own_device(plan, group), config.ddp_timeout)
    for what, ours, theirs in (("run file", folder.path.name, called["run"]), ("base model", location.identity, called["base"])):
        if ours != theirs:
            raise TrainingError(f"the {what} of this process is not that of process 0 ({ours} here, {theirs} there)")
    try:
        rows = Rows(*(load_rows(folder.tokens / f"{name}.safetensors") for name in ("train", "validation")))
    except OSError as error:
        raise TrainingError(
            f"the rows in {folder.tokens} cannot be read ({error}): the run folder has to lie on a file system that all machines share"
        ) from error
    settings = training_settings(config)
    # Where weights are divided all processes generate samples together.
    samples_too = settings.divides_weights and settings.samples is not None
    encoder = encoder_of(folder, location, config.tokenizer_config, config.token_settings()) if samples_too else None
    train(Start(settings, folder, location, plan, EventLog(None), called["key"], rows, encoder, group))


def range_test(config: RunConfig, folder: RunFolder, location: ModelLocation, plan: Plan, ramp: Ramp, events: EventLog) -> list[Point]:
    """The learning-rate range test with the rows in `data/` and the run's own batches, optimizer and adapter; nothing is written.

    Every other key acts as in the training but for the schedule, evaluation, checkpoints and the loss watchdog. `DataError` where no row
    can be trained on, `TrainingError` where the first step fails. One process does it, whatever the training will have.
    """
    _take_device(plan, None)
    encoder = encoder_of(folder, location, config.tokenizer_config, config.token_settings())
    rows = encoded(folder, encoder, "train").rows
    if not rows:
        raise DataError(
            Problem("no row is left to train on", where="datasets", hint=f"`luthier train` lists why in {folder.train_rejected}")
        )
    steps = ramp.steps + 1
    settings = config.batch_settings()
    tried = config.model_copy(
        update={
            "learning_rate": ramp.high,
            "lr_scheduler": "constant",
            "max_steps": steps,
            # Enough epochs for so many steps, however few the rows are.
            "num_epochs": float(steps * settings.micro_batch_size * settings.accumulation_steps),
            "loss_watchdog_threshold": None,
        }
    )
    start = Start(training_settings(tried), folder, location, plan, events, "", Rows(rows, ()))
    attempts = attempts_of(start)

    def walked(cut: Cut) -> list[Point]:
        loop, _ = make_loop(start, *make_model(start, cut), attempts.settings(start.settings.batches, cut))
        return list(walk(loop.trial(ramp, events), ramp))

    return attempts.run(walked)


def _unwatched(config: RunConfig) -> list[str]:
    """A key that asks for validation rows where there are none."""
    watched = ("eval_strategy", "eval_steps", "evals_per_epoch", "early_stopping_patience", "load_best_model_at_end", "loss_per_row")
    asked = [name for name in (*watched, "generate_samples") if getattr(config, name) not in (None, "no", 0)]
    return [f"{asked[0]} is set, but there are no validation rows: nothing is evaluated during training"] if asked else []


def _refuse_alone(config: RunConfig, group: Processes | None) -> None:
    """What only several processes do, and what they want installed."""
    asked = {"fsdp_config": config.fsdp_config, "fsdp_version": config.fsdp_version, "deepspeed": config.deepspeed}
    key = next((name for name, value in asked.items() if value is not None), None)
    if group is None and key is not None:
        what = "the training is divided" if key == "deepspeed" else "weights are divided"
        hint = "start it with `torchrun --nproc_per_node N -m luthier run RUN.yaml`, or take the key out"
        raise ConfigError(Problem(f"{what} over several processes, and this one was started alone", key, hint=hint))
    if group is not None and config.device_map is not None:
        hint = "take it out: each of several processes has a GPU of its own; or start the run in one process"
        raise ConfigError(Problem("one process spreads the base over its GPUs, and several were started", "device_map", "auto", hint=hint))
    if config.deepspeed is not None and (lacking := missing("deepspeed", "deepspeed", "the run file's `deepspeed`")) is not None:
        raise lacking


def _take_device(plan: Plan, group: Processes | None) -> None:
    """Sets torch's switches; of several processes on a machine each takes a GPU of its own, or its part of the threads."""
    if group is None:
        device.apply(plan)
    else:
        device.apply(plan, group.rank.local, group.rank.local_count)


def _write(config: RunConfig, start: Start, encoder: RowEncoder, trained: Trained, train_rows: EncodedRows, warnings: list[str]) -> None:
    """The result, its summary, its curve, and what else the run file asks for."""
    folder, events, plan = start.folder, start.events, start.plan
    model, loop, progress = trained.model, trained.loop, trained.progress
    if has_adapter(model) and start.settings.lora is not None:
        warnings = [*warnings, *whole_warnings(model, start.settings.lora.modules_to_save)]
    result_step = progress.best_step if start.settings.watch.loads_best else None
    told = read_events(folder.events_jsonl)
    if start.settings.row_losses:
        write_jsonl(folder.train / ROW_LOSSES, trained.row_losses)
    if start.settings.samples is not None:
        write_jsonl(folder.train / SAMPLES, samples(last_training(told)))
    summary = {
        **course_facts(progress, loop, result_step),
        **row_facts(train_rows, config.excess_length_strategy),
        **model_facts(trained.counts, plan),
        **base_facts(start.settings.base, start.location, plan),
        **trained.memory,
        **({} if start.group is None else process_facts(trained.peaks, plan)),
        **write_result(model, encoder, folder, config.base_model, plan),
        "warnings": warnings,
    }
    finish(folder, events, summary, curve(told))
