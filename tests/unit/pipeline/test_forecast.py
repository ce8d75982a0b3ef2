"""What a plan tells before a run and after it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from luthier.cli.plan import plan as plan_command
from luthier.config.strategy_table import WAYS
from luthier.core.errors import ConfigError
from luthier.core.files import read_json, write_json, write_text
from luthier.core.records import Plan
from luthier.core.runs import RunFolder
from luthier.model import device_memory
from luthier.model.shapes import BaseShapes, Matrix, Sizes
from luthier.pipeline import forecast as module
from luthier.pipeline.check import load_run
from luthier.pipeline.experiment import Experiment
from luthier.pipeline.forecast import forecast, forecast_text, operations_per_token
from luthier.pipeline.run import run_stages
from luthier.pipeline.start import from_template
from luthier.train.memory.fitting import RowSizes

GPU = Plan("cuda", "NVIDIA H100 80GB HBM3", "bfloat16", 1, memory_bytes=80 << 30)


@pytest.fixture
def run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "plan_of", lambda config, folder: GPU)
    from_template("commands", Path("run.yaml"), force=False)
    return Path("run.yaml")


def test_before_the_data_the_largest_batch_is_the_run_files(run_file: Path) -> None:
    loaded = load_run(run_file, ("micro_batch_size=4", "sequence_len=512"))
    found = forecast(loaded, 2.0)
    assert set(found["stages"].values()) == {"to do"}
    assert found["batches"]["tokens"] is None
    assert found["time"] is None
    assert "2,048 tokens" in found["memory"]["basis"]
    assert found["memory"]["total_bytes"] == sum(found["memory"]["parts"].values())
    assert not loaded.folder.exists()
    assert "not known before the first step" in forecast_text(found)


def test_memory_under_another_engine_is_told_to_be_that_of_our_own(run_file: Path) -> None:
    found = forecast(load_run(run_file, ("engine=axolotl", "axolotl.python=/absent/python")))
    assert "Axolotl holds padded batches and whole logits" in found["memory"]["basis"]


def test_after_the_data_its_rows_count(run_file: Path) -> None:
    before = forecast(load_run(run_file))["memory"]["parts"]["activations"]
    run_stages(load_run(run_file), "data")
    found = forecast(load_run(run_file), 2.0)
    assert found["stages"]["data"] == "done"
    assert found["stages"]["train"] == "to do"
    assert found["batches"]["rows"] == 16
    assert found["memory"]["parts"]["activations"] < before
    time = found["time"]
    assert time["seconds"] == pytest.approx(found["batches"]["tokens"] / time["tokens_per_second"], abs=0.1)
    assert time["cost"] == pytest.approx(2.0 * found["batches"]["tokens"] / time["tokens_per_second"] / 3600, abs=1e-4)
    assert "assumed 35%" in time["basis"]


def earlier_run(name: str, resolved: str, tokens_per_second: float) -> RunFolder:
    folder = RunFolder(Path("runs") / name)
    write_text(folder.resolved_yaml, resolved)
    write_json(folder.plan_json, GPU.to_json())
    write_json(folder.train_summary, {"tokens_per_second": tokens_per_second})
    return folder


def test_an_earlier_run_with_the_same_settings_tells_the_rate(run_file: Path) -> None:
    run_stages(load_run(run_file), "data")
    earlier_run("same", load_run(run_file).resolved_text(), 1234.5)
    for name, other in (("batch", "micro_batch_size=7"), ("optimizer", "optimizer=sgd"), ("whole", "lora_modules_to_save=[lm_head]")):
        earlier_run(f"other-{name}", load_run(run_file, (other,)).resolved_text(), 99.0)
    assert forecast(load_run(run_file))["time"]["tokens_per_second"] == 1234.5


def test_an_unknown_device_has_no_time(run_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_stages(load_run(run_file), "data")
    monkeypatch.setattr(module, "plan_of", lambda config, folder: replace(GPU, device="cpu", device_name="some processor"))
    assert forecast(load_run(run_file))["time"] is None


@pytest.mark.parametrize(
    ("written", "share", "expected"),
    [
        (("micro_batch_size=16", "gradient_accumulation_steps=1"), 0.9, {"micro_batch_size": 8, "gradient_accumulation_steps": 2}),
        # Made again in no more layers than it takes, and so cheaper than `true`.
        (("micro_batch_size=1",), 0.7, {"gradient_checkpointing": "auto"}),
    ],
)
def test_the_cheapest_change_that_fits_is_named(
    run_file: Path, monkeypatch: pytest.MonkeyPatch, written: tuple[str, ...], share: float, expected: dict[str, object]
) -> None:
    written = ("sequence_len=2048", *written)
    parts = forecast(load_run(run_file, written))["memory"]["parts"]
    device = parts["process"] + int(share * (sum(parts.values()) - parts["process"]))
    monkeypatch.setattr(module, "plan_of", lambda config, folder: replace(GPU, memory_bytes=device))
    found = forecast(load_run(run_file, written))
    assert not found["memory"]["fits"]
    assert found["memory"]["change"] == expected
    assert "the cheapest change that fits: " in forecast_text(found)
    changes = tuple(f"{name}={json.dumps(value)}" for name, value in expected.items())
    assert forecast(load_run(run_file, (*written, *changes)))["memory"]["fits"]


def test_nothing_fits_a_device_that_is_too_small(run_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "plan_of", lambda config, folder: replace(GPU, memory_bytes=1 << 20))
    found = forecast(load_run(run_file))
    assert found["memory"]["change"] is None
    assert "no change" in forecast_text(found)


def test_a_base_that_is_not_here_is_not_fetched(run_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luthier.model.locate._download", lambda *_: pytest.fail("fetched"))
    found = forecast(load_run(run_file, ("base_model=somebody/no-such-model",)))
    assert found["memory"] is None
    assert "fetches nothing" in forecast_text(found)


def test_the_measured_peak_stands_beside_the_estimate(run_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_stages(load_run(run_file), "data")
    folder = RunFolder(load_run(run_file).folder)
    write_json(folder.train_summary, {"peak_memory_bytes": 123_000_000})
    monkeypatch.setattr(module, "_is_done", lambda spec, *_: spec.name in ("data", "train"))
    found = forecast(load_run(run_file))
    assert found["memory"]["measured_bytes"] == 123_000_000
    assert "measured peak 0.12 GB" in forecast_text(found)
    assert read_json(folder.train_summary) == {"peak_memory_bytes": 123_000_000}


def test_the_estimate_of_the_run_itself_stands_beside_its_peak(run_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(load_run(run_file).folder)
    write_json(folder.train_summary, {"peak_memory_bytes": 123_000_000, "estimated_memory_bytes": 111_000_000})
    monkeypatch.setattr(module, "_is_done", lambda spec, *_: spec.name == "train")
    monkeypatch.setattr(module, "_stages", lambda *_: {"data": "to do", "train": "done"})
    assert "measured peak 0.12 GB, 0.11 GB estimated" in forecast_text(forecast(load_run(run_file)))


AUTO = ("sequence_len=2048", "batch_size=16", "micro_batch_size=auto", "gradient_accumulation_steps=null")


def test_what_is_left_to_the_machine_is_told(run_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = forecast(load_run(run_file, AUTO))["memory"]
    assert (found["micro_batch_size"], found["gradient_accumulation_steps"], found["recomputed_layers"]) == (16, 1, 0)
    room = found["parts"]["process"] + int(0.5 * (found["total_bytes"] - found["parts"]["process"]))
    monkeypatch.setattr(module, "plan_of", lambda config, folder: replace(GPU, memory_bytes=room))
    told = forecast(load_run(run_file, AUTO))
    assert told["memory"]["micro_batch_size"] < 16
    assert told["memory"]["micro_batch_size"] * told["memory"]["gradient_accumulation_steps"] == 16
    assert told["memory"]["fits"]
    assert f"auto: micro batches of {told['memory']['micro_batch_size']}, " in forecast_text(told)
    layers = forecast(load_run(run_file, ("sequence_len=2048", "micro_batch_size=16", "gradient_checkpointing=auto")))
    assert 0 < layers["memory"]["recomputed_layers"] < layers["memory"]["layers"]
    assert f"activations of {layers['memory']['recomputed_layers']} of" in forecast_text(layers)


def test_what_others_hold_on_the_device_is_not_free(run_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_memory, "room_bytes", lambda plan: 1 << 20)
    found = forecast(load_run(run_file))
    assert found["memory"]["room_bytes"] == 1 << 20
    assert not found["memory"]["fits"]
    assert "1.05 MB that are free for it" in forecast_text(found)


def test_operations_of_a_token_are_those_of_the_formula(run_file: Path) -> None:
    """Qwen2.5-7B with rank 16 on every linear layer, rows of 2,048 tokens that all carry loss: 29.96 G."""
    h, k, i = 3584, 512, 18944
    widths = {"q": (h, h), "k": (k, h), "v": (k, h), "o": (h, h), "gate": (i, h), "up": (i, h), "down": (h, i)}
    matrices = tuple(Matrix(f"layers.{layer}.{name}", *pair) for layer in range(28) for name, pair in widths.items())
    sizes = Sizes(h, 28, 28, 4, 128, i, 152064)
    base = BaseShapes(sizes, {}, matrices, "embed_tokens.weight", Matrix("lm_head", 152064, h, in_layer=False), is_tied=False)
    config = load_run(run_file, ("lora_r=16", "lora_target_linear=true")).config
    sizing = module._sizing(config, base, GPU, RowSizes([2048, 2048], [2048, 2048]))
    assert operations_per_token(sizing, 0) == pytest.approx(29.96e9, rel=1e-3)
    assert operations_per_token(sizing, 28) == pytest.approx(29.96e9 * 26.4 / 18.2, rel=0.01)
    assert operations_per_token(sizing, 7) == pytest.approx(29.96e9 * (0.75 + 0.25 * 26.4 / 18.2), rel=0.01)


def test_several_processes_divide_rows_and_where_asked_weights(run_file: Path) -> None:
    single = ("micro_batch_size=1", "gradient_accumulation_steps=1")
    run_stages(load_run(run_file, single), "data")
    one = forecast(load_run(run_file, single), 2.0)
    four = forecast(load_run(run_file, single), 2.0, 4)
    assert (one["processes"], four["processes"]) == (1, 4)
    assert four["batches"]["steps"] < one["batches"]["steps"]
    assert four["time"]["tokens_per_second"] == pytest.approx(4 * one["time"]["tokens_per_second"], abs=0.5)
    assert four["memory"]["parts"]["base weights"] == one["memory"]["parts"]["base weights"]
    assert "processes  4, each process holds the whole model (DDP)" in forecast_text(four)
    divided = forecast(load_run(run_file, (*single, "fsdp_version=2", "optimizer=adamw_torch")), 2.0)
    assert divided["processes"] == 2
    assert divided["memory"]["parts"]["base weights"] == pytest.approx(one["memory"]["parts"]["base weights"] / 2, abs=1)
    assert divided["memory"]["by_process"] == [divided["memory"]["total_bytes"]] * 2
    assert divided["memory"]["main_memory_bytes"] == 2 * one["memory"]["parts"]["base weights"]
    text = forecast_text(divided)
    assert "processes  2, weights that are divided over processes (FSDP2)" in text
    assert "while they read the base or keep their parts there" in text


def test_what_zero_divides_is_told_of_each_process(run_file: Path) -> None:
    single = ("micro_batch_size=1", "gradient_accumulation_steps=1", "optimizer=adamw_torch")
    one = forecast(load_run(run_file, single))["memory"]["parts"]
    for stage, whole in ((1, ("gradients", "base weights")), (2, ("base weights",)), (3, ())):
        found = forecast(load_run(run_file, (*single, f"deepspeed={{zero_optimization: {{stage: {stage}, reduce_bucket_size: 1000}}}}")))
        assert found["processes"] == 2
        for name in ("optimizer state", "gradients", "base weights"):
            assert found["memory"]["parts"][name] == pytest.approx(one[name] / (1 if name in whole else 2), abs=1), (stage, name)
        assert f"processes  2, {WAYS['zero3' if stage == 3 else 'zero12'][0]}" in forecast_text(found)


def test_a_run_of_several_processes_is_planned_as_it_was_begun_and_measured_by_each(
    run_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(load_run(run_file).folder)
    write_json(folder.plan_json, replace(GPU, processes=3).to_json())
    peaks = [123_000_000, 124_000_000, 122_000_000]
    write_json(folder.train_summary, {"peak_memory_bytes": max(peaks), "peak_memory_bytes_of_processes": peaks})
    monkeypatch.setattr(module, "_stages", lambda *_: {"data": "to do", "train": "done"})
    found = forecast(load_run(run_file))
    assert found["processes"] == 3
    assert "(each process: 0.12 GB, 0.12 GB, 0.12 GB)" in forecast_text(found)


def test_the_command_tells_the_same_as_json(run_file: Path) -> None:
    done = CliRunner().invoke(plan_command, [str(run_file), "--json"])
    assert done.exit_code == 0
    assert json.loads(done.output)["memory"]["fits"] is True
    assert "base weights" in CliRunner().invoke(plan_command, [str(run_file)]).output


def test_the_programming_interface_tells_the_same(run_file: Path) -> None:
    assert Experiment(load_run(run_file)).plan(2.0) == forecast(load_run(run_file), 2.0)


def test_what_a_run_beside_it_has_done_is_told_and_counted(run_file: Path) -> None:
    first = load_run(run_file, ("run_name=first",))
    run_stages(first, "data")
    before = sorted(Path("runs").rglob("*"))
    found = forecast(load_run(run_file, ("run_name=second", "learning_rate=3e-4")))
    assert (found["stages"]["data"], found["stages"]["train"]) == (f"taken from {first.name}", "to do")
    assert found["batches"]["rows"] == 16
    assert f"stages     data taken from {first.name}, train to do" in forecast_text(found)
    assert sorted(Path("runs").rglob("*")) == before
    assert forecast(load_run(run_file, ("run_name=third", "seed=7")))["stages"]["data"] == "to do"


def test_a_training_without_an_adapter_tells_the_rate_too(run_file: Path) -> None:
    whole = ("adapter=null", "export=[]", *(f"{name}=null" for name in ("lora_r", "lora_alpha", "lora_target_linear")))
    run_stages(load_run(run_file, whole), "data")
    earlier_run("earlier", load_run(run_file, whole).resolved_text(), 1234.5)
    assert forecast(load_run(run_file, whole))["time"]["tokens_per_second"] == 1234.5


@pytest.mark.parametrize("written", ["./nodir", "/nowhere/base", "~/nodir"])
def test_a_base_whose_path_leads_nowhere_is_refused(run_file: Path, written: str) -> None:
    with pytest.raises(ConfigError, match="names a folder that is not there"):
        forecast(load_run(run_file, (f"base_model={written}",)))
