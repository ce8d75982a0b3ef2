"""The stage on the built-in base with an adapter that really changes its answers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from luthier.config.schema import RunConfig
from luthier.core.errors import IntegrityError, NotYetError
from luthier.core.events import EventLog, read_events
from luthier.core.files import HashMemory, sha256_file, write_json
from luthier.core.manifest import Manifest
from luthier.core.records import Example, Message, Origin, Plan
from luthier.core.runs import RunFolder
from luthier.export import stage
from luthier.export.merge import MergeError, opened_otherwise
from luthier.model.adapters.files import save_adapter
from luthier.model.adapters.make import add_lora
from luthier.model.base import load_base
from luthier.model.locate import ModelLocation, locate
from luthier.model.token_file import save_rows
from luthier.model.tokens import encode_rows, make_encoder

PLAN = Plan(device="cpu", device_name="A processor", dtype="float32", threads=1)
CONFIG = RunConfig(base_model="starter", adapter="lora", learning_rate=1e-3, lora_r=4, export=("adapter", "merged"))


def _example(number: int) -> Example:
    messages = (Message("user", f"list {number} files"), Message("assistant", f"ls | head -n {number}"))
    return Example(str(number), messages, Origin("chat_template", 1, file="rows.jsonl", line=number))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, ModelLocation]:
    """A run folder as training leaves it."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "demo-00000000")
    location = locate("starter", None, HashMemory(folder.path.parent / "hashes.json"))
    encoder = make_encoder(location, CONFIG.token_settings(), {})
    save_rows(folder.tokens / "train.safetensors", encode_rows(encoder, [_example(number) for number in range(3, 15)]).rows)
    save_rows(folder.tokens / "validation.safetensors", [])
    model = add_lora(load_base(location, CONFIG.base_settings(), PLAN), CONFIG.lora_settings(), 1)
    torch.manual_seed(2)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if ".lora_B." in name:
                value.normal_(std=0.02)
    save_adapter(model, folder.adapter, CONFIG.base_model)
    encoder.tokenizer.save(folder.adapter, encoder.template.text)
    write_json(folder.adapter / "generation_config.json", {"eos_token_id": 2})
    folder.save_manifest(Manifest("demo-00000000"))
    return folder, location


@pytest.fixture(scope="module")
def exported(trained: tuple[RunFolder, ModelLocation]) -> RunFolder:
    folder, location = trained
    log = EventLog(folder.path / "events.jsonl")
    stage.run(CONFIG, folder, location, PLAN, log)
    stage.write_model_card(CONFIG, folder, location, PLAN, log)
    return folder


@pytest.fixture
def events() -> Iterator[EventLog]:
    log = EventLog(None)
    yield log
    log.close()


def test_the_summary_holds_what_was_checked(exported: RunFolder) -> None:
    summary = json.loads((exported.export / "summary.json").read_text())

    adapter, merged = summary["targets"]["adapter"], summary["targets"]["merged"]
    assert adapter["sha256"] == sha256_file(exported.adapter / "adapter_model.safetensors")
    assert adapter["bytes"] > 0
    assert merged["rows"] == 8
    assert merged["max_logit_difference"] < min(1e-3, merged["tolerance"])
    assert merged["adapter_effect"]["mean"] > 1000 * merged["mean"]
    assert merged["sha256"] == {"model.safetensors": sha256_file(exported.export / "merged" / "model.safetensors")}
    assert summary.keys() == {"targets"}
    assert [event["target"] for event in read_events(exported.events_jsonl) if event["event"] == "export.target"] == ["adapter", "merged"]


def test_the_merged_folder_is_a_model_of_its_own(exported: RunFolder) -> None:
    merged = exported.export / "merged"
    names = {path.name for path in merged.iterdir()}
    assert {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    } <= names
    assert not any(name.startswith("adapter") for name in names)

    tokenizer = AutoTokenizer.from_pretrained(merged)
    model = AutoModelForCausalLM.from_pretrained(merged)
    assert model.generation_config.eos_token_id in (tokenizer.eos_token_id, [tokenizer.eos_token_id])
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id


