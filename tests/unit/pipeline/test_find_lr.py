"""The range test of a run file: its own folder, equal bytes, and nothing of the training touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.core.errors import UserError
from luthier.core.files import sha256_file
from luthier.core.records import JsonObject
from luthier.pipeline.check import load_run
from luthier.pipeline.find_lr import Range, find_lr, find_lr_text
from training_driver import write_base

RUN = """\
base_model: base
adapter: lora
lora_r: 4
datasets: [{path: rows.jsonl, type: chat_template}]
chat_template: chatml
bf16: false
sequence_len: 128
sample_packing: true
val_set_size: 0
early_stopping_patience: null
loss_watchdog_threshold: 0.001
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_base(tmp_path / "base")
    with (tmp_path / "rows.jsonl").open("w") as stream:
        for number in range(20):
            messages = [{"role": "user", "content": f"print {number}"}, {"role": "assistant", "content": f"echo {number * number}"}]
            stream.write(json.dumps({"messages": messages}) + "\n")
    (tmp_path / "run.yaml").write_text(RUN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files_of(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in folder.rglob("*") if path.is_file()}


def test_equal_runs_give_equal_files_beside_an_untouched_training(world: Path) -> None:
    tried = Range(1e-5, 1.0, 12)
    loaded = load_run("run.yaml", (), for_data=True)
    told: list[JsonObject] = []
    found = find_lr(loaded, tried, (told.append,))
    steps = [(row["step"], row["steps"]) for row in told if row["event"] == "train.step"]
    assert steps == [(number, 12) for number in range(1, found["steps"] + 1)]
    before = files_of(loaded.folder)
    of_data = {".lock", "data", "events.jsonl", "manifest.json", "report.html", "report.md", "resolved.yaml", "run.yaml", "versions.lock"}
    assert {name.split("/")[0] for name in before} == {*of_data, "find-lr"}
    points = [json.loads(line) for line in (loaded.folder / "find-lr" / "points.jsonl").read_text().splitlines()]
    assert len(points) == found["steps"] <= 12
    assert points[0].keys() == {"step", "rate", "loss", "smoothed"}
    assert find_lr(loaded, tried) == found
    again = files_of(loaded.folder)
    assert {name: digest for name, digest in again.items() if name not in ("events.jsonl", ".lock")} == {
        name: digest for name, digest in before.items() if name not in ("events.jsonl", ".lock")
    }
    page = (loaded.folder / "find-lr" / "find-lr.html").read_text()
    assert "<svg" in page
    assert 'class="line smooth"' in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_text_says_how_the_rate_is_written() -> None:
    files = {"page": "runs/x/find-lr/find-lr.html", "points": "runs/x/find-lr/points.jsonl"}
    found = {"steps": 9, "low": 1e-6, "high": 1.0, "device": "cpu", "dtype": "float32", "advice": "", "files": files}
    text = find_lr_text(
        {**found, "suggestion": 1.2e-4, "lowest_loss_at": 1.2e-3, "steepest_at": 2e-4, "written": "1.2e-04"}, "my run.yaml", ("a=b",)
    )
    assert "`learning_rate: 1.2e-04`" in text
    assert "luthier run 'my run.yaml' --set a=b --set learning_rate=1.2e-04" in text
    assert "--set" not in find_lr_text({**found, "suggestion": None}, "run.yaml")


def test_one_of_several_processes_is_refused(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="one process"):
        find_lr(load_run("run.yaml", (), for_data=True), Range())


def test_rates_that_do_not_rise_are_refused(world: Path) -> None:
    with pytest.raises(UserError, match="must rise"):
        find_lr(load_run("run.yaml", (), for_data=True), Range(1.0, 0.1, 12))
