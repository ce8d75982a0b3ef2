from __future__ import annotations

import copy
from dataclasses import replace

import bitsandbytes
import pytest
import torch
from transformers.optimization import Adafactor

from luthier.config.keys.optimizer import OptimizerArguments
from luthier.core.errors import ModelError
from luthier.train.step.optim import Several, load_optimizer_state, make_optimizer, optimizer_state, set_learning_rate
from training_parts import OPTIMIZER

ADAMW = ["adamw_torch", "adamw_torch_fused", "adamw_torch_8bit", "adamw_bnb_8bit", "adamw_8bit"]
BETAS = {"betas": (0.8, 0.95)}
EPSILON = {**BETAS, "eps": 1e-6}
ARGUMENTS = {
    "sgd": OptimizerArguments(momentum=0.9, nesterov=True),
    "rmsprop": OptimizerArguments(momentum=0.5, alpha=0.9, eps=1e-6, centered=True),
}
# Each name, and the library's optimizer that it stands for.
PLAIN = {
    "adamw_torch": lambda groups: torch.optim.AdamW(groups, **EPSILON),
    "adamw_torch_fused": lambda groups: torch.optim.AdamW(groups, **EPSILON, fused=True),
    "adamw_torch_8bit": lambda groups: bitsandbytes.optim.AdamW8bit(groups, **EPSILON),
    "adamw_bnb_8bit": lambda groups: bitsandbytes.optim.AdamW8bit(groups, **EPSILON),
    "adamw_8bit": lambda groups: bitsandbytes.optim.AdamW8bit(groups, **EPSILON),
    "paged_adamw": lambda groups: bitsandbytes.optim.AdamW32bit(groups, **EPSILON),
    "paged_adamw_32bit": lambda groups: bitsandbytes.optim.AdamW32bit(groups, **EPSILON),
    "paged_adamw_8bit": lambda groups: bitsandbytes.optim.AdamW8bit(groups, **EPSILON),
    "lion": lambda groups: bitsandbytes.optim.Lion32bit(groups, **BETAS),
    "lion_32bit": lambda groups: bitsandbytes.optim.Lion32bit(groups, **BETAS),
    "lion_8bit": lambda groups: bitsandbytes.optim.Lion8bit(groups, **BETAS),
    "paged_lion_32bit": lambda groups: bitsandbytes.optim.Lion32bit(groups, **BETAS),
    "paged_lion_8bit": lambda groups: bitsandbytes.optim.Lion8bit(groups, **BETAS),
    "adafactor": lambda groups: Adafactor(groups, scale_parameter=False, relative_step=False),
    "sgd": lambda groups: torch.optim.SGD(groups, momentum=0.9, nesterov=True),
    "rmsprop": lambda groups: torch.optim.RMSprop(groups, momentum=0.5, alpha=0.9, eps=1e-6, centered=True),
}
NAMES = [*PLAIN, "muon"]


