"""Rules between the keys of training: what excludes what, what wants what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from luthier.config.optimizer_rules import check_optimizer
from luthier.config.yaml_file import Document, items_of
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
    numbers = [share for share in (shares.get("validation", 0), shares.get("test", 0)) if isinstance(share, int | float)]
    if sum(numbers) >= 1:
        yield document.problem(
            ("split",), "`split` leaves no rows to train on", found=f"shares sum to {sum(numbers):g}", hint="keep the sum below 1"
        )
    if shares.get("validation") and document.value.get("test_datasets"):
        yield document.problem(
            ("split", "validation"), "`split.validation` and `test_datasets` exclude each other", hint="keep one of the two"
        )


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


def _precision(document: Document) -> Iterator[Problem]:
    # `bf16: auto` asks for nothing definite, and stands in every resolved file.
    if document.value.get("fp16") is True and document.value.get("bf16") is True:
        yield document.problem(
            ("fp16",), "`fp16` and `bf16` exclude each other", hint="write `bf16: false`, or leave `fp16` out where the GPU has bfloat16"
        )


def _adapter(document: Document) -> Iterator[Problem]:
    adapter = document.value.get("adapter")
    if adapter == "qlora" and document.value.get("load_in_4bit") is not True:
        yield document.problem(("adapter",), "`adapter: qlora` wants `load_in_4bit: true`", hint="write it, or use `adapter: lora`")
    if not adapter:
        yield Problem(
            "`adapter` is missing; training all weights is not in this version yet",
            where=document.place(()).file,
            hint="write `adapter: lora`",
        )
    for index, pattern in enumerate(items_of(document.value.get("lora_target_modules"))):
        try:
            re.compile(str(pattern))
        except re.error as error:
            yield document.problem(("lora_target_modules", index), "this is no valid pattern", found=pattern, hint=str(error))


_RULES: tuple[Callable[[Document], Iterator[Problem]], ...] = (
    _exclude_each_other,
    _strategies,
    _held_out,
    _batches,
    _precision,
    _adapter,
    check_optimizer,
)
