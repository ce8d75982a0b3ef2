"""What `luthier plan` tells: stages that are done and to do, and memory, time and cost of the training, with what each rests on."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from luthier.config.load import LoadedRun
from luthier.config.paths import missing_base
from luthier.config.schema import RunConfig
from luthier.config.strategy_table import WAYS
from luthier.config.training_settings import training_settings
from luthier.config.yaml_file import parse as parse_yaml
from luthier.config.yaml_file import read as read_yaml
from luthier.core.errors import ConfigError, UserError
from luthier.core.files import read_json, read_jsonl
from luthier.core.records import Example, JsonObject, Plan
from luthier.core.runs import RunFolder, find_runs, summary_or_none
from luthier.model.division import offloaded_bytes
from luthier.model.locate import ModelLocation, locate_here
from luthier.model.memory import allocated_bytes, base_bytes
from luthier.model.shapes import BaseShapes, read_shapes
from luthier.model.tokens import encode_rows, encoder_of
from luthier.model.trained_shapes import whole_texts
from luthier.pipeline.disk import disk_needs
from luthier.pipeline.plan import plan_of
from luthier.pipeline.stages import STAGE_SPECS, StageSpec
from luthier.train.memory.fitting import Cut, RowSizes, Sizing, resized
from luthier.train.step.batches import BatchPlan

# Dense bfloat16 operations a second by the makers' data sheets, by a part of the device's name; the first that fits counts.
_PEAKS = {"H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12, "L4": 121e12}
# An assumption: fast stacks reach 37 % to 45 % with models of 7 billion weights and more, and far less with small ones.
_UTILISATION = 0.35
_NOTHING_FITS = "no change of micro batch, recompute, length or 4 bits fits"
_TAKEN = "taken from "
# Their keys hold no name of a run, so that a run beside this one may have done them alike.
_SHARED_STAGES = ("data", "train", "evaluate", "export")
# Settings that change the rate of a training.
_RATE_KEYS = (
    "engine",
    "base_model",
    "adapter",
    "lora_modules_to_save",
    "peft_use_dora",
    "unfrozen_parameters",
    "optimizer",
    "load_in_4bit",
    "load_in_8bit",
    "sequence_len",
    "micro_batch_size",
    "sample_packing",
    "gradient_checkpointing",
    "lora_r",
    "lora_target_modules",
    "lora_target_linear",
    "attn_implementation",
    "fsdp_version",
    "fsdp_config",
    "deepspeed",
    "device_map",
)


def forecast(loaded: LoadedRun, price_per_hour: float | None = None, processes: int | None = None) -> JsonObject:
    """Stages, batches, memory by part in bytes, seconds and cost of the training; None where something cannot be told.

    Of several `processes` memory is that of the one that takes most. Where none are named it is as many as the run was begun with, or else
    one; where the run file divides something, as many as there are GPUs here, and two at least. Nothing is fetched
    and nothing is written: of a base that is not on this machine no memory is told, and one that is written as a path that leads nowhere
    is a `ConfigError`.
    """
    # A run folder outlives its base: what was made of it is recorded there.
    if loaded.existing_folder is None and (problems := missing_base(loaded.document)):
        raise ConfigError(problems)
    config, folder = loaded.config, RunFolder(loaded.folder)
    plan = replace(plan_of(config, folder), processes=processes or _processes(config, folder))
    location = locate_here(config.base_model, config.revision_of_model, folder.hashes)
    stages = _stages(loaded, folder, location, plan.processes)
    rows = RowSizes() if stages["data"] == "to do" else _rows(config, _home(folder, stages["data"]), location)
    batches = _batch_facts(config, rows, plan.processes)
    found: JsonObject = {
        "run": str(loaded.folder),
        "device": plan.device_name or plan.device,
        "dtype": plan.dtype,
        "processes": plan.processes,
        "way": training_settings(config).way,
        "stages": stages,
        "batches": batches,
        "trained_whole": [],
        "memory": None,
        "disk": None,
        "time": None,
    }
    if location is None:
        return found
    base = read_shapes(location.path)
    sizing = _sizing(config, base, plan, rows)
    found["trained_whole"] = whole_texts(base, config.lora_modules_to_save)
    found["memory"] = _memory(sizing, plan) | _measured(folder, stages["train"])
    if config.engine == "axolotl":
        found["memory"]["basis"] += "; of Luthier's own engine: Axolotl holds padded batches and whole logits, and takes more"
    found["disk"] = disk_needs(config, location, sizing, stages)
    found["time"] = _time(loaded, plan, sizing, price_per_hour)
    return found


def _processes(config: RunConfig, folder: RunFolder) -> int:
    saved = summary_or_none(folder.plan_json)
    if isinstance(saved, dict) and isinstance(saved.get("processes"), int):
        return int(saved["processes"])
    return max(2, _gpu_count()) if training_settings(config).divided else 1


def _stages(loaded: LoadedRun, folder: RunFolder, location: ModelLocation | None, processes: int) -> dict[str, str]:
    """`done`, `to do` or `taken from NAME` for each stage; what rests on something that is to do is to do.

    Taken are stages that a run beside this one has done with the same key, as `run` takes them; here nothing is linked or written.
    """
    states: dict[str, str] = {}
    keys: dict[str, str] = {}
    inputs = folder  # Where a later stage's key finds what it rests on.
    for spec in STAGE_SPECS:
        waits = any(states[name] == "to do" for name in spec.needs)
        # The key of every stage but the first holds the base's identity, which would be fetched for it.
        unknown = location is None and spec.name != "data"
        states[spec.name] = "to do"
        if waits or unknown:
            continue
        if _is_done(spec, loaded, folder):
            states[spec.name] = "done"
        elif spec.name in _SHARED_STAGES and (key := _key_or_none(spec, loaded, inputs)) is not None:
            sibling = folder.sibling_with(spec.name, key, processes if spec.is_shared else 1)
            if sibling is not None:
                states[spec.name], keys[spec.name] = f"{_TAKEN}{sibling.path.name}", key
                records = sibling.manifest().stages
                inputs = sibling if all(name in records and records[name].key == key for name, key in keys.items()) else inputs
    return states


def _key_or_none(spec: StageSpec, loaded: LoadedRun, folder: RunFolder) -> str | None:
    """The stage's key; None where what it is made from is gone."""
    try:
        return spec.key(loaded, folder)
    except UserError:
        return None


