"""The key `deepspeed`: DeepSpeed's own file, or what would stand in it; what of it acts here, and what contradicts the run file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.config import yaml_file
from luthier.config.keys.batches import BatchKeys
from luthier.config.keys.optimizer import OptimizerKeys
from luthier.config.keys.processes import ZeroSettings
from luthier.config.yaml_file import Document, KeyPath
from luthier.core.errors import ConfigError, Problem
from luthier.core.nearness import nearest

KEY = "deepspeed"
AUTO = "auto"
_RUN_FILE = 'write "auto", which takes the run file\'s, or the same value in both'
_OFF = "take it out"

Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A value that DeepSpeed's file may hold: `fits` takes it, `expected` says what would."""

    fits: Check
    expected: str


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_size(value: Any) -> bool:
    """DeepSpeed's files write `5e8` where a whole number is meant."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and value == int(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _one_of(*values: Any) -> _Entry:
    shown = ", ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in values)
    return _Entry(lambda value: any(value is known or (value == known and type(value) is type(known)) for known in values), shown)


_FLAG = _Entry(_is_flag, "true or false")
_SIZE = _Entry(_is_size, "a whole number")
_SIZE_OR_AUTO = _Entry(lambda value: value == AUTO or _is_size(value), 'a whole number or "auto"')
_NUMBER_OR_AUTO = _Entry(lambda value: value == AUTO or _is_number(value), 'a number or "auto"')
_PAIR_OR_AUTO = _Entry(
    lambda value: value == AUTO or (isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))), 'two numbers or "auto"'
)
_FLAG_OR_AUTO = _Entry(lambda value: value == AUTO or _is_flag(value), 'true, false or "auto"')

# The names of stage 3 as they are written with and without their beginning; DeepSpeed takes both.
LONG_NAMES = {
    name: f"stage3_{name}" for name in ("prefetch_bucket_size", "param_persistence_threshold", "max_live_parameters", "max_reuse_distance")
} | {"gather_16bit_weights_on_model_save": "stage3_gather_16bit_weights_on_model_save"}
_STAGE_3: Mapping[str, _Entry] = {
    "stage3_prefetch_bucket_size": _SIZE_OR_AUTO,
    "stage3_param_persistence_threshold": _SIZE_OR_AUTO,
    "stage3_max_live_parameters": _SIZE,
    "stage3_max_reuse_distance": _SIZE,
    "stage3_gather_16bit_weights_on_model_save": _one_of(True),  # Results are always gathered.
    "sub_group_size": _SIZE,
}
_DIVIDING: Mapping[str, _Entry] = {
    "stage": _one_of(1, 2, 3),
    "overlap_comm": _FLAG,
    "contiguous_gradients": _FLAG,
    "reduce_scatter": _FLAG,
    "allgather_partitions": _FLAG,
    "round_robin_gradients": _FLAG,
    "reduce_bucket_size": _SIZE_OR_AUTO,
    "allgather_bucket_size": _SIZE_OR_AUTO,
    "offload_optimizer.device": _one_of("cpu", "none"),
    "offload_optimizer.pin_memory": _FLAG,
    **_STAGE_3,
    **{short: _STAGE_3[long] for short, long in LONG_NAMES.items()},
}
# What belongs to a scaled loss is DeepSpeed's own and idle while float16 is off, as in Axolotl's files.
_SCALING: Mapping[str, _Entry] = {
    "fp16.auto_cast": _FLAG,
    **dict.fromkeys(
        (f"fp16.{name}" for name in ("loss_scale", "initial_scale_power", "loss_scale_window", "hysteresis", "min_loss_scale")), _SIZE
    ),
}
_KNOWN: Mapping[str, _Entry] = {
    **{f"zero_optimization.{name}": entry for name, entry in _DIVIDING.items()},
    "bf16.enabled": _FLAG_OR_AUTO,
    "fp16.enabled": _one_of(AUTO, False),
    **_SCALING,
    "optimizer.type": _one_of("AdamW"),
    "optimizer.params.lr": _NUMBER_OR_AUTO,
    "optimizer.params.betas": _PAIR_OR_AUTO,
    "optimizer.params.eps": _NUMBER_OR_AUTO,
    "optimizer.params.weight_decay": _NUMBER_OR_AUTO,
    "gradient_accumulation_steps": _SIZE_OR_AUTO,
    "gradient_clipping": _NUMBER_OR_AUTO,
    "train_batch_size": _one_of(AUTO),
    "train_micro_batch_size_per_gpu": _SIZE_OR_AUTO,
    "wall_clock_breakdown": _one_of(False),
    "zero_allow_untested_optimizer": _one_of(True),
    "zero_force_ds_cpu_optimizer": _one_of(False),
}
# Figures that the run file has too, each under its name there.
_SAME: Mapping[str, tuple[str, ...]] = {
    "gradient_accumulation_steps": ("gradient_accumulation_steps",),
    "train_micro_batch_size_per_gpu": ("micro_batch_size",),
    "gradient_clipping": ("max_grad_norm",),
    "optimizer.params.lr": ("learning_rate",),
    "optimizer.params.betas": ("adam_beta1", "adam_beta2"),
    "optimizer.params.eps": ("adam_epsilon",),
    "optimizer.params.weight_decay": ("weight_decay",),
}
# What counts of these where the run file does not write them.
_DEFAULTS: Mapping[str, Any] = {
    name: field.default for keys in (BatchKeys, OptimizerKeys) for name, field in keys.model_fields.items() if not field.is_required()
}
# Why some of what DeepSpeed knows does not act here.
_REFUSED: Mapping[str, str] = {
    "zero_optimization.offload_param": "weights of the base stay on the devices: divide them over more processes, or load the base in 4 "
    "bits under stage 1 or 2",
    "aio": "nothing is kept on disks between steps",
    "scheduler": "`lr_scheduler` and its keys of the run file say how the rate goes",
    "compile": "nothing is compiled",
    "activation_checkpointing": "`gradient_checkpointing` of the run file makes activations again",
    "steps_per_print": "`logging_steps` of the run file says how often a step is told",
    "wall_clock_breakdown": "the events of the run tell its seconds; leave it false",
    "train_batch_size": 'it follows from the run file and the number of processes: write "auto"',
    "fp16.enabled": 'write `bf16: true` in the run file, and "auto" here',
    "optimizer.type": "the run file's `optimizer` steps; AdamW is `adamw_torch_fused` there",
    "zero_optimization.stage": "leave `deepspeed` out to hold the whole model in each process",
}


# Weights that stay gathered for a later layer. DeepSpeed's own values let a layer of a model that is trained whole go in the middle of its
# backward pass; Axolotl's files write 0.
_KEPT_GATHERED = ("stage3_max_live_parameters", "stage3_max_reuse_distance")

# What transformers' trainer, and with it Axolotl, puts where a file says "auto": products of the width of the hidden states.
_BUCKETS: Mapping[str, Callable[[int], int]] = {
    "reduce_bucket_size": lambda width: width * width,
    "allgather_bucket_size": lambda width: width * width,
    "stage3_prefetch_bucket_size": lambda width: int(0.9 * width * width),
    "stage3_param_persistence_threshold": lambda width: 10 * width,
}


def section_of(zero: ZeroSettings, width: int) -> dict[str, Any]:
    """`zero_optimization` as DeepSpeed takes it for hidden states of `width`: long names, whole numbers, "auto" filled."""
    written = {name: value for name, value in zero.written["zero_optimization"].items() if value is not None}
    section = {LONG_NAMES.get(name, name): value for name, value in written.items()}
    if zero.stage == 3:
        section = {**dict.fromkeys(_KEPT_GATHERED, 0), **section}
    for name, value in section.items():
        if value == AUTO:
            section[name] = _BUCKETS[name](width)
        elif isinstance(value, float):
            section[name] = int(value)
    return section


def read_deepspeed(document: Document) -> list[Problem]:
    """Puts what stands in the file that `deepspeed` names in its place, with the lines of that file."""
    written = document.value.get(KEY)
    if written in ("", False):
        # It asks for nothing, there as here.
        document.value.pop(KEY)
    if not isinstance(written, str) or not written:
        return []
    where = document.place((KEY,)).text()
    try:
        found = yaml_file.parse(yaml_file.read_text(Path(written)), written)  # JSON is YAML.
    except ConfigError as error:
        first = error.problems[0]
        hint = "write the path of DeepSpeed's JSON file from the working directory, or what stands in it"
        del document.value[KEY]
        return [
            Problem(f"the file of `deepspeed` cannot be read: {first.what}", where=where, found=f"{written} ({first.where})", hint=hint)
        ]
    document.value[KEY] = found.value
    document.places.update({(KEY, *path): place for path, place in found.places.items() if path})
    return found.problems


def check_deepspeed(document: Document) -> Iterator[Problem]:
    """What of the key does not act, and what it says against the run file."""
    written = document.value.get(KEY)
    if not isinstance(written, dict):
        return
    for other in ("fsdp_version", "fsdp_config"):
        if document.value.get(other) is not None:
            what = f"`deepspeed` and `{other}` exclude each other: both say how weights are divided"
            yield document.problem((other,), what, hint="keep one of the two")
    values = dict(_leaves(written))
    stage = values.get(("zero_optimization", "stage"))
    if stage is None:
        what = "`deepspeed` wants `zero_optimization.stage`"
        yield document.problem((KEY,), what, hint="write 1, 2 or 3: docs/how-to/many-processes.md tells what each divides")
    for path, value in values.items():
        yield from _check_value(document, path, value, stage)
    for path, value in values.items():
        if LONG_NAMES.get(path[-1], path[-1]) in _KEPT_GATHERED and value and document.value.get("adapter") is None:
            what = f"`{'.'.join(path)}` of a model that is trained whole is 0: its layers are gathered anew for the backward pass"
            yield document.problem((KEY, *path), what, hint="write 0, or leave it out", found=value)
    for name, own in _SAME.items():
        path = tuple(name.split("."))
        if (value := values.get(path, AUTO)) != AUTO and not _agrees(value, [document.value.get(one, _DEFAULTS.get(one)) for one in own]):
            shown = " and ".join(f"`{one}`" for one in own)
            yield document.problem((KEY, *path), f"`{name}` says other than {shown} of the run file", hint=_RUN_FILE, found=value)
    yield from _precision(document, values)
    yield from _optimizer(document, values)


def _check_value(document: Document, path: tuple[str, ...], value: Any, stage: Any) -> Iterator[Problem]:
    name, place = ".".join(path), (KEY, *path)
    heads = [".".join(path[:size]) for size in range(len(path), 0, -1)]
    reason = next((_REFUSED[head] for head in heads if head in _REFUSED), "")
    entry = _KNOWN.get(name)
    if entry is None:
        near = nearest(name, list(_KNOWN))
        hint = reason or (f"did you mean `{near}`?" if near else f"{_OFF}; docs/how-to/many-processes.md lists what acts")
        yield document.problem(place, f"`{name}` of DeepSpeed's file does not act here", hint=hint, found=value)
    elif not entry.fits(value):
        yield document.problem(place, f"`{name}` takes {entry.expected}", hint=reason or "write one of these", found=value)
    elif path[0] == "zero_optimization" and LONG_NAMES.get(path[-1], path[-1]) in _STAGE_3 and stage in (1, 2):
        yield document.problem(place, f"`{name}` acts only with `stage` 3", hint=_OFF, found=value)


def _leaves(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is no mapping, and every empty mapping, by its path; a null says nothing."""
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, (*path, str(name)))
        elif inner is not None:
            yield (*path, str(name)), inner


