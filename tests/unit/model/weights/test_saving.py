"""A whole model on disk: what is said meanwhile."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from luthier.model.weights.saving import Tail, save_model
from training_parts import qwen


def test_what_deepspeed_says_when_it_is_imported_stays_unsaid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log, plain = logging.getLogger("DeepSpeed"), PreTrainedModel.save_pretrained
    log.addHandler(caplog.handler)

    def save(model: PreTrainedModel, *arguments: object, **more: object) -> None:
        log.warning("Setting accelerator to CPU.")
        plain(model, *arguments, **more)

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", save)
    save_model(qwen(), tmp_path, torch.float32, Tail((2,), 0))
    log.warning("something else")
    log.removeHandler(caplog.handler)
    assert {record.getMessage() for record in caplog.records if record.name == "DeepSpeed"} == {"something else"}
    assert (tmp_path / "model.safetensors").is_file()
