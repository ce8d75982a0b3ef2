"""What is said before the base's own weights are trained."""

from __future__ import annotations

from luthier.config.schema import RunConfig
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
