"""What goes with what where several processes train: each way to hold the weights against what a run file can ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

_POINTERS = "bitsandbytes steps on whole tensors in memory, and FSDP2 holds parts of them: take `adamw_torch` or `adamw_torch_fused`"
_WHOLE_MATRICES = "it wants whole matrices for a step, and each process holds a part: take `adamw_torch` or `adamw_torch_fused`"
_WHOLE_VALUES = "it changes a weight where it lies whole, and each process holds a part: leave fsdp_version and fsdp_config out"
_FLAT = "it wants each weight's own moments, and DeepSpeed steps on flat pieces of all weights: take `adamw_torch` or `adamw_torch_fused`"
_FLAT_VALUES = "it puts rows back that a step has moved, and DeepSpeed steps on flat pieces of all weights: leave `deepspeed` out"
_STAGE_2 = "take stage 2, or leave `deepspeed` out"
_PARTS = f"it changes a weight where it lies whole, and each process holds a part: {_STAGE_2}"


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that a run file asks for with `key`, where its value begins with one of `values`.

    `sharded` says why it does not go under FSDP2, `zero` why not under any stage of ZeRO and `zero3` why not under stage 3 alone; empty
    where it does. Everything goes where each process holds the whole model (DDP). `example` are keys of a run file that ask for it.
    """

    name: str
    key: str
    values: tuple[str, ...]
    sharded: str = ""
    example: Mapping[str, Any] = field(default_factory=dict)
    zero: str = ""
    zero3: str = ""

    def refusal(self, way: Way) -> str:
        """Why it does not go with this way of `WAYS`; empty where it does."""
        return {"ddp": "", "fsdp": self.sharded, "zero12": self.zero, "zero3": self.zero or self.zero3}[way]

    def is_asked(self, written: Mapping[str, Any]) -> bool:
        """Whether these keys ask for it; values of a list or a mapping only have to be there."""
        value = written.get(self.key)
        if not self.values:
            return bool(value)
        return value is not None and str(value).lower().startswith(self.values)


FEATURES = (
    Feature("LoRA", "adapter", ("lora",), example={"adapter": "lora"}),
    Feature("QLoRA, a base in 4 bits", "load_in_4bit", ("true",), example={"adapter": "qlora", "load_in_4bit": True}),
    Feature("a base in 8 bits", "load_in_8bit", ("true",), "bitsandbytes' 8-bit layers keep weight and scales out of the parameter that is "
            "divided: take `load_in_4bit`, or leave fsdp_version and fsdp_config out", {"adapter": "lora", "load_in_8bit": True},
            zero3=f"bitsandbytes' 8-bit layers keep weight and scales out of the parameter that is divided: {_STAGE_2}"),
    Feature("DoRA", "peft_use_dora", ("true",), example={"adapter": "lora", "peft_use_dora": True}),
    Feature("rsLoRA", "peft_use_rslora", ("true",), example={"adapter": "lora", "peft_use_rslora": True}),
    Feature("LoRA+", "loraplus_lr_ratio", (), example={"adapter": "lora", "loraplus_lr_ratio": 4}),
    Feature("an adapter that starts from the base", "peft_init_lora_weights", ("pissa", "olora"),
            "its first factors lie whole in each process: write `gaussian`, or leave fsdp_version and fsdp_config out",
            {"adapter": "lora", "peft_init_lora_weights": "pissa"},
            zero3=f"its first factors lie whole in each process: write `gaussian`, or {_STAGE_2}"),
    Feature("whole modules beside an adapter", "lora_modules_to_save", (),
            example={"adapter": "lora", "lora_modules_to_save": ["lm_head"]}),
    Feature("whole modules that stay tied", "peft_ensure_weight_tying", ("true",), _WHOLE_VALUES,
            {"adapter": "lora", "lora_modules_to_save": ["embed_tokens"], "peft_ensure_weight_tying": True},
            zero3=_PARTS),
    Feature("all weights (without `adapter`)", "", (), example={}),
    Feature("a part of the weights", "unfrozen_parameters", (), _WHOLE_VALUES,
            {"unfrozen_parameters": [r"model.embed_tokens.weight[:200]"]}, zero=_FLAT_VALUES),
    Feature("bfloat16", "bf16", ("true",), example={"adapter": "lora", "bf16": True}),
    Feature("float16", "fp16", ("true",), "its scaled loss looks for overflow in whole gradients: write `bf16: true`",
            {"adapter": "lora", "fp16": True}, zero="its loss is scaled by the run, not by DeepSpeed: write `bf16: true`"),
    Feature("recomputed activations", "gradient_checkpointing", ("true",), example={"adapter": "lora", "gradient_checkpointing": True}),
    Feature("sample generations", "generate_samples", ("true",), example={"adapter": "lora", "generate_samples": True},
            zero3="DeepSpeed gathers a layer only while a batch of all processes passes it: leave them out, or take stage 2"),
    Feature("optimizers of PyTorch", "optimizer", ("adamw_torch_fused", "sgd", "rmsprop"),
            example={"adapter": "lora", "optimizer": "adamw_torch_fused"}),
    Feature("optimizers of bitsandbytes", "optimizer", ("adamw_torch_8bit", "adamw_bnb", "adamw_8bit", "paged", "lion"), _POINTERS,
            {"adapter": "lora", "optimizer": "adamw_8bit"}, zero=_FLAT),
    Feature("Adafactor", "optimizer", ("adafactor",), _WHOLE_MATRICES, {"adapter": "lora", "optimizer": "adafactor"}, zero=_FLAT),
    Feature("Muon", "optimizer", ("muon",), _WHOLE_MATRICES, {"adapter": "lora", "optimizer": "muon"}, zero=_FLAT),
)  # fmt: skip


Way = Literal["ddp", "fsdp", "zero12", "zero3"]
# Each way to hold the weights in several processes: its name in messages, and the heading of its column.
WAYS: Mapping[Way, tuple[str, str]] = {
    "ddp": ("each process holds the whole model (DDP)", "each process holds the whole model (DDP)"),
    "fsdp": ("weights that are divided over processes (FSDP2)", "weights are divided (FSDP2: `fsdp_version: 2`)"),
    "zero12": ("DeepSpeed's ZeRO-1 and 2", "optimizer state (ZeRO-1) and gradients (ZeRO-2) are divided (`deepspeed`)"),
    "zero3": ("weights that are divided over processes (ZeRO-3)", "weights are divided too (ZeRO-3: `deepspeed`)"),
}


def way_of(written: Mapping[str, Any]) -> Way:
    """The way of `WAYS` that these keys of a run file ask for; an empty `fsdp_config` asks for FSDP2."""
    if any(written.get(name) is not None for name in ("fsdp_version", "fsdp_config")):
        return "fsdp"
    file = written.get("deepspeed")
    section = file.get("zero_optimization") if isinstance(file, Mapping) else None
    if not isinstance(section, Mapping):
        return "ddp"
    return "zero3" if section.get("stage") == 3 else "zero12"
