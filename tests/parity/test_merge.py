"""The merged model answers as base and adapter do: in float32 within 1e-4, in bfloat16 within what rounding the weights costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

from luthier.config.keys.adapter import LoraSettings
from luthier.config.keys.base import BaseSettings, Quantization
from luthier.core.records import Plan
from luthier.export.merge import (
    MergeError,
    Tail,
    compare,
    hold,
    hold_weights,
    logits_of,
    merge,
    merged_digests,
    tolerance_for,
    write_merged,
)
from luthier.model.adapters.files import save_adapter
from luthier.model.adapters.make import add_lora
from luthier.model.locate import ModelLocation
from training_parts import KINDS, gpt2, kind, moved

ROWS = [[5, 17, 99, 3, 250, 8], [1, 2, 3], list(range(40, 90))]
TAIL = Tail((7, 9), 0)
FLOAT32 = Plan(device="cpu", device_name="", dtype="float32", threads=1)


def _base(folder: Path, tied: bool) -> ModelLocation:
    torch.manual_seed(3)
    config = Qwen2Config(
        vocab_size=300, hidden_size=64, intermediate_size=160, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=128, tie_word_embeddings=tied, initializer_range=0.08,
    )  # fmt: skip
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return ModelLocation("tiny", folder, "sha256:0")


def _trained(base: ModelLocation, folder: Path, settings: LoraSettings) -> Path:
    """An adapter as training writes it, off its first weights."""
    save_adapter(moved(add_lora(_load(base.path), settings, 1)), folder, "tiny")
    return folder


def _adapter(base: ModelLocation, folder: Path) -> Path:
    """An adapter whose B is not zero, so that it changes the answers clearly."""
    model = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32)
    settings = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(model, settings)
    torch.manual_seed(5)
    with torch.no_grad():
        for name, value in adapted.named_parameters():
            if ".lora_B." in name:
                value.normal_(std=0.05)
    adapted.save_pretrained(folder)
    return folder


def _settings(quantization: Quantization = "none") -> BaseSettings:
    return BaseSettings(base_model="tiny", revision=None, tokenizer=None, quantization=quantization, attention=None)


def _load(folder: Path) -> Qwen2ForCausalLM:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


@pytest.mark.parametrize("tied", [True, False])
def test_merged_float32_logits_are_the_adapters(tmp_path: Path, tied: bool) -> None:
    base = _base(tmp_path / "base", tied)
    adapter = _adapter(base, tmp_path / "adapter")
    expected = logits_of(PeftModel.from_pretrained(_load(base.path), adapter), ROWS)

    result = merge(base, adapter, tmp_path / "merged", _settings(), FLOAT32, ROWS, TAIL)

    stock = compare(logits_of(_load(tmp_path / "merged"), ROWS), expected)
    assert stock.maximum < 1e-4
    assert result["max_logit_difference"] < 1e-4
    assert result["rows"] == 3
    assert result["positions"] == sum(map(len, ROWS))
    assert result["adapter_effect"]["mean"] > 100 * result["mean"], "an adapter that changes nothing proves nothing"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_merge_in_two_bytes_is_within_its_stated_tolerance_and_below_the_adapters_effect(tmp_path: Path, dtype: str) -> None:
    base = _base(tmp_path / "base", tied=True)
    adapter = _adapter(base, tmp_path / "adapter")
    plan = Plan(device="cpu", device_name="", dtype=dtype, threads=1)

    result = merge(base, adapter, tmp_path / "merged", _settings(), plan, ROWS, TAIL)

    assert result["dtype"] == dtype
    assert result["check_dtype"] == "float32"
    assert 0 < result["mean"] < result["mean_tolerance"] / 2
    assert result["max_logit_difference"] < result["tolerance"] / 2
    assert result["adapter_effect"]["mean"] > 4 * result["mean"]
    assert _load(tmp_path / "merged").dtype == torch.float32
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["dtype"] == dtype


def test_a_4bit_base_is_merged_into_the_published_weights_and_the_difference_is_recorded(tmp_path: Path) -> None:
    base = _base(tmp_path / "base", tied=True)
    adapter = _adapter(base, tmp_path / "adapter")

    result = merge(base, adapter, tmp_path / "merged", _settings("nf4"), FLOAT32, ROWS, TAIL)

    assert result["dtype"] == "bfloat16"
    assert result["max_logit_difference"] < result["tolerance"]
    assert result["against_quantised"]["mean"] > result["mean"], "quantisation costs more than rounding, and must show"
    whole = compare(logits_of(_load(tmp_path / "merged"), ROWS), logits_of(PeftModel.from_pretrained(_load(base.path), adapter), ROWS))
    assert whole.mean == pytest.approx(result["mean"], rel=0.05)


def test_a_model_without_the_adapter_or_with_twice_its_strength_is_refused(tmp_path: Path) -> None:
    base = _base(tmp_path / "base", tied=True)
    adapter = _adapter(base, tmp_path / "adapter")
    expected = logits_of(PeftModel.from_pretrained(_load(base.path), adapter), ROWS)
    settings = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(settings | {"lora_alpha": 16}))
    doubled = logits_of(PeftModel.from_pretrained(_load(base.path), adapter), ROWS)

    for dtype in ("float32", "bfloat16", "float16"):
        tolerance = tolerance_for(dtype, "float32", expected)
        hold(compare(expected, expected), tolerance, dtype)
        for wrong in (doubled, logits_of(_load(base.path), ROWS)):
            with pytest.raises(MergeError, match="does not answer"):
                hold(compare(wrong, expected), tolerance, dtype)


def test_a_weight_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    base = _base(tmp_path / "base", tied=True)
    model = PeftModel.from_pretrained(_load(base.path), _adapter(base, tmp_path / "adapter"))
    with torch.no_grad():
        next(value for name, value in model.named_parameters() if ".lora_B." in name)[0, 0] = float("nan")

    with pytest.raises(MergeError, match="cannot be merged"):
        write_merged(model, tmp_path / "merged", torch.float32, TAIL)


def test_large_weights_are_written_in_shards_that_open_as_one(tmp_path: Path) -> None:
    base = _base(tmp_path / "base", tied=False)
    model = PeftModel.from_pretrained(_load(base.path), _adapter(base, tmp_path / "adapter"))
    expected = logits_of(model, ROWS)

    write_merged(model, tmp_path / "merged", torch.float32, TAIL, shard_bytes=200_000)

    index = json.loads((tmp_path / "merged" / "model.safetensors.index.json").read_text())
    shards = sorted(path.name for path in (tmp_path / "merged").glob("*.safetensors"))
    assert len(shards) > 1
    assert sorted(set(index["weight_map"].values())) == shards
    assert compare(logits_of(_load(tmp_path / "merged"), ROWS), expected).maximum < 1e-4


def test_the_merged_folder_names_its_end_and_no_place_on_this_machine(tmp_path: Path) -> None:
    base = _base(tmp_path / "base", tied=True)
    model = PeftModel.from_pretrained(_load(base.path), _adapter(base, tmp_path / "adapter"))
    model.get_base_model().generation_config.temperature = 0.4  # Beside greedy search: transformers itself refuses to save this.

    write_merged(model, tmp_path / "merged", torch.float32, TAIL)

    generation = json.loads((tmp_path / "merged" / "generation_config.json").read_text())
    assert generation["eos_token_id"] == [7, 9]
    assert generation["pad_token_id"] == 0
    assert generation["temperature"] == 0.4
    config = json.loads((tmp_path / "merged" / "config.json").read_text())
    assert config["use_cache"] is True
    assert not any(str(tmp_path) in path.read_text() for path in (tmp_path / "merged").glob("*.json"))
    assert not any("lora" in name for name in _load(tmp_path / "merged").state_dict())


def test_with_little_memory_weights_are_held_in_bfloat16_too(tmp_path: Path) -> None:
    """The adapter is float32 then and the base is not: base plus adapter is rounded where `peft` rounds it."""
    base = _base(tmp_path / "base", tied=True)
    adapter = _adapter(base, tmp_path / "adapter")
    plan = Plan(device="cpu", device_name="", dtype="bfloat16", threads=1, memory_bytes=1)
    result = merge(base, adapter, tmp_path / "merged", _settings(), plan, ROWS, TAIL)
    assert result["check_dtype"] == "bfloat16"
    assert result["equal_weights"] == result["adapted_weights"] > 0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_one_weight_that_was_left_out_is_refused(tmp_path: Path, dtype: str) -> None:
    """In bfloat16 the logits alone would let it pass."""
    base = _base(tmp_path / "base", tied=True)
    adapter = _adapter(base, tmp_path / "adapter")
    plan = Plan(device="cpu", device_name="", dtype=dtype, threads=1)
    result = merge(base, adapter, tmp_path / "merged", _settings(), plan, ROWS, TAIL)
    assert result["equal_weights"] == result["adapted_weights"] > 0

    wanted = merged_digests(PeftModel.from_pretrained(_load(base.path), adapter), getattr(torch, dtype))
    assert hold_weights(tmp_path / "merged", wanted) == len(wanted)
    file = tmp_path / "merged" / "model.safetensors"
    weights, left_out = load_file(file), sorted(wanted)[0]
    weights[left_out] = load_file(base.path / "model.safetensors")[left_out].to(getattr(torch, dtype))
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(MergeError, match=rf"1 of {len(wanted)} adapted weights .*{left_out}"):
        hold_weights(tmp_path / "merged", wanted)


@pytest.mark.filterwarnings("ignore:[\\s\\S]*(tie_word_embeddings|no longer tied)")
@pytest.mark.parametrize(("name", "tied"), [(name, tied) for name in KINDS for tied in (True, False) if tied or name != "whole_tied"])
def test_each_kind_of_adapter_is_merged_as_it_answers(tmp_path: Path, name: str, tied: bool) -> None:
    base = _base(tmp_path / "base", tied)
    adapter = _trained(base, tmp_path / "adapter", kind(name))
    expected = logits_of(PeftModel.from_pretrained(_load(base.path), adapter), ROWS)

    result = merge(base, adapter, tmp_path / "merged", _settings(), FLOAT32, ROWS, TAIL)

    assert compare(logits_of(_load(tmp_path / "merged"), ROWS), expected).maximum < result["tolerance"]
    assert result["adapter_effect"]["mean"] > 100 * result["mean"]
    # A head that stays tied is not written a second time.
    assert result["equal_weights"] == result["adapted_weights"] - (name == "whole_tied")
    parted = tied and name in ("whole", "whole_head", "whole_embeddings")
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["tie_word_embeddings"] is (tied and not parted)


@pytest.mark.parametrize("name", ["dora", "rslora", "whole"])
def test_each_kind_is_merged_into_bfloat16_and_beside_a_4bit_base(tmp_path: Path, name: str) -> None:
    base = _base(tmp_path / "base", tied=False)
    adapter = _trained(base, tmp_path / "adapter", kind(name))
    result = merge(base, adapter, tmp_path / "merged", _settings("nf4"), FLOAT32, ROWS, TAIL)
    assert result["dtype"] == "bfloat16"
    assert result["equal_weights"] == result["adapted_weights"] > 0
    assert result["against_quantised"]["mean"] > result["mean"]


@pytest.mark.parametrize("name", ["lora", "dora", "pissa"])
def test_turned_weights_of_gpt2_are_merged(tmp_path: Path, name: str) -> None:
    gpt2().save_pretrained(tmp_path / "base")
    base = ModelLocation("tiny", tmp_path / "base", "sha256:0")
    adapter = _trained(base, tmp_path / "adapter", kind(name))
    result = merge(base, adapter, tmp_path / "merged", _settings(), FLOAT32, ROWS, TAIL)
    assert result["equal_weights"] == result["adapted_weights"] == 8
    assert result["adapter_effect"]["mean"] > 100 * result["mean"]
