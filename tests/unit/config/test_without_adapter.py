"""A run file without `adapter` trains the base's own weights, and what does not go with that is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.config.load import LoadedRun, load
from luthier.core.errors import ConfigError

START = "base_model: starter\nlearning_rate: 1e-5\n"


def loaded(folder: Path, text: str) -> LoadedRun:
    path = folder / "run.yaml"
    path.write_text(START + text)
    return load(path)


def test_the_result_is_the_model_and_nothing_is_exported_unasked(tmp_path: Path) -> None:
    config = loaded(tmp_path, "").config
    assert (config.adapter, config.unfrozen_parameters, config.export) == (None, (), ())
    assert loaded(tmp_path, "export: merged\n").config.export == ("merged",)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("load_in_4bit: true\n", "`load_in_4bit` does not go without `adapter`"),
        ("load_in_8bit: true\n", "`load_in_8bit` does not go without `adapter`"),
        ("lora_r: 8\n", "`lora_r` does nothing without `adapter`"),
        ("lora_modules_to_save: [lm_head]\n", "`lora_modules_to_save` does nothing without `adapter`"),
        ("peft_init_lora_weights: pissa\n", "`peft_init_lora_weights` does nothing without `adapter`"),
        ("export: [adapter]\n", "there is no adapter to export"),
        ("evaluate: {engine: vllm}\n", "vLLM holds the base and its adapter"),
        ("unfrozen_parameters: [a(b]\n", "this is no valid pattern"),
        ("adapter: lora\nunfrozen_parameters: [lm_head]\n", "`unfrozen_parameters` and `adapter` exclude each other"),
    ],
)
def test_what_does_not_go_together_is_told_with_its_line(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    (problem,) = caught.value.problems
    assert what in problem.what
    assert problem.where == f"{tmp_path / 'run.yaml'}:{4 if text.startswith('adapter') else 3}"
    assert problem.hint


@pytest.mark.parametrize("text", ["lora: {r: 8}\n", "lora_rank: 8\n", "target_modules: [q_proj]\n"])
def test_another_tools_spelling_means_an_adapter(tmp_path: Path, text: str) -> None:
    run = loaded(tmp_path, text)
    assert run.config.adapter == "lora"
    assert any("without `adapter` means `adapter: lora`" in note for note in run.notes)


def test_the_resolved_file_says_the_same_again(tmp_path: Path) -> None:
    run = loaded(tmp_path, "unfrozen_parameters: ['^model.embed_tokens.weight$[:10]', lm_head]\n")
    again = tmp_path / "resolved.yaml"
    again.write_text(run.resolved_text())
    assert "lora_" not in again.read_text()
    assert load(again).config == run.config
