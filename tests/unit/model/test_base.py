from __future__ import annotations

import pytest
import torch

from luthier.core.errors import ModelError
from luthier.core.records import Plan
from luthier.model.base import load_base, parameter_counts, set_training
from luthier.model.locate import ModelLocation
from training_parts import BASE, PLAN, qwen


@pytest.fixture(scope="module")
def location(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    qwen().save_pretrained(folder)
    return ModelLocation("tiny", folder, "test")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_base_is_frozen_in_the_plans_format(location, dtype):
    model = load_base(location, BASE, Plan("cpu", "test", dtype, threads=1))
    assert {value.dtype for value in model.parameters()} == {getattr(torch, dtype)}
    assert not any(value.requires_grad for value in model.parameters())
    assert not model.training
    assert model.config._attn_implementation == "sdpa"


def test_weights_are_those_of_the_file(location):
    model = load_base(location, BASE, PLAN)
    for name, value in qwen().state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_tied_head_is_counted_once(location):
    trained, total = parameter_counts(load_base(location, BASE, PLAN))
    assert (trained, total) == (0, sum(value.numel() for value in qwen().parameters()))


def test_pickled_weights_are_not_loaded(tmp_path):
    model = qwen()
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_base(ModelLocation("pickled", tmp_path, ""), BASE, PLAN)


def test_code_in_the_models_folder_is_not_run(location, tmp_path):
    (tmp_path / "config.json").write_text(
        '{"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModelForCausalLM": "own.Model"}}'
    )
    (tmp_path / "own.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModelError, match="base_model: the base model cannot be loaded"):
        load_base(ModelLocation("own", tmp_path, ""), BASE, PLAN)


def test_training_switches_dropout(location):
    model = load_base(location, BASE, PLAN)
    set_training(model, True)
    assert model.training
    set_training(model, False)
    assert not model.training
