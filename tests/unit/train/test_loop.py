from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from luthier.config.keys.optimizer import OptimizerArguments
from luthier.config.keys.schedule import ScheduleSettings
from luthier.core.errors import Interrupted, TrainingError
from luthier.core.events import EventLog
from luthier.model.adapters.weights import adapter_weights
from luthier.model.token_file import TokenRow
from luthier.train.loop import Store
from luthier.train.step.checkpoint import list_checkpoints
from training_parts import LORA, adapted, by_rows, make_loop, qwen, rows, write_nothing


def run(tmp_path, loop, listener=None):
    seen = []
    listeners = [seen.append] + ([listener] if listener else [])
    loop.run(Store(tmp_path / "checkpoints", "key", write_nothing), EventLog(None, listeners))
    return seen


def of(events, name):
    return [event for event in events if event["event"] == name]


def test_loss_falls_and_everything_is_told(tmp_path):
    data = rows(24)
    loop = make_loop(adapted(by_rows(qwen())), data, rows(5, seed=9), epochs=3.0, save_strategy="epoch")
    events = run(tmp_path, loop)
    steps = of(events, "train.step")
    assert [event["step"] for event in steps] == list(range(1, loop.course.steps + 1))
    assert steps[-1]["loss"] < steps[0]["loss"] - 0.3
    assert steps[-1]["tokens"] == 3 * sum(len(row.ids) for row in data)
    assert steps[-1]["trained_tokens"] == 3 * sum(int(row.trained[1:].sum()) for row in data)
    assert steps[-1]["seconds_left"] == 0
    assert [event["step"] for event in of(events, "train.eval")] == [0, *loop.course.epoch_ends]
    assert [event["step"] for event in of(events, "train.checkpoint")] == list(loop.course.epoch_ends)
    assert loop.progress.first_loss == pytest.approx(steps[0]["loss"])
    assert loop.progress.best_eval_loss <= loop.progress.eval_losses[0][1]


def test_evaluation_is_the_mean_over_trained_tokens_and_leaves_no_trace(tmp_path):
    data, held_out = rows(10), rows(7, seed=4)
    with_eval = make_loop(adapted(by_rows(qwen())), data, held_out, eval_strategy="steps", eval_steps=1.0)
    without = make_loop(adapted(by_rows(qwen())), data)
    first = of(run(tmp_path / "a", with_eval), "train.eval")[0]
    run(tmp_path / "b", without)
    model = adapted(by_rows(qwen()))
    single = make_loop(model, data, held_out, eval_packing=False, eval_micro_batch_size=1)
    alone = of(run(tmp_path / "c", single), "train.eval")[0]
    assert first["loss"] == pytest.approx(alone["loss"], rel=1e-5)
    assert first["trained_tokens"] == sum(int(row.trained[1:].sum()) for row in held_out)
    for name, value in adapter_weights(with_eval._model).items():
        assert torch.equal(value, adapter_weights(without._model)[name])


ONE_CYCLE = ScheduleSettings("one_cycle", None, 2, 0.0)


@pytest.mark.parametrize(
    ("optimizer", "dropout", "changes"),
    [
        ("adamw_torch_fused", 0.0, {}),
        ("adamw_torch_fused", 0.2, {}),
        ("adamw_torch_fused", 0.2, {"embedding_noise": 5.0, "pads": True}),
        ("adamw_torch_fused", 0.0, {"packing": False, "groups_by_length": True}),
        ("adamw_8bit", 0.0, {}),
        ("adamw_8bit", 0.2, {"embedding_noise": 5.0, "pads": True}),
        ("adamw_torch", 0.0, {"loraplus_ratio": 16.0, "schedule": ONE_CYCLE}),
        ("paged_lion_8bit", 0.0, {}),
        ("adafactor", 0.0, {}),
        ("muon", 0.0, {"weight_decay": 0.1}),
        ("sgd", 0.0, {"schedule": ONE_CYCLE}),
        ("rmsprop", 0.0, {"arguments": OptimizerArguments(momentum=0.5, centered=True)}),
    ],
)
def test_resumed_is_unbroken(tmp_path, optimizer, dropout, changes):
    def make():
        torch.manual_seed(0)
        model = adapted(by_rows(qwen()), replace(LORA, dropout=dropout))
        saving = {"save_strategy": "steps", "save_steps": 2, "logging_steps": 3}
        return make_loop(model, rows(30), rows(4, seed=2), epochs=2.0, name=optimizer, **saving, **changes)

    unbroken = make()
    told = run(tmp_path / "whole", unbroken)
    broken = make()

    def stop(event):
        if event["event"] == "train.checkpoint" and event["step"] == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", broken, stop)
    torch.manual_seed(99)
    resumed = make()
    events = run(tmp_path / "parts", resumed)
    assert of(events, "note")
    for name, value in adapter_weights(unbroken._model).items():
        assert torch.equal(value, adapter_weights(resumed._model)[name]), name
    tail = of(told, "train.step")[-2:]
    for mine, theirs in zip(of(events, "train.step")[-2:], tail, strict=True):
        assert {key: mine[key] for key in ("step", "loss", "tokens", "trained_tokens")} == {
            key: theirs[key] for key in ("step", "loss", "tokens", "trained_tokens")
        }
    assert resumed.progress.eval_losses == unbroken.progress.eval_losses


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_after_the_step_and_saves(tmp_path, number):
    loop = make_loop(adapted(by_rows(qwen())), rows(30), epochs=3.0)

    def kill(event):
        if event["event"] == "train.step" and event["step"] == 2:
            os.kill(os.getpid(), number)

    former = signal.getsignal(number)
    with pytest.raises(Interrupted, match="after step 2"):
        run(tmp_path, loop, kill)
    assert [path.name for path in list_checkpoints(tmp_path / "checkpoints")] == ["checkpoint-2"]
    assert signal.getsignal(number) is former


