"""The dry run changes nothing, and a training whose memory is full goes on with less or says what would fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from luthier.config.schema import RunConfig
from luthier.core.errors import ModelError, Problem, TrainingError
from luthier.core.events import EventLog
from luthier.core.files import read_json
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder
from luthier.model import device_memory
from luthier.model.locate import locate
from luthier.train import stage, training
from luthier.train.step.objective import SupervisedObjective
from training_driver import PLAN, PROCESSES, train_in_little_memory, write_base, write_rows


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    write_base(folder)
    return folder


def config_of(base: Path, **changes: Any) -> RunConfig:
    settings = {
        "base_model": str(base), "adapter": "lora", "lora_r": 4, "lora_alpha": 8, "learning_rate": 0.01, "sequence_len": 128,
        "micro_batch_size": 8, "num_epochs": 2, "chat_template": "chatml", "logging_steps": 1, "warmup_steps": 0, **changes,
    }  # fmt: skip
    return RunConfig(**settings)


def run(path: Path, base: Path, listener: Any = None, **changes: Any) -> tuple[JsonObject, list[JsonObject]]:
    """Trains 40 rows in steps of eight, and returns the summary with the events."""
    folder = RunFolder(path)
    if not folder.data.exists():
        write_rows(folder, 40)
    seen: list[JsonObject] = []
    listeners = [seen.append, *([listener] if listener else [])]
    location = locate(str(base), None, folder.hashes)
    stage.run(config_of(base, **changes), folder, location, PLAN, EventLog(None, listeners), "key")
    return read_json(folder.train_summary), seen


def losses(events: list[JsonObject]) -> dict[int, float]:
    return {event["step"]: event["loss"] for event in events if event["event"] == "train.step"}


def notes(events: list[JsonObject]) -> str:
    return "\n".join(event["message"] for event in events if event["event"] in ("note", "warning"))


class Full:
    """A device whose memory is full as soon as a batch with a gradient has more than `tokens`, from the pass number `after` on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tokens: int, after: int = 0, error: Exception | None = None) -> None:
        self.tokens, self.after, self.passes = tokens, after, 0
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        plain = SupervisedObjective.loss_sum

        def loss_sum(objective: Any, batch: Any) -> torch.Tensor:
            if torch.is_grad_enabled():
                self.passes += 1
                if self.passes > self.after and batch.tokens > self.tokens:
                    raise self.error
            return plain(objective, batch)

        monkeypatch.setattr(SupervisedObjective, "loss_sum", loss_sum)


@pytest.mark.parametrize(
    "changes",
    [
        {"lora_dropout": 0.2, "optimizer": "adamw_8bit"},
        {"neftune_noise_alpha": 5, "sample_packing": True, "pad_to_sequence_len": True, "micro_batch_size": 2},
        {"load_in_4bit": True, "adapter": "qlora", "lora_dropout": 0.1, "eval_strategy": "no"},
        {"adapter": None},
        {"fp16": True, "lora_dropout": 0.1},
    ],
    ids=["dropout", "noise", "nf4", "whole", "fp16"],
)
def test_the_dry_run_changes_nothing(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    first, events = run(tmp_path / "with", base, max_steps=4, **changes)
    monkeypatch.setattr(training, "rehearse", lambda *_: 0.0)
    second, other = run(tmp_path / "without", base, max_steps=4, **changes)
    name = "model_sha256" if changes.get("adapter", "lora") is None else "adapter_sha256"
    assert first[name] == second[name]
    assert losses(events) == losses(other)
    assert [event["loss"] for event in events if event["event"] == "train.eval"] == [
        event["loss"] for event in other if event["event"] == "train.eval"
    ]


def test_the_dry_run_takes_the_largest_batch_and_one_of_the_evaluation(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, int]] = []
    plain = SupervisedObjective.loss_sum

    def loss_sum(objective: Any, batch: Any) -> torch.Tensor:
        seen.append((torch.is_grad_enabled(), batch.tokens))
        return plain(objective, batch)

    monkeypatch.setattr(SupervisedObjective, "loss_sum", loss_sum)
    _, events = run(tmp_path / "run", base)
    trained, evaluated = ([tokens for grad, tokens in seen if grad is kind] for kind in (True, False))
    assert seen[:2] == [(True, max(trained)), (False, max(evaluated))]
    assert len(trained) == 1 + 10
    told = next(event for event in events if event["event"] == "train.rehearsal")
    assert told["tokens"] == max(trained)
    assert told["seconds"] > 0
    assert "the dry run of the largest batch took" in notes(events)
    _, events = run(tmp_path / "long", base, num_epochs=5)
    assert "dry run" not in notes(events)


