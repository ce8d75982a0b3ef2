"""The target `merged`: one model without an adapter, held to the logits of base and adapter after it was read back from disk.

The adapter is always merged into the base's published weights. With a quantised base these are not the weights that training saw; the
difference that this makes is measured and recorded, never hidden.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from peft.utils import ModulesToSaveWrapper
from safetensors import SafetensorError, safe_open
from transformers import AutoTokenizer, PreTrainedModel

from luthier.config.keys.base import BaseSettings
from luthier.core.errors import LuthierError
from luthier.core.files import sha256_bytes, sha256_file
from luthier.core.records import JsonObject, Plan
from luthier.core.weight_files import read_header
from luthier.model import device
from luthier.model.adapters.files import load_adapter
from luthier.model.base import load_base, set_training
from luthier.model.locate import ModelLocation
from luthier.model.tokenizer import TextTokenizer
from luthier.model.weights.saving import SHARD_BYTES, Tail, save_model

# Share of the memory that one copy of the weights may take when both sides of the check are computed in float32: beside it lie
# the kept logits, activations and the tensors that are being written.
_FLOAT32_SHARE = 0.7


class MergeError(LuthierError):
    """The merged model does not answer as base and adapter do; nothing was exported."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """The largest and the mean absolute difference between two sets of logits that still count as the same model, and why."""

    maximum: float
    mean: float
    reason: str


@dataclass(frozen=True, slots=True)
class LogitDifference:
    """How far apart two models' logits are over `positions` tokens of `rows` rows; `same_token` is the share of equal top tokens."""

    maximum: float
    mean: float
    same_token: float
    rows: int
    positions: int

    def to_json(self) -> JsonObject:
        """The difference as stored in `export/summary.json`."""
        return {
            "max_logit_difference": self.maximum,
            "mean": self.mean,
            "same_token": self.same_token,
            "rows": self.rows,
            "positions": self.positions,
        }


def merge(
    location: ModelLocation,
    adapter: Path,
    target: Path,
    settings: BaseSettings,
    plan: Plan,
    rows: Sequence[Sequence[int]],
    tail: Tail,
) -> JsonObject:
    """Writes the merged model to the folder `target` and returns its entry of `export/summary.json`.

    Both sides answer `rows` (token ids) before and after; `MergeError` where they differ by more than the tolerance. The caller
    removes `target` then.
    """
    whole = replace(settings, quantization="none", attention="sdpa")
    dtype = "bfloat16" if settings.quantization != "none" else plan.dtype
    check_dtype = _check_dtype(location.path, plan, dtype)
    # TF32 keeps 10 bits of each factor; a check in float32 wants them all.
    check_plan = replace(plan, dtype=check_dtype, tf32=False)
    device.apply(check_plan)

    model = _adapted(location, adapter, whole, check_plan)
    expected = logits_of(model, rows)
    with model.disable_adapter():
        effect = compare(logits_of(model, rows), expected)
    wanted = merged_digests(model, device.torch_dtype(replace(plan, dtype=dtype)))
    write_merged(model, target, device.torch_dtype(replace(plan, dtype=dtype)), tail)
    del model
    _free()
    held = hold_weights(target, wanted)

    merged = _placed(load_base(ModelLocation(target.name, target, ""), whole, check_plan), check_plan)
    found = logits_of(merged, rows)
    del merged
    _free()
    difference = compare(found, expected)
    tolerance = tolerance_for(dtype, check_dtype, expected)
    hold(difference, tolerance, dtype)

    result: JsonObject = {
        **difference.to_json(),
        "adapted_weights": len(wanted),
        "equal_weights": held,
        "tolerance": tolerance.maximum,
        "mean_tolerance": tolerance.mean,
        "tolerance_reason": tolerance.reason,
        "dtype": dtype,
        "check_dtype": check_dtype,
        "adapter_effect": {"max_logit_difference": effect.maximum, "mean": effect.mean, "same_token": effect.same_token},
        "merged_into": "the base's published weights" if settings.quantization != "none" else "the base's weights",
    }
    if settings.quantization != "none":
        device.apply(plan)
        quantised = _adapted(location, adapter, replace(settings, attention="sdpa"), plan)
        result["against_quantised"] = compare(found, logits_of(quantised, rows)).to_json()
        del quantised
        _free()
    files = sorted(target.glob("*.safetensors"))
    return result | {"bytes": sum(file.stat().st_size for file in files), "sha256": {file.name: sha256_file(file) for file in files}}


