from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from luthier.core.errors import IntegrityError
from luthier.core.files import sha256_file
from luthier.core.weight_files import read_header
from luthier.export.adapter import check_adapter

A, B = "base_model.model.layers.0.q_proj.lora_A.weight", "base_model.model.layers.0.q_proj.lora_B.weight"


def _write(folder: Path, tensors: dict[str, torch.Tensor] | None = None, **settings: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors or {A: torch.zeros(4, 16), B: torch.zeros(32, 4)}, folder / "adapter_model.safetensors")
    stored = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], **settings}
    (folder / "adapter_config.json").write_text(json.dumps(stored))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_a_whole_adapter_is_described(tmp_path: Path) -> None:
    folder = _write(tmp_path / "adapter")

    found = check_adapter(folder)

    assert found["sha256"] == sha256_file(folder / "adapter_model.safetensors")
    assert found["bytes"] == (folder / "adapter_model.safetensors").stat().st_size
    assert (found["tensors"], found["parameters"], found["adapted_modules"], found["rank"]) == (2, 4 * 16 + 32 * 4, 1, 4)
    assert found["dtypes"] == ["F32"]
    assert found["tokenizer"] == ["tokenizer.json"]


def test_header_matches_what_the_library_wrote(tmp_path: Path) -> None:
    tensors = {"b": torch.zeros(2, 3, dtype=torch.bfloat16), "a": torch.zeros((), dtype=torch.int64), "e": torch.zeros(0, 4)}
    save_file(tensors, tmp_path / "x.safetensors", metadata={"format": "pt"})

    header = read_header(tmp_path / "x.safetensors")

    assert {name: entry.shape for name, entry in header.items()} == {"b": (2, 3), "a": (), "e": (0, 4)}
    assert header["b"].dtype == "BF16"


@pytest.mark.parametrize("kept", [0, 5, 60, -1])
def test_a_cut_file_is_refused(tmp_path: Path, kept: int) -> None:
    folder = _write(tmp_path / "adapter")
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])

    with pytest.raises(IntegrityError, match=r"adapter_model\.safetensors"):
        check_adapter(folder)


def test_a_file_with_more_behind_its_tensors_is_refused(tmp_path: Path) -> None:
    folder = _write(tmp_path / "adapter")
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"x")

    with pytest.raises(IntegrityError, match="expected"):
        check_adapter(folder)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = _write(tmp_path / "adapter")
    (folder / name).unlink()

    with pytest.raises(IntegrityError, match=name):
        check_adapter(folder)


@pytest.mark.parametrize(
    ("tensors", "settings", "message"),
    [
        ({A: torch.zeros(4, 16)}, {}, "pairs"),
        ({A: torch.zeros(4, 16), B: torch.zeros(32, 5)}, {}, "rank"),
        ({A: torch.zeros(8, 16), B: torch.zeros(32, 8)}, {}, "rank"),
        ({"other": torch.zeros(1)}, {}, "pairs"),
        (None, {"peft_type": "IA3"}, "LORA expected"),
        (None, {"r": None}, "no r"),
    ],
)
def test_what_peft_could_not_use_is_refused(
    tmp_path: Path, tensors: dict[str, torch.Tensor] | None, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(IntegrityError, match=message):
        check_adapter(_write(tmp_path / "adapter", tensors, **settings))


def test_ranks_may_differ_where_the_configuration_says_so(tmp_path: Path) -> None:
    folder = _write(tmp_path / "a", {A: torch.zeros(8, 16), B: torch.zeros(32, 8)}, rank_pattern={"q_proj": 8})

    assert check_adapter(folder)["adapted_modules"] == 1


def test_dora_without_its_vectors_is_refused(tmp_path: Path) -> None:
    folder = _write(tmp_path / "adapter", use_dora=True)
    with pytest.raises(IntegrityError, match="1 vectors of DoRA expected, 0 of them there"):
        check_adapter(folder)
    weights = load_file(folder / "adapter_model.safetensors")
    name = next(name for name in weights if ".lora_A." in name).replace(".lora_A.weight", ".lora_magnitude_vector")
    save_file(weights | {name: torch.ones(32)}, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    assert check_adapter(folder)["adapted_modules"] == 1
