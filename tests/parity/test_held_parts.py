"""What `luthier plan` tells of each process is what it holds: counted in two processes, for every way to divide a training."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from held_bytes import config_of, hold
from luthier.config.training_settings import training_settings
from luthier.core.files import read_json
from luthier.model.division import division_of, held_parts
from luthier.model.shapes import read_shapes
from luthier.train.memory.fitting import RowSizes
from luthier.train.training import sizing_of
from several_processes import free_port, join, problems
from training_driver import PLAN, PROCESSES, write_base
from training_parts import qwen
from zero_files import wants_deepspeed, zero_file

pytestmark = [wants_deepspeed, pytest.mark.slow]
NOWHERE, HERE = {"offload_optimizer": {"device": "none"}}, {"offload_optimizer": {"device": "cpu", "pin_memory": False}}
HELD: dict[str, dict[str, object]] = {
    "ddp": {},
    "fsdp": {"fsdp_version": 2},
    "zero1": {"deepspeed": zero_file("zero1", reduce_bucket_size=5e4)},
    "zero1, offloaded": {"deepspeed": zero_file("zero1", **HERE)},
    "zero2": {"deepspeed": zero_file("zero2", **NOWHERE)},
    "zero2, offloaded": {"deepspeed": zero_file("zero2", **HERE)},
    "zero3": {"deepspeed": zero_file("zero3")},
    "zero3, offloaded": {"deepspeed": zero_file("zero3", **HERE)},
}
TRAINED: dict[str, dict[str, object]] = {
    "lora": {"adapter": "lora", "lora_r": 16, "lora_dropout": 0.0},
    "whole": {},
}
WAYS = {f"{held}-{trained}": {**keys, **TRAINED[trained]} for held, keys in HELD.items() for trained in TRAINED}
WAYS |= {f"{held}-qlora": {**HELD[held], **TRAINED["lora"], "adapter": "qlora", "load_in_4bit": True} for held in ("fsdp", "zero3")}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    write_base(folder)
    qwen(hidden_size=128, intermediate_size=256, tie_word_embeddings=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def counted(base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, int]]]:
    """What the first process held of each way, and what the second."""
    folder, port = tmp_path_factory.mktemp("held"), free_port()
    started = [PROCESSES.Process(target=hold, args=(number, 2, port, str(folder), str(base), WAYS)) for number in range(2)]
    for process in started:
        process.start()
    assert join(started) == [0, 0], problems(folder)
    return [read_json(folder / f"held-{number}.json") for number in range(2)]


@pytest.mark.parametrize("way", WAYS)
def test_a_process_holds_what_the_plan_tells(base: Path, counted: list[dict[str, dict[str, int]]], way: str) -> None:
    settings, shapes = training_settings(config_of(str(base), WAYS[way])), read_shapes(base)
    told = held_parts(shapes, sizing_of(settings, shapes, PLAN, RowSizes()).training, division_of(settings, shapes, 2, 1))
    # Under stage 2 both hold the gradient of the tensor that lies across their parts; the plan tells one of that size in passing.
    largest = 4 * max(math.prod(shape) for shape in shapes.parameters.values())
    more = largest if settings.way == "zero12" and "gradients" in settings.divided and settings.lora is None else 0
    for name, size in told.items():
        for found in counted:
            # What the two divide is filled up to pieces of one size.
            assert 0.97 * size - 64 <= found[way].get(name, 0) <= 1.03 * size + 64 + (more if name == "gradients" else 0), name
