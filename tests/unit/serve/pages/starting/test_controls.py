"""The controls of the form for a run."""

from __future__ import annotations

import pytest

from luthier.config.schema import RunConfig
from luthier.core.errors import UserError
from luthier.serve.pages.starting.controls import all_controls, groups


def test_every_key_that_a_form_may_set_has_one_control() -> None:
    keys = [one.key for one in all_controls()]
    assert len(keys) == len(set(keys))
    left_out = set(RunConfig.model_fields) - set(keys)
    assert left_out == {"output_dir", "serve", "sources", "datasets", "engine", "axolotl"}
    assert all(one.hint for one in all_controls())


def test_controls_suit_what_a_key_takes() -> None:
    controls = {one.key: one for one in all_controls()}
    assert controls["load_in_4bit"].options == ("true", "false")
    assert controls["adapter"].kind == "choice"
    assert controls["num_epochs"].kind == "text"
    assert controls["evaluate"].kind == "yaml"
    assert controls["learning_rate"].value("2e-4") == 2e-4
    assert controls["run_name"].value("2024") == "2024"
    assert controls["lora_target_modules"].value("[q, v]") == ["q", "v"]
    with pytest.raises(UserError):
        controls["clean"].value("[a")


def test_the_most_used_are_first_and_the_rest_in_groups() -> None:
    first, others = groups()
    assert first[0].key == "base_model"
    assert others[0].title == "Which base model is loaded, and how"
    assert len(others) > 8
    assert not {one.key for one in first} & {one.key for group in others for one in group.controls}
