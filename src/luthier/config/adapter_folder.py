"""The adapter that a run goes on with: what its `adapter_config.json` says fills the keys that are not written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from luthier.config.yaml_file import Document
from luthier.core.errors import Problem
from luthier.core.files import read_json
from luthier.core.records import JsonObject

CONFIG = "adapter_config.json"
# Keys of a run file and what peft calls them (`PEFT_NAMES`: all of them). Which modules there are is compared name by name when the
# base is there.
_COMPARED = {
    "lora_r": "r",
    "lora_alpha": "lora_alpha",
    "lora_rank_pattern": "rank_pattern",
    "lora_alpha_pattern": "alpha_pattern",
    "peft_use_dora": "use_dora",
    "peft_use_rslora": "use_rslora",
    "peft_ensure_weight_tying": "ensure_weight_tying",
}
PEFT_NAMES = {**_COMPARED, "lora_dropout": "lora_dropout", "lora_modules_to_save": "modules_to_save"}
_TARGETS = ("lora_target_modules", "lora_target_linear")
# What peft knows and Luthier does not train.
_FOREIGN: tuple[str, ...] = (
    "layers_to_transform",
    "layers_pattern",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
    "exclude_modules",
)
_FOREIGN += ("alora_invocation_tokens", "lora_bias", "use_qalora", "use_bdlora", "arrow_config", "kasa_config", "velora_config")
# Starts that change the base's weights: an adapter that was saved so is none to the published base.
_CHANGED_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")


def read_config(folder: Any) -> JsonObject | None:
    """The `adapter_config.json` of a folder; None where there is none that can be read."""
    try:
        found = read_json(Path(folder) / CONFIG) if isinstance(folder, str) else None
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def fill_keys(document: Document) -> list[str]:
    """Writes what the adapter to go on with says into the keys that the run file leaves out; the notes say so."""
    folder = document.value.get("lora_model_dir")
    found = read_config(folder)
    if found is None:
        return []
    filled = {key: found[name] for key, name in PEFT_NAMES.items() if document.value.get(key) is None and found.get(name)}
    if not any(document.value.get(key) for key in _TARGETS) and found.get("target_modules"):
        filled["lora_target_modules"] = found["target_modules"]
    document.value |= filled
    shown = ", ".join(f"{key}: {value}" for key, value in filled.items())
    return [f"`lora_model_dir` says the rest of the adapter: {shown}"] if filled else []


def contradictions(document: Document) -> Iterator[Problem]:
    """Written keys that say other than the adapter to go on with, each with both values, and an adapter that cannot be gone on with."""
    folder = document.value.get("lora_model_dir")
    found = read_config(folder)
    if found is None:
        return
    path = f"{Path(str(folder)) / CONFIG}"
    for what in _not_trained(found):
        yield document.problem(("lora_model_dir",), "this adapter cannot be gone on with", hint=what, found=path)
    for key, name in _COMPARED.items():
        if key not in document.value:
            continue
        here, there = document.value[key], found.get(name) or type(document.value[key])()
        if here != there:
            yield document.problem(
                (key,),
                f"`{key}` contradicts the adapter to go on with",
                found=f"{here} here, {there} in {path}",
                hint=f"leave `{key}` out, or leave `lora_model_dir` out to start anew",
            )
    if document.value.get("peft_init_lora_weights", True) is not True:
        yield document.problem(
            ("peft_init_lora_weights",),
            "`peft_init_lora_weights` and `lora_model_dir` exclude each other",
            found=document.value["peft_init_lora_weights"],
            hint="an adapter to go on with has its weights; keep one of the two",
        )


def _not_trained(found: JsonObject) -> Iterator[str]:
    if found.get("peft_type") != "LORA":
        yield f"its peft_type is {found.get('peft_type')}, and LORA is trained"
    if found.get("bias", "none") != "none":
        yield f"it trains biases (bias: {found['bias']})"
    yield from (f"it was made with {name}, which Luthier does not train" for name in _FOREIGN if found.get(name))
    start = found.get("init_lora_weights")
    if isinstance(start, str) and start.startswith(_CHANGED_BASE):
        yield f"its base was changed by `{start}`: convert it to plain LoRA first (peft's path_initial_model_for_weight_conversion)"
