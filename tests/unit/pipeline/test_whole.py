"""What is said before the base's own weights are trained."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from luthier.config.schema import RunConfig
from luthier.model.locate import STARTER_FOLDER
from luthier.model.memory import size_text
from luthier.model.weights.trained import unfreeze
from luthier.pipeline.whole import whole_training


def said(**changes: object) -> list[str]:
    return whole_training(RunConfig(**{"base_model": "starter", "learning_rate": 1e-5, **changes}))


def test_an_adapter_needs_no_word() -> None:
    assert said(adapter="lora") == []


def test_modules_beside_an_adapter_are_counted_by_their_kind() -> None:
    head, norms = said(adapter="lora", lora_modules_to_save=("lm_head", "norm"))
    assert head == "`lm_head` in lora_modules_to_save means 1 module: `lm_head`"
    assert "`norm` in lora_modules_to_save means 11 modules: `model.layers.*.input_layernorm` (5), " in norms
    assert "every module whose name ends so is trained whole, as in peft" in norms
    assert said(adapter="lora", lora_modules_to_save=("lm_head",), base_model="some/where") == []


def test_all_weights_are_counted_with_what_they_take() -> None:
    (line,) = said()
    assert "all 5,315,072 weights are trained" in line
    assert "weights 21.3 MB, gradients 21.3 MB, moments of `adamw_torch_fused` 42.5 MB" in line
    (line,) = said(optimizer="adamw_8bit")
    assert "moments of `adamw_8bit` 10.6 MB" in line
    assert "moments of `lion` 21.3 MB" in said(optimizer="lion")[0]
    assert "moments" not in said(optimizer="muon")[0]


def test_meant_weights_are_counted() -> None:
    (line,) = said(unfrozen_parameters=("model.norm",))
    assert "256 of 5,315,072 weights are trained" in line


def test_a_pattern_that_means_nothing_is_told_before_anything_is_made() -> None:
    _, told = said(unfrozen_parameters=("model.norm", "model.nrom"))
    assert told == "`model.nrom` in unfrozen_parameters means no weight in the files of starter"
    assert len(said(unfrozen_parameters=("model.nrom",), base_model="some/where")) == 1


def test_a_base_that_is_not_here_is_told_by_the_weight() -> None:
    (line,) = said(base_model="some/where")
    assert "16 bytes for each" in line


def test_a_rate_for_adapters_is_told_with_its_source() -> None:
    _, rate = said(learning_rate=2e-4)
    assert "`learning_rate: 0.0002` is one for adapters" in rate
    assert "LoRA Without Regret" in rate


def test_rows_are_counted_as_the_weights_that_change() -> None:
    (line,) = said(unfrozen_parameters=("^model.embed_tokens.weight$[100:110]", "^model.embed_tokens.weight$[105:120]"), bf16=False)
    rows = 20 * 256
    assert f"{rows:,} of 5,315,072 weights are trained, held in float32 with the other rows of theirs, " in line
    assert "gradients 4.2 MB" in line  # Of 4,096 rows of 256: a gradient is made whole.


@pytest.mark.parametrize("bf16", [True, False, "auto"])
def test_the_run_file_and_the_training_tell_the_same_figures(bf16: bool | str) -> None:
    (line,) = said(unfrozen_parameters=("model.layers.0.",), bf16=bf16)
    model = AutoModelForCausalLM.from_pretrained(STARTER_FOLDER, dtype=torch.bfloat16 if bf16 else torch.float32)
    unfreeze(model, ["model.layers.0."])
    held = sum(value.numel() * value.element_size() for value in model.parameters())
    assert (f": weights {size_text(held)}, " in line) == (bf16 != "auto")
    assert ("for a pass" in line) == (bf16 is True)
