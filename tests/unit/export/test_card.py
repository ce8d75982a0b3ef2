from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import yaml

from luthier.core.files import write_json, write_text
from luthier.core.manifest import Manifest, StageRecord
from luthier.core.records import Plan
from luthier.core.runs import RunFolder
from luthier.export.card import Subject, base_license, usage_code, write_card

PLAN = Plan(device="cpu", device_name="A processor", dtype="float32", threads=2)
SCORE = {"value": 0.6, "low": 0.532, "high": 0.668, "count": 200}
SETTINGS = {"adapter": "lora", "load_in_4bit": False, "lora_r": 16, "lora_alpha": 32, "learning_rate": 2e-4, "seed": 42, "max_steps": None}


def _subject(tmp_path: Path, **changes: object) -> Subject:
    fields = {
        "run": "quickstart",
        "base_model": "org/base",
        "base_folder": tmp_path / "somewhere" / "snapshots",
        "base_identity": "commit:abc123",
        "settings": SETTINGS,
        "plan": PLAN,
        "eos_ids": (7, 9),
    }
    return Subject(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "runs" / "quickstart-00000000")
    source = {"path": "rows|odd.jsonl", "type": "chat_template", "sha256": "12" * 32, "read": 100, "accepted": 90}
    write_json(
        run.data_report,
        {
            "sources": [source],
            "read": 100,
            "accepted": 90,
            "rejected": {"missing_field": 9},
            "duplicates": 1,
            "splits": {"train": 72, "validation": 9, "test": 9},
        },
    )
    write_json(run.provenance, {"sources": [{"path": "rows|odd.jsonl", "license": "CC-BY-4.0"}]})
    write_json(run.train_summary, {"steps": 40, "rows": 71, "first_loss": 3.5, "final_loss": 0.4, "rejected": {"over_length": 1}})
    write_json(
        run.evaluate / "summary.json",
        {"suites": [{"name": "commands", "rows": 200}], "left_out": [{"suite": "safety", "reason": "no rows"}]},
    )
    paired = {"value": 0.61, "low": 0.54, "high": 0.68, "p": 1e-9, "count": 200}
    write_json(
        run.evaluate / "commands" / "scores.json",
        {
            "candidates": {"base": {"exact_match": SCORE}, "tuned": {"exact_match": SCORE}},
            "paired": {"tuned - base": {"exact_match": paired}},
        },
    )
    write_text(run.adapter / "chat_template.jinja", "{{ messages }}")
    run.save_manifest(Manifest("quickstart-00000000", {"data": StageRecord("k", {"data": "34" * 32}, 1.0)}))
    return run


EXPORTED = {
    "adapter": {"sha256": "56" * 32},
    "merged": {
        "sha256": {"model.safetensors": "78" * 32},
        "rows": 8,
        "max_logit_difference": 2e-6,
        "mean": 1e-7,
        "tolerance": 1e-3,
        "mean_tolerance": 1e-4,
        "against_quantised": {"max_logit_difference": 0.8, "mean": 0.06, "same_token": 0.97},
    },
}


def test_the_card_says_what_was_measured_and_from_what(tmp_path: Path, folder: RunFolder) -> None:
    text = write_card(_subject(tmp_path), folder, EXPORTED)

    assert "| `exact_match` | 60.0 % (53.2 to 66.8) | 60.0 % (53.2 to 66.8) | +61.0 (+54.0 to +68.0), p < 0.001 |" in text
    assert "Left out: `safety`: no rows." in text
    assert "rows\\|odd.jsonl" in text
    assert "CC-BY-4.0" in text
    assert "missing_field 9, over_length (as tokens) 1" in text
    assert all(digest in text for digest in ("12" * 32, "34" * 32, "56" * 32, "78" * 32, "commit:abc123"))
    assert "97.0 % of the positions" in text
    assert "| `learning_rate` | `0.0002` |" in text
    assert "max_steps" not in text
    assert str(tmp_path) not in text, "no place on this machine"


@pytest.mark.parametrize(
    ("changes", "said", "tag"),
    [
        ({"peft_use_dora": True, "load_in_4bit": True}, "A QDoRA adapter (4-bit base) of rank 16 for", "- dora"),
        (
            {"peft_use_rslora": True, "lora_modules_to_save": ["lm_head"]},
            "A LoRA adapter of rank 16, with lm_head trained whole, for",
            "- rslora",
        ),
        ({"peft_init_lora_weights": "pissa"}, "rank 16 (written as plain LoRA of twice the rank, as it started by `pissa`) for", "- lora"),
    ],
)
def test_the_card_names_the_kind_of_adapter(tmp_path: Path, folder: RunFolder, changes: dict[str, object], said: str, tag: str) -> None:
    text = write_card(_subject(tmp_path, settings=SETTINGS | changes), folder, EXPORTED)
    assert said in text
    assert f"{tag}\n" in text


