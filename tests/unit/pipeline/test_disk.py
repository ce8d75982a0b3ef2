"""What a plan tells of the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.model.locate import STARTER_FOLDER
from luthier.pipeline.check import load_run
from luthier.pipeline.forecast import forecast, forecast_text
from luthier.pipeline.run import run_stages
from luthier.pipeline.start import from_template


@pytest.fixture
def run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    from_template("commands", Path("run.yaml"), force=False)
    return Path("run.yaml")


def written(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and not file.name.startswith("tokenizer"))


def test_what_a_training_writes_is_what_was_told(run_file: Path) -> None:
    loaded = load_run(run_file, ("max_steps=6", "save_steps=1", "save_total_limit=3", "export=[adapter]", "lora_r=64"))
    told = forecast(loaded)["disk"]
    assert list(told["parts"]) == ["checkpoints", "result"]
    run_stages(loaded, "train")
    # One more than is kept was there for a moment.
    assert written(loaded.folder / "checkpoints") * 4 / 3 == pytest.approx(told["parts"]["checkpoints"], rel=0.1)
    assert written(loaded.folder / "adapter") == pytest.approx(told["parts"]["result"], rel=0.05)
    after = forecast(loaded)["disk"]
    assert (after["parts"], after["needed_bytes"]) == ({}, 0)


def test_a_merged_model_takes_what_the_base_takes(run_file: Path) -> None:
    found = forecast(load_run(run_file))
    weights = sum(file.stat().st_size for file in STARTER_FOLDER.glob("*.safetensors"))
    assert found["disk"]["parts"]["merged model"] == weights
    assert found["disk"]["needed_bytes"] == sum(found["disk"]["parts"].values())
    assert "MB to write at most" in forecast_text(found)
