"""An adapter on a base: a fresh one, or one to go on with."""

from __future__ import annotations

import warnings
from pathlib import Path

from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from luthier.config.keys.adapter import LoraSettings
from luthier.core.errors import ModelError, Problem
from luthier.model.adapters.files import ADAPTER_WEIGHTS
from luthier.model.adapters.layers import LoraLinear, register_layers
from luthier.model.adapters.start import first_weights
from luthier.model.adapters.targets import check_patterns, check_whole_modules, no_such_target, target_modules
from luthier.model.adapters.weights import adapter_weights, load_weights
from luthier.model.adapters.whole import hold_float32

_SHOWN_NAMES = 3


def add_lora(model: PreTrainedModel, settings: LoraSettings, seed: int) -> PeftModel:
    """`model` with a fresh adapter: its first factors come from `seed`, or from the base's weights, in float32.

    Beside it only the modules to save are trained; everything else is frozen. A target that names nothing in the model is a
    `ModelError` with the names that exist.
    """
    check_whole_modules(model, settings)
    targets = target_modules(model, settings)
    config = LoraConfig(
        r=settings.r,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets if isinstance(targets, str) else sorted(targets),
        modules_to_save=list(settings.modules_to_save) or None,
        rank_pattern=dict(settings.rank_pattern),
        alpha_pattern=dict(settings.alpha_pattern),
        use_rslora=settings.rslora,
        use_dora=settings.dora,
        ensure_weight_tying=settings.tied,
        bias="none",
        task_type="CAUSAL_LM",
    )
    register_layers(config)
    try:
        with warnings.catch_warnings():
            # peft asks transformers for a name that transformers has renamed; nobody who trains can mend it.
            warnings.simplefilter("ignore", FutureWarning)
            # That copies of tied weights part ways is said by the training stage, in the run's own words.
            warnings.filterwarnings("ignore", message=r"[\s\S]*tie_word_embeddings")
            adapted = get_peft_model(model, config, autocast_adapter_dtype=True)
    except ValueError as error:
        raise no_such_target(model, settings) from error
    layers = {name.removeprefix("base_model.model."): layer for name, layer in adapted.named_modules() if isinstance(layer, LoraLinear)}
    check_patterns(layers, settings)
    # peft takes it for the whole adapter and mends it for each layer as it goes.
    config.fan_in_fan_out = any(isinstance(layer.get_base_layer(), Conv1D) for layer in layers.values())
    hold_float32(adapted)
    first_weights(adapted, settings, seed)
    return adapted


def go_on(model: PreTrainedModel, settings: LoraSettings, folder: Path) -> PeftModel:
    """`model` with the adapter in `folder`, to be trained further.

    `settings` have to describe it; `ModelError` where they, or the base, do not fit its weights.
    """
    adapted = add_lora(model, settings, seed=0)
    try:
        weights = load_file(folder / ADAPTER_WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ModelError(Problem("the adapter to go on with cannot be read", where="lora_model_dir", found=str(error))) from error
    own = adapter_weights(adapted)
    if own.keys() != weights.keys():
        there, here = sorted(weights.keys() - own.keys()), sorted(own.keys() - weights.keys())
        told = [f"{where} {_few(names)}" for where, names in ((f"only in {folder}:", there), ("only by the run file:", here)) if names]
        hint = "leave the target keys out, or go on with an adapter of the same modules"
        raise ModelError(Problem("the adapter has other modules than the run file asks for", "lora_model_dir", "; ".join(told), hint=hint))
    for name, value in own.items():
        if value.shape != weights[name].shape:
            found = f"{name} is {tuple(weights[name].shape)} there, {tuple(value.shape)} here"
            raise ModelError(Problem("the adapter does not fit the base model or the run file", where="lora_model_dir", found=found))
    load_weights(adapted, weights)
    return adapted


def _few(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else "")
