from __future__ import annotations

import json

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from luthier.config.keys.samples import SampleSettings
from luthier.config.schema import RunConfig
from luthier.core.events import EventLog
from luthier.core.files import read_jsonl, sha256_file
from luthier.core.runs import RunFolder
from luthier.model.answering.rows import draw
from luthier.model.locate import locate
from luthier.model.token_file import load_rows
from luthier.train import stage
from luthier.train.watching.samples import _chosen
from training_driver import PLAN, write_base, write_rows
from training_parts import rows

ASKED = {"generate_samples": True, "num_generation_samples": 2, "generation_max_new_tokens": 12}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    write_base(folder)
    return folder


def run(path, base, listener=lambda event: None, **changes):
    folder = RunFolder(path)
    if not folder.data.exists():
        write_rows(folder, 24)
    settings = {
        "base_model": str(base), "adapter": "lora", "lora_r": 4, "lora_alpha": 8, "lora_dropout": 0.1, "learning_rate": 0.01,
        "sequence_len": 128, "sample_packing": True, "micro_batch_size": 1, "max_steps": 6, "eval_steps": 2, "chat_template": "chatml",
        "logging_steps": 1, **changes,
    }  # fmt: skip
    events = EventLog(folder.events_jsonl, [listener])
    events.emit("stage.start", stage="train", key="key")
    try:
        stage.run(RunConfig(**settings), folder, locate(str(base), None, folder.hashes), PLAN, events, "key")
    finally:
        events.close()
    return folder


@pytest.fixture(scope="module")
def sampled(base, tmp_path_factory):
    return run(tmp_path_factory.mktemp("sampled") / "run", base, **ASKED)


KINDS = {
    "packed": {},
    "qlora": {"load_in_4bit": True, "adapter": "qlora", "gradient_checkpointing": True},
    "sdpa": {"attn_implementation": "sdpa", "sample_packing": False},
    "whole": {"adapter": None, "lora_r": None, "lora_alpha": None, "lora_dropout": None},
}


@pytest.mark.parametrize("name", KINDS)
def test_samples_change_no_byte_of_the_result(base, tmp_path, name):
    changes = {"max_steps": 4, **KINDS[name]}
    if name == "whole":
        changes = {key: value for key, value in changes.items() if value is not None}
        changes |= {"lora_dropout": 0.0, "adapter": None}
    results = []
    for asked in ({}, ASKED):
        folder = run(tmp_path / f"run{len(results)}", base, **changes, **asked)
        result = folder.model if name == "whole" else folder.adapter
        results.append({file.name: sha256_file(file) for file in result.glob("*.safetensors")})
        assert (folder.train / "samples.jsonl").exists() == bool(asked)
    assert results[0] == results[1]
    assert results[0]


def test_a_sample_says_what_was_given_generated_and_expected(sampled):
    found = list(read_jsonl(sampled.train / "samples.jsonl"))
    assert [(row["step"], row["sample"]) for row in found] == [(step, number) for step in (0, 2, 4, 6) for number in (1, 2)]
    held_out = {row.id: row for row in load_rows(sampled.tokens / "validation.safetensors")}
    assert len({row["id"] for row in found}) == 2
    for row in found:
        assert row["id"] in held_out
        assert row["prompt"].startswith("user\nprint ")
        assert row["prompt"].endswith("assistant\n")
        assert row["expected"].startswith("echo ")
        assert row["finish_reason"] in ("stop", "length")
        assert set(row) == {"step", "sample", "id", "prompt", "text", "expected", "finish_reason"}
    told = [json.loads(line) for line in sampled.events_jsonl.read_text().splitlines()]
    assert [{name: row[name] for name in found[0]} for row in told if row["event"] == "train.sample"] == found