def test_sigusr1_saves_after_the_step_and_changes_nothing(tmp_path):
    def save(event):
        if event["event"] == "train.step" and event["step"] in (1, 3):
            os.kill(os.getpid(), signal.SIGUSR1)

    asked, plain = (make_loop(adapted(by_rows(qwen()), LORA), rows(30), epochs=2.0) for _ in range(2))
    former = signal.getsignal(signal.SIGUSR1)
    events = run(tmp_path / "asked", asked, save)
    assert signal.getsignal(signal.SIGUSR1) is former
    assert [event["step"] for event in of(events, "train.checkpoint")] == [1, 3]
    assert "a checkpoint of step 3 is written, as SIGUSR1 asks" in [event["message"] for event in of(events, "note")]
    assert of(events, "train.step")[-1]["step"] == asked.course.steps
    run(tmp_path / "plain", plain)
    for name, value in adapter_weights(plain._model).items():
        assert torch.equal(value, adapter_weights(asked._model)[name]), name


def test_a_loss_that_is_not_finite_stops_before_the_step(tmp_path):
    model = adapted(by_rows(qwen()))
    with torch.no_grad():
        model.get_base_model().model.norm.weight[3] = float("nan")
    before = {name: value.clone() for name, value in adapter_weights(model).items()}
    with pytest.raises(TrainingError, match=r"loss is nan at step 1.*model.norm.weight.*damaged.*row\d"):
        run(tmp_path, make_loop(model, rows(4)))
    assert all(torch.equal(value, adapter_weights(model)[name]) for name, value in before.items())


def test_a_rate_that_is_too_high_is_named(tmp_path):
    model = adapted(by_rows(qwen()))
    loop = make_loop(model, rows(40), epochs=20.0, learning_rate=1e30, max_grad_norm=0.0)
    with pytest.raises(TrainingError, match="learning_rate"):
        run(tmp_path, loop)


def test_weights_that_a_step_broke_are_not_saved(tmp_path):
    """Loss and gradient of the step were finite; what it made of the weights is told for what it is, and not for a fault of the disk."""
    model = adapted(by_rows(qwen()))
    loop = make_loop(model, rows(4), max_steps=1)
    step = loop._strategy.step

    def broken(*given):
        step(*given)
        next(value for name, value in model.named_parameters() if "lora_B" in name).data.fill_(float("inf"))

    loop._strategy.step = broken
    with pytest.raises(TrainingError, match=r"step 1 made the trained weights not finite \(.*lora_B.*learning_rate is"):
        run(tmp_path, loop)
    assert not list(tmp_path.rglob("adapter_model.safetensors"))


def test_an_unwritable_folder_is_told_after_the_first_step(tmp_path):
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    seen = []
    with pytest.raises(TrainingError, match="cannot be written"):
        run(tmp_path, make_loop(adapted(by_rows(qwen())), rows(30), epochs=3.0), seen.append)
    assert len(of(seen, "train.step")) == 1


def test_limit_of_checkpoints_and_best(tmp_path):
    loop = make_loop(adapted(by_rows(qwen())), rows(30), epochs=3.0, save_strategy="steps", save_steps=1, save_total_limit=2)
    run(tmp_path / "a", loop)
    last = loop.course.steps
    assert [path.name for path in list_checkpoints(tmp_path / "a" / "checkpoints")] == [f"checkpoint-{last - 1}", f"checkpoint-{last}"]
    best = make_loop(adapted(by_rows(qwen())), rows(30), rows(30), epochs=3.0, save_strategy="best", eval_strategy="steps", eval_steps=2)
    events = run(tmp_path / "b", best)
    losses, lowest, expected = of(events, "train.eval"), float("inf"), []
    for event in losses:
        if event["loss"] < lowest:
            lowest = event["loss"]
            expected += [event["step"]] if event["step"] else []
    assert [event["step"] for event in of(events, "train.checkpoint")] == expected
    assert expected


def half(**changes):
    torch.manual_seed(0)
    return make_loop(adapted(by_rows(qwen(dtype=torch.float16))), rows(30), **{"epochs": 2.0, **changes})


