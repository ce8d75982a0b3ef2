from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from luthier.core.errors import TrainingError
from luthier.core.files import write_json
from luthier.train.checkpoint import Checkpoint, list_checkpoints, load_newest, prune, save_checkpoint


def point(step: int, key: str = "mine") -> Checkpoint:
    return Checkpoint(
        key, step, {"a.weight": torch.full((2, 3), float(step))}, {"a/exp_avg": torch.ones(2)}, {"a/step": step}, {"step": step}
    )


def write_config(folder):
    write_json(folder / "adapter_config.json", {"peft_type": "LORA"})


def save(folder, *steps, key="mine"):
    return [save_checkpoint(folder, point(step, key), write_config) for step in steps]


def load(folder, warnings=None, key="mine"):
    return load_newest(folder, key, [].append if warnings is None else warnings.append)


def test_what_is_saved_is_loaded(tmp_path):
    save(tmp_path, 2, 10)
    found = load(tmp_path)
    assert (found.step, found.numbers, found.progress) == (10, {"a/step": 10}, {"step": 10})
    assert torch.equal(found.weights["a.weight"], torch.full((2, 3), 10.0))
    assert list(found.tensors) == ["a/exp_avg"]
    assert sorted(path.name for path in (tmp_path / "checkpoint-10").iterdir()) == [
        "COMPLETE", "adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors", "trainer_state.json",
    ]  # fmt: skip


def test_random_sources_go_on(tmp_path):
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    save(tmp_path, 1)
    expected = (torch.rand(3).tolist(), random.random(), np.random.rand())
    torch.manual_seed(9), random.seed(9), np.random.seed(9)
    load(tmp_path)
    assert (torch.rand(3).tolist(), random.random(), np.random.rand()) == expected


@pytest.mark.parametrize(
    "name", ["adapter_model.safetensors", "optimizer.safetensors", "trainer_state.json", "adapter_config.json", "COMPLETE"]
)
@pytest.mark.parametrize("harm", ["cut", "altered", "gone"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, name, harm):
    save(tmp_path, 1, 2)
    file = tmp_path / "checkpoint-2" / name
    content = file.read_bytes()
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(content[: len(content) // 2] if harm == "cut" else content[:-2] + b"##")
    warnings: list[str] = []
    assert load(tmp_path, warnings).step == 1
    assert len(warnings) == 1
    assert "checkpoint-2" in warnings[0]


def test_another_trainings_checkpoint_is_not_used(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 5, key="other")
    assert load(tmp_path).step == 1
    assert load(tmp_path, key="nobody") is None


def test_half_a_checkpoint_does_not_count(tmp_path):
    (tmp_path / ".checkpoint-3.tmp").mkdir()
    assert list_checkpoints(tmp_path) == []
    save(tmp_path, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"]


def test_prune_keeps_the_newest(tmp_path):
    paths = save(tmp_path, 1, 2, 10, 30)
    prune(tmp_path, 2, paths[2])
    assert [path.name for path in list_checkpoints(tmp_path)] == ["checkpoint-2", "checkpoint-10"]


def test_a_disk_that_refuses_leaves_the_former_checkpoint(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("luthier.train.checkpoint.write_bytes", full)
    with pytest.raises(TrainingError, match="No space left on device"):
        save(tmp_path, 2)
    assert load(tmp_path).step == 1


def test_tensors_are_plain_safetensors(tmp_path):
    (path,) = save(tmp_path, 1)
    assert list(load_file(path / "adapter_model.safetensors")) == ["a.weight"]