def test_the_card_names_another_trainer_with_its_versions(tmp_path: Path, folder: RunFolder) -> None:
    engine = {"name": "axolotl", "versions": {"axolotl": "0.19.0", "peft": "0.20.0"}}
    write_json(folder.train_summary, {"steps": 40, "engine": engine})
    text = write_card(_subject(tmp_path, settings=SETTINGS | {"engine": "axolotl"}), folder, EXPORTED)
    assert "trained by Axolotl on rows that Luthier prepared" in text
    assert "handed it: axolotl 0.19.0, peft 0.20.0." in text
    assert "Axolotl" not in write_card(_subject(tmp_path, settings=SETTINGS | {"engine": "luthier"}), folder, EXPORTED).split("handed")[0]


def test_a_card_of_a_run_without_evaluation_says_that_nothing_was_measured(tmp_path: Path) -> None:
    text = write_card(_subject(tmp_path), RunFolder(tmp_path / "empty"), {"adapter": {"sha256": "56" * 32}})

    assert "Not measured: the evaluation has not run." in text
    assert "Nothing was measured." in text
    assert "No merged model was exported." in text


@pytest.mark.parametrize("name", ["org/base", 'odd"name: [x]', "starter"])
def test_front_matter_is_yaml_that_hubs_read(tmp_path: Path, folder: RunFolder, name: str) -> None:
    base = tmp_path / "base"
    write_text(base / "README.md", "---\nlicense: apache-2.0\ntags: [x]\n---\n# Base\n")

    text = write_card(_subject(tmp_path, base_model=name, base_folder=base), folder, EXPORTED)

    stored = yaml.safe_load(text.split("---\n")[1])
    assert stored["base_model"] == name
    assert stored["library_name"] == "peft"
    assert stored["license"] == "apache-2.0"
    assert "lora" in stored["tags"]


def test_an_unknown_license_is_called_unknown_and_left_out_of_the_front_matter(tmp_path: Path, folder: RunFolder) -> None:
    text = write_card(_subject(tmp_path), folder, EXPORTED)

    assert "license" not in yaml.safe_load(text.split("---\n")[1])
    assert "| base | `commit:abc123` | unknown |" in text


def test_base_license_reads_only_the_front_matter(tmp_path: Path) -> None:
    write_text(tmp_path / "README.md", "# Base\nlicense: mit\n")
    assert base_license(tmp_path) == "unknown"
    write_text(tmp_path / "README.md", "---\ntags:\n- x\nlicense: 'mit'\n---\n")
    assert base_license(tmp_path) == "mit"


def test_usage_is_six_lines_of_python(tmp_path: Path) -> None:
    code = usage_code(_subject(tmp_path), has_chat_template=True)

    assert len(code.splitlines()) == 6
    ast.parse(code)
    assert "eos_token_id=[7, 9]" in code
    assert 'revision="abc123"' in code
    quantised = usage_code(_subject(tmp_path, settings=SETTINGS | {"load_in_4bit": True}), has_chat_template=False)
    assert len(quantised.splitlines()) == 6
    assert 'bnb_4bit_quant_type="nf4"' in quantised
    assert "apply_chat_template" not in quantised
    assert json.dumps("org/base") in quantised


def test_a_model_without_an_adapter_is_no_peft_model(tmp_path: Path, folder: RunFolder) -> None:
    settings = SETTINGS | {"adapter": None, "unfrozen_parameters": ["model.norm"]}
    subject = _subject(tmp_path, settings=settings)
    folder.model.mkdir()
    card = write_card(subject, folder, {"model": {"sha256": {"model.safetensors": "ab" * 32}, "bytes": 5}})
    front = yaml.safe_load(card.split("---")[1])
    assert front["library_name"] == "transformers"
    assert "lora" not in front["tags"]
    assert "A part fine-tuning of `org/base`" in card
    assert "| model/model.safetensors | `" + "ab" * 32 in card
    assert "lora_r" not in card
    assert "No merged model" not in card
    code = usage_code(subject, has_chat_template=True)
    ast.parse(code)
    assert "peft" not in code
    assert 'AutoModelForCausalLM.from_pretrained("model", dtype="float32")' in code
