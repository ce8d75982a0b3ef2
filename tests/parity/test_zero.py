"""DeepSpeed's ZeRO: two processes give the losses and the weights of one, and go on from a checkpoint as if nothing had been."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from luthier.core.files import read_jsonl, sha256_file
from luthier.core.runs import RunFolder
from several_processes import bound_of, cells, compare_cell, join, problems, start, train, train_cells, wait_for_steps
from training_driver import write_base, write_rows
from zero_files import wants_deepspeed, zero_file

pytestmark = wants_deepspeed
STAGES = ("zero1", "zero2", "zero3")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    path = tmp_path_factory.mktemp("base")
    write_base(path)
    return path


def test_each_stage_equals_one_process(base, tmp_path):
    """The cells of LoRA, in one start: a process reads DeepSpeed for seconds."""
    one = train_cells(tmp_path / "one", base, 1, ["ddp/LoRA"])
    two = train_cells(tmp_path / "two", base, 2, [f"{stage}/LoRA" for stage in STAGES])
    for stage in STAGES:
        compare_cell(one / "ddp/LoRA", two / f"{stage}/LoRA", bound_of("ddp/LoRA"))


@pytest.fixture(scope="module")
def table(base, tmp_path_factory):
    """The folders of one process and of two, with every cell of the three stages trained."""
    names = {1: list(cells("ddp")), 2: list(cells(*STAGES))}
    return {count: train_cells(tmp_path_factory.mktemp(f"cells{count}"), base, count, names[count]) for count in names}


@pytest.mark.slow
@pytest.mark.parametrize("cell", cells(*STAGES))
def test_a_cell_that_goes_equals_one_process(table: dict[int, Path], cell: str) -> None:
    compare_cell(table[1] / f"ddp/{cell.partition('/')[2]}", table[2] / cell, bound_of(cell))


# As tests/parity/test_processes.py has it: 9 rows in steps of 4 leave a last step of one row.
PLAIN = {
    "lora_dropout": 0.0,
    "optimizer": "adamw_torch",
    "adam_epsilon": 1e-4,
    "sample_packing": False,
    "max_steps": None,
    "num_epochs": 2,
    "save_strategy": "no",
    "eval_steps": 3,
    "loss_per_row": True,
}
ROUNDING = {"rtol": 1e-5, "atol": 1e-6}


def run(base: Path, folder: Path, count: int, **changes: object) -> Path:
    write_rows(RunFolder(folder), 9)
    train(folder, base, count, **{**PLAIN, "gradient_accumulation_steps": 4 // count, **changes})
    return folder


def figures(folder: Path, name: str) -> torch.Tensor:
    return torch.tensor([row[name] for row in read_jsonl(folder / "train/curve.jsonl") if name in row])


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_whole_training_equals_one_process(base, tmp_path, stage):
    # A head of its own, and activations made again: what is gathered a second time in the backward pass.
    more = {"lora_modules_to_save": ["lm_head"], "gradient_checkpointing": True, "peft_use_dora": True}
    one, two = run(base, tmp_path / "one", 1, **more), run(base, tmp_path / "two", 2, deepspeed=zero_file(stage), **more)
    for name in ("loss", "grad_norm"):
        torch.testing.assert_close(figures(two, name), figures(one, name), **ROUNDING)
    ours, theirs = (load_file(folder / "adapter/adapter_model.safetensors") for folder in (two, one))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, **ROUNDING)
    lost, found = (list(read_jsonl(folder / "train/row_losses.jsonl")) for folder in (one, two))
    assert [row["loss"] for row in found] == pytest.approx([row["loss"] for row in lost], rel=ROUNDING["rtol"])


# Small weights stay whole in stage 3 where its file does not say otherwise: here every one of them is divided.
DIVIDED = {"zero_optimization": {"stage": 3, "stage3_param_persistence_threshold": 0}}


@pytest.mark.slow
@pytest.mark.parametrize("file", [*map(zero_file, STAGES), DIVIDED], ids=[*STAGES, "every weight divided"])
def test_all_weights_equal_one_process(base, tmp_path, file):
    one, two = run(base, tmp_path / "one", 1, whole=True), run(base, tmp_path / "two", 2, whole=True, deepspeed=file)
    torch.testing.assert_close(figures(two, "loss"), figures(one, "loss"), **ROUNDING)
    ours, theirs = (load_file(folder / "model/model.safetensors") for folder in (two, one))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-4, atol=1e-5)


OTHER_FILES = {
    "stage 1, in turns": zero_file("zero1", round_robin_gradients=True, reduce_scatter=False, overlap_comm=False, reduce_bucket_size=5e3),
    "stage 2, in one process's memory": zero_file("zero2", offload_optimizer={"device": "none"}, allgather_partitions=False),
    "stage 2, in turns": zero_file("zero2", round_robin_gradients=True, contiguous_gradients=False, allgather_bucket_size=5e3),
    "stage 3, optimizer in main memory": zero_file(
        "zero3", offload_optimizer={"device": "cpu", "pin_memory": False}, stage3_param_persistence_threshold=0, sub_group_size=1e9
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("file", OTHER_FILES.values(), ids=list(OTHER_FILES))
def test_how_zero_divides_changes_no_result(base, tmp_path, file):
    """Two groups of weights, and a stop between: what is put back lands where it was taken."""
    more = {"loraplus_lr_ratio": 4, "num_epochs": 1}
    one, two = run(base, tmp_path / "one", 1, **more), run(base, tmp_path / "two", 2, **more, deepspeed=file)
    for name in ("loss", "grad_norm"):
        torch.testing.assert_close(figures(two, name), figures(one, name), **ROUNDING)
    saving = {**more, "save_strategy": "steps", "save_steps": 1, "save_total_limit": 4, "deepspeed": file}
    stopped = run(base, tmp_path / "stopped", 2, **saving)
    ended = sha256_file(stopped / "adapter/adapter_model.safetensors")
    offloads = file["zero_optimization"].get("offload_optimizer", {}).get("device") == "cpu"
    assert ("offload_optimizer: without a GPU all lies in main memory anyway" in (stopped / "events.jsonl").read_text()) == offloads
    for number in (2, 3):
        shutil.rmtree(stopped / f"checkpoints/checkpoint-{number}", ignore_errors=True)
    train(stopped, base, **{**PLAIN, "gradient_accumulation_steps": 2, **saving})
    assert "goes on after step 1" in (stopped / "events.jsonl").read_text()
    assert sha256_file(stopped / "adapter/adapter_model.safetensors") == ended


SHORT = {"max_steps": 8, "save_steps": 2, "eval_steps": 5, "gradient_accumulation_steps": 2, "optimizer": "adamw_torch_fused"}


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "whole"), [*((stage, False) for stage in STAGES), ("zero2", True), ("zero3", True)])
def test_killed_they_say_so_and_end_with_the_same_bytes(base, tmp_path, stage, whole):
    changes = {**SHORT, "deepspeed": zero_file(stage), "whole": whole, "load_best_model_at_end": True}
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    for folder in (unbroken, broken):
        write_rows(RunFolder(folder), 24)
    train(unbroken, base, **changes)
    processes = start(broken, base, **changes)
    wait_for_steps(broken, processes, 5)
    processes[1].kill()
    assert join(processes) == [1, -signal.SIGKILL]
    assert "process 0 of 2 has lost the others: one ended" in problems(broken)
    train(broken, base, **changes)
    assert "goes on after step" in (broken / "events.jsonl").read_text()
    name = "model/model.safetensors" if whole else "adapter/adapter_model.safetensors"
    assert sha256_file(broken / name) == sha256_file(unbroken / name)
    ours, theirs = (json.loads((folder / "train/summary.json").read_text()) for folder in (broken, unbroken))
    for key in ("final_loss", "final_eval_loss"):
        assert ours[key] == theirs[key], key


@pytest.mark.slow
def test_a_checkpoint_of_one_way_is_gone_on_with_by_another(base, tmp_path):
    """Its tensors have each weight's own name and shape, whatever is divided."""
    folders = [tmp_path / name for name in ("ddp", "zero3", "zero1")]
    changes = {**SHORT, "lora_dropout": 0.0}
    for folder, more in zip(folders, ({}, {"deepspeed": zero_file("zero3")}, {"deepspeed": zero_file("zero1")}), strict=True):
        write_rows(RunFolder(folder), 24)
        if folder is not folders[0]:
            (folder / "checkpoints").mkdir()
            (folders[0] / "checkpoints/checkpoint-6").rename(folder / "checkpoints/checkpoint-6")
        train(folder, base, **changes, **more)
        if folder is not folders[0]:
            assert "goes on after step 6" in (folder / "events.jsonl").read_text()
            (folder / "checkpoints/checkpoint-6").rename(folders[0] / "checkpoints/checkpoint-6")
    first, *others = (load_file(folder / "adapter/adapter_model.safetensors") for folder in folders)
    for found in others:
        for name, value in first.items():
            torch.testing.assert_close(found[name], value, **ROUNDING)