def _agrees(value: Any, own: list[Any]) -> bool:
    theirs = value if isinstance(value, list) else [value]
    return all(isinstance(mine, int | float) and mine == their for mine, their in zip(own, theirs, strict=True))


def _precision(document: Document, values: Mapping[tuple[str, ...], Any]) -> Iterator[Problem]:
    """`auto` on either side leaves it to the other; what is left is compared once the device is known."""
    asked, own = values.get(("bf16", "enabled"), AUTO), document.value.get("bf16", AUTO)
    if isinstance(asked, bool) and isinstance(own, bool) and asked != own:
        path: KeyPath = (KEY, "bf16", "enabled")
        yield document.problem(path, "`bf16.enabled` says other than `bf16` of the run file", hint=_RUN_FILE, found=asked)


def _optimizer(document: Document, values: Mapping[tuple[str, ...], Any]) -> Iterator[Problem]:
    own = document.value.get("optimizer", "adamw_torch_fused")
    if any(path[0] == "optimizer" for path in values) and own not in ("adamw_torch_fused", "adamw_torch"):
        what = f"`optimizer` of DeepSpeed's file is AdamW, and that of the run file is `{own}`"
        yield document.problem((KEY, "optimizer"), what, hint="take it out of DeepSpeed's file, or write `optimizer: adamw_torch_fused`")
