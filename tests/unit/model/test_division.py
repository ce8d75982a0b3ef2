"""What one of several processes holds of a model, from shapes alone."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from luthier.config.keys.processes import PARTS
from luthier.config.schema import RunConfig
from luthier.config.strategy_table import way_of
from luthier.config.training_settings import TrainingSettings, training_settings
from luthier.model.division import ALONE, PIECE_BYTES, Buffers, Division, division_of, offloaded_bytes, process_parts, state_bytes
from luthier.model.memory import Load, Training, memory_parts
from luthier.model.shapes import BaseShapes, read_shapes
from training_parts import LORA, OPTIMIZER, qwen
from zero_files import zero_file

CUDA = Training("bfloat16", "cuda", "none", None, LORA, (), OPTIMIZER)
WHOLE = replace(CUDA, lora=None)
LOAD = Load(512, 256, 64)
DIVIDED = Division(4, frozenset(PARTS))
KEPT = replace(DIVIDED, offloaded=frozenset(PARTS))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseShapes:
    folder = tmp_path_factory.mktemp("base")
    qwen(hidden_size=128, num_hidden_layers=8, tie_word_embeddings=False).save_pretrained(folder)
    return read_shapes(folder)


@pytest.mark.parametrize("training", [CUDA, WHOLE], ids=["adapter", "whole"])
def test_one_process_holds_all(base: BaseShapes, training: Training) -> None:
    assert process_parts(base, training, LOAD, ALONE) == memory_parts(base, training, LOAD)


def test_whole_models_sum_their_gradients_in_pieces(base: BaseShapes) -> None:
    parts, alone = process_parts(base, WHOLE, LOAD, Division(4)), memory_parts(base, WHOLE, LOAD)
    assert parts.pop("sum of gradients") == min(alone["gradients"], PIECE_BYTES)
    assert parts.pop("process") >= alone.pop("process")
    assert parts == alone


@pytest.mark.parametrize("training", [CUDA, WHOLE], ids=["adapter", "whole"])
def test_what_is_divided_is_a_part_and_the_rest_stays(base: BaseShapes, training: Training) -> None:
    parts, alone = process_parts(base, training, LOAD, DIVIDED), memory_parts(base, training, LOAD)
    for name in ("base weights", "adapter", "gradients", "optimizer state"):
        assert parts[name] == math.ceil(alone[name] / 4), name
    assert parts["activations"] == alone["activations"]
    assert state_bytes(base, training, DIVIDED) == parts["optimizer state"]
    # Embeddings and head whole, and three layers; or every layer where none is freed.
    outside = 2 * 128 * base.sizes.vocabulary * (2 if training.lora is not None else 4)
    layer = (alone["base weights"] + alone["adapter"] - outside) / 8
    assert parts["gathered weights"] == pytest.approx(outside + 3 * layer, rel=0.01)
    kept = process_parts(base, training, LOAD, replace(DIVIDED, reshards=False))
    assert kept["gathered weights"] == pytest.approx(outside + 9 * layer, rel=0.01)


def test_the_scales_of_a_base_in_4_bits_are_not_divided(base: BaseShapes) -> None:
    packed = replace(CUDA, quantization="nf4")
    alone, four = (process_parts(base, packed, LOAD, way)["base weights"] for way in (ALONE, DIVIDED))
    halves = sum(math.ceil(matrix.size / 2) for matrix in base.matrices)
    names = {f"{matrix.module}.weight" for matrix in base.matrices}
    plain = sum(2 * math.prod(shape) for name, shape in base.parameters.items() if name not in names)
    assert four == math.ceil((halves + plain) / 4) + alone - halves - plain


@pytest.mark.parametrize("training", [CUDA, WHOLE], ids=["adapter", "whole"])
def test_what_is_kept_in_main_memory_is_not_on_the_device(base: BaseShapes, training: Training) -> None:
    kept, gone = (process_parts(base, training, LOAD, way) for way in (DIVIDED, KEPT))
    names = ("base weights", "adapter", "gradients", "optimizer state")
    assert [gone[name] for name in names] == [0, 0, 0, 0]
    others = kept.keys() - {*names, "process"}
    assert {name: gone[name] for name in others} == {name: kept[name] for name in others}
    assert offloaded_bytes(base, training, KEPT) == sum(kept[name] for name in names)
    assert offloaded_bytes(base, training, DIVIDED) == 0


# A file that says all: buffers of 1,000 values, weights of 300 values and fewer kept whole, nothing ahead.
BUFFERS = Buffers(1000, 2, 300, 0)
STAGES = {number: Division(4, frozenset(PARTS[:number]), buffers=BUFFERS) for number in (1, 2, 3)}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("training", [CUDA, WHOLE], ids=["adapter", "whole"])
def test_each_stage_of_zero_divides_one_thing_more(base: BaseShapes, training: Training, stage: int) -> None:
    parts, alone = process_parts(base, training, LOAD, STAGES[stage]), memory_parts(base, training, LOAD)
    divided = ("optimizer state", "gradients", "base weights", "adapter")[: stage if stage < 3 else 4]
    for name in ("optimizer state", "gradients", "base weights", "adapter"):
        assert parts[name] == (math.ceil(alone[name] / 4) if name in divided else alone[name]), name
    assert parts["weights to step"] == math.ceil(alone["gradients"] / 4)
    assert parts["sum of gradients"] == 2 * 4 * 1000
    assert state_bytes(base, training, STAGES[stage]) == parts["optimizer state"]
    assert ("gathered weights" in parts) == (stage == 3)


def test_stage_3_keeps_small_weights_whole_and_gathers_large_ones_as_they_are_wanted(base: BaseShapes) -> None:
    parts = process_parts(base, WHOLE, LOAD, STAGES[3])
    sizes = {name: 4 * math.prod(shape) for name, shape in base.parameters.items()}
    small = sum(size for size in sizes.values() if size <= 4 * 300)
    assert small > 0
    layer = max(size for name, size in sizes.items() if ".layers." in name)
    assert parts["gathered weights"] == small + layer + 4 * 128 * base.sizes.vocabulary
    ahead = process_parts(base, WHOLE, LOAD, replace(STAGES[3], buffers=replace(BUFFERS, ahead=10**9)))
    assert ahead["gathered weights"] == sum(sizes.values())


@pytest.mark.parametrize("stage", STAGES)
def test_what_deepspeed_offloads_is_in_main_memory(base: BaseShapes, stage: int) -> None:
    way = replace(STAGES[stage], offloaded=STAGES[stage].divided - {"weights"})
    parts, alone = process_parts(base, WHOLE, LOAD, way), memory_parts(base, WHOLE, LOAD)
    own = math.ceil(alone["gradients"] / 4)
    assert (parts["optimizer state"], parts["weights to step"]) == (0, 0)
    assert parts["gradients"] == (alone["gradients"] if stage == 1 else 0)
    copies = {1: 3, 2: 4, 3: 3}[stage]  # Of gradients and of weights to step.
    assert offloaded_bytes(base, WHOLE, way) == copies * own + math.ceil(alone["optimizer state"] / 4)
    assert state_bytes(base, WHOLE, way) == 0


def test_layers_that_are_spread_over_gpus_are_told_of_the_fullest(base: BaseShapes) -> None:
    parts, alone = process_parts(base, CUDA, LOAD, Division(devices=2)), memory_parts(base, CUDA, LOAD)
    for name in ("adapter", "gradients", "optimizer state", "activations"):
        assert parts[name] == math.ceil(alone[name] / 2), name
    assert alone["base weights"] / 2 < parts["base weights"] < alone["base weights"]
    assert parts["logits of a chunk"] == alone["logits of a chunk"]


def settings(**keys: object) -> TrainingSettings:
    return training_settings(RunConfig(base_model="base", adapter="lora", learning_rate=1e-3, **keys))


def test_the_run_file_says_what_is_divided(base: BaseShapes) -> None:
    ways = {name: division_of(settings(deepspeed=zero_file(name)), base, 2, 1) for name in ("zero1", "zero2", "zero3")}
    assert {name: set(way.divided) for name, way in ways.items()} == {
        "zero1": {"state"}, "zero2": {"state", "gradients"}, "zero3": set(PARTS)
    }  # fmt: skip
    assert {name: set(way.offloaded) for name, way in ways.items()} == {"zero1": set(), "zero2": {"state", "gradients"}, "zero3": set()}
    # DeepSpeed's own sizes, or what stands for "auto" at this width; nothing is kept for a second use there.
    assert [ways[name].buffers for name in ("zero1", "zero2")] == [Buffers(500_000_000, 2)] * 2
    assert ways["zero3"].buffers == Buffers(128 * 128, 1, 1280, int(0.9 * 128 * 128))
    shards = settings(fsdp_config={"offload_params": True, "reshard_after_forward": False, "cpu_ram_efficient_loading": True})
    assert division_of(shards, base, 2, 1) == replace(KEPT, processes=2, reshards=False, reads_once=True)
    assert division_of(settings(), base, 2, 8) == Division(2)
    assert division_of(settings(device_map="auto"), base, 1, 8) == Division(devices=8)
    assert division_of(settings(), base, 1, 8) == ALONE
    for keys, way in (({}, "ddp"), ({"fsdp_version": 2}, "fsdp"), ({"deepspeed": zero_file("zero1")}, "zero12")):
        assert settings(**keys).way == way_of(keys) == way
    assert settings(deepspeed=zero_file("zero3")).way == way_of({"deepspeed": zero_file("zero3")}) == "zero3"


@pytest.mark.parametrize("way", [Division(4), DIVIDED, *STAGES.values()], ids=["ddp", "fsdp", *map(str, STAGES)])
def test_on_a_processor_the_first_one_gathers_what_it_writes(base: BaseShapes, way: Division) -> None:
    training = replace(WHOLE, device="cpu", dtype="float32")
    small = Load(8, 8, 8)
    first, other = (process_parts(base, training, small, way, 0, is_first=is_first) for is_first in (True, False))
    whole = memory_parts(base, training, small, 0)
    assert first["checkpoint being written"] == 2 * (whole["gradients"] + whole["optimizer state"])
    assert "checkpoint being written" not in other