def test_float16_learns_with_a_scaled_loss_as_float32_does(tmp_path):
    told = [
        run(tmp_path / name, loop)
        for name, loop in (("half", half()), ("whole", make_loop(adapted(by_rows(qwen())), rows(30), epochs=2.0)))
    ]
    losses = [[event["loss"] for event in of(events, "train.step")] for events in told]
    assert losses[0] == pytest.approx(losses[1], rel=5e-3)
    norms = [[event["grad_norm"] for event in of(events, "train.step")] for events in told]
    assert norms[0] == pytest.approx(norms[1], rel=5e-2)
    assert not of(told[0], "note")


def test_a_step_that_overflows_is_skipped_and_the_scale_halved(tmp_path):
    loop = half(epochs=3.0)
    before = {name: value.clone() for name, value in adapter_weights(loop._model).items()}
    loop._strategy._scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)
    seen = {}

    def look(event):
        if event["event"] == "train.step" and event["step"] == 1:
            seen.update({name: value.clone() for name, value in adapter_weights(loop._model).items()})

    events = run(tmp_path, loop, look)
    assert all(torch.equal(before[name], value) for name, value in seen.items())
    skipped = [event["step"] for event in of(events, "train.step") if event["grad_norm"] is None]
    assert skipped[:2] == [1, 2]
    assert len(skipped) == len(of(events, "note"))
    assert "overflowed float16 at a loss scale of 1.67772e+07" in of(events, "note")[0]["message"]
    assert loop._strategy._scaler.get_scale() == 2.0 ** (24 - len(skipped))
    assert any(not torch.equal(before[name], value) for name, value in adapter_weights(loop._model).items())


def test_a_gradient_that_no_scale_mends_ends_the_run(tmp_path):
    loop = half()
    loop._strategy._scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    next(value for value in loop._model.parameters() if value.requires_grad).register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(TrainingError, match=r"at step 3, before the optimizer step. Likely cause: float16 ends at 65,504"):
        run(tmp_path, loop)


def test_the_scale_is_resumed(tmp_path):
    def make():
        loop = half(save_strategy="steps", save_steps=2)
        loop._strategy._scaler = torch.amp.GradScaler("cpu", init_scale=2.0**22, growth_interval=3)
        return loop

    def stop(event):
        if event["event"] == "train.checkpoint" and event["step"] == 4:
            raise KeyboardInterrupt

    unbroken = make()
    told = run(tmp_path / "whole", unbroken)
    assert 0 < len(of(told, "note")) < unbroken.course.steps - 3
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", make(), stop)
    resumed = half(save_strategy="steps", save_steps=2)  # With the first scale of PyTorch, which the checkpoint's must replace.
    run(tmp_path / "parts", resumed)
    for name, value in adapter_weights(unbroken._model).items():
        assert torch.equal(value, adapter_weights(resumed._model)[name]), name
    assert resumed._strategy._scaler.state_dict() == unbroken._strategy._scaler.state_dict()


def test_clipping(tmp_path):
    norms = []
    for limit in (0.0, 1e-9):
        model = adapted(by_rows(qwen()))
        before = adapter_weights(model)
        before = {name: value.clone() for name, value in before.items()}
        run(
            tmp_path / str(limit),
            make_loop(model, rows(4), max_grad_norm=limit, max_steps=1, adam_epsilon=1.0, epsilon=1.0, name="adamw_torch", warmup_steps=0),
        )
        norms.append(sum((value - before[name]).norm() for name, value in adapter_weights(model).items()))
    assert norms[1] < 1e-6 * norms[0]


def test_rows_whose_first_token_alone_is_trained_carry_no_loss(tmp_path):
    row = TokenRow("only-first", np.array([5, 6, 7], dtype=np.int32), np.array([True, False, False]))
    loop = make_loop(adapted(by_rows(qwen())), [row, *rows(3)])
    assert np.isfinite(of(run(tmp_path, loop), "train.step")[0]["loss"])


def test_a_validation_loss_that_is_not_finite_stops_the_run(tmp_path):
    loop = make_loop(adapted(by_rows(qwen())), rows(8), rows(4), max_steps=1)
    real = loop._objective.loss_sum
    loop._objective.loss_sum = lambda batch: real(batch) if torch.is_grad_enabled() else real(batch) * float("nan")
    with pytest.raises(TrainingError, match="validation loss is nan"):
        run(tmp_path, loop)


def test_a_rehearsal_that_was_killed_does_not_stop_the_next(tmp_path):
    run(tmp_path / "a", make_loop(adapted(by_rows(qwen())), rows(30), epochs=3.0, save_strategy="steps", save_steps=2))
    stale = list_checkpoints(tmp_path / "a" / "checkpoints")[-1]
    shutil.copytree(stale, tmp_path / "b" / "checkpoints" / ".rehearsal" / stale.name)
    seen = run(tmp_path / "b", make_loop(adapted(by_rows(qwen())), rows(30), epochs=3.0, save_strategy="steps", save_steps=2))
    assert of(seen, "train.checkpoint")
