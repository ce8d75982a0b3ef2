"""What `luthier plan` tells: stages that are done and to do, and memory, time and cost of the training, with what each rests on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.config.load import LoadedRun
from luthier.config.schema import RunConfig
from luthier.config.yaml_file import read as read_yaml
from luthier.core.errors import UserError
from luthier.core.files import read_json, read_jsonl
from luthier.core.records import Example, JsonObject, Plan
from luthier.core.runs import RunFolder, find_runs, summary_or_none
from luthier.model.locate import ModelLocation, locate_here
from luthier.model.memory import Load, Training, allocated_bytes, memory_parts
from luthier.model.shapes import BaseShapes, read_shapes
from luthier.model.tokens import encode_rows, encoder_of
from luthier.pipeline.plan import plan_of
from luthier.pipeline.stages import STAGE_SPECS, StageSpec
from luthier.train.batches import BatchPlan

# Dense bfloat16 operations a second by the makers' data sheets, by a part of the device's name; the first that fits counts.
_PEAKS = {"H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12, "L4": 121e12}
# An assumption: fast stacks reach 37 % to 45 % with models of 7 billion weights and more, and far less with small ones.
_UTILISATION = 0.35
# Settings that change the rate of a training.
_RATE_KEYS = (
    "base_model",
    "adapter",
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
)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Lengths and trained tokens of the training rows, both empty where the data are not made yet."""

    lengths: Sequence[int] = ()
    trained: Sequence[int] = ()


def forecast(loaded: LoadedRun, price_per_hour: float | None = None) -> JsonObject:
    """Stages, batches, memory by part in bytes, seconds and cost of the training; None where something cannot be told.

    Nothing is fetched and nothing is written: of a base that is not on this machine no memory is told.
    """
    config, folder = loaded.config, RunFolder(loaded.folder)
    plan = plan_of(config, folder)
    location = locate_here(config.base_model, config.revision_of_model, folder.hashes)
    stages = _stages(loaded, folder, location)
    rows = _rows(config, folder, location) if stages["data"] == "done" else _Rows()
    batches = _batch_facts(config, rows)
    found: JsonObject = {
        "run": str(loaded.folder),
        "device": plan.device_name or plan.device,
        "dtype": plan.dtype,
        "stages": stages,
        "batches": batches,
        "memory": None,
        "time": None,
    }
    if location is None:
        return found
    base = read_shapes(location.path)
    found["memory"] = _memory(config, base, plan, rows) | {"measured_bytes": _measured(folder, stages)}
    found["time"] = _time(config, folder, plan, base, rows, price_per_hour)
    return found


def _stages(loaded: LoadedRun, folder: RunFolder, location: ModelLocation | None) -> dict[str, str]:
    """`done` or `to do` for each stage; what rests on something that is to do is to do."""
    states: dict[str, str] = {}
    for spec in STAGE_SPECS:
        waits = any(states[name] != "done" for name in spec.needs)
        # The key of every stage but the first holds the base's identity, which would be fetched for it.
        unknown = location is None and spec.name != "data"
        states[spec.name] = "to do" if waits or unknown or not _is_done(spec, loaded, folder) else "done"
    return states


def _is_done(spec: StageSpec, loaded: LoadedRun, folder: RunFolder) -> bool:
    record = folder.manifest().stages.get(spec.name)
    if record is None:
        return False
    try:
        return folder.is_complete(spec.name, spec.key(loaded, folder), or_failed=True)
    except UserError:  # What a finished run was made from may be gone.
        return loaded.existing_folder is not None and folder.is_intact(record)


def _rows(config: RunConfig, folder: RunFolder, location: ModelLocation | None) -> _Rows:
    """The training rows as the training would encode them."""
    path = folder.split("train")
    if location is None or not path.is_file():
        return _Rows()
    encoder = encoder_of(folder, location, config.tokenizer_config, config.token_settings())
    encoded = encode_rows(encoder, (Example.from_json(row) for row in read_jsonl(path))).rows
    return _Rows([len(row.ids) for row in encoded], [int(row.trained[1:].sum()) for row in encoded])


