"""Keys of the adapter: kinds, patterns, other spellings, and an adapter to go on with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.config.keys.adapter import LoraSettings
from luthier.config.load import LoadedRun, load
from luthier.config.paths import file_problems
from luthier.core.errors import ConfigError

PLAIN = "base_model: starter\nadapter: lora\nlearning_rate: 1e-3\ndatasets: [{path: rows.jsonl, type: alpaca}]\n"


def loaded(folder: Path, text: str, plain: str = PLAIN) -> LoadedRun:
    path = folder / "run.yaml"
    path.write_text(plain + text)
    return load(path)


def settings(folder: Path, text: str, plain: str = PLAIN) -> LoraSettings:
    return loaded(folder, text, plain).config.lora_settings()


def adapter(folder: Path, **changes: object) -> Path:
    """A folder as peft writes it, without weights."""
    written = {
        "peft_type": "LORA",
        "r": 8,
        "lora_alpha": 24,
        "lora_dropout": 0.1,
        "target_modules": ["q_proj", "v_proj"],
        "modules_to_save": ["lm_head"],
        "use_dora": True,
        "use_rslora": False,
        "rank_pattern": {"v_proj": 4},
        "alpha_pattern": {},
        "ensure_weight_tying": False,
        "init_lora_weights": True,
        "bias": "none",
        **changes,
    }
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(written))
    return folder


def test_nothing_written_is_the_plain_adapter(tmp_path: Path) -> None:
    assert settings(tmp_path, "") == LoraSettings(r=16, alpha=32, dropout=0.0, targets=(), all_linear=True)
    nulls = "lora_modules_to_save:\nlora_rank_pattern:\npeft_use_dora:\npeft_init_lora_weights:\nlora_model_dir:\n"
    assert settings(tmp_path, nulls) == settings(tmp_path, "")


def test_each_key_reaches_the_adapter(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        "peft_use_dora: true\npeft_use_rslora: true\npeft_init_lora_weights: PiSSA_niter_16\n"
        "lora_modules_to_save: [embed_tokens, lm_head]\npeft_ensure_weight_tying: true\n"
        "lora_rank_pattern: {q_proj: 4, 'layers\\.0\\..*': 2}\nlora_alpha_pattern: {q_proj: 7.5}\n",
    )
    assert (found.dora, found.rslora, found.start, found.tied) == (True, True, "pissa_niter_16", True)
    assert found.modules_to_save == ("embed_tokens", "lm_head")
    assert found.rank_pattern == (("q_proj", 4), (r"layers\.0\..*", 2))
    assert found.alpha_pattern == (("q_proj", 7.5),)
    assert settings(tmp_path, "peft_init_lora_weights: false\n").start == "random"


def test_other_spellings(tmp_path: Path) -> None:
    nested = (
        "lora: {r: 4, alpha: 8, use_dora: true, use_rslora: true, modules_to_save: [lm_head], init_lora_weights: gaussian, "
        "rank_pattern: {q_proj: 2}, alpha_pattern: {q_proj: 3}}\n"
    )
    wanted = settings(tmp_path, nested)
    assert wanted == LoraSettings(
        r=4, alpha=8, dropout=0.0, targets=(), all_linear=True, dora=True, rslora=True, start="gaussian", modules_to_save=("lm_head",),
        rank_pattern=(("q_proj", 2),), alpha_pattern=(("q_proj", 3),),
    )  # fmt: skip
    flat = (
        "lora_r: 4\nlora_alpha: 8\nuse_dora: true\nuse_rslora: true\nmodules_to_save: lm_head\ninit_lora_weights: gaussian\n"
        "rank_pattern: {q_proj: 2}\nalpha_pattern: {q_proj: 3}\n"
    )
    assert settings(tmp_path, flat) == wanted
    assert settings(tmp_path, "pissa_init: true\n").start == "pissa_niter_16"
    without = PLAIN.replace("adapter: lora\n", "")
    assert settings(tmp_path, "lora: {use_dora: true}\n", without).dora


def test_which_way_weights_lie_follows_from_the_layer(tmp_path: Path) -> None:
    for value in ("true", "false"):
        run = loaded(tmp_path, f"lora_fan_in_fan_out: {value}\n")
        assert any("lora_fan_in_fan_out" in note for note in run.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("peft_init_lora_weights: pisa\n", r"run.yaml:5.*(.|\n)*pissa_niter_16"),
        ("peft_init_lora_weights: pissa_niter_0\n", "not known"),
        ("peft_init_lora_weights: loftq\n", r"not in this version(.|\n)*quantised anew"),
        ("peft_init_lora_weights: eva\n", r"not in this version(.|\n)*pass over the rows"),
        ("peft_init_lora_weights: pissa\nload_in_4bit: true\n", r"a quantised base has none(.|\n)*gaussian"),
        ("peft_init_lora_weights: olora\nload_in_8bit: true\n", "a quantised base has none"),
        ("lora_rank_pattern: {'q_proj(': 4}\n", r"no valid pattern(.|\n)*q_proj\("),
        ("lora_alpha_pattern: {q_proj: 0}\n", "lora_alpha_pattern"),
        ("lora_rank_pattern: {q_proj: 2.5}\n", "whole number"),
        ("peft_ensure_weight_tying: true\n", "acts only with `lora_modules_to_save`"),
        ("peft_use_dora: true\nevaluate: {engine: vllm}\n", r"vLLM does not run(.|\n)*leave `evaluate.engine` out"),
        ("lora_rank_pattern: {q_proj: 2}\nevaluate: {engine: vllm}\n", "vLLM does not run"),
        ("load_in_8bit: true\nevaluate: {engine: vllm}\n", "vLLM does not run a model with `load_in_8bit`"),
        ("peft_layers_to_transform: [0, 1]\n", r"pattern in lora_target_modules"),
    ],
)
def test_what_cannot_act_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        loaded(tmp_path, text)


def test_an_adapter_to_go_on_with_says_the_rest(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "first")
    run = loaded(tmp_path, f"lora_model_dir: {folder}\n")
    assert run.config.lora_settings() == LoraSettings(
        r=8, alpha=24, dropout=0.1, targets=("q_proj", "v_proj"), all_linear=False, dora=True, modules_to_save=("lm_head",),
        rank_pattern=(("v_proj", 4),), go_on_with=str(folder),
    )  # fmt: skip
    assert any("lora_r: 8" in note and "target_modules" in note for note in run.notes)
    assert not any("lora_model_dir" in problem.what or problem.found == str(folder) for problem in file_problems(run.document))


def test_equal_keys_and_another_dropout_stay(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "first")
    found = settings(tmp_path, f"lora_model_dir: {folder}\nlora_r: 8\nlora_dropout: 0\nlora_rank_pattern: {{v_proj: 4}}\n")
    assert (found.r, found.dropout, found.alpha) == (8, 0.0, 24)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lora_r: 16\n", r"`lora_r` contradicts(.|\n)*16 here, 8 in .*first.adapter_config.json"),
        ("lora_alpha: 32\n", r"`lora_alpha` contradicts(.|\n)*32 here, 24 in"),
        ("peft_use_dora: false\n", r"False here, True in"),
        ("peft_use_rslora: true\n", r"True here, False in"),
        ("lora_rank_pattern: {q_proj: 4}\n", r"contradicts(.|\n)*'q_proj': 4.*'v_proj': 4"),
        ("peft_init_lora_weights: gaussian\n", "exclude each other"),
    ],
)
def test_a_key_that_contradicts_the_adapter_is_refused_with_both_values(tmp_path: Path, text: str, said: str) -> None:
    folder = adapter(tmp_path / "first")
    with pytest.raises(ConfigError, match=said) as error:
        loaded(tmp_path, f"lora_model_dir: {folder}\n{text}")
    assert "run.yaml:6" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"peft_type": "IA3"}, "IA3"),
        ({"bias": "all"}, "biases"),
        ({"init_lora_weights": "pissa_niter_4"}, "path_initial_model_for_weight_conversion"),
        ({"trainable_token_indices": [3]}, "trainable_token_indices"),
    ],
)
def test_an_adapter_of_another_making_is_refused(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    folder = adapter(tmp_path / "first", **changes)
    with pytest.raises(ConfigError, match=rf"cannot be gone on with(.|\n)*{said}"):
        loaded(tmp_path, f"lora_model_dir: {folder}\n")


def test_a_folder_without_an_adapter_is_told_before_the_run(tmp_path: Path) -> None:
    for name in ("nowhere", "someone/their-adapter"):
        problems = file_problems(loaded(tmp_path, f"lora_model_dir: {name}\n").document)
        assert any("no adapter to go on with" in problem.what and problem.found == name for problem in problems)
