from __future__ import annotations

import pytest
import torch

from luthier.config.keys.adapter import LoraSettings
from luthier.core.errors import ModelError
from luthier.model.adapters.files import load_adapter, save_adapter
from luthier.model.adapters.layers import LoraLinear
from luthier.model.adapters.make import add_lora
from luthier.model.adapters.targets import target_modules
from luthier.model.adapters.weights import adapter_weights, load_weights, trainable
from training_parts import LORA, adapted, llama, qwen

ALL = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def named(*targets, all_linear=False):
    return LoraSettings(r=4, alpha=8, dropout=0.0, targets=targets, all_linear=all_linear)


@pytest.mark.parametrize("base", [qwen, llama])
def test_all_linear_is_every_layer_but_the_head(base):
    assert target_modules(base(), LORA) == ALL
    model = add_lora(base(), LORA, 0)
    adapted_layers = [name for name, module in model.named_modules() if isinstance(module, LoraLinear)]
    assert len(adapted_layers) == 14
    assert not any("lm_head" in name for name in adapted_layers)
    assert all(value.dtype == torch.float32 for _, value in trainable(model))
    assert all("lora_" in name for name, _ in trainable(model))


def test_targets():
    assert target_modules(qwen(), named("q_proj", "v_proj")) == {"q_proj", "v_proj"}
    assert target_modules(qwen(), named("layers.1.mlp.up_proj")) == {"model.layers.1.mlp.up_proj"}
    assert target_modules(llama(), named("lm_head", all_linear=True)) == ALL | {"lm_head"}
    assert target_modules(qwen(), named(r".*layers\.0\..*_proj")) == r".*layers\.0\..*_proj"
    assert len(trainable(add_lora(qwen(), named(r".*layers\.0\..*_proj"), 0))) == 14


@pytest.mark.parametrize("target", ["q_prj", r".*nothing\d+"])
def test_a_target_that_names_nothing(target):
    with pytest.raises(ModelError, match=r"lora_target_modules(.|\n)*q_proj"):
        add_lora(qwen(), named(target), 0)


def test_weights_go_out_and_in(tmp_path):
    model = adapted(qwen())
    weights = {name: value.clone() for name, value in adapter_weights(model).items()}
    assert all(name.endswith((".lora_A.weight", ".lora_B.weight")) for name in weights)
    fresh = add_lora(qwen(), LORA, 0)
    load_weights(fresh, weights)
    assert all(torch.equal(value, weights[name]) for name, value in adapter_weights(fresh).items())
    with pytest.raises(ModelError, match="not this run's"):
        load_weights(add_lora(qwen(), named("q_proj"), 0), weights)
    save_adapter(model, tmp_path, "tiny")
    loaded = load_adapter(qwen(), tmp_path)
    ids = torch.tensor([[3, 4, 5]])
    torch.testing.assert_close(loaded(input_ids=ids).logits, model(input_ids=ids).logits)


def test_no_adapter_there(tmp_path):
    with pytest.raises(ModelError, match="no adapter here"):
        load_adapter(qwen(), tmp_path)


def test_switched_off_it_is_the_base():
    model = adapted(qwen())
    ids = torch.tensor([[3, 4, 5]])
    with model.disable_adapter():
        off = model(input_ids=ids).logits
    assert torch.equal(off, qwen()(input_ids=ids).logits)
    assert not torch.equal(off, model(input_ids=ids).logits)