def _batch_facts(config: RunConfig, rows: _Rows) -> JsonObject:
    if not rows.lengths:
        return {
            "rows": None,
            "steps": config.max_steps,
            "tokens": None,
            "basis": "the data stage has not run: rows and tokens are not known",
        }
    plan = BatchPlan(rows.lengths, config.batch_settings())
    tokens = sum(rows.lengths[row] for step in plan.steps() for micro_batch in step for row in micro_batch)
    return {"rows": len(rows.lengths), "steps": plan.course.steps, "tokens": tokens, "basis": "the rows of the data stage, encoded"}


def _load(config: RunConfig, rows: _Rows) -> Load:
    """The largest micro batch: that of the rows, or the largest that the run file allows."""
    settings = config.batch_settings()
    if not rows.lengths:
        most = settings.micro_batch_size * settings.sequence_len
        return Load(most, most, settings.sequence_len)
    batches = [batch for step in BatchPlan(rows.lengths, settings).steps() for batch in step]
    tokens = max(sum(rows.lengths[row] for row in batch) for batch in batches)
    trained = max(sum(rows.trained[row] for row in batch) for batch in batches)
    return Load(max(tokens, settings.least_tokens), trained, max(rows.lengths))


def _training(config: RunConfig, plan: Plan) -> Training:
    return Training(
        dtype=plan.dtype,
        device=plan.device,
        quantization=config.quantization,
        attention=config.attn_implementation,
        lora=None if config.adapter is None else config.lora_settings(),
        unfrozen=config.unfrozen_parameters,
        optimizer=config.optimizer_settings(),
        recomputes=config.gradient_checkpointing,
    )


def _memory(config: RunConfig, base: BaseShapes, plan: Plan, rows: _Rows) -> JsonObject:
    load, training = _load(config, rows), _training(config, plan)
    parts = memory_parts(base, training, load)
    total = sum(parts.values())
    fits = not plan.memory_bytes or total <= plan.memory_bytes
    whence = "of the rows" if rows.lengths else "that the run file allows (micro_batch_size x sequence_len)"
    return {
        "parts": parts,
        "total_bytes": total,
        "comparable_bytes": allocated_bytes(parts, plan.device),
        "device_bytes": plan.memory_bytes or None,
        "fits": fits,
        "change": None if fits else _change(config, base, plan, rows),
        "basis": f"the largest micro batch {whence}, {load.tokens:,} tokens; shapes of the base's files",
    }


def _change(config: RunConfig, base: BaseShapes, plan: Plan, rows: _Rows) -> JsonObject | None:
    """The change that costs least time and fits: smaller micro batches, then recompute, then 4 bits; None where none does."""
    for changes in _changes(config):
        changed = config.model_copy(update=changes)
        if sum(memory_parts(base, _training(changed, plan), _load(changed, rows)).values()) <= plan.memory_bytes:
            return changes
    return None


