"""Adapters on disk, as stock `peft` reads and writes them."""

from __future__ import annotations

import warnings
from pathlib import Path

from peft import PeftConfig, PeftModel
from safetensors.torch import save
from transformers import PreTrainedModel

from luthier.core.errors import ModelError, Problem
from luthier.core.files import write_bytes, write_json
from luthier.core.records import JsonObject
from luthier.model.adapters.layers import ADAPTER, register_layers
from luthier.model.adapters.start import doubled
from luthier.model.adapters.weights import adapter_weights, started_layers

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"


def load_adapter(model: PreTrainedModel | PeftModel, folder: Path, name: str = ADAPTER) -> PeftModel:
    """`model` with the adapter in `folder`, frozen, in peft's own layers; DoRA in Luthier's, for peft's make every weight anew for each
    token. A model that has adapters already gets one more, under `name`, which is not the active one."""
    if not (folder / ADAPTER_CONFIG).is_file():
        raise ModelError(Problem("no adapter here", found=str(folder), expected=f"{ADAPTER_CONFIG} and {ADAPTER_WEIGHTS}"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        # What a run does with tied weights is said when it trains; what peft says of turned weights it mends itself.
        warnings.filterwarnings("ignore", message=r"[\s\S]*(tie_word_embeddings|fan_in_fan_out)")
        config = PeftConfig.from_pretrained(str(folder))
        config.inference_mode = True
        if getattr(config, "use_dora", False):
            register_layers(config)
        if isinstance(model, PeftModel):
            model.add_adapter(name, config)
            model.load_adapter(str(folder), name, use_safetensors=True)
            return model
        return PeftModel.from_pretrained(model, str(folder), adapter_name=name, config=config, use_safetensors=True)


def save_adapter(model: PeftModel, folder: Path, base_name: str) -> None:
    """Writes `adapter_config.json` and `adapter_model.safetensors` as stock peft reads them; equal adapters give equal bytes."""
    save_adapter_config(model, folder, base_name)
    write_bytes(folder / ADAPTER_WEIGHTS, save(adapter_weights(model), metadata={"format": "pt"}))


def save_adapter_config(model: PeftModel, folder: Path, base_name: str) -> None:
    """Writes `adapter_config.json`. `base_name` is the base model as the user named it, a hub id or a folder."""
    config = {key: sorted(value) if isinstance(value, set) else value for key, value in model.peft_config[ADAPTER].to_dict().items()}
    config |= {"base_model_name_or_path": base_name, "inference_mode": True}
    if started_layers(model):
        config |= _doubled(config)
    write_json(folder / ADAPTER_CONFIG, dict(sorted(config.items())))


def _doubled(config: JsonObject) -> JsonObject:
    """Ranks and scales of an adapter that is written with twice its rank."""
    rslora = config["use_rslora"]
    rank, alpha = doubled(config["r"], config["lora_alpha"], rslora)
    ranks = {name: doubled(value, 0, rslora)[0] for name, value in config["rank_pattern"].items()}
    alphas = {name: doubled(0, value, rslora)[1] for name, value in config["alpha_pattern"].items()}
    return {"r": rank, "lora_alpha": alpha, "rank_pattern": ranks, "alpha_pattern": alphas}