def merged_digests(model: PeftModel, dtype: torch.dtype) -> dict[str, str]:
    """Name and SHA-256 of every adapted weight as base plus adapter make it, computed in the model's number format and stored in `dtype`,
    and of every weight that was trained whole.

    Logits in bfloat16 would not show that one module was left out: its part is of the size of rounding. The bytes show it.
    """
    found = {}
    for name, layer in model.get_base_model().named_modules():
        if isinstance(layer, LoraLayer):
            found[f"{name}.weight"] = _digest(_adapted_weight(layer).to(dtype))
        elif isinstance(layer, ModulesToSaveWrapper):
            for part, value in layer.modules_to_save[layer.active_adapters[0]].named_parameters():
                found[f"{name}.{part}"] = _digest(value.to(dtype))
    return found


def _adapted_weight(layer: LoraLayer) -> torch.Tensor:
    """The layer's weight with its adapters in it; with DoRA each output's row has the size `m` that was trained.

    DoRA (arXiv 2402.09353), formula 5: `m (W + s B A) / |W + s B A|`. `Conv1D` keeps its outputs in columns.
    """
    weight = layer.get_base_layer().weight.data.clone()
    for adapter in layer.active_adapters:
        delta = layer.get_delta_weight(adapter)
        if not layer.use_dora.get(adapter, False):
            weight += delta.to(weight.dtype)
            continue
        dtype, joined, outputs = weight.dtype, weight + delta, 0 if layer.fan_in_fan_out else 1
        size = torch.linalg.norm(joined, dim=outputs).to(joined.dtype)
        share = layer.lora_magnitude_vector[adapter].weight.data / size
        weight = (share.unsqueeze(outputs) * joined).to(dtype)
    return weight


def hold_weights(target: Path, wanted: dict[str, str]) -> int:
    """How many weights in `target` are, byte for byte, what `merged_digests` foretold; `MergeError` where one is not.

    A weight that the family stores under another name is not among them: the logits alone speak for it.
    """
    held, wrong = 0, []
    for file in sorted(target.glob("*.safetensors")):
        with safe_open(file, framework="pt") as stream:
            for name in sorted(wanted.keys() & set(stream.keys())):
                if _digest(stream.get_tensor(name)) == wanted[name]:
                    held += 1
                else:
                    wrong.append(name)
    if wrong:
        names = ", ".join(wrong[:4]) + (f" and {len(wrong) - 4} more" if len(wrong) > 4 else "")
        raise MergeError(
            f"the merged model was not kept: {len(wrong)} of {len(wanted)} adapted weights are not base plus adapter ({names})"
        )
    return held


def _digest(weight: torch.Tensor) -> str:
    return sha256_bytes(weight.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())


def write_merged(model: PeftModel, target: Path, dtype: torch.dtype, tail: Tail, shard_bytes: int = SHARD_BYTES) -> None:
    """Merges the adapter into `model`, which is used up, and writes weights, `config.json` and `generation_config.json` to `target`.

    Weights over `shard_bytes` are written as several files with `model.safetensors.index.json`. A merge that makes a weight
    non-finite is a `MergeError`.
    """
    try:
        with warnings.catch_warnings():
            # Trained whole, one of the two parts from the other; training has said so, and the configuration then says it too.
            warnings.filterwarnings("ignore", message="Input and output embeddings are no longer tied")
            merged: PreTrainedModel = model.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise MergeError(f"the adapter cannot be merged: {error}") from error
    try:
        save_model(merged, target, dtype, tail, shard_bytes)
    except SafetensorError as error:  # Its own kind, for a full disk too.
        raise MergeError(f"the merged weights cannot be written to {target.parent}: {error}") from error


