"""Thirty steps on a random model, number by number. A change here is a change of what training does: raise its version in `core.stages`.

Written by `python tests/golden/test_training_losses.py` from the repository's root.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from luthier.core.events import EventLog
from luthier.core.stages import STAGES
from luthier.train.loop import Store
from training_parts import adapted, by_rows, make_loop, qwen, rows, write_nothing

GOLDEN = Path(__file__).with_name("training_losses.json")


def curve(folder: Path) -> dict[str, object]:
    loop = make_loop(adapted(by_rows(qwen())), rows(120), rows(10, seed=5), epochs=2.0, max_steps=30, eval_steps=15, warmup_steps=3)
    seen: list[dict[str, object]] = []
    loop.run(Store(folder, "key", write_nothing), EventLog(None, [seen.append]))
    steps = [event for event in seen if event["event"] == "train.step"]
    return {
        "version": STAGES["train"].version,
        "loss": [round(event["loss"], 6) for event in steps],
        "grad_norm": [round(event["grad_norm"], 5) for event in steps],
        "learning_rate": [event["learning_rate"] for event in steps],
        "tokens": [event["tokens"] for event in steps],
        "eval_loss": [round(event["loss"], 6) for event in seen if event["event"] == "train.eval"],
    }


def test_thirty_steps(tmp_path):
    golden, found = json.loads(GOLDEN.read_text()), curve(tmp_path)
    assert len(found["loss"]) == 30
    assert found["tokens"] == golden["tokens"]
    assert found["version"] == golden["version"]
    assert found["learning_rate"] == pytest.approx(golden["learning_rate"], rel=1e-9)
    # Products are summed in another order on another processor.
    assert found["loss"] == pytest.approx(golden["loss"], rel=1e-4)
    assert found["eval_loss"] == pytest.approx(golden["eval_loss"], rel=1e-4)
    assert found["grad_norm"] == pytest.approx(golden["grad_norm"], rel=2e-3)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        new = curve(Path(folder))
    if new["version"] == json.loads(GOLDEN.read_text())["version"]:
        sys.exit("raise the version of training in src/luthier/core/stages.py first")
    GOLDEN.write_text(json.dumps(new, indent=1) + "\n")