def _home(folder: RunFolder, state: str) -> RunFolder:
    """The folder that holds a stage's result: that of this run, or of the one beside it that it is taken from."""
    return RunFolder(folder.path.with_name(state.removeprefix(_TAKEN))) if state.startswith(_TAKEN) else folder


def _is_done(spec: StageSpec, loaded: LoadedRun, folder: RunFolder) -> bool:
    record = folder.manifest().stages.get(spec.name)
    if record is None:
        return False
    try:
        return folder.is_complete(spec.name, spec.key(loaded, folder), or_failed=True)
    except UserError:  # What a finished run was made from may be gone.
        return loaded.existing_folder is not None and folder.is_intact(record)


def _rows(config: RunConfig, folder: RunFolder, location: ModelLocation | None) -> RowSizes:
    """The training rows as the training would encode them."""
    path = folder.split("train")
    if location is None or not path.is_file():
        return RowSizes()
    encoder = encoder_of(folder, location, config.tokenizer_config, config.token_settings())
    encoded = encode_rows(encoder, (Example.from_json(row) for row in read_jsonl(path))).rows
    return RowSizes([len(row.ids) for row in encoded], [int(row.trained[1:].sum()) for row in encoded])


def _batch_facts(config: RunConfig, rows: RowSizes, processes: int) -> JsonObject:
    if not rows.lengths:
        return {
            "rows": None,
            "steps": config.max_steps,
            "tokens": None,
            "basis": "the data stage has not run: rows and tokens are not known",
        }
    plan = BatchPlan(rows.lengths, config.batch_settings(), processes)
    tokens = sum(rows.lengths[row] for step in plan.steps() for micro_batch in step for row in micro_batch)
    return {"rows": len(rows.lengths), "steps": plan.course.steps, "tokens": tokens, "basis": "the rows of the data stage, encoded"}


def _sizing(config: RunConfig, base: BaseShapes, plan: Plan, rows: RowSizes) -> Sizing:
    from luthier.train.training import sizing_of

    return sizing_of(training_settings(config), base, plan, rows)


def _gpu_count() -> int:
    from luthier.model.device_memory import gpu_count

    return gpu_count()


def _room(plan: Plan) -> int:
    """What a process can hold on the plan's device; 0 where nothing is known."""
    from luthier.model.device_memory import room_bytes

    room = min(plan.memory_bytes, room_bytes(plan)) if plan.memory_bytes else 0
    # Processes without GPUs are taken to be on this machine, which they share.
    return room // plan.processes if plan.device == "cpu" else room