def test_samples_are_the_same_each_time(base, sampled, tmp_path):
    again = run(tmp_path / "run", base, **ASKED)
    assert (again.train / "samples.jsonl").read_bytes() == (sampled.train / "samples.jsonl").read_bytes()
    other = run(tmp_path / "other", base, **ASKED, seed=1)
    assert (other.train / "samples.jsonl").read_bytes() != (sampled.train / "samples.jsonl").read_bytes()


def test_a_resumed_training_tells_the_same_samples(base, sampled, tmp_path):
    class Stopped(Exception):
        pass

    def stop(event):
        if event["event"] == "train.sample" and event["step"] == 4:
            raise Stopped

    with pytest.raises(Stopped):
        run(tmp_path / "run", base, stop, save_steps=3, **ASKED)
    folder = run(tmp_path / "run", base, save_steps=3, **ASKED)
    assert (folder.train / "samples.jsonl").read_bytes() == (sampled.train / "samples.jsonl").read_bytes()
    assert sha256_file(folder.adapter / "adapter_model.safetensors") == sha256_file(sampled.adapter / "adapter_model.safetensors")


@pytest.mark.parametrize("greedy", [{"generation_do_sample": False}, {"generation_temperature": 0}])
def test_the_likeliest_tokens_are_those_of_transformers(base, tmp_path, greedy):
    folder = run(tmp_path / "run", base, **ASKED, **greedy, generation_prompt_ratio=0.6)
    last = [row for row in read_jsonl(folder.train / "samples.jsonl") if row["step"] == 6]
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), str(folder.adapter))
    tokenizer = AutoTokenizer.from_pretrained(folder.adapter)
    held_out = {row.id: row for row in load_rows(folder.tokens / "validation.safetensors")}
    for row in last:
        ids = held_out[row["id"]].ids.tolist()
        given = torch.tensor([ids[: int(len(ids) * 0.6)]])
        made = model.generate(input_ids=given, attention_mask=torch.ones_like(given), max_new_tokens=12, do_sample=False)
        assert row["text"] == tokenizer.decode(made[0, given.shape[1] :], skip_special_tokens=True)
        assert row["prompt"] == tokenizer.decode(given[0], skip_special_tokens=True)


def settings(**changes):
    return SampleSettings(**{"count": 3, "max_new_tokens": 8, "temperature": 0.7, "top_p": 1.0, "top_k": 0, "prompt_share": None,
                             "seed": 3, **changes})  # fmt: skip


def test_a_prompt_ends_before_the_first_trained_token_or_at_its_share():
    data = rows(30, shortest=5)
    for prompt in _chosen(data, settings(count=30), 100):
        row = next(row for row in data if row.id == prompt.row_id)
        assert len(prompt.given) == int(row.trained.argmax())
        assert prompt.given + prompt.expected == row.ids.tolist()
    for share, length in ((0.0, 1), (0.25, 5), (1.0, 20)):
        (prompt,) = _chosen(rows(1, shortest=20, longest=20), settings(count=1, prompt_share=share), 100)
        assert len(prompt.given) == length
    whole = rows(1, shortest=20, longest=20)
    whole[0].trained[:] = True
    assert len(_chosen(whole, settings(), 100)[0].given) == 10


def test_rows_without_room_or_text_are_not_drawn():
    data = rows(6, shortest=3, longest=4) + rows(3, seed=1, shortest=30, longest=30)
    assert _chosen(data, settings(prompt_share=0.5), 14) == []
    assert len(_chosen(data, settings(prompt_share=0.5), 15)) == 3


def test_top_k_draws_among_the_likeliest():
    logits = torch.tensor([0.0, 3.0, 2.0, 2.5, -1.0])
    random = torch.Generator().manual_seed(0)
    assert {draw(logits, 5.0, 1.0, random, 3) for _ in range(300)} == {1, 2, 3}
    assert {draw(logits, 5.0, 1.0, random, 9) for _ in range(600)} == {0, 1, 2, 3, 4}
    assert {draw(logits, 5.0, 1.0, random, 1) for _ in range(20)} == {1}