@torch.inference_mode()
def logits_of(model: torch.nn.Module, rows: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    """For each row its logits [tokens, vocabulary] in float32 on the CPU. Rows are asked one by one, so padding cannot matter."""
    set_training(model, False)
    place = next(model.parameters()).device
    return [model(input_ids=torch.tensor([list(row)], device=place), use_cache=False).logits[0].float().cpu() for row in rows]


def compare(found: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> LogitDifference:
    """The difference between two lists of logits of the same rows; a non-finite logit is a `MergeError`."""
    largest, total, elements, same, positions = 0.0, 0.0, 0, 0, 0
    for one, other in zip(found, expected, strict=True):
        gap = (one - other).abs()
        if not bool(torch.isfinite(gap).all()):
            raise MergeError("a logit is not finite; the adapter or the base holds a broken weight")
        largest = max(largest, gap.max().item())
        total += gap.sum(dtype=torch.float64).item()
        elements += gap.numel()
        same += int((one.argmax(-1) == other.argmax(-1)).sum())
        positions += one.shape[0]
    return LogitDifference(largest, total / elements, same / positions, len(found), positions)


def tolerance_for(dtype: str, check_dtype: str, expected: Sequence[torch.Tensor]) -> Tolerance:
    """What a merge into `dtype` may change when both sides are computed in `check_dtype`, on the scale of the `expected` logits.

    float32: Wx + BAx and (W + BA)x are one sum in two orders; each product is off by at most 2^-24 of itself, and the layers
    add this up. bfloat16 keeps 8 bits: a merged weight is off by up to 2^-9 of itself, so every layer adds about 0.1 % noise
    that no order of work can avoid; the limits are shares of the logits' spread (their standard deviation). Measured on Qwen2 shapes
    with random weights, 3 to 28 layers: 0.4 to 0.8 % of the spread in the mean and 2 to 5 % at most, in bfloat16 arithmetic 1 to 2 %
    and 6 to 15 %. The limits leave room for the outliers of trained models; what was measured is stored beside them. float16 keeps
    two bits more, so its noise and its limits are a quarter of these.
    """
    if dtype == "float32":
        largest = max(1.0, *(row.abs().max().item() for row in expected))
        return Tolerance(
            1e-4 * largest, 1e-5 * largest, "float32: the same sums in another order; 1e-4 of the largest logit, at least 1e-4"
        )
    finer, power = (4, -11) if dtype == "float16" else (1, -9)
    spread = torch.cat([row.flatten() for row in expected]).std().item()
    if check_dtype == "float32":
        return Tolerance(
            spread / (2 * finer),
            spread / (16 * finer),
            f"{dtype} weights: each is rounded by up to 2^{power}; 1 / {2 * finer} of the logits' spread, 1 / {16 * finer} in the mean",
        )
    return Tolerance(
        spread / finer,
        spread / (8 * finer),
        f"{dtype} weights and arithmetic (too little memory for float32): 1 / {finer} of the logits' spread, 1 / {8 * finer} in the mean",
    )


def hold(difference: LogitDifference, tolerance: Tolerance, dtype: str) -> None:
    """Raises `MergeError` where `difference` exceeds `tolerance`."""
    if difference.maximum > tolerance.maximum or difference.mean > tolerance.mean:
        raise MergeError(
            f"the merged model ({dtype}) does not answer as base and adapter do, so it was not kept: logits differ by up to "
            f"{difference.maximum:.3g} (allowed {tolerance.maximum:.3g}), {difference.mean:.3g} in the mean (allowed {tolerance.mean:.3g})"
        )


def opened_otherwise(folder: Path, texts: Sequence[str]) -> str:
    """The class with which `AutoTokenizer` opens `folder`, where it makes other tokens of `texts` than `tokenizer.json` does; else empty.

    transformers 5 takes its own class for some model types whatever the folder names, and with it another splitting of text.
    """
    stock = AutoTokenizer.from_pretrained(folder)
    own = TextTokenizer.from_folder(folder)
    agree = all(stock(text, add_special_tokens=False)["input_ids"] == own.encode(text) for text in texts)
    return "" if agree else type(stock).__name__


def _check_dtype(base: Path, plan: Plan, dtype: str) -> str:
    """float32 where one copy of the weights fits the plan's memory, else the merged model's own number format."""
    parameters = sum(entry.elements for file in base.glob("*.safetensors") for entry in read_header(file).values())
    fits = plan.memory_bytes == 0 or parameters * 4 <= plan.memory_bytes * _FLOAT32_SHARE
    return "float32" if fits else dtype


def _adapted(location: ModelLocation, adapter: Path, settings: BaseSettings, plan: Plan) -> PeftModel:
    base = load_base(location, settings, plan)
    return load_adapter(base if settings.quantization != "none" else _placed(base, plan), adapter)


def _placed(model: PreTrainedModel, plan: Plan) -> PreTrainedModel:
    """The model on the plan's device and wholly in its number format, so that both sides of the check are computed alike."""
    return model.to(device=plan.device, dtype=device.torch_dtype(plan))


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