def test_the_cards_code_runs_as_printed_and_answers_as_the_merged_model(exported: RunFolder) -> None:
    code = re.search(r"```python\n(.*?)\n```", (exported.export / "README.md").read_text(), re.DOTALL)
    assert code is not None

    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code.group(1)], cwd=exported.path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode == 0, done.stderr[-2000:]
    tokenizer = AutoTokenizer.from_pretrained(exported.export / "merged")
    model = AutoModelForCausalLM.from_pretrained(exported.export / "merged", dtype=torch.float32)
    messages = [{"role": "user", "content": "Write your request here."}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    ids = model.generate(**prompt, max_new_tokens=128, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert done.stdout.rstrip("\n") == tokenizer.decode(ids, skip_special_tokens=True).rstrip("\n")


def test_nothing_exported_names_a_place_on_this_machine(exported: RunFolder, trained: tuple[RunFolder, ModelLocation]) -> None:
    for path in exported.export.rglob("*"):
        if path.suffix in (".json", ".md", ".jinja"):
            text = path.read_text()
            assert str(exported.path) not in text, path
            assert str(trained[1].path) not in text, path


def test_a_second_export_replaces_the_first_with_equal_bytes(
    trained: tuple[RunFolder, ModelLocation], exported: RunFolder, events: EventLog
) -> None:
    first = {path.relative_to(exported.export): sha256_file(path) for path in exported.export.rglob("*") if path.is_file()}
    (exported.export / "left-over.txt").write_text("x")

    stage.run(CONFIG, *trained, PLAN, events)
    stage.write_model_card(CONFIG, *trained, PLAN, events)

    assert {path.relative_to(exported.export): sha256_file(path) for path in exported.export.rglob("*") if path.is_file()} == first


def test_a_failed_merge_leaves_the_former_export_and_nothing_else(
    trained: tuple[RunFolder, ModelLocation], exported: RunFolder, events: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        (Path(str(arguments[2])) / "model.safetensors").parent.mkdir(parents=True)
        raise MergeError("differs")

    monkeypatch.setattr(stage, "merge", fail)
    before = sorted(path.name for path in exported.path.iterdir())
    with pytest.raises(MergeError):
        stage.run(CONFIG, *trained, PLAN, events)

    assert sorted(path.name for path in exported.path.iterdir()) == before


def test_the_adapter_alone_needs_no_merge(trained: tuple[RunFolder, ModelLocation], events: EventLog, tmp_path: Path) -> None:
    folder, location = trained
    other = RunFolder(tmp_path / "runs" / "other-00000000")
    other.path.mkdir(parents=True)
    other.adapter.symlink_to(folder.adapter)
    other.save_manifest(Manifest("other-00000000"))

    stage.run(CONFIG.model_copy(update={"export": ("adapter",)}), other, location, PLAN, events)

    assert sorted(path.name for path in other.export.iterdir()) == ["summary.json"]
    with pytest.raises(IntegrityError, match="no tokenized rows"):
        stage.run(CONFIG, other, location, PLAN, events)


def test_a_target_of_a_later_version_is_refused(trained: tuple[RunFolder, ModelLocation], events: EventLog) -> None:
    with pytest.raises(NotYetError, match="gguf:q8_0"):
        stage.run(CONFIG.model_copy(update={"export": ("gguf:q8_0",)}), *trained, PLAN, events)


def test_bfloat16_rounding_that_drowns_the_adapter_is_told(
    trained: tuple[RunFolder, ModelLocation], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result = {"dtype": "bfloat16", "mean": 0.02, "adapter_effect": {"mean": 0.01}, "rows": 8, "equal_weights": 1, "adapted_weights": 1}
    monkeypatch.setattr(stage, "merge", lambda *_: (tmp_path / "t" / "merged").mkdir(parents=True) or result)
    heard: list[str] = []
    log = EventLog(None, (lambda event: heard.append(event.get("message", "")),))

    stage._merged(
        stage._Work(CONFIG, *trained, replace(PLAN, dtype="bfloat16"), tmp_path / "t", log),
        stage._tail(CONFIG, *trained),
    )

    assert any("use the adapter itself" in message for message in heard)


def test_both_targets_open_with_the_tokens_that_were_trained(exported: RunFolder) -> None:
    targets = json.loads((exported.export / "summary.json").read_text())["targets"]
    assert {name: facts["opened_otherwise"] for name, facts in targets.items()} == {"adapter": "", "merged": ""}


def test_a_tokenizer_that_the_stock_class_reads_otherwise_is_named(exported: RunFolder, tmp_path: Path) -> None:
    folder = tmp_path / "merged"
    shutil.copytree(exported.export / "merged", folder)
    written = json.loads((folder / "tokenizer.json").read_text())
    # Every character alone, which Qwen2's own splitting, put over it by transformers, is not.
    alone = {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    written["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [alone, level]}
    (folder / "tokenizer.json").write_text(json.dumps(written))
    assert opened_otherwise(folder, ["list files"]) == "Qwen2Tokenizer"
    assert opened_otherwise(folder, ["?"]) == ""


def test_a_tokenizer_that_opens_otherwise_is_told(
    trained: tuple[RunFolder, ModelLocation], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, location = trained
    own = RunFolder(tmp_path / folder.path.name)
    shutil.copytree(folder.path, own.path)
    monkeypatch.setattr(stage, "opened_otherwise", lambda folder, texts: "OtherTokenizer" if texts else "")
    log = EventLog(own.path / "events.jsonl")
    stage.run(CONFIG.model_copy(update={"export": ("adapter",)}), own, location, PLAN, log)
    stage.write_model_card(CONFIG, own, location, PLAN, log)
    log.close()
    warnings = [event["message"] for event in read_events(own.path / "events.jsonl") if event["event"] == "warning"]
    assert any("opens the adapter as `OtherTokenizer`" in text for text in warnings)
    assert "OtherTokenizer" in (own.export / "README.md").read_text()
