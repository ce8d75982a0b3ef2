"""A run file without an adapter from its rows to its report, by the command line, and what opens its result."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from luthier.core.runs import RunFolder
from luthier.pipeline.ask import Question, answer
from luthier.pipeline.history import show_run

ROOT = Path(__file__).parents[2]
RUN = """\
base_model: starter
datasets: [{path: rows.jsonl, type: chat_template}]
split: {validation: 0.1, test: 0.1, seed: 1}
sequence_len: 256
sample_packing: true
micro_batch_size: 4
num_epochs: 10
max_steps: 8
save_steps: 2
learning_rate: 1e-3
bf16: true
evaluate: {suites: [commands], against: [base, checkpoint-2], max_new_tokens: 12}
export: [merged]
"""


def luthier(folder: Path, *words: str) -> str:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "luthier", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("whole")
    lines = (ROOT / "examples" / "quickstart" / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "rows.jsonl").write_text("".join(lines[:60]), encoding="utf-8")
    (folder / "full.yaml").write_text(RUN)
    luthier(folder, "run", "full.yaml")
    (path,) = (folder / "runs").glob("full-*")
    return RunFolder(path)


def test_every_stage_is_done_and_stays_done(finished: RunFolder) -> None:
    assert finished.is_trained
    assert not finished.adapter.exists()
    assert "nothing to do" in luthier(finished.path.parents[1], "run", "full.yaml")
    shown = show_run(str(finished.path))
    assert shown["files"]["model"].endswith("/model")
    assert shown["stages"]["train"]["outputs"].keys() == {"train", "model"}
    candidates = shown["scores"]["commands"]["candidates"]
    assert set(candidates) == {"base", "tuned", "checkpoint-2"}


def test_base_tuned_and_checkpoint_answer_each_for_itself(finished: RunFolder) -> None:
    rows = [json.loads(line) for line in (finished.evaluate / "commands" / "generations.jsonl").read_text().splitlines()]
    texts = {
        name: [row["text"] for row in rows if row.get("candidate", row.get("model")) == name] for name in ("base", "tuned", "checkpoint-2")
    }
    assert all(texts.values())
    assert texts["base"] != texts["tuned"] != texts["checkpoint-2"] != texts["base"]


def test_the_run_and_its_model_can_be_asked(finished: RunFolder) -> None:
    text = "send 8 pings to 10.25.19.81"
    asked = Question(text, max_new_tokens=24)
    tuned = answer(str(finished.path), asked)
    assert tuned.model == "tuned"
    assert answer(str(finished.model), asked).text == tuned.text
    untuned = answer(str(finished.path), Question(text, base=True, max_new_tokens=24))
    assert untuned.text == answer("starter", asked, ["bf16=true"]).text != tuned.text


def test_the_export_holds_the_model_and_a_checked_copy(finished: RunFolder) -> None:
    targets = json.loads(finished.export_summary.read_text())["targets"]
    assert set(targets) == {"model", "merged"}
    assert targets["model"]["sha256"] == targets["merged"]["sha256"]
    assert targets["merged"]["max_logit_difference"] == 0
    assert targets["model"]["dtypes"] == ["BF16"]
    copy = AutoModelForCausalLM.from_pretrained(finished.export / "merged")
    assert copy.dtype == torch.bfloat16


def test_the_cards_code_runs_as_printed(finished: RunFolder) -> None:
    card = finished.card.read_text()
    assert "peft" not in card.partition("## Hashes")[0].replace("`peft", "")
    code = re.search(r"```python\n(.*?)\n```", card, re.DOTALL)
    assert code is not None
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code[1]], cwd=finished.path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_report_names_the_model(finished: RunFolder) -> None:
    text = finished.report_md.read_text()
    assert "opens with transformers" in text
    assert "held to the model's logits" in text
