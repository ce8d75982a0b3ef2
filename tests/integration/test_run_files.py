"""The run files of real uses train as they stand, with base and data replaced by what is in the package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import luthier
from luthier.core.runs import RunFolder

ROOT = Path(__file__).parents[2]
ROWS = ROOT / "examples" / "quickstart" / "train.jsonl"
FILES = [
    "examples/command-standard/run.yaml",
    "examples/codebase-assistant/run.yaml",
    "examples/framework-docs/run.yaml",
    "examples/framework-docs/debug.yaml",
]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_text("".join(ROWS.read_text(encoding="utf-8").splitlines(keepends=True)[:80]), encoding="utf-8")
    return path


@pytest.mark.parametrize("file", FILES)
def test_two_steps(file: str, rows: Path, tmp_path: Path) -> None:
    kind = "alpaca" if "standard" in file else "chat_template"
    source = rows
    if kind == "alpaca":
        source = tmp_path / "alpaca.jsonl"
        turns = [json.loads(line)["messages"] for line in rows.read_text(encoding="utf-8").splitlines()]
        source.write_text("".join(json.dumps({"instruction": ask["content"], "output": answer["content"]}) + "\n" for ask, answer in turns))
    overrides = {
        "base_model": "starter",
        "datasets": [{"path": str(source), "type": kind}],
        "max_steps": 2,
        "num_epochs": 4,
        "output_dir": str(tmp_path / "runs"),
    }
    experiment = luthier.load(ROOT / file, overrides)
    folder = RunFolder(experiment.train())
    summary = json.loads(folder.train_summary.read_text(encoding="utf-8"))
    assert summary["steps"] == 2
    assert summary["base"]["quantization"] == "nf4"
    assert (folder.adapter / "adapter_model.safetensors").is_file()
