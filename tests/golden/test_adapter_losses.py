"""Fifty steps of each kind of adapter on a random model, number by number, beside `test_training_losses`.

A change here is a change of what training does: raise its version in `core.stages`, then write the curves again by
`python tests/golden/test_adapter_losses.py` from the repository's root. A new kind alone is added by the same command.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from luthier.config.keys.base import BaseSettings
from luthier.core.events import EventLog
from luthier.core.stages import STAGES
from luthier.model.adapters.make import add_lora
from luthier.model.base import load_base
from luthier.model.locate import ModelLocation
from luthier.train.loop import Store
from training_parts import PLAN, by_rows, kind, make_loop, qwen, rows, write_nothing

GOLDEN = Path(__file__).with_name("adapter_losses.json")
CURVES = ("lora", "qlora", "dora", "rslora", "pissa", "whole")


def curve(name: str, folder: Path) -> dict[str, list[float]]:
    base = qwen()
    if name == "qlora":
        base.save_pretrained(folder / "base")
        settings = BaseSettings("tiny", None, None, quantization="nf4", attention=None)
        base = load_base(ModelLocation("tiny", folder / "base", "test"), settings, PLAN)
    settings = kind("lora" if name == "qlora" else name, dropout=0.05)
    loop = make_loop(
        add_lora(by_rows(base), settings, 1), rows(120, longest=16), epochs=6.0, max_steps=50, warmup_steps=5, learning_rate=5e-3
    )
    seen: list[dict[str, object]] = []
    loop.run(Store(folder / "checkpoints", "key", write_nothing), EventLog(None, [seen.append]))
    steps = [event for event in seen if event["event"] == "train.step"]
    return {"loss": [round(event["loss"], 6) for event in steps], "grad_norm": [round(event["grad_norm"], 5) for event in steps]}


@pytest.mark.filterwarnings("ignore:[\\s\\S]*tie_word_embeddings")
@pytest.mark.parametrize("name", CURVES)
def test_fifty_steps(name, tmp_path):
    golden, found = json.loads(GOLDEN.read_text()), curve(name, tmp_path)
    assert golden["version"] == STAGES["train"].version
    assert len(found["loss"]) == 50
    assert found["loss"][-1] < found["loss"][0]
    # Products are summed in another order on another processor.
    assert found["loss"] == pytest.approx(golden[name]["loss"], rel=1e-4)
    assert found["grad_norm"] == pytest.approx(golden[name]["grad_norm"], rel=2e-3)


def test_each_kind_has_a_curve_of_its_own():
    golden = json.loads(GOLDEN.read_text())
    assert len({tuple(golden[name]["loss"]) for name in CURVES}) == len(CURVES)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    old = json.loads(GOLDEN.read_text()) if GOLDEN.is_file() else {"version": None}
    is_same = old["version"] == STAGES["train"].version
    new: dict[str, object] = {"version": STAGES["train"].version}
    for kind_name in CURVES:
        with tempfile.TemporaryDirectory() as scratch:
            new[kind_name] = old[kind_name] if is_same and kind_name in old else curve(kind_name, Path(scratch))
    GOLDEN.write_text(json.dumps(new, indent=1) + "\n")
