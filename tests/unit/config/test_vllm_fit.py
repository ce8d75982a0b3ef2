"""What vLLM does not run as it was trained."""

from __future__ import annotations

import pytest

from luthier.config.load import load_model
from luthier.config.vllm_fit import unfit_fields, unfit_keys


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("peft_use_dora", True, "use_dora"),
        ("lora_modules_to_save", ["lm_head"], "modules_to_save"),
        ("lora_rank_pattern", {"q_proj": 2}, "rank_pattern"),
        ("lora_alpha_pattern", {"q_proj": 2}, "alpha_pattern"),
    ],
)
def test_the_run_file_and_the_adapters_own_say_the_same(key: str, value: object, field: str) -> None:
    assert unfit_keys({key: value, "lora_r": 8}) == [key]
    assert unfit_fields({field: value, "r": 8}) == [field]
    assert unfit_keys({key: None}) == unfit_fields({field: None}) == []


def test_a_base_in_eight_bits_is_told_by_the_run_file_alone() -> None:
    assert unfit_keys(load_model("starter", ("load_in_8bit=true",)).config) == ["load_in_8bit"]
    assert unfit_keys(load_model("starter").config) == []
    assert unfit_fields({"load_in_8bit": True}) == []