class Parts(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.wide = torch.nn.Parameter(torch.randn(64, 128))
        self.small = torch.nn.Parameter(torch.randn(16, 8))
        self.bias = torch.nn.Parameter(torch.randn(16))


def walk(model, optimizer, steps, start=0):
    for step in range(start, start + steps):
        for number, value in enumerate(model.parameters()):
            value.grad = torch.sin(torch.arange(value.numel()).reshape(value.shape) * 0.1 + step + number)
        set_learning_rate(optimizer, 1e-2 / (1 + step))
        optimizer.step()


def settings_of(name, **changes):
    arguments = ARGUMENTS.get(name, OptimizerArguments())
    return replace(
        OPTIMIZER, **{"name": name, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "weight_decay": 0.1, "arguments": arguments, **changes}
    )


def plain_groups(model):
    return [
        {"params": [model.wide, model.small], "lr": 1e-2, "weight_decay": 0.1},
        {"params": [model.bias], "lr": 1e-2, "weight_decay": 0.0},
    ]


@pytest.mark.parametrize("name", PLAIN)
def test_twenty_steps_are_those_of_the_library(name):
    model, reference = Parts(), Parts()
    walk(model, make_optimizer(model, settings_of(name)), 20)
    walk(reference, PLAIN[name](plain_groups(reference)), 20)
    for (key, value), other in zip(model.named_parameters(), reference.parameters(), strict=True):
        assert torch.equal(value, other), key


@pytest.mark.parametrize("adjust", [None, "rms_norm", "spectral_norm"])
def test_muon_steps_matrices_and_adamw_the_rest(adjust):
    """Without a word the rate is Axolotl's in one process, 0.2 sqrt(max(m, n)).

    sqrt(m / n) is PyTorch's own where m > n; where m < n it is set by hand here, with the decay of the whole rate.
    """
    model, reference = Parts(), Parts()
    optimizer = make_optimizer(model, settings_of("muon", arguments=OptimizerArguments(adjust_lr=adjust, mu=0.9)))
    assert isinstance(optimizer, Several)
    walk(model, optimizer, 20)
    factor = None if adjust == "spectral_norm" else "match_rms_adamw"
    rest = torch.optim.AdamW([reference.bias], lr=1e-2, **EPSILON, weight_decay=0.0)
    tall = torch.optim.Muon([reference.small], lr=1e-2, weight_decay=0.1, momentum=0.9, adjust_lr_fn=factor)
    wide = torch.optim.Muon([reference.wide], lr=1e-2, weight_decay=0.0, momentum=0.9, adjust_lr_fn=factor)
    share = (64 / 128) ** 0.5 if adjust == "spectral_norm" else 1.0
    for step in range(20):
        rate = 1e-2 / (1 + step)
        for number, value in enumerate(reference.parameters()):
            value.grad = torch.sin(torch.arange(value.numel()).reshape(value.shape) * 0.1 + step + number)
        with torch.no_grad():
            reference.wide.mul_(1 - rate * 0.1)
        for part in (rest, tall, wide):
            part.param_groups[0]["lr"] = rate * (share if part is wide else 1.0)
            part.step()
    torch.testing.assert_close(model.bias, reference.bias, rtol=0, atol=0)
    torch.testing.assert_close(model.small, reference.small, rtol=0, atol=0)
    torch.testing.assert_close(model.wide, reference.wide, rtol=1e-6, atol=1e-7)


def test_muon_leaves_embeddings_and_heads_to_adamw_without_decay():
    model = torch.nn.Module()
    model.embed_tokens, model.lm_head, model.proj = torch.nn.Embedding(8, 4), torch.nn.Linear(4, 8), torch.nn.Linear(4, 4, bias=False)
    groups = make_optimizer(model, settings_of("muon")).param_groups
    muon = [value for group in groups if "ns_steps" in group for value in group["params"]]
    assert [id(value) for value in muon] == [id(model.proj.weight)]
    assert [group["weight_decay"] for group in groups if "ns_steps" not in group] == [0.0]


def test_without_anything_for_adamw_muon_is_alone():
    assert type(make_optimizer(torch.nn.Linear(4, 4, bias=False), settings_of("muon"))) is torch.optim.Muon


@pytest.mark.parametrize("name", NAMES)
def test_state_goes_out_and_back_to_the_bit(name):
    settings = settings_of(name)
    model = Parts()
    optimizer = make_optimizer(model, settings)
    walk(model, optimizer, 3)
    tensors, numbers = optimizer_state(optimizer, model)
    assert ("8bit" in name) == (tensors.get("wide/state1", torch.zeros(1)).dtype == torch.uint8)
    other = Parts()
    other.load_state_dict(model.state_dict())
    resumed = make_optimizer(other, settings)
    load_optimizer_state(resumed, other, {key: value.clone() for key, value in tensors.items()}, numbers)
    walk(model, optimizer, 3, 3)
    walk(other, resumed, 3, 3)
    for value, twin in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(value, twin)


def test_several_optimizers_take_back_their_own_state_dict():
    model, other = Parts(), Parts()
    optimizer, resumed = make_optimizer(model, settings_of("muon")), make_optimizer(other, settings_of("muon"))
    walk(model, optimizer, 3)
    other.load_state_dict(model.state_dict())
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    walk(model, optimizer, 3, 3)
    walk(other, resumed, 3, 3)
    for value, twin in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(value, twin)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["paged_adamw_8bit", "paged_lion_32bit"])
def test_on_a_cpu_there_is_nothing_to_page_and_no_warning(name):
    model = Parts()
    walk(model, make_optimizer(model, settings_of(name)), 1)


def test_biases_are_not_decayed():
    model = Parts()
    decays = {
        id(value): group["weight_decay"]
        for group in make_optimizer(model, replace(OPTIMIZER, weight_decay=0.3)).param_groups
        for value in group["params"]
    }
    assert [decays[id(value)] for value in (model.wide, model.small, model.bias)] == [0.3, 0.3, 0.0]


def test_rate_is_set_for_all_groups_and_each_keeps_its_share():
    model = Parts()
    optimizer = make_optimizer(model, OPTIMIZER)
    set_learning_rate(optimizer, 0.5)
    assert {group["lr"] for group in optimizer.param_groups} == {0.5}
    optimizer.param_groups[0]["share"] = 16.0
    set_learning_rate(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] == 4.0


def test_a_momentum_is_set_where_the_optimizer_has_it():
    model = Parts()
    adamw, sgd = make_optimizer(model, OPTIMIZER), make_optimizer(model, settings_of("sgd"))
    set_learning_rate(adamw, 0.5, 0.87)
    set_learning_rate(sgd, 0.5, 0.87)
    assert {group["betas"] for group in adamw.param_groups} == {(0.87, 0.999)}
    assert {group["momentum"] for group in sgd.param_groups} == {0.87}
    set_learning_rate(sgd, 0.5)
    assert {group["momentum"] for group in sgd.param_groups} == {0.87}


def test_a_rate_for_embeddings_wants_an_adapted_one():
    with pytest.raises(ModelError, match="no embedding is adapted"):
        make_optimizer(Parts(), replace(OPTIMIZER, loraplus_ratio=16.0, embedding_rate=1e-5))