def _changes(config: RunConfig) -> Iterator[JsonObject]:
    """Changes of the run file with the same rows in each step, those that cost least first."""
    settings = config.batch_settings()
    whole = settings.micro_batch_size * settings.accumulation_steps
    sizes = [size for size in range(settings.micro_batch_size, 0, -1) if whole % size == 0]
    # With `batch_size` the accumulation follows from it.
    follows = config.batch_size is not None and config.gradient_accumulation_steps is None
    batches: list[JsonObject] = [{}]
    batches += [
        {"micro_batch_size": size} | ({} if follows else {"gradient_accumulation_steps": whole // size})
        for size in sizes
        if size < settings.micro_batch_size
    ]
    recomputes: list[JsonObject] = [{}] if config.gradient_checkpointing else [{}, {"gradient_checkpointing": True}]
    packs = config.adapter is not None and config.quantization == "none"
    quantized: list[JsonObject] = [{}, {"adapter": "qlora", "load_in_4bit": True}] if packs else [{}]
    return (bits | more | batch for bits in quantized for more in recomputes for batch in batches if bits or more or batch)


def _measured(folder: RunFolder, stages: Mapping[str, str]) -> int | None:
    summary = summary_or_none(folder.train_summary)
    return summary.get("peak_memory_bytes") if stages["train"] == "done" and isinstance(summary, dict) else None


def _time(
    config: RunConfig, folder: RunFolder, plan: Plan, base: BaseShapes, rows: _Rows, price_per_hour: float | None
) -> JsonObject | None:
    """Seconds of the training and their cost; None where no rate or no number of tokens is known."""
    tokens = _batch_facts(config, rows)["tokens"]
    if not tokens:
        return None
    rate, basis = _measured_rate(config, folder, plan), "an earlier run here with the same base and settings"
    if rate is None:
        rate, basis = _assumed_rate(config, plan, base, rows)
    if rate is None:
        return None
    seconds = tokens / rate
    cost = None if price_per_hour is None else round(seconds / 3600 * price_per_hour, 4)
    return {"seconds": round(seconds, 1), "tokens_per_second": round(rate, 1), "cost": cost, "basis": basis}


def _measured_rate(config: RunConfig, folder: RunFolder, plan: Plan) -> float | None:
    """The rate of the latest run in the same folder of runs that had the same base, settings and device."""
    ours = config.model_dump(mode="json")
    for run in reversed(find_runs(Path(config.output_dir))):
        summary = summary_or_none(run.train_summary)
        if not isinstance(summary, dict) or not summary.get("tokens_per_second") or not run.plan_json.is_file():
            continue
        theirs, machine = read_yaml(run.resolved_yaml).value, read_json(run.plan_json)
        same_machine = (machine.get("device_name"), machine.get("dtype")) == (plan.device_name, plan.dtype)
        if same_machine and all(theirs.get(name) == ours.get(name) for name in _RATE_KEYS):
            return float(summary["tokens_per_second"])
    return None


def _assumed_rate(config: RunConfig, plan: Plan, base: BaseShapes, rows: _Rows) -> tuple[float | None, str]:
    """A share of the device's peak by the operations of a token, for a known device in 16 bits."""
    peak = next((peak for name, peak in _PEAKS.items() if name in plan.device_name), None)
    if peak is None or plan.dtype == "float32":
        return None, ""
    operations = operations_per_token(config, base, plan, rows)
    return peak * _UTILISATION / operations, f"an assumed {_UTILISATION:.0%} of {peak / 1e12:.0f} TFLOP/s by the device's data sheet"


def operations_per_token(config: RunConfig, base: BaseShapes, plan: Plan, rows: _Rows) -> float:
    """Operations of one trained token: `4 N + 6 P + 3.5 * L * 2 q d + 4 V h f`, with `2 N + 2 P + L * 2 q d` more under recompute.

    N weights of the layers' matrices, P of the adapter, L layers, q width of the queries, d mean tokens of a row, f share of tokens that
    carry loss. Where the base's own weights are trained N counts six times.
    """
    training = _training(config, plan)
    matrices = sum(matrix.size for matrix in base.matrices)
    adapter = 0 if training.lora is None else sum(tensor.size for tensor in training.trained(base))
    length, share = sum(rows.lengths) / len(rows.lengths), sum(rows.trained) / sum(rows.lengths)
    attention = base.sizes.layers * 2 * base.sizes.heads * base.sizes.head_width * length
    total = (6 if training.lora is None else 4) * matrices + 6 * adapter + 3.5 * attention + 4 * base.head.size * share
    return total + (2 * matrices + 2 * adapter + attention if training.recomputes else 0)


def forecast_text(found: JsonObject) -> str:
    """The forecast as a table."""
    batches, memory, time = found["batches"], found["memory"], found["time"]
    lines = [f"run        {found['run']}", f"device     {found['device']}, {found['dtype']}"]
    lines.append("stages     " + ", ".join(f"{name} {state}" for name, state in found["stages"].items()))
    if batches["tokens"] is None:
        lines.append(f"training   {batches['basis']}")
    else:
        lines.append(f"training   {batches['rows']:,} rows, {batches['steps']:,} steps, {batches['tokens']:,} tokens")
    if memory is None:
        lines.append("memory     not known: the base is not on this machine, and planning fetches nothing")
        return "\n".join(lines)
    lines += ["", *_memory_lines(memory), ""]
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
    if memory["measured_bytes"] is not None:
        lines.append(f"measured peak {_size(memory['measured_bytes'])}, {_size(memory['comparable_bytes'])} estimated")
    if not memory["fits"]:
        change = memory["change"]
        told = (
            "no change of micro batch, recompute or 4 bits fits" if change is None else "the cheapest change that fits: " + _written(change)
        )
        lines.append(f"this does not fit the device; {told}")
    return lines


def _of_device(memory: JsonObject) -> str:
    return "" if memory["device_bytes"] is None else f" of {_size(memory['device_bytes'])}"


def _written(change: JsonObject) -> str:
    return ", ".join(f"{name}: {'true' if value is True else value}" for name, value in change.items())


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.2f} MB"


def _hours(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
