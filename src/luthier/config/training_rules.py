"""Rules between the keys of training: what excludes what, what wants what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from luthier.config.adapter_folder import contradictions
from luthier.config.deepspeed import check_deepspeed
from luthier.config.name_pattern import NamePattern
from luthier.config.optimizer_rules import check_optimizer
from luthier.config.strategy_table import FEATURES, WAYS, Way, way_of
from luthier.config.tracking_rules import check_tracking
from luthier.config.vllm_fit import unfit_keys
from luthier.config.yaml_file import Document, KeyPath, items_of
from luthier.core.errors import Problem


def check_training(document: Document) -> Iterator[Problem]:
    """The problems that the rules of training find."""
    for rule in _RULES:
        yield from rule(document)


def _exclude_each_other(document: Document) -> Iterator[Problem]:
    pairs = [
        ("eval_steps", "evals_per_epoch"),
        ("save_steps", "saves_per_epoch"),
        ("warmup_steps", "warmup_ratio"),
        ("batch_size", "gradient_accumulation_steps"),
        ("val_set_size", "test_datasets"),
        ("val_set_size", "split"),
    ]
    for first, second in pairs:
        if document.value.get(first) and document.value.get(second):
            yield document.problem(
                (second,),
                f"`{first}` and `{second}` exclude each other",
                hint=f"`{first}` stands in {document.place((first,)).text()}; keep one of the two",
            )


def _strategies(document: Document) -> Iterator[Problem]:
    for word in ("eval", "save"):
        strategy, steps = document.value.get(f"{word}_strategy"), document.value.get(f"{word}_steps")
        for name in (f"{word}_steps", f"{word}s_per_epoch"):
            if document.value.get(name) and strategy not in (None, "steps"):
                yield document.problem((name,), f"`{name}` acts only with `{word}_strategy: steps`", found=strategy)
        if isinstance(steps, float) and steps > 1 and not steps.is_integer():
            yield document.problem((f"{word}_steps",), f"`{word}_steps` is a share below 1 or a whole number of steps", found=steps)
        if strategy == "steps" and not steps and not document.value.get(f"{word}s_per_epoch"):
            yield document.problem(
                (f"{word}_strategy",), f"`{word}_strategy: steps` wants `{word}_steps`", hint=f"write `{word}_steps: 100`"
            )


def _held_out(document: Document) -> Iterator[Problem]:
    split = document.value.get("split")
    shares = split if isinstance(split, dict) else {}
    held_out = document.value.get("val_set_size") or document.value.get("test_datasets") or shares.get("validation")
    for name in ("eval_steps", "evals_per_epoch"):
        if document.value.get(name) and not held_out:
            yield document.problem(
                (name,),
                f"`{name}` is written, but no rows are held out",
                hint="write `val_set_size: 0.05` or `split: {validation: 0.05}`",
            )
    if document.value.get("eval_strategy") in ("steps", "epoch") and not held_out:
        yield document.problem(
            ("eval_strategy",), "`eval_strategy` is written, but no rows are held out", hint="write `val_set_size: 0.05`"
        )
    if document.value.get("save_strategy") == "best" and not held_out:
        yield document.problem(("save_strategy",), "`save_strategy: best` wants held-out rows", hint="write `val_set_size: 0.05`")
    for name in ("early_stopping_patience", "load_best_model_at_end", "loss_per_row", "generate_samples"):
        yield from _wants_held_out(document, name, bool(held_out))
    numbers = [share for share in (shares.get("validation", 0), shares.get("test", 0)) if isinstance(share, int | float)]
    if sum(numbers) >= 1:
        yield document.problem(
            ("split",), "`split` leaves no rows to train on", found=f"shares sum to {sum(numbers):g}", hint="keep the sum below 1"
        )
    if shares.get("validation") and document.value.get("test_datasets"):
        yield document.problem(
            ("split", "validation"), "`split.validation` and `test_datasets` exclude each other", hint="keep one of the two"
        )


def _wants_held_out(document: Document, name: str, held_out: bool) -> Iterator[Problem]:
    if not document.value.get(name):
        return
    if not held_out:
        yield document.problem((name,), f"`{name}` wants held-out rows", hint="write `val_set_size: 0.05`")
    for other, off in () if name == "loss_per_row" else (("eval_strategy", "no"), ("evals_per_epoch", 0)):
        if document.value.get(other) == off:
            what = f"`{name}` wants evaluations, and `{other}: {off}` stands in {document.place((other,)).text()}"
            yield document.problem((name,), what, hint=f"leave `{other}` out to evaluate after each epoch, or write `eval_steps: 100`")


def _watchdog(document: Document) -> Iterator[Problem]:
    if document.value.get("loss_watchdog_patience") and not document.value.get("loss_watchdog_threshold"):
        what = "`loss_watchdog_patience` acts only with `loss_watchdog_threshold`"
        hint = "write the threshold, about twice the loss of the first steps, or leave it out"
        yield document.problem(("loss_watchdog_patience",), what, hint=hint)


# What only says how samples are drawn.
_DRAWN = ("generation_temperature", "generation_top_p", "generation_top_k")
_OF_SAMPLES = ("num_generation_samples", "generation_max_new_tokens", "generation_do_sample", "generation_prompt_ratio", *_DRAWN)


def _samples(document: Document) -> Iterator[Problem]:
    if not document.value.get("generate_samples"):
        for name in _OF_SAMPLES:
            if document.value.get(name) is not None and (name,) in document.places:
                what = f"`{name}` acts only with `generate_samples: true`"
                yield document.problem((name,), what, hint="write it, or take the key out")
        return
    is_greedy = document.value.get("generation_do_sample") is False or document.value.get("generation_temperature") == 0
    for name in _DRAWN if is_greedy else ():
        if document.value.get(name):
            what = f"`{name}` does nothing where the likeliest token is taken"
            hint = "take it out, or take out `generation_do_sample: false` and `generation_temperature: 0`"
            yield document.problem((name,), what, hint=hint)


def _batches(document: Document) -> Iterator[Problem]:
    total, micro = document.value.get("batch_size"), document.value.get("micro_batch_size")
    if total is not None and micro is None:
        yield document.problem(("batch_size",), "`batch_size` wants `micro_batch_size` beside it", hint="write sequences of a forward pass")
    elif isinstance(total, int) and isinstance(micro, int) and micro > 0 and total % micro:
        yield document.problem(
            ("batch_size",),
            "`batch_size` is no multiple of `micro_batch_size`",
            found=f"{total} and {micro}",
            hint="choose a multiple",
        )
    if micro == "auto":
        yield from _auto_batch(document)
    for other, why in (
        ("sample_packing", "packs are filled from rows of any length"),
        ("curriculum_sampling", "rows keep the file's order"),
    ):
        if document.value.get("group_by_length") is True and document.value.get(other) is True:
            yield document.problem(
                ("group_by_length",), f"`group_by_length` does nothing under `{other}: true`: {why}", hint="keep one of the two"
            )


def _auto_batch(document: Document) -> Iterator[Problem]:
    """What fits into memory is found by the machine; what a step trains on is said by the file."""
    path: KeyPath = ("micro_batch_size",)
    if document.value.get("gradient_accumulation_steps") is not None:
        what = "`gradient_accumulation_steps` follows from `micro_batch_size: auto`, and cannot be written beside it"
        hint = "write the sequences of one step in its place: `batch_size: 16`"
        yield document.problem(("gradient_accumulation_steps",), what, hint=hint)
    elif document.value.get("batch_size") is None:
        what = "`micro_batch_size: auto` wants `batch_size`, the sequences of one step, which it divides"
        yield document.problem(path, what, found="auto", hint="write, for example, `batch_size: 16`")
    if document.value.get("deterministic") is True:
        what = "`deterministic: true` wants a number for `micro_batch_size`: what fits hangs on the free memory, and sums on the split"
        yield document.problem(path, what, found="auto", hint="`luthier plan` tells the size that fits; write it here")


def _precision(document: Document) -> Iterator[Problem]:
    # `bf16: auto` asks for nothing definite, and stands in every resolved file.
    if document.value.get("fp16") is True and document.value.get("bf16") is True:
        yield document.problem(
            ("fp16",), "`fp16` and `bf16` exclude each other", hint="write `bf16: false`, or leave `fp16` out where the GPU has bfloat16"
        )


def _adapter(document: Document) -> Iterator[Problem]:
    adapter = document.value.get("adapter")
    if adapter is None:
        yield from _no_adapter(document)
    if adapter == "qlora" and document.value.get("load_in_4bit") is not True:
        yield document.problem(("adapter",), "`adapter: qlora` wants `load_in_4bit: true`", hint="write it, or use `adapter: lora`")
    if document.value.get("load_in_4bit") is True and document.value.get("load_in_8bit") is True:
        yield document.problem(("load_in_8bit",), "`load_in_4bit` and `load_in_8bit` exclude each other", hint="keep one of the two")
    if document.value.get("load_in_8bit") is True and document.value.get("peft_use_dora") is True:
        what = "`peft_use_dora` does not run beside `load_in_8bit`"
        yield document.problem(("peft_use_dora",), what, hint="load the base in 4 bits (`load_in_4bit: true`) or whole")
    for index, pattern in enumerate(items_of(document.value.get("lora_target_modules"))):
        yield from _invalid_pattern(document, ("lora_target_modules", index), pattern)
    for name in ("lora_rank_pattern", "lora_alpha_pattern"):
        patterns = document.value.get(name)
        for pattern in patterns if isinstance(patterns, dict) else ():
            yield from _invalid_pattern(document, (name, str(pattern)), pattern)
    if document.value.get("peft_ensure_weight_tying") and not document.value.get("lora_modules_to_save"):
        what = "`peft_ensure_weight_tying` acts only with `lora_modules_to_save`"
        yield document.problem(("peft_ensure_weight_tying",), what, hint="name the embeddings there, or leave it out")


def _no_adapter(document: Document) -> Iterator[Problem]:
    """Without an adapter weights of the base are trained: they have to be whole, and what describes an adapter would do nothing."""
    for name in ("load_in_4bit", "load_in_8bit"):
        if document.value.get(name) is True:
            what = f"`{name}` does not go without `adapter`: quantised weights cannot be trained themselves"
            yield document.problem((name,), what, hint="write `adapter: lora`, or take it out to train the weights whole")
    for name, written in document.value.items():
        if name.startswith(("lora_", "peft_")) and (name,) in document.places and written not in (None, False):
            what = f"`{name}` does nothing without `adapter`: the weights of the base themselves are trained"
            yield document.problem((name,), what, found=str(written), hint="write `adapter: lora`, or take it out")
    section = document.value.get("evaluate")
    if isinstance(section, dict) and section.get("engine") == "vllm":
        what = "vLLM holds the base and its adapter; without `adapter` there are two whole models"
        yield document.problem(("evaluate", "engine"), what, found="vllm", hint="leave `evaluate.engine` out")


def _unfrozen(document: Document) -> Iterator[Problem]:
    patterns = items_of(document.value.get("unfrozen_parameters"))
    if patterns and document.value.get("adapter"):
        what = "`unfrozen_parameters` and `adapter` exclude each other"
        hint = "take one of them out; `lora_modules_to_save` trains whole modules beside an adapter"
        yield document.problem(("unfrozen_parameters",), what, found=str(document.value["adapter"]), hint=hint)
    for index, pattern in enumerate(patterns):
        try:
            NamePattern.parse(str(pattern))
        except ValueError as error:
            yield document.problem(("unfrozen_parameters", index), "this is no valid pattern", found=pattern, hint=str(error))


def _invalid_pattern(document: Document, path: KeyPath, pattern: Any) -> Iterator[Problem]:
    try:
        re.compile(str(pattern))
    except re.error as error:
        yield document.problem(path, "this is no valid pattern", found=pattern, hint=str(error))


# Starts that peft knows beside those that are trained here, and why not.
_OTHER_STARTS = {
    "loftq": "it wants the base quantised anew beside the adapter",
    "eva": "it wants a pass over the rows before the first step",
    "corda": "it wants a pass over the rows before the first step",
    "lora_ga": "it wants gradients before the first step",
    "orthogonal": "write `gaussian` or `true`",
    "mica": "its adapter has a frozen half",
}


def _first_weights(document: Document) -> Iterator[Problem]:
    start = document.value.get("peft_init_lora_weights")
    path: KeyPath = ("peft_init_lora_weights",)
    if not isinstance(start, str):
        return
    known = start.lower()
    if not re.fullmatch(r"gaussian|olora|pissa|pissa_niter_[1-9]\d{0,3}", known):
        reason = _OTHER_STARTS.get(known, "")
        what = f"`peft_init_lora_weights: {start}` is not in this version" if reason else "these first weights are not known"
        yield document.problem(
            path, what, found=start, hint=reason or "known are true, false, `gaussian`, `pissa`, `pissa_niter_16` and `olora`"
        )
    elif known != "gaussian" and (quantised := [name for name in ("load_in_4bit", "load_in_8bit") if document.value.get(name)]):
        yield document.problem(
            path,
            f"`peft_init_lora_weights: {start}` takes a part out of the base's weights, and a quantised base has none to take it from",
            found=f"{start} with {quantised[0]}: true",
            hint="write `peft_init_lora_weights: gaussian` or leave it out, or load the base whole",
        )


def _vllm(document: Document) -> Iterator[Problem]:
    """What vLLM would answer with otherwise than it was trained."""
    section = document.value.get("evaluate")
    if not isinstance(section, dict) or section.get("engine") != "vllm":
        return
    for name in unfit_keys(document.value):
        what = f"vLLM does not run a model with `{name}` as it was trained"
        yield document.problem(("evaluate", "engine"), what, found="vllm", hint="leave `evaluate.engine` out")


def _sharding(document: Document) -> Iterator[Problem]:
    """What does not go with how several processes hold the weights; the table says why."""
    way = way_of(document.value)
    if document.value.get("device_map") is not None:
        yield from _spreading(document, way)
    section = document.value.get("fsdp_config")
    if isinstance(section, dict) and "cpu_offload_pin_memory" in section and not section.get("offload_params"):
        what = "`fsdp_config.cpu_offload_pin_memory` acts only with `fsdp_config.offload_params: true`"
        yield document.problem(("fsdp_config", "cpu_offload_pin_memory"), what, hint="write it, or take the key out")
    if isinstance(section, dict) and section.get("cpu_ram_efficient_loading") and document.value.get("load_in_4bit"):
        what = "`fsdp_config.cpu_ram_efficient_loading` does not go with `load_in_4bit`: each process packs the base as it reads it"
        yield document.problem(("fsdp_config", "cpu_ram_efficient_loading"), what, hint="take it out: packed, the base is small")
    for feature in FEATURES:
        if (reason := feature.refusal(way)) and feature.is_asked(document.value):
            what = f"{feature.name}: not with {WAYS[way][0]}"
            yield document.problem((feature.key,), what, found=document.value[feature.key], hint=reason)


def _spreading(document: Document, way: Way) -> Iterator[Problem]:
    """What does not go where one process spreads the base over its GPUs."""
    if way != "ddp":
        what = f"`device_map` is for one process, and not for {WAYS[way][0]}"
        yield document.problem(("device_map",), what, hint="keep one of the two")
    for name in ("micro_batch_size", "gradient_checkpointing"):
        if document.value.get(name) == "auto":
            what = f"`{name}: auto` goes by the memory of one GPU, and `device_map` spreads the base over all"
            yield document.problem((name,), what, found="auto", hint="write what is to be taken")


_RULES: tuple[Callable[[Document], Iterator[Problem]], ...] = (
    _exclude_each_other,
    _strategies,
    _held_out,
    _watchdog,
    _samples,
    _batches,
    _precision,
    _adapter,
    _unfrozen,
    _first_weights,
    contradictions,
    _vllm,
    _sharding,
    check_deepspeed,
    check_optimizer,
    check_tracking,
)