@pytest.mark.parametrize("left", [{}, {"sample_packing": True, "sequence_len": 40}], ids=["rows", "packs"])
def test_auto_goes_on_with_a_smaller_micro_batch_and_the_same_rows_in_a_step(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: dict[str, Any]
) -> None:
    whole, expected = run(tmp_path / "whole", base, **left)
    auto = {"micro_batch_size": "auto", "batch_size": 8, **left}
    same, events = run(tmp_path / "auto", base, **auto)
    assert (same["micro_batch_size"], same["gradient_accumulation_steps"]) == (8, 1)
    assert same["adapter_sha256"] == whole["adapter_sha256"]
    Full(monkeypatch, tokens=110)
    summary, events = run(tmp_path / "small", base, **auto)
    assert summary["micro_batch_size"] * summary["gradient_accumulation_steps"] == 8
    assert summary["micro_batch_size"] < 8
    assert losses(events) == pytest.approx(losses(expected), rel=1e-6)
    assert "memory is full (CUDA out of memory. Tried to allocate 2.00 GiB.): training goes on with micro batches of 4" in notes(events)


def test_auto_takes_what_the_estimate_lets_it(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_memory, "held_bytes", lambda plan: 400 << 20)
    summary, _ = run(tmp_path / "plenty", base, micro_batch_size="auto", batch_size=8)
    halves, _ = run(tmp_path / "halves", base, micro_batch_size=2, gradient_accumulation_steps=4)
    room = int(halves["estimated_memory_bytes"] / 0.9) + 1
    monkeypatch.setattr(device_memory, "room_bytes", lambda plan: room)
    small, events = run(tmp_path / "small", base, micro_batch_size="auto", batch_size=8)
    assert small["micro_batch_size"] == 2
    assert "micro batches of 2, 4 a step, activations of 0 of 2 layers made again: " in notes(events)
    layers, events = run(tmp_path / "layers", base, gradient_checkpointing="auto")
    assert (layers["micro_batch_size"], layers["recomputed_layers"]) == (8, 2)
    assert layers["adapter_sha256"] == summary["adapter_sha256"]


@pytest.mark.parametrize(
    "error",
    [None, RuntimeError("[enforce fail at alloc_cpu.cpp:126] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")],
    ids=["cuda", "cpu"],
)
def test_memory_that_fills_up_later_lets_auto_go_on_from_the_newest_checkpoint(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    watched = {"save_strategy": "steps", "save_steps": 2}
    _, expected = run(tmp_path / "whole", base, **watched)
    # One pass of the dry run and five steps.
    Full(monkeypatch, tokens=110, after=6, error=error)
    summary, events = run(tmp_path / "small", base, micro_batch_size="auto", batch_size=8, **watched)
    assert summary["micro_batch_size"] < 8
    assert losses(events) == pytest.approx(losses(expected), rel=1e-6)
    assert "training goes on after step 4 of 10" in notes(events)
    assert [event["step"] for event in events if event["event"] == "train.step"] == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10]


