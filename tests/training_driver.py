"""The training stage in a child process, for tests that stop it at any moment."""

from __future__ import annotations

import traceback
from pathlib import Path

import torch

from luthier.config.schema import RunConfig
from luthier.core.events import EventLog
from luthier.core.records import Plan
from luthier.core.runs import RunFolder
from luthier.model.locate import locate
from luthier.train import stage

STEPS = 36
PLAN = Plan("cpu", "test", "float32", threads=1)


def train(path: str, base: str) -> None:
    """Trains in the run folder `path`; what goes wrong is written to `problem.txt` there, and the process ends with 1."""
    torch.set_num_threads(1)
    folder = RunFolder(Path(path))
    config = RunConfig(
        base_model=base,
        adapter="lora",
        lora_r=4,
        lora_alpha=8,
        lora_dropout=0.1,
        learning_rate=0.005,
        num_epochs=100,
        max_steps=STEPS,
        sequence_len=128,
        sample_packing=True,
        micro_batch_size=1,
        gradient_accumulation_steps=2,
        optimizer="adamw_8bit",
        save_strategy="steps",
        save_steps=5,
        save_total_limit=2,
        eval_steps=12,
        chat_template="chatml",
        logging_steps=1,
    )
    try:
        stage.run(config, folder, locate(base, None, folder.hashes), PLAN, EventLog(folder.events_jsonl), "key")
    except BaseException:
        (folder.path / "problem.txt").write_text(traceback.format_exc())
        raise
