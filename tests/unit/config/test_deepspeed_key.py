"""The key `deepspeed`: Axolotl's files are taken as they are, and what does not act or contradicts is told with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.config.deepspeed import section_of
from luthier.config.load import LoadedRun, load
from luthier.core.errors import ConfigError, Problem
from luthier.train.strategies.zero import check_precision, engine_settings
from zero_files import FILES, zero_file

RUN = "base_model: starter\nadapter: lora\nlearning_rate: 0.001\ndatasets: [{path: rows.jsonl, type: chat_template}]\n"


@pytest.fixture(autouse=True)
def beside_rows(tmp_path, monkeypatch):
    (tmp_path / "rows.jsonl").write_text("")
    monkeypatch.chdir(tmp_path)


def write(folder: Path, file: object, more: str = "") -> Path:
    (folder / "zero.json").write_text(json.dumps(file, indent=1))
    (folder / "run.yaml").write_text(f"{RUN}{more}deepspeed: {folder}/zero.json\n")
    return folder / "run.yaml"


def loaded(folder: Path, file: object, more: str = "") -> LoadedRun:
    return load(write(folder, file, more))


def problems(folder: Path, file: object, more: str = "") -> list[Problem]:
    with pytest.raises(ConfigError) as error:
        loaded(folder, file, more)
    return list(error.value.problems)


def line_of(folder: Path, word: str) -> int:
    lines = (folder / "zero.json").read_text().splitlines()
    return next(number for number, line in enumerate(lines, start=1) if f'"{word}"' in line)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_axolotl_is_taken_as_it_is(tmp_path, name):
    by_path = loaded(tmp_path, FILES[name])
    zero = by_path.config.zero_settings()
    assert zero.stage == int(name[4])
    (tmp_path / "inline.yaml").write_text(f"{RUN}deepspeed: {json.dumps(FILES[name])}\n")
    inline = load(tmp_path / "inline.yaml")
    assert inline.config.deepspeed == by_path.config.deepspeed == FILES[name]
    # Nothing of it changes a result: the run keeps its name, and its checkpoints may be gone on with either way.
    (tmp_path / "plain.yaml").write_text(RUN)
    assert by_path.config.result_fields() == load(tmp_path / "plain.yaml").config.result_fields()


def test_the_resolved_file_holds_what_the_path_led_to(tmp_path):
    run = loaded(tmp_path, FILES["zero2"])
    (tmp_path / "again.yaml").write_text(run.resolved_text())
    assert load(tmp_path / "again.yaml").config.deepspeed == FILES["zero2"]


@pytest.mark.parametrize(
    ("change", "word", "told"),
    [
        ({"aio": {"block_size": 1}}, "block_size", "`aio.block_size` of DeepSpeed's file does not act here"),
        ({"scheduler": {"type": "WarmupLR"}}, "type", "`scheduler.type` of DeepSpeed's file does not act here"),
        ({"steps_per_print": 10}, "steps_per_print", "`steps_per_print` of DeepSpeed's file does not act here"),
        ({"fp16": {"enabled": True}}, "enabled", "`fp16.enabled` takes auto, false"),
        ({"wall_clock_breakdown": True}, "wall_clock_breakdown", "`wall_clock_breakdown` takes false"),
        ({"train_batch_size": 8}, "train_batch_size", "`train_batch_size` takes auto"),
        ({"gradient_clipping": 0.5}, "gradient_clipping", "`gradient_clipping` says other than `max_grad_norm` of the run file"),
        ({"gradient_accumulation_steps": 3}, "gradient_accumulation_steps", "says other than `gradient_accumulation_steps`"),
        ({"train_micro_batch_size_per_gpu": 3}, "train_micro_batch_size_per_gpu", "says other than `micro_batch_size`"),
        ({"optimizer": {"type": "Lamb"}}, "type", "`optimizer.type` takes AdamW"),
        ({"optimizer": {"type": "AdamW", "params": {"lr": 0.1}}}, "lr", "`optimizer.params.lr` says other than `learning_rate`"),
        ({"optimizer": {"type": "AdamW", "params": {"betas": [0.9, 0.9]}}}, "betas", "other than `adam_beta1` and `adam_beta2`"),
    ],
)
def test_what_does_not_act_or_contradicts_is_told_with_its_line_in_the_file(tmp_path, change, word, told):
    file = {"zero_optimization": {"stage": 2}, **change}
    (problem,) = problems(tmp_path, file, "micro_batch_size: 2\ngradient_accumulation_steps: 2\nmax_grad_norm: 1.0\n")
    assert told in problem.what
    assert problem.where == f"{tmp_path}/zero.json:{line_of(tmp_path, word)}"
    assert problem.hint


@pytest.mark.parametrize(
    ("section", "told"),
    [
        (
            {"stage": 3, "offload_param": {"device": "cpu"}},
            "`zero_optimization.offload_param.device` of DeepSpeed's file does not act here",
        ),
        ({"stage": 2, "offload_optimizer": {"device": "nvme"}}, "`zero_optimization.offload_optimizer.device` takes cpu, none"),
        ({"stage": 0}, "`zero_optimization.stage` takes 1, 2, 3"),
        ({"stage": True}, "`zero_optimization.stage` takes 1, 2, 3"),
        ({"overlap_comm": True}, "`deepspeed` wants `zero_optimization.stage`"),
        ({"stage": 2, "sub_group_size": 0}, "`zero_optimization.sub_group_size` acts only with `stage` 3"),
        ({"stage": 2, "max_live_parameters": 0}, "`zero_optimization.max_live_parameters` acts only with `stage` 3"),
        ({"stage": 3, "stage3_gather_16bit_weights_on_model_save": False}, "takes true"),
        ({"stage": 2, "overlap_com": True}, "`zero_optimization.overlap_com` of DeepSpeed's file does not act here"),
    ],
)
def test_what_zero_cannot_do_here_is_told(tmp_path, section, told):
    found = problems(tmp_path, {"zero_optimization": section})
    assert told in found[0].what
    assert len(found) == 1


def test_it_and_the_run_file_agree(tmp_path):
    assert "`fsdp_version` exclude each other" in problems(tmp_path, FILES["zero1"], "fsdp_version: 2\n")[0].what
    assert "`bf16.enabled` says other than `bf16`" in problems(tmp_path, FILES["zero3_bf16"], "bf16: false\n")[0].what
    (told,) = problems(tmp_path, {"zero_optimization": {"stage": 1}, "optimizer": {"type": "AdamW"}}, "optimizer: sgd\n")
    assert "that of the run file is `sgd`" in told.what
    # The same figures on both sides are no contradiction.
    same = {"zero_optimization": {"stage": 1}, "gradient_clipping": 0.5, "optimizer": {"type": "AdamW", "params": {"lr": 1e-3}}}
    assert loaded(tmp_path, same, "max_grad_norm: 0.5\n").config.zero_settings().stage == 1
    # What the run file does not write counts by its default.
    assert loaded(tmp_path, {"zero_optimization": {"stage": 1}, "gradient_clipping": 1.0}).config.zero_settings().stage == 1
    (told,) = problems(tmp_path, {"zero_optimization": {"stage": 1}, "gradient_clipping": 0.5})
    assert "says other than `max_grad_norm`" in told.what
    zero = loaded(tmp_path, FILES["zero3_bf16"]).config.zero_settings()
    check_precision(zero, "bfloat16")
    with pytest.raises(ConfigError, match=r"deepspeed\.bf16\.enabled: the run file comes to another precision"):
        check_precision(zero, "float32")


def test_a_file_that_cannot_be_read_is_told_at_the_key(tmp_path):
    (tmp_path / "run.yaml").write_text(f"{RUN}deepspeed: nowhere/zero2.json\n")
    with pytest.raises(ConfigError) as error:
        load(tmp_path / "run.yaml")
    told = error.value.problems[0]
    assert "the file of `deepspeed` cannot be read" in told.what
    assert told.where == f"{tmp_path}/run.yaml:5"
    assert "nowhere/zero2.json" in told.found


def test_auto_is_filled_as_transformers_fills_it(tmp_path):
    config = loaded(tmp_path, zero_file("zero3_bf16", allgather_bucket_size=5e8), "micro_batch_size: 2\n").config
    filled = engine_settings(config.zero_settings(), config.batch_settings(), 64)
    section = filled["zero_optimization"]
    assert section["reduce_bucket_size"] == 64 * 64
    assert section["stage3_prefetch_bucket_size"] == int(0.9 * 64 * 64)
    assert section["stage3_param_persistence_threshold"] == 640
    assert section["allgather_bucket_size"] == 500_000_000
    assert isinstance(section["allgather_bucket_size"], int)
    assert "auto" not in json.dumps(filled)
    assert filled["train_micro_batch_size_per_gpu"] == 2


def test_layers_of_a_whole_model_are_gathered_anew(tmp_path: Path) -> None:
    """DeepSpeed's own values let a weight go in the middle of the backward pass where all weights are trained."""
    stage = {"stage": 3}
    section = section_of(loaded(tmp_path, {"zero_optimization": stage}).config.zero_settings(), 384)
    assert (section["stage3_max_live_parameters"], section["stage3_max_reuse_distance"]) == (0, 0)
    kept = {"zero_optimization": {**stage, "max_live_parameters": 1e9}}
    assert section_of(loaded(tmp_path, kept).config.zero_settings(), 384)["stage3_max_live_parameters"] == 10**9
    (tmp_path / "run.yaml").write_text((tmp_path / "run.yaml").read_text().replace("adapter: lora\n", ""))
    with pytest.raises(ConfigError, match=r"`zero_optimization\.max_live_parameters` of a model that is trained whole is 0"):
        load(tmp_path / "run.yaml")
