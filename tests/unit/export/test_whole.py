"""A model that was trained without an adapter: what is checked of its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.core.errors import IntegrityError
from luthier.core.files import sha256_file
from luthier.core.records import Plan
from luthier.export.merge import MergeError
from luthier.export.whole import check_model, copy_model
from luthier.model.weights.saving import Tail, save_model
from training_parts import BASE, qwen

PLAN = Plan(device="cpu", device_name="test", dtype="float32", threads=1)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """In two files, as a large model is."""
    folder = tmp_path / "model"
    base = qwen()
    save_model(base, folder, base.dtype, Tail((2, 5), 0), shard_bytes=150_000)
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_what_is_kept_of_a_whole_model(model: Path) -> None:
    files = sorted(model.glob("*.safetensors"))
    assert len(files) > 1
    facts = check_model(model)
    assert facts["sha256"] == {file.name: sha256_file(file) for file in files}
    assert facts["parameters"] == sum(value.numel() for value in qwen().parameters())
    assert (facts["dtypes"], facts["tokenizer"]) == (["F32"], ["tokenizer.json"])
    settings = json.loads((model / "config.json").read_text())
    assert (settings["eos_token_id"], settings["pad_token_id"], settings["use_cache"]) == ([2, 5], 0, True)


@pytest.mark.parametrize("name", ["config.json", "model-00001-of-00003.safetensors"])
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(IntegrityError, match=f"{name}: missing"):
        check_model(model)


def test_a_cut_file_is_named(model: Path) -> None:
    file = model / "model-00001-of-00003.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(IntegrityError, match=file.name):
        check_model(model)


def test_a_copy_answers_as_the_model(model: Path, tmp_path: Path) -> None:
    found = copy_model(model, tmp_path / "merged", BASE, PLAN, [[3, 4, 5, 6], [7, 8]])
    assert found["max_logit_difference"] == 0
    assert found["sha256"] == check_model(model)["sha256"]
    assert found["rows"] == 2


def test_a_copy_of_other_weights_is_not_kept(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_other(source: Path, target: Path) -> None:
        other = qwen(initializer_range=0.3)
        save_model(other, target, other.dtype, Tail((2,), 0))

    monkeypatch.setattr("luthier.export.whole.link_or_copy", write_other)
    with pytest.raises(MergeError, match="does not answer"):
        copy_model(model, tmp_path / "merged", BASE, PLAN, [[3, 4, 5, 6]])
