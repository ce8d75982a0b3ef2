"""Faults that a training meets in its rows, its weights and its clock: what is told, and that nothing is lost."""

from __future__ import annotations

import ast
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from luthier.config.schema import RunConfig
from luthier.core import events as clock
from luthier.core.errors import DataError, TrainingError
from luthier.core.events import EventLog
from luthier.core.files import read_json, read_jsonl, sha256_file
from luthier.core.records import Example, Message, Origin
from luthier.core.runs import RunFolder
from luthier.model.locate import locate
from luthier.train import stage
from training_driver import PLAN, write_base, write_rows

SOURCE = Path(stage.__file__).parents[1]
LONG = 100_000


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    write_base(folder)
    return folder


def run(path, base, rows=12, **changes):
    folder = RunFolder(path)
    if not folder.data.exists():
        write_rows(folder, rows)
    settings = {
        "base_model": str(base), "adapter": "lora", "lora_r": 4, "learning_rate": 0.01, "sequence_len": 128, "sample_packing": True,
        "micro_batch_size": 2, "chat_template": "chatml", "logging_steps": 1, **changes,
    }  # fmt: skip
    stage.run(RunConfig(**settings), folder, locate(str(base), None, folder.hashes), PLAN, EventLog(folder.events_jsonl), "key")
    return folder


def with_a_long_row(path):
    """Rows in the middle of which one has more than 100,000 tokens: the tokenizer knows single bytes."""
    folder = RunFolder(path)
    write_rows(folder, 12)
    long = Example("long", (Message("user", "print all"), Message("assistant", "x" * LONG)), Origin("test", 1, file="rows.jsonl", line=99))
    lines = folder.split("train").read_text().splitlines(keepends=True)
    folder.split("train").write_text("".join([*lines[:6], json.dumps(long.to_json()) + "\n", *lines[6:]]))
    return folder


@pytest.mark.parametrize(("steps", "is_told"), [(3, True), (2, False)])
def test_a_warm_up_as_long_as_the_training_is_told(base, tmp_path, steps, is_told):
    folder = run(tmp_path / "run", base, max_steps=3, warmup_steps=steps, sample_packing=False)
    told = [row["message"] for row in read_jsonl(folder.events_jsonl) if row["event"] == "warning"]
    assert any("the rate never reaches" in message for message in told) is is_told


def test_a_row_of_100000_tokens_is_left_out_and_listed(base, tmp_path):
    folder = run(with_a_long_row(tmp_path / "long").path, base)
    (reject,) = read_jsonl(folder.train_rejected)
    assert (reject["id"], reject["reason"]) == ("long", "over_length")
    assert read_json(folder.train_summary)["length"] == {"strategy": "drop", "over_length": 1, "ids": ["long"]}
    plain = run(tmp_path / "plain", base)
    assert sha256_file(folder.adapter / "adapter_model.safetensors") == sha256_file(plain.adapter / "adapter_model.safetensors")


def test_a_row_of_100000_tokens_is_cut_or_refused_where_the_run_file_says_so(base, tmp_path):
    cut = run(with_a_long_row(tmp_path / "cut").path, base, excess_length_strategy="truncate")
    assert read_json(cut.train_summary)["rows"] == 13
    with pytest.raises(DataError, match="100030 tokens") as told:
        run(with_a_long_row(tmp_path / "refused").path, base, excess_length_strategy="raise")
    assert "rows.jsonl:99" in str(told.value)
    assert "sequence_len" in str(told.value)


def damaged(base, target, name):
    """The base with one value of a weight that is no number."""
    shutil.copytree(base, target)
    weights = load_file(target / "model.safetensors")
    weights[name].view(-1)[7] = float("nan")
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return target


def test_a_nan_in_the_bases_file_is_named_before_the_first_step(base, tmp_path):
    name = "model.layers.1.mlp.down_proj.weight"
    told = r"validation loss is nan at step 0.*layers\.1\.mlp\.down_proj.*base model's file is damaged\. Nothing of"
    with pytest.raises(TrainingError, match=told):
        run(tmp_path / "run", damaged(base, tmp_path / "damaged", name))
    assert not (tmp_path / "run" / "adapter").exists()
    assert not list((tmp_path / "run" / "checkpoints").glob("checkpoint-*"))


def test_a_nan_in_an_adapter_to_go_on_with_is_no_fault_of_the_learning_rate(base, tmp_path):
    first = run(tmp_path / "first", base)
    file = first.adapter / "adapter_model.safetensors"
    weights = load_file(file)
    next(value for name, value in weights.items() if "lora_B" in name).view(-1)[0] = float("nan")
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(TrainingError, match=r"at step 0.*lora_model_dir is damaged") as told:
        run(tmp_path / "second", base, lora_model_dir=str(first.adapter))
    assert "lower learning_rate" not in str(told.value)


def test_a_clock_that_jumps_back_changes_times_alone(base, tmp_path, monkeypatch):
    plain = run(tmp_path / "plain", base, num_epochs=3)

    class Jumping(datetime):
        calls = 0

        @classmethod
        def now(cls, tz=None):
            cls.calls += 1
            return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=-400 if cls.calls % 2 else 30, seconds=cls.calls)

    monkeypatch.setattr(clock, "datetime", Jumping)
    jumped = run(tmp_path / "jumped", base, num_epochs=3)
    assert Jumping.calls > 5
    times = [row["time"] for row in read_jsonl(jumped.events_jsonl)]
    assert times != sorted(times)
    assert [row["step"] for row in read_jsonl(jumped.curve)] == [row["step"] for row in read_jsonl(plain.curve)]
    summary = read_json(jumped.train_summary)
    assert 0 < summary["seconds"] < 600
    assert summary["tokens_per_second"] > 0
    for row in read_jsonl(jumped.curve):
        assert row.get("seconds_left", 0) >= 0
    assert sha256_file(jumped.adapter / "adapter_model.safetensors") == sha256_file(plain.adapter / "adapter_model.safetensors")


# Who may ask for the time of day, and what for: the stamp of an event or an answer, a template's date, a date that an endpoint sent,
# trackers' stamps, when a job or a source was begun or ended and how old it is, which other processes and the next server read.
STAMPS = {
    "core/events.py",
    "model/template.py",
    "model/remote.py",
    "serve/ingest/taking.py",
    "serve/ingest/uploads.py",
    "serve/jobs/queue.py",
    "serve/jobs/store.py",
    "serve/openai/answer.py",
    "serve/pages/jobs/showing.py",
    "trackers/mlflow_run.py",
    "trackers/tensorboard_run.py",
}


def test_durations_are_those_of_the_one_monotonic_clock():
    for path in SOURCE.rglob("*.py"):
        calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)}
        name = path.relative_to(SOURCE).as_posix()
        if name not in STAMPS:
            assert not calls & {"time.time", "datetime.now", "datetime.utcnow", "datetime.today", "time.localtime"}, name


def test_a_weight_that_is_not_finite_is_found_by_the_checkpoints_it_would_spoil(base, tmp_path):
    """The step that meets it is not kept: the newest checkpoint has finite weights, and a lower rate goes on from it."""
    with pytest.raises(TrainingError, match="learning_rate"):
        run(tmp_path / "run", base, rows=40, learning_rate=1e30, max_grad_norm=0.0, num_epochs=20, save_strategy="steps", save_steps=1)
    for file in (tmp_path / "run" / "checkpoints").glob("checkpoint-*/adapter_model.safetensors"):
        assert all(torch.isfinite(value).all() for value in load_file(file).values()), file