def test_a_training_that_goes_on_keeps_the_micro_batch_that_auto_chose(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    auto = {"micro_batch_size": "auto", "batch_size": 8, "save_strategy": "steps", "save_steps": 3, "lora_dropout": 0.1}

    def stops(event: JsonObject) -> None:
        if event["event"] == "train.checkpoint":
            raise RuntimeError("stopped")

    with monkeypatch.context() as patch:
        Full(patch, tokens=70)
        unbroken, _ = run(tmp_path / "unbroken", base, **auto)
        with pytest.raises(RuntimeError, match="stopped"):
            run(tmp_path / "broken", base, stops, **auto)
    # Now there is room for all eight.
    summary, events = run(tmp_path / "broken", base, **auto)
    assert summary["micro_batch_size"] == unbroken["micro_batch_size"] < 8
    assert "training goes on after step 3" in notes(events)
    assert summary["adapter_sha256"] == unbroken["adapter_sha256"]


def test_layers_are_made_again_where_memory_lacks(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int | None] = []
    plain = training.checkpoint_layers
    monkeypatch.setattr(training, "checkpoint_layers", lambda model, count=None: (counts.append(count), plain(model, count))[1])
    kept, _ = run(tmp_path / "kept", base, lora_dropout=0.1)
    Full(monkeypatch, tokens=0)
    with pytest.raises(TrainingError):
        run(tmp_path / "full", base, gradient_checkpointing="auto")
    assert counts == [1, 2]
    monkeypatch.undo()
    full: list[int] = []
    monkeypatch.setattr(training, "rehearse", lambda *_: 0.0 if full else _raise(full))
    again, events = run(tmp_path / "again", base, gradient_checkpointing="auto", lora_dropout=0.1)
    assert again["recomputed_layers"] == 1
    assert "activations of 1 of 2 layers made again" in notes(events)
    assert again["adapter_sha256"] == kept["adapter_sha256"]


def _raise(full: list[int]) -> float:
    full.append(1)
    raise torch.OutOfMemoryError("full")


def test_without_auto_a_full_memory_ends_with_what_would_fit(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Full(monkeypatch, tokens=110)
    with pytest.raises(TrainingError) as raised:
        run(tmp_path / "run", base, sequence_len=512, sample_packing=True, micro_batch_size=4)
    text = str(raised.value)
    assert text.startswith("the device's memory is full (CUDA out of memory. Tried to allocate 2.00 GiB.).")
    assert "were estimated, and" in text
    assert raised.value.__context__ is None  # Its frames would hold the model.


def test_an_estimate_that_was_too_low_is_told_with_what_was_held(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Full(monkeypatch, tokens=0)
    with pytest.raises(TrainingError, match=r"The estimate was too low, or this process may hold less: it held [\d.]+ GB") as raised:
        run(tmp_path / "run", base, micro_batch_size=1, gradient_checkpointing=True)
    assert "no change" not in str(raised.value)
    assert "By the estimate" not in str(raised.value)


def test_what_would_fit_is_told_once(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_memory, "room_bytes", lambda plan: 1 << 20)
    Full(monkeypatch, tokens=0)
    with pytest.raises(TrainingError, match="What would fit by the estimate is told above"):
        run(tmp_path / "run", base)


def test_other_errors_stay_what_they_are(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Full(monkeypatch, tokens=0, error=RuntimeError("a shape is wrong"))
    with pytest.raises(RuntimeError, match="a shape is wrong"):
        run(tmp_path / "run", base)


def test_a_base_whose_shapes_are_not_told_trains_without_an_estimate(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise ModelError(Problem("no shapes"))

    monkeypatch.setattr(training, "read_shapes", refuse)
    summary, events = run(tmp_path / "run", base, max_steps=2)
    assert summary["estimated_memory_bytes"] is None
    assert any(event["event"] == "train.rehearsal" for event in events)
    with pytest.raises(ModelError, match="no shapes"):
        run(tmp_path / "auto", base, gradient_checkpointing="auto")
    Full(monkeypatch, tokens=0)
    with pytest.raises(TrainingError, match="Lower micro_batch_size"):
        run(tmp_path / "full", base)


def test_more_than_is_free_is_warned_of(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_memory, "room_bytes", lambda plan: 1 << 20)
    _, events = run(tmp_path / "run", base, max_steps=1)
    assert "of memory are estimated, and 1.0 MB are there. By the estimate no change" in notes(events)


@pytest.mark.parametrize("written", [{"micro_batch_size": 512}, {"micro_batch_size": "auto", "batch_size": 512}], ids=["written", "auto"])
def test_an_allocator_that_is_refused_memory(base: Path, tmp_path: Path, written: dict[str, Any]) -> None:
    config = config_of(base, max_steps=1, eval_batch_size=1, save_strategy="no", **written)
    process = PROCESSES.Process(target=train_in_little_memory, args=(str(tmp_path / "run"), config, 240 << 20))
    process.start()
    process.join(300)
    told = (tmp_path / "run" / "told.txt").read_text()
    assert process.exitcode == 0, told
    assert "memory is full (" in told, told
    if "batch_size" in written:
        assert "training goes on with micro batches of 256" in told
        assert "TrainingError" not in told, told
        summary = read_json(RunFolder(tmp_path / "run").train_summary)
        assert summary["steps"] == 1
        assert summary["micro_batch_size"] < 512
    else:
        assert "TrainingError the device's memory is full" in told
        assert "the cheapest first: micro_batch_size: 256, gradient_accumulation_steps: 2" in told
