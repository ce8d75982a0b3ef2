"""What `engine: axolotl` can take of a run file: the keys that it is handed, and those that would not act there, told with their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from luthier.config.schema import RunConfig
from luthier.config.yaml_file import Document
from luthier.core.errors import Problem

# Handed over under the same name, as they are resolved.
HANDED = (
    "adapter", "lora_dropout", "lora_rank_pattern", "lora_alpha_pattern", "lora_modules_to_save", "lora_model_dir", "peft_use_dora",
    "peft_use_rslora", "peft_init_lora_weights", "peft_ensure_weight_tying", "load_in_4bit", "load_in_8bit", "loraplus_lr_ratio",
    "loraplus_lr_embedding", "optimizer", "optim_args", "adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay", "max_grad_norm",
    "learning_rate", "lr_scheduler", "lr_scheduler_kwargs", "cosine_min_lr_ratio", "cosine_constant_lr_ratio", "lr_quadratic_warmup",
    "warmup_ratio", "warmup_steps", "sequence_len", "sample_packing", "group_by_length", "pad_to_sequence_len", "neftune_noise_alpha",
    "curriculum_sampling", "num_epochs", "max_steps", "seed", "logging_steps", "eval_steps", "evals_per_epoch", "save_steps",
    "saves_per_epoch", "save_total_limit", "early_stopping_patience", "loss_watchdog_threshold", "loss_watchdog_patience",
    "gradient_checkpointing", "device_map",
)  # fmt: skip
# Handed over in another form: as a path, as what they come to, or as what the machine's plan says.
SPELT_OUT = (
    "base_model", "revision_of_model", "tokenizer_config", "lora_r", "lora_alpha", "lora_target_modules", "lora_target_linear",
    "attn_implementation", "micro_batch_size", "gradient_accumulation_steps", "batch_size", "eval_batch_size", "eval_sample_packing",
    "eval_strategy", "save_strategy", "load_best_model_at_end", "bf16", "fp16", "tf32",
)  # fmt: skip
# Luthier's part under either engine: rows and their tokens before, everything after, and what it sends to trackers.
OWN_PART = (
    "datasets", "test_datasets", "sources", "val_set_size", "dataset_exact_deduplication", "max_bad_rows", "clean", "augment",
    "data_formats", "split", "chat_template", "chat_template_jinja", "default_system_message", "eot_tokens", "train_on_inputs",
    "excess_length_strategy", "run_name", "output_dir", "engine", "axolotl", "endpoints", "serve", "guard", "evaluate", "export",
    "use_wandb", "wandb_project", "wandb_entity", "wandb_name", "wandb_run_id", "wandb_mode", "wandb_log_model", "use_tensorboard",
    "use_mlflow", "mlflow_tracking_uri", "mlflow_experiment_name", "mlflow_run_name", "hf_mlflow_log_artifacts",
)  # fmt: skip

_OUT = "leave it out, or train with `engine: luthier`"
_SAMPLES = ("num_generation_samples", "generation_max_new_tokens", "generation_temperature", "generation_top_p", "generation_top_k")


def _asks(value: Any) -> bool:
    return value not in (None, False, (), [])


def _always(value: Any) -> bool:
    return value is not None


# What does not act there: which values, why, and what to do.
REFUSED: Mapping[str, tuple[Callable[[Any], bool], str, str]] = {
    "unfrozen_parameters": (_asks, "trains an adapter alone", _OUT),
    "generate_samples": (_asks, "generates samples by a rhythm of its own, from training rows", _OUT),
    **dict.fromkeys((*_SAMPLES, "generation_do_sample", "generation_prompt_ratio"), (_always, "is not asked for samples", _OUT)),
    "loss_per_row": (_asks, "measures no single rows", _OUT),
    "deterministic": (_asks, "does not promise equal bytes", _OUT),
    "fsdp_version": (_asks, "is started as one process", _OUT),
    "fsdp_config": (_asks, "is started as one process", _OUT),
    "deepspeed": (_asks, "is started as one process", _OUT),
    "ddp_timeout": (_always, "is started as one process", _OUT),
    "lr_div_factor": (_asks, "reads the key nowhere", "write `lr_scheduler_kwargs: {div_factor: ...}`"),
}
# Values that Axolotl 0.19 does not take, of keys that it does.
_VALUES: Mapping[str, tuple[Callable[[Any], bool], str, str]] = {
    "micro_batch_size": (lambda value: value == "auto", "finds no batch size", "write a number"),
    "gradient_checkpointing": (lambda value: value == "auto", "finds no number of layers", "write true or false"),
    "save_strategy": (lambda value: value == "best", "saves the best only beside `load_best_model_at_end`", "write `save_steps` and that"),
    "peft_init_lora_weights": (
        lambda value: str(value).lower().startswith(("pissa", "olora")),
        "saves such an adapter for a base that it has changed, which nothing else could open",
        "take another start, or train with `engine: luthier`",
    ),
    "lora_alpha": (lambda value: isinstance(value, float) and not value.is_integer(), "takes whole numbers", "write a whole number"),
}


def check_engine(document: Document) -> Iterator[Problem]:
    """The problems of `engine: axolotl` with the other keys, and of its section without it."""
    if document.value.get("engine") != "axolotl":
        if document.value.get("axolotl"):
            yield document.problem(
                ("axolotl",), "the section `axolotl` acts only with `engine: axolotl`", hint="leave it out, or write that"
            )
        return
    if not document.value.get("axolotl"):
        hint = "write `axolotl: {python: /path/to/venv/bin/python}`, where Axolotl 0.19 is installed"
        yield document.problem(("engine",), "`engine: axolotl` wants the environment that has it", hint=hint)
    if not document.value.get("adapter"):
        what = "under `engine: axolotl` an adapter is trained, and `adapter` is not written"
        yield document.problem(("engine",), what, hint="write `adapter: lora`, or train with `engine: luthier`")
    for name, (is_asked, why, hint) in (*REFUSED.items(), *_VALUES.items()):
        value = document.value.get(name)
        # The resolved file of a run has every default.
        if value is not None and value != RunConfig.model_fields[name].default and is_asked(value):
            yield document.problem((name,), f"`{name}` does not act under `engine: axolotl`, which {why}", hint=hint, found=_shown(value))
    yield from _quantised(document)
    yield from _best(document)


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quantised(document: Document) -> Iterator[Problem]:
    if document.value.get("load_in_4bit") and document.value.get("adapter") == "lora":
        what = "Axolotl 0.19 quantises the base under `adapter: qlora` alone"
        yield document.problem(("load_in_4bit",), what, hint="write `adapter: qlora`, which is the same here")


def _best(document: Document) -> Iterator[Problem]:
    """The best checkpoint is known to Axolotl only where each checkpoint was evaluated."""
    evaluated, saved = document.value.get("eval_steps"), document.value.get("save_steps")
    divides = isinstance(evaluated, int | float) and isinstance(saved, int | float) and evaluated > 0 and saved % evaluated == 0 < saved
    for name in ("early_stopping_patience", "load_best_model_at_end"):
        if document.value.get(name) and not divides:
            what = f"`{name}` wants `eval_steps` and a multiple of it in `save_steps` under `engine: axolotl`"
            yield document.problem((name,), what, hint="write, for example, `eval_steps: 50` and `save_steps: 50`")
