"""Rules of optimizer and schedule: what would not act is refused where it stands, and what acts reaches the settings."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from luthier.config import optimizer_rules
from luthier.config.keys.optimizer import OptimizerArguments, OptimizerName
from luthier.config.keys.schedule import ScheduleArguments, ScheduleName
from luthier.config.load import load
from luthier.core.errors import ConfigError

BASE = "base_model: starter\nadapter: lora\nlearning_rate: 1e-3\ndatasets: [{path: ROWS}]\n"

# What is written behind the base's four lines, the line of the problem, and words of it.
WRONG = [
    ("adam_epsilon: 1e-6\noptimizer: lion_8bit\n", 5, "`adam_epsilon` acts only with other values of `optimizer`", "adamw_torch"),
    ("adam_beta1: 0.8\noptimizer: adafactor\n", 5, "acts only with", "muon"),
    ("adam_beta2: 0.8\noptimizer: sgd\n", 5, "acts only with", ""),
    ("optim_args: {momentum: 0.9}\n", 5, "`optim_args.momentum` acts only with `optimizer: sgd` and `optimizer: rmsprop`", ""),
    ("optimizer: sgd\noptim_args: {mu: 0.9}\n", 6, "acts only with `optimizer: muon`", ""),
    ("optimizer: sgd\noptim_args: {momentun: 0.9}\n", 6, "unknown key `optim_args.momentun`", "momentum"),
    ("optimizer: sgd\noptim_args: momentum\n", 6, "wrong value", ""),
    ("optimizer: came_pytorch\n", 5, "not in this version yet", ""),
    ("cosine_min_lr_ratio: 0.1\nlr_scheduler: linear\n", 5, "acts only with `lr_scheduler: cosine`", ""),
    ("cosine_constant_lr_ratio: 0.8\n", 5, "wants the floor", "cosine_min_lr_ratio: 0.1"),
    ("lr_quadratic_warmup: true\ncosine_min_lr_ratio: 0.1\n", 5, "exclude each other", ""),
    ("lr_div_factor: 10\n", 5, "acts only with `lr_scheduler: one_cycle`", ""),
    ("lr_scheduler: one_cycle\nlr_div_factor: 10\nlr_scheduler_kwargs: {div_factor: 9}\n", 6, "are the same", ""),
    ("lr_scheduler_kwargs: {power: 2}\n", 5, "acts only with `lr_scheduler: polynomial`", ""),
    ("lr_scheduler_kwargs: {cycle_momentum: false}\n", 5, "acts only with `lr_scheduler: one_cycle`", ""),
    ("lr_scheduler: polynomial\nlr_scheduler_kwargs: {lr_end: 0.1}\n", 6, "is not below `learning_rate`", ""),
    ("lr_scheduler: cosine_with_min_lr\n", 5, "wants one floor", "min_lr_rate"),
    ("lr_scheduler: cosine_with_min_lr\nlr_scheduler_kwargs: {min_lr: 0, min_lr_rate: 0}\n", 5, "wants one floor", ""),
    ("lr_scheduler: warmup_stable_decay\n", 5, "wants the number of steps", "num_decay_steps"),
    ("lr_scheduler: constant\nwarmup_steps: 10\n", 6, "does not act with `lr_scheduler: constant`", "constant_with_warmup"),
    ("lr_scheduler: one_cycle\nwarmup_steps: 10\nlr_scheduler_kwargs: {pct_start: 0.3}\n", 7, "exclude each other", ""),
    ("lr_scheduler: one_cycle\nadam_beta1: 0.8\n", 6, "moves what `adam_beta1` sets", "cycle_momentum: false"),
    ("lr_scheduler: one_cycle\noptimizer: adafactor\n", 6, "moves a momentum that `adafactor` has not", "cycle_momentum: false"),
    ("lr_scheduler: one_cycle\nlr_scheduler_kwargs: {cycle_momentum: false, max_momentum: 0.9}\n", 6, "does not act", ""),
    ("lr_scheduler: reduce_lr_on_plateau\n", 5, "not in this version yet", ""),
    ("loraplus_lr_embedding: 1e-5\n", 5, "wants `loraplus_lr_ratio`", "loraplus_lr_ratio: 16"),
    ("loraplus_lr_ratio: 16\noptimizer: muon\n", 5, "does not act with `optimizer: muon`", ""),
]  # fmt: skip


def load_text(folder: Path, text: str):
    path = folder / "run.yaml"
    (folder / "rows.jsonl").touch()
    path.write_text(BASE.replace("ROWS", str(folder / "rows.jsonl")) + text, encoding="utf-8")
    return load(path).config


@pytest.mark.parametrize(("text", "line", "what", "hint"), WRONG, ids=[text.replace("\n", " ") for text, *_ in WRONG])
def test_what_would_not_act_is_refused_where_it_stands(tmp_path, text, line, what, hint):
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, text)
    assert len(caught.value.problems) == 1, caught.value.problems
    problem = caught.value.problems[0]
    assert problem.where.endswith(f"run.yaml:{line}")
    assert what in problem.what
    assert hint in problem.hint + problem.expected


RIGHT = [
    "warmup_steps: 0\nlr_scheduler: constant\n",
    "cosine_min_lr_ratio: 0\nlr_scheduler: linear\n",
    "lr_quadratic_warmup: false\nlr_scheduler: linear\n",
    "optim_args:\nlr_scheduler_kwargs: {}\n",
    "lr_scheduler: one_cycle\nadam_beta1: 0.8\nlr_scheduler_kwargs: {cycle_momentum: false}\n",
    "lr_scheduler: one_cycle\noptimizer: muon\nlr_scheduler_kwargs: {cycle_momentum: false}\n",
    "loraplus_lr_ratio: 16\nloraplus_lr_embedding: 1e-5\n",
    "lr_scheduler: cosine_with_min_lr\nlr_scheduler_kwargs: {min_lr: 1e-4}\n",
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_acts_or_asks_for_nothing_passes(tmp_path, text):
    load_text(tmp_path, text)


@pytest.mark.parametrize(
    "text", [*RIGHT, "optimizer: sgd\noptim_args: {momentum: 0.5}\n", "lr_scheduler: one_cycle\n", "optimizer: adafactor\n"]
)
def test_a_resolved_file_reads_as_what_it_was_made_of(tmp_path, text):
    """It holds every default, also of keys that do not act beside the chosen optimizer."""
    path = tmp_path / "run.yaml"
    config = load_text(tmp_path, text)
    path.write_text(load(path).resolved_text(), encoding="utf-8")
    assert load(path).config == config


@pytest.mark.parametrize("written", ["{momentum: 0.9, nesterov: true}", "'momentum=0.9, nesterov=true'"])
def test_arguments_are_a_mapping_or_axolotls_text(tmp_path, written):
    settings = load_text(tmp_path, f"optimizer: sgd\noptim_args: {written}\n").optimizer_settings()
    assert settings.arguments == OptimizerArguments(momentum=0.9, nesterov=True)


def test_floors_are_shares_of_the_peak(tmp_path):
    floor = "lr_scheduler: cosine_with_min_lr\nlr_scheduler_kwargs: {min_lr: 1e-4}\n"
    assert load_text(tmp_path, floor).schedule_settings().min_ratio == pytest.approx(0.1)
    assert load_text(tmp_path, "lr_scheduler: polynomial\n").schedule_settings().min_ratio == pytest.approx(1e-4)


def test_every_argument_and_every_name_stands_in_the_rules():
    optimizers, schedules = optimizer_rules._OPTIMIZERS, optimizer_rules._SCHEDULES
    assert {path[1] for path in optimizers if path[0] == "optim_args"} == set(OptimizerArguments.model_fields)
    assert {path[1] for path in schedules if path[0] == "lr_scheduler_kwargs"} == set(ScheduleArguments.model_fields)
    assert {name for names in optimizers.values() for name in names} <= set(get_args(OptimizerName))
    assert {name for names in schedules.values() for name in names} <= set(get_args(ScheduleName))
    assert {*optimizer_rules._ADAMW, *optimizer_rules._LION} | {"adafactor", "muon", "sgd", "rmsprop"} == set(get_args(OptimizerName))