def _memory(sizing: Sizing, plan: Plan) -> JsonObject:
    room = _room(plan)
    cut = sizing.chosen(room)[0]
    parts, load = sizing.parts(cut), sizing.largest(cut.micro_batch_size).load
    total = sum(parts.values())
    fits = not room or total <= room
    changes = [] if fits else sizing.changes(room, cut)
    whence = "of the rows" if sizing.rows.lengths else "that the run file allows (micro_batch_size x sequence_len)"
    batches = resized(sizing.settings, cut.micro_batch_size)
    return {
        "parts": parts,
        "total_bytes": total,
        "comparable_bytes": allocated_bytes(parts, plan.device),
        "device_bytes": plan.memory_bytes or None,
        "room_bytes": room or None,
        "fits": fits,
        "micro_batch_size": cut.micro_batch_size,
        "gradient_accumulation_steps": batches.accumulation_steps,
        "recomputed_layers": cut.recomputed,
        "layers": sizing.layers,
        "found": sizing.asked.finds_batch or sizing.asked.finds_layers,
        "change": changes[0].written if changes else None,
        "changes": [{"change": change.written, "total_bytes": change.total_bytes} for change in changes],
        "basis": f"the largest micro batch {whence}, {load.tokens:,} tokens; shapes of the base's files",
        "devices": sizing.division.devices,
        **({} if plan.processes == 1 else _by_process(sizing, cut, plan)),
    }


def _by_process(sizing: Sizing, cut: Cut, plan: Plan) -> JsonObject:
    """Bytes in all of each process; those after the first are alike. `main_memory_bytes`: what all read or keep there."""
    others = sum(sizing.parts(cut, is_first=False).values())
    reads = base_bytes(sizing.base, sizing.training) if "weights" in sizing.division.divided and plan.device == "cuda" else 0
    kept = offloaded_bytes(sizing.base, sizing.training, sizing.division)
    readers = 1 if sizing.division.reads_once else plan.processes
    return {
        "by_process": [sizing.total(cut), *[others] * (plan.processes - 1)],
        "main_memory_bytes": max(reads * readers, kept * plan.processes) or None,
    }


def _measured(folder: RunFolder, trained: str) -> JsonObject:
    """The peak of the training that was done, with the estimate of that run; None where there was none."""
    summary = None if trained == "to do" else summary_or_none(_home(folder, trained).train_summary)
    summary = summary if isinstance(summary, dict) else {}
    return {
        "measured_bytes": summary.get("peak_memory_bytes"),
        "measured_processes": summary.get("peak_memory_bytes_of_processes"),
        "estimated_bytes": summary.get("estimated_memory_bytes"),
    }


def _time(loaded: LoadedRun, plan: Plan, sizing: Sizing, price_per_hour: float | None) -> JsonObject | None:
    """Seconds of the training and their cost; None where no rate or no number of tokens is known."""
    tokens = _batch_facts(loaded.config, sizing.rows, plan.processes)["tokens"]
    if not tokens:
        return None
    rate, basis = _measured_rate(loaded, plan), "an earlier run here with the same base and settings"
    if rate is None:
        rate, basis = _assumed_rate(sizing, plan)
    if rate is None:
        return None
    seconds = tokens / rate
    cost = None if price_per_hour is None else round(seconds / 3600 * price_per_hour, 4)
    return {"seconds": round(seconds, 1), "tokens_per_second": round(rate, 1), "cost": cost, "basis": basis}


def _measured_rate(loaded: LoadedRun, plan: Plan) -> float | None:
    """The rate of the latest run in the same folder of runs that had the same base, settings and device."""
    # As it is written in a run folder: without an adapter its keys are left out there.
    ours = parse_yaml(loaded.resolved_text(), str(loaded.path)).value
    for run in reversed(find_runs(Path(loaded.config.output_dir))):
        summary = summary_or_none(run.train_summary)
        if not isinstance(summary, dict) or not summary.get("tokens_per_second") or not run.plan_json.is_file():
            continue
        theirs, machine = read_yaml(run.resolved_yaml).value, read_json(run.plan_json)
        theirs_of = (machine.get("device_name"), machine.get("dtype"), machine.get("processes", 1))
        same_machine = theirs_of == (plan.device_name, plan.dtype, plan.processes)
        if same_machine and all(theirs.get(name) == ours.get(name) for name in _RATE_KEYS):
            return float(summary["tokens_per_second"])
    return None


def _assumed_rate(sizing: Sizing, plan: Plan) -> tuple[float | None, str]:
    """A share of the device's peak by the operations of a token, for a known device in 16 bits."""
    peak = next((peak for name, peak in _PEAKS.items() if name in plan.device_name), None)
    if peak is None or plan.dtype == "float32":
        return None, ""
    operations = operations_per_token(sizing, sizing.chosen(_room(plan))[0].recomputed)
    basis = f"an assumed {_UTILISATION:.0%} of {peak / 1e12:.0f} TFLOP/s by the device's data sheet"
    if plan.processes > 1:
        basis += f", {plan.processes} times; what they exchange takes longer on a slow network"
    return plan.processes * peak * _UTILISATION / operations, basis


