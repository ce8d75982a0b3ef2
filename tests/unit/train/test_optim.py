from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from luthier.train.optim import Schedule, load_optimizer_state, make_optimizer, optimizer_state, set_learning_rate
from training_parts import OPTIMIZER, SCHEDULE

NAMES = ["adamw_torch", "adamw_torch_fused", "adamw_torch_8bit", "adamw_bnb_8bit", "adamw_8bit"]


class Parts(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.wide = torch.nn.Parameter(torch.randn(64, 128))
        self.small = torch.nn.Parameter(torch.randn(8, 16))
        self.bias = torch.nn.Parameter(torch.randn(16))


def walk(model, optimizer, steps, start=0):
    for step in range(start, start + steps):
        for number, value in enumerate(model.parameters()):
            value.grad = torch.sin(torch.arange(value.numel()).reshape(value.shape) * 0.1 + step + number)
        optimizer.step()


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_walks_like_adamw(name):
    model, reference = Parts(), Parts()
    settings = replace(OPTIMIZER, name=name, weight_decay=0.1)
    walk(model, make_optimizer(model, settings), 12)
    plain = torch.optim.AdamW(
        [{"params": [reference.wide, reference.small]}, {"params": [reference.bias], "weight_decay": 0.0}], lr=1e-2, weight_decay=0.1
    )
    walk(reference, plain, 12)
    start = dict(Parts().named_parameters())
    for (key, value), other in zip(model.named_parameters(), reference.parameters(), strict=True):
        moved = (other - start[key]).norm()
        assert (value - other).norm() < (0.05 if "8bit" in name else 1e-5) * moved, key


@pytest.mark.parametrize("name", NAMES)
def test_state_goes_out_and_back_to_the_bit(name):
    settings = replace(OPTIMIZER, name=name)
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


def test_biases_are_not_decayed():
    model = Parts()
    decays = {
        id(value): group["weight_decay"]
        for group in make_optimizer(model, replace(OPTIMIZER, weight_decay=0.3)).param_groups
        for value in group["params"]
    }
    assert [decays[id(value)] for value in (model.wide, model.small, model.bias)] == [0.3, 0.3, 0.0]


@pytest.mark.parametrize(("name", "make"), [("cosine", get_cosine_schedule_with_warmup), ("linear", get_linear_schedule_with_warmup)])
def test_course_is_that_of_transformers(name, make):
    schedule = Schedule(replace(SCHEDULE, name=name, warmup_steps=7), 50)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    course = make(optimizer, num_warmup_steps=7, num_training_steps=50)
    for step in range(50):
        assert schedule.factor(step) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        course.step()


@pytest.mark.parametrize(
    ("changes", "steps", "warmup"),
    [({}, 1000, 30), ({}, 10_000, 100), ({}, 40, 2), ({}, 20, 0), ({"warmup_ratio": 0.1}, 50, 5), ({"warmup_ratio": 0.0}, 50, 0),
     ({"warmup_steps": 1}, 50, 2), ({"warmup_steps": 0}, 50, 0), ({"name": "constant", "warmup_steps": 9}, 50, 0)],
)  # fmt: skip
def test_warmup(changes, steps, warmup):
    assert Schedule(replace(SCHEDULE, **changes), steps).warmup_steps == warmup


def test_cosine_ends_at_its_floor():
    schedule = Schedule(replace(SCHEDULE, warmup_steps=0, min_ratio=0.25), 10)
    assert schedule.factor(0) == 1.0
    assert schedule.factor(10) == pytest.approx(0.25)
    assert schedule.factor(5) == pytest.approx(0.75 * 0.5 + 0.25)
    assert math.isclose(Schedule(replace(SCHEDULE, name="constant", warmup_steps=5), 10).factor(0), 1.0)


def test_rate_is_set_for_all_groups():
    model = Parts()
    optimizer = make_optimizer(model, OPTIMIZER)
    set_learning_rate(optimizer, 0.5)
    assert {group["lr"] for group in optimizer.param_groups} == {0.5}
