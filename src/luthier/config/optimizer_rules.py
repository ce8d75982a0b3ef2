"""Rules between the keys of optimizer and schedule: what acts only with what, what wants what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from luthier.config.names import dotted
from luthier.config.schema import RunConfig
from luthier.config.yaml_file import Document, KeyPath
from luthier.core.errors import Problem

_ADAMW = (
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_torch_8bit",
    "adamw_bnb_8bit",
    "adamw_8bit",
    "paged_adamw",
    "paged_adamw_32bit",
    "paged_adamw_8bit",
)
_LION = ("lion", "lion_32bit", "lion_8bit", "paged_lion_32bit", "paged_lion_8bit")
# The optimizers that read a key.
_OPTIMIZERS: Mapping[KeyPath, tuple[str, ...]] = {
    ("adam_beta1",): (*_ADAMW, *_LION, "muon"),
    ("adam_beta2",): (*_ADAMW, *_LION, "muon"),
    ("adam_epsilon",): (*_ADAMW, "muon"),
    ("optim_args", "momentum"): ("sgd", "rmsprop"),
    ("optim_args", "dampening"): ("sgd",),
    ("optim_args", "nesterov"): ("sgd", "muon"),
    ("optim_args", "alpha"): ("rmsprop",),
    ("optim_args", "eps"): ("rmsprop",),
    ("optim_args", "centered"): ("rmsprop",),
    ("optim_args", "mu"): ("muon",),
    ("optim_args", "adjust_lr"): ("muon",),
}
_FLOORED = ("cosine_with_min_lr", "cosine_warmup_with_min_lr")
# The schedules that read a key.
_SCHEDULES: Mapping[KeyPath, tuple[str, ...]] = {
    ("cosine_min_lr_ratio",): ("cosine",),
    ("cosine_constant_lr_ratio",): ("cosine",),
    ("lr_quadratic_warmup",): ("cosine",),
    ("lr_div_factor",): ("one_cycle",),
    ("lr_scheduler_kwargs", "num_cycles"): ("cosine_with_restarts", *_FLOORED, "warmup_stable_decay"),
    ("lr_scheduler_kwargs", "min_lr"): _FLOORED,
    ("lr_scheduler_kwargs", "min_lr_rate"): _FLOORED,
    ("lr_scheduler_kwargs", "warmup_lr_rate"): ("cosine_warmup_with_min_lr",),
    ("lr_scheduler_kwargs", "power"): ("polynomial",),
    ("lr_scheduler_kwargs", "lr_end"): ("polynomial",),
    ("lr_scheduler_kwargs", "timescale"): ("inverse_sqrt",),
    **{
        ("lr_scheduler_kwargs", name): ("warmup_stable_decay",)
        for name in ("num_decay_steps", "num_stable_steps", "warmup_type", "decay_type", "min_lr_ratio")
    },
    **{
        ("lr_scheduler_kwargs", name): ("one_cycle",)
        for name in (
            "pct_start",
            "anneal_strategy",
            "div_factor",
            "final_div_factor",
            "three_phase",
            "cycle_momentum",
            "base_momentum",
            "max_momentum",
        )
    },
}
_UNMOVED = "write `lr_scheduler_kwargs: {cycle_momentum: false}`"


def check_optimizer(document: Document) -> Iterator[Problem]:
    """The problems that the rules of optimizer and schedule find."""
    yield from _act_only_with(document, "optimizer", "adamw_torch_fused", _OPTIMIZERS)
    yield from _act_only_with(document, "lr_scheduler", "cosine", _SCHEDULES)
    for rule in (_warmup, _cosine, _rates, _one_cycle, _loraplus):
        yield from rule(document)


def _at(document: Document, path: KeyPath) -> Any:
    """What is written at `path`; None where nothing is."""
    value: Any = document.value
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _more(document: Document, name: str) -> Any:
    return _at(document, ("lr_scheduler_kwargs", name))


def _act_only_with(document: Document, chooser: str, default: str, readers: Mapping[KeyPath, tuple[str, ...]]) -> Iterator[Problem]:
    chosen = document.value.get(chooser) or default
    for path, names in readers.items():
        written = _at(document, path)
        if written is None or chosen in names or _asks_for_nothing(path, written):
            continue
        acting = " and ".join(f"`{chooser}: {name}`" for name in names) if len(names) < 4 else f"other values of `{chooser}`"
        hint = f"leave it out, or write one of {', '.join(names)}" if len(names) >= 4 else "leave it out"
        yield document.problem(path, f"`{dotted(path)}` acts only with {acting}", hint=hint, found=f"{chooser}: {chosen}")


def _asks_for_nothing(path: KeyPath, written: Any) -> bool:
    """Whether a value leaves everything as it is: the default, which a resolved file always holds, a floor of 0, or `false`.

    `cycle_momentum: false` does ask for something.
    """
    if len(path) == 1 and written == RunConfig.model_fields[str(path[0])].default:
        return True
    return (written is False and path[-1] != "cycle_momentum") or (path == ("cosine_min_lr_ratio",) and written == 0)


def _warmup(document: Document) -> Iterator[Problem]:
    for name in ("warmup_steps", "warmup_ratio"):
        if not document.value.get(name):
            continue
        if document.value.get("lr_scheduler") == "constant":
            yield document.problem(
                (name,), f"`{name}` does not act with `lr_scheduler: constant`", hint="write `lr_scheduler: constant_with_warmup`"
            )
        if _more(document, "pct_start") is not None:
            yield document.problem(
                ("lr_scheduler_kwargs", "pct_start"), f"`{name}` and `lr_scheduler_kwargs.pct_start` exclude each other", hint="keep one"
            )


def _cosine(document: Document) -> Iterator[Problem]:
    floor, constant = document.value.get("cosine_min_lr_ratio"), document.value.get("cosine_constant_lr_ratio")
    if constant and not floor:
        yield document.problem(
            ("cosine_constant_lr_ratio",),
            "`cosine_constant_lr_ratio` wants the floor at which the cosine stays",
            hint="write `cosine_min_lr_ratio: 0.1`",
        )
    if document.value.get("lr_quadratic_warmup") and floor:
        yield document.problem(
            ("lr_quadratic_warmup",), "`lr_quadratic_warmup` and `cosine_min_lr_ratio` exclude each other", hint="keep one of the two"
        )


def _rates(document: Document) -> Iterator[Problem]:
    """What a schedule cannot do without, and rates that must lie below the peak."""
    chosen, peak = document.value.get("lr_scheduler"), document.value.get("learning_rate")
    floors = [name for name in ("min_lr", "min_lr_rate") if _more(document, name) is not None]
    if chosen in _FLOORED and len(floors) != 1:
        yield document.problem(
            ("lr_scheduler",),
            f"`lr_scheduler: {chosen}` wants one floor",
            hint="write `lr_scheduler_kwargs: {min_lr_rate: 0.1}` or `{min_lr: 1e-6}`",
        )
    if chosen == "warmup_stable_decay" and _more(document, "num_decay_steps") is None:
        yield document.problem(
            ("lr_scheduler",),
            "`lr_scheduler: warmup_stable_decay` wants the number of steps in which the rate falls",
            hint="write `lr_scheduler_kwargs: {num_decay_steps: 100}`",
        )
    if not isinstance(peak, int | float):
        return
    for name, schedules, default in (("min_lr", _FLOORED, None), ("lr_end", ("polynomial",), 1e-7)):
        lowest = _more(document, name) if _more(document, name) is not None else default
        if chosen in schedules and isinstance(lowest, int | float) and lowest >= peak:
            path = ("lr_scheduler_kwargs", name)
            yield document.problem(path, f"`{dotted(path)}` is not below `learning_rate`", found=f"{lowest:g} and {peak:g}")


def _one_cycle(document: Document) -> Iterator[Problem]:
    """`one_cycle` moves the momentum, as in PyTorch, where it is not told otherwise."""
    if document.value.get("lr_scheduler") != "one_cycle":
        return
    if document.value.get("lr_div_factor") is not None and _more(document, "div_factor") is not None:
        yield document.problem(
            ("lr_div_factor",), "`lr_div_factor` and `lr_scheduler_kwargs.div_factor` are the same; both are written", hint="keep one"
        )
    if _more(document, "cycle_momentum") is False:
        for name in ("base_momentum", "max_momentum"):
            if _more(document, name) is not None:
                yield document.problem(
                    ("lr_scheduler_kwargs", name), f"`{name}` does not act with `cycle_momentum: false`", hint="keep one"
                )
        return
    if (chosen := document.value.get("optimizer")) in ("adafactor", "muon"):
        yield document.problem(
            ("optimizer",), f"`lr_scheduler: one_cycle` moves a momentum that `{chosen}` has not", hint=f"{_UNMOVED}, or another optimizer"
        )
    for path in (("adam_beta1",), ("optim_args", "momentum")):
        written = _at(document, path)
        if written is not None and not _asks_for_nothing(path, written):
            yield document.problem(path, f"`lr_scheduler: one_cycle` moves what `{dotted(path)}` sets", hint=f"leave it out, or {_UNMOVED}")


def _loraplus(document: Document) -> Iterator[Problem]:
    for name in ("loraplus_lr_ratio", "loraplus_lr_embedding"):
        if document.value.get(name) is None:
            continue
        if document.value.get("optimizer") == "muon":
            yield document.problem(
                (name,), f"`{name}` does not act with `optimizer: muon`, which sets each matrix's rate by its shape", hint="leave it out"
            )
        if not document.value.get("adapter"):
            yield document.problem((name,), f"`{name}` acts only with an adapter", hint="write `adapter: lora`, or leave it out")
    if document.value.get("loraplus_lr_embedding") is not None and document.value.get("loraplus_lr_ratio") is None:
        yield document.problem(
            ("loraplus_lr_embedding",), "`loraplus_lr_embedding` wants `loraplus_lr_ratio` beside it", hint="write `loraplus_lr_ratio: 16`"
        )
