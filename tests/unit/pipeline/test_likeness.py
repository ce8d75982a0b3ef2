"""Two run folders beside each other: what counts as equal, close and different. The folders are written by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from luthier.core.files import write_json, write_jsonl, write_text
from luthier.core.manifest import StageRecord
from luthier.core.runs import RunFolder
from luthier.pipeline.likeness import compare

SUMMARY = {"steps": 2, "final_loss": 2.0, "seconds": 5.0, "base": {"identity": "sha256:1"}}
PLAN = {"device": "cpu", "device_name": "one", "dtype": "float32", "threads": 2}


def made(path: Path, **losses: float) -> RunFolder:
    """A finished run with two logged steps."""
    folder = RunFolder(path)
    write_json(folder.plan_json, PLAN)
    write_text(folder.versions_lock, "# Python 3.11.7 on Linux x86_64\ntorch==2.13.0\nclick==8.2\n")
    write_text(folder.split("train"), "rows\n")
    write_text(folder.adapter / "adapter_model.safetensors", "weights")
    write_json(folder.train_summary, SUMMARY)
    steps = [{"event": "train.step", "step": step, "loss": losses.get(f"loss{step}", 2.0), "time": str(path)} for step in (1, 2)]
    write_jsonl(folder.curve, steps)
    write_json(folder.evaluate / "commands" / "scores.json", {"candidates": {"tuned": {"exact_match": {"value": 0.5}}}, "paired": {}})
    record(folder)
    return folder


def record(folder: RunFolder) -> None:
    manifest = folder.manifest()
    for stage, outputs in (("data", ("data",)), ("train", ("train", "adapter")), ("evaluate", ("evaluate",))):
        manifest = manifest.with_stage(stage, StageRecord("key", folder.output_hashes(outputs), 1.0))
    folder.save_manifest(manifest)


def verdict(one: RunFolder, other: RunFolder, missing: dict[str, str] | None = None) -> tuple[str, list[str], list[str]]:
    found = compare(one, other, 0.02, missing or {})
    return found["verdict"], [row["what"] for row in found["conditions"]], [row["what"] for row in found["differences"]]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[RunFolder, RunFolder]:
    return made(tmp_path / "a" / "run"), made(tmp_path / "b" / "run")


def test_equal_but_for_times(pair: tuple[RunFolder, RunFolder]) -> None:
    assert verdict(*pair) == ("equal", [], [])


def test_equal_bytes_are_equal_on_another_machine_too(pair: tuple[RunFolder, RunFolder]) -> None:
    write_json(pair[1].plan_json, {**PLAN, "threads": 4})
    write_text(pair[1].versions_lock, "# Python 3.12.1 on Linux x86_64\ntorch==2.11.0\nclick==9\n")
    # Versions of packages that change no result are no matter.
    assert verdict(*pair) == ("equal", ["threads", "Python", "torch"], [])


def test_what_was_not_redone_is_not_equal(pair: tuple[RunFolder, RunFolder]) -> None:
    assert verdict(*pair, {"evaluate": "no endpoint"})[0] == "incomplete"


def test_other_bytes_on_the_same_machine_are_different(pair: tuple[RunFolder, RunFolder]) -> None:
    write_text(pair[1].adapter / "adapter_model.safetensors", "other")
    record(pair[1])
    assert verdict(*pair) == ("different", [], ["adapter/adapter_model.safetensors"])


@pytest.mark.parametrize(("loss", "expected"), [(2.01, "close"), (2.2, "different"), (float("nan"), "different")])
def test_on_another_machine_the_losses_decide(tmp_path: Path, loss: float, expected: str) -> None:
    one, other = made(tmp_path / "a" / "run"), made(tmp_path / "b" / "run")
    lines = [json.dumps({"event": "train.step", "step": step, "loss": loss if step == 2 else 2.0}) for step in (1, 2)]
    other.curve.write_text("\n".join(lines) + "\n")
    write_text(other.adapter / "adapter_model.safetensors", "other")
    write_json(other.plan_json, {**PLAN, "device_name": "two"})
    record(other)
    found, conditions, differences = verdict(one, other)
    assert (found, conditions) == (expected, ["device_name"])
    assert differences == ["adapter/adapter_model.safetensors", "step 000002 train.step loss"]


def test_a_loss_that_is_missing_is_different(tmp_path: Path) -> None:
    one, other = made(tmp_path / "a" / "run"), made(tmp_path / "b" / "run")
    other.curve.write_text("")
    write_json(other.plan_json, {**PLAN, "device_name": "two"})
    assert verdict(one, other)[0] == "different"


def test_another_score_and_another_base_are_named(pair: tuple[RunFolder, RunFolder]) -> None:
    write_json(pair[1].evaluate / "commands" / "scores.json", {"candidates": {"tuned": {"exact_match": {"value": 0.25}}}, "paired": {}})
    write_json(pair[1].train_summary, {**SUMMARY, "base": {"identity": "sha256:2"}})
    assert verdict(*pair) == ("close", ["base"], ["evaluate/commands: tuned exact_match value"])


def test_a_training_of_two_processes_is_another_condition(pair: tuple[RunFolder, RunFolder]) -> None:
    write_json(pair[0].train_summary, {**SUMMARY, "processes": 2})
    assert verdict(*pair) == ("equal", ["processes of the training"], [])


def test_a_run_whose_own_files_were_altered_is_told(pair: tuple[RunFolder, RunFolder]) -> None:
    (pair[0].adapter / "adapter_model.safetensors").write_text("altered!")
    assert verdict(*pair) == ("different", [], ["adapter of the run itself"])


def test_a_folder_without_versions_and_plan_differs_in_all_of_them(pair: tuple[RunFolder, RunFolder]) -> None:
    pair[0].versions_lock.unlink()
    shutil.rmtree(pair[0].evaluate)
    _, conditions, differences = verdict(*pair)
    assert conditions == ["Python", "torch"]
    assert differences == ["evaluate/commands: tuned exact_match value"]