def operations_per_token(sizing: Sizing, recomputed: int) -> float:
    """Operations of one trained token: `4 N + 6 P + 3.5 * L * 2 q d + 4 V h f`, with `2 N + 2 P + L * 2 q d` more under recompute.

    N weights of the layers' matrices, P of the adapter, L layers, q width of the queries, d mean tokens of a row, f share of tokens that
    carry loss. Where the base's own weights are trained N counts six times; of recompute the share of `recomputed` in L layers counts.
    """
    base, rows, training = sizing.base, sizing.rows, sizing.training
    matrices = sum(matrix.size for matrix in base.matrices)
    adapter = 0 if training.lora is None else sum(tensor.size for tensor in training.trained(base))
    length, share = sum(rows.lengths) / len(rows.lengths), sum(rows.trained) / sum(rows.lengths)
    attention = base.sizes.layers * 2 * base.sizes.heads * base.sizes.head_width * length
    total = (6 if training.lora is None else 4) * matrices + 6 * adapter + 3.5 * attention + 4 * base.head.size * share
    return total + (2 * matrices + 2 * adapter + attention) * recomputed / base.sizes.layers


def forecast_text(found: JsonObject) -> str:
    """The forecast as a table."""
    batches, memory, time = found["batches"], found["memory"], found["time"]
    lines = [f"run        {found['run']}", f"device     {found['device']}, {found['dtype']}"]
    if found["processes"] > 1:
        lines.append(f"processes  {found['processes']}, {WAYS[found['way']][0]}")
    lines.append("stages     " + ", ".join(f"{name} {state}" for name, state in found["stages"].items()))
    if batches["tokens"] is None:
        lines.append(f"training   {batches['basis']}")
    else:
        lines.append(f"training   {batches['rows']:,} rows, {batches['steps']:,} steps, {batches['tokens']:,} tokens")
    if memory is None:
        lines.append("memory     not known: the base is not on this machine, and planning fetches nothing")
        return "\n".join(lines)
    lines += [*found["trained_whole"], "", *_memory_lines(memory), ""]
    lines.append(f"disk       {_size(found['disk']['needed_bytes'])} to write at most")
    if time is None:
        lines.append("time       not known before the first step")
    else:
        cost = "" if time["cost"] is None else f", cost {time['cost']:,.2f}"
        lines.append(f"time       {_hours(time['seconds'])} of training at {time['tokens_per_second']:,.0f} tokens/s{cost}")
        lines.append(f"           by {time['basis']}")
    return "\n".join(lines)


def _memory_lines(memory: JsonObject) -> list[str]:
    width = max(map(len, memory["parts"]))
    lines = [f"{name:<{width}}  {_size(size):>10}" for name, size in memory["parts"].items() if size]
    lines.append(f"{'memory in all':<{width}}  {_size(memory['total_bytes']):>10}" + _of_device(memory))
    lines.append(f"by {memory['basis']}")
    lines += _process_lines(memory)
    if memory["found"]:
        lines.append(
            f"auto: micro batches of {memory['micro_batch_size']}, {memory['gradient_accumulation_steps']} a step; activations of "
            f"{memory['recomputed_layers']} of {memory['layers']} layers are made again"
        )
    if memory["measured_bytes"] is not None:
        estimated = memory["estimated_bytes"] or memory["comparable_bytes"]
        each = memory["measured_processes"] or []
        of_each = f" (each process: {', '.join(map(_size, each))})" if len(each) > 1 else ""
        lines.append(f"measured peak {_size(memory['measured_bytes'])}, {_size(estimated)} estimated{of_each}")
    if not memory["fits"]:
        changes = [f"{_written(found['change'])} ({_size(found['total_bytes'])})" for found in memory["changes"]]
        told = "the cheapest change that fits: " + "; or ".join(changes) if changes else _NOTHING_FITS
        lines.append(f"this does not fit the {_size(memory['room_bytes'])} that are free for it; {told}")
    return lines


def _process_lines(memory: JsonObject) -> list[str]:
    if memory["devices"] > 1:
        return [f"on the one of {memory['devices']} GPUs that takes most, of one process that spreads the base over them (device_map)"]
    if "by_process" not in memory:
        return []
    first, other, *_ = memory["by_process"]
    lines = ["in each process"] if first == other else [f"in the first process, which writes checkpoints; {_size(other)} in each other one"]
    if memory["main_memory_bytes"]:
        lines.append(
            f"main memory {_size(memory['main_memory_bytes'])} of all of one machine, while they read the base or keep their parts there"
        )
    return lines


def _written(change: JsonObject) -> str:
    return ", ".join(f"{name}: {'true' if value is True else value}" for name, value in change.items())


def _of_device(memory: JsonObject) -> str:
    return "" if memory["device_bytes"] is None else f" of {_size(memory['device_bytes'])}"


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.2f} MB"


def _hours(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
