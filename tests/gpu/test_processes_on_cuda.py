"""Several processes on CUDA devices, over NCCL: each on a GPU of its own. With one GPU a group of one shows that FSDP2 runs over NCCL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from luthier.config.keys.processes import ShardSettings
from luthier.core.files import read_json, read_jsonl
from luthier.core.ranks import Rank
from luthier.core.runs import RunFolder
from luthier.train.step.objective import SupervisedObjective
from luthier.train.strategies.processes import Processes
from luthier.train.strategies.sharded import Sharded
from several_processes import PROCESSES, free_port, join, problems, train_full
from training_driver import write_base, write_rows
from training_parts import adapted, by_rows, qwen, rows

pytestmark = pytest.mark.gpu
two_gpus = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="wants two GPUs: NCCL refuses two processes on one")

PLAIN = {
    "lora_dropout": 0.0, "optimizer": "adamw_torch", "adam_epsilon": 1e-4, "sample_packing": False, "max_steps": 4, "eval_steps": 4,
    "save_steps": 2, "bf16": False, "tf32": False,
}  # fmt: skip
CELLS = {
    "ddp": {},
    "fsdp": {"fsdp_version": 2},
    "fsdp, kept in main memory": {"fsdp_config": {"offload_params": True}},
    "fsdp, a base in 4 bits": {"fsdp_version": 2, "adapter": "qlora", "load_in_4bit": True},
    "fsdp, all weights": {"fsdp_version": 2, "whole": True},
    "fsdp, samples": {"fsdp_version": 2, "generate_samples": True, "generation_max_new_tokens": 8},
}
SHARDING = ("fsdp_version", "fsdp_config")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("base")
    write_base(path)
    return path


def run(base: Path, folder: Path, count: int, full: int = -1, **changes: object) -> Path:
    """Trains in `count` processes, each on a GPU of its own; the memory of process `full` has no room for 130 tokens."""
    write_rows(RunFolder(folder), 24)
    port, started = free_port(), []
    for number in range(count):
        facts = (number, count, port, str(folder), str(base))
        started.append(PROCESSES.Process(target=train_full, args=(facts, {**changes, "on_cuda": True}, full, 130, 0)))
        started[-1].start()
    assert join(started) == [0] * count, problems(folder)
    return folder


def figures(folder: Path, name: str) -> list[float]:
    return [row[name] for row in read_jsonl(folder / "train/curve.jsonl") if name in row]


@two_gpus
@pytest.mark.parametrize("cell", CELLS)
def test_two_gpus_equal_one(base: Path, tmp_path: Path, cell: str) -> None:
    alone = {name: value for name, value in CELLS[cell].items() if name not in SHARDING}
    one = run(base, tmp_path / "one", 1, **{**PLAIN, **alone, "gradient_accumulation_steps": 4})
    two = run(base, tmp_path / "two", 2, **{**PLAIN, **CELLS[cell], "gradient_accumulation_steps": 2})
    assert figures(two, "loss") == pytest.approx(figures(one, "loss"), rel=1e-3 if "4 bits" in cell else 1e-5)
    if "samples" in cell:
        texts = [[row["text"] for row in read_jsonl(folder / "train/samples.jsonl")] for folder in (one, two)]
        assert texts[0] == texts[1]
    summary = read_json(two / "train/summary.json")
    assert len(summary["peak_memory_bytes_of_processes"]) == 2
    assert summary["estimated_memory_bytes"] is not None


@two_gpus
def test_two_gpus_give_equal_bytes_each_time(base: Path, tmp_path: Path) -> None:
    first, second = (run(base, tmp_path / name, 2, **PLAIN, fsdp_version=2, gradient_accumulation_steps=2) for name in ("first", "second"))
    ours, theirs = (load_file(folder / "adapter/adapter_model.safetensors") for folder in (first, second))
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


@two_gpus
@pytest.mark.parametrize("changes", [{}, {"fsdp_version": 2}], ids=["ddp", "fsdp"])
def test_one_full_gpu_leads_both_to_the_smaller_micro_batch(base: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    auto = {**PLAIN, "micro_batch_size": "auto", "batch_size": 4, "gradient_accumulation_steps": None, **changes}
    folder = run(base, tmp_path / "run", 2, full=1, **auto)
    summary = read_json(folder / "train/summary.json")
    assert (summary["micro_batch_size"], summary["gradient_accumulation_steps"]) == (2, 2)
    assert "process 1 of 2: CUDA out of memory" in (folder / "events.jsonl").read_text()


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    """A group of this process alone, over NCCL."""
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(free_port()))
    found = Processes.meet(Rank(0, 1, 0, 1))
    found.join(torch.device("cuda", 0), 60)
    yield found
    found.close()


@pytest.mark.parametrize("offloads", [False, True], ids=["on the device", "in main memory"])
def test_divided_weights_pass_over_nccl(group: Processes, offloads: bool) -> None:
    torch.set_float32_matmul_precision("highest")
    model, other = (adapted(by_rows(qwen())) for _ in range(2))
    strategy = Sharded(group, ShardSettings(True, (), offloads), torch.device("cuda", 0))
    strategy.place(model)
    trained = [value for value in model.parameters() if value.requires_grad]
    strategy.wrap(model, torch.optim.AdamW(trained, lr=1e-3))
    objective, plain = SupervisedObjective(model, device=torch.device("cuda", 0)), SupervisedObjective(other)
    loss = strategy.forward(lambda: objective.loss_sum(objective.batch(rows(3))))
    expected = plain.loss_sum(plain.batch(rows(3)))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    strategy.backward(loss, is_last=True)
    expected.backward()
    norm = torch.nn.utils.get_total_norm([value.grad for value in other.parameters() if value.grad is not None])
    assert strategy.grad_norm() == pytest.approx(norm.item(), rel=1e-3)
    assert {value.device.type for value in trained} == {"cpu" if offloads else "cuda"}
    strategy.step(1.0, 1e-3)
    weights, tensors, numbers = strategy.state()
    strategy.load(weights, tensors, numbers)
    again, _, _ = strategy.state()
    assert all(torch.equal(again[name], value) for name, value in weights.items())


def test_a_group_over_nccl_is_left_and_joined_anew(group: Processes) -> None:
    group.retreat("full")
    group.rejoin()
    assert group.totals([2.0]) == [2.0]
