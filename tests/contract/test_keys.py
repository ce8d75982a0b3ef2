"""Keys: each Axolotl key stands in exactly one table, each field has a stage, and a new key shows in review."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from luthier.config import names
from luthier.config.keys.fields import Section, stages_of
from luthier.config.schema import EndpointSection, RunConfig

HERE = Path(__file__).parent
OWN_KEYS = {"max_bad_rows", "run_name", "deterministic", "engine", "axolotl", "evaluate", "export", "endpoints", "guard", "loss_per_row"}
OWN_KEYS |= {"sources", "clean", "augment", "split", "data_formats", "serve"}
OWN_NESTED = {f"{entries}.*.{name}" for entries in ("datasets", "test_datasets") for name in ("field_system", "license")}


def covering(path: str, tables: dict[str, Any]) -> list[str]:
    """The tables that hold `path`, or else its nearest ancestor that any of them holds."""
    parts = path.split(".")
    for size in range(len(parts), 0, -1):
        head = ".".join(parts[:size])
        if found := [name for name, table in tables.items() if head in table]:
            return found
    return []


def axolotl_keys() -> list[str]:
    return (HERE / "axolotl_0_19_keys.txt").read_text(encoding="utf-8").split()


def test_every_axolotl_key_is_in_exactly_one_table() -> None:
    tables = {name: names.table(name) for name in ("accepted", "renamed", "refused")}
    keys = axolotl_keys()
    for key in keys:
        found = covering(key, tables)
        below = [other for other in keys if other.startswith(f"{key}.")]
        if not found and below:
            continue  # A block whose keys are each in a table.
        assert len(found) == 1, f"{key} is in {found or 'no table'}"


def test_no_key_is_in_two_tables() -> None:
    accepted, renamed, refused = (set(names.table(name)) for name in ("accepted", "renamed", "refused"))
    assert not accepted & renamed
    assert not accepted & refused
    assert not renamed & refused


def test_accepted_keys_are_the_schema() -> None:
    paths = {path for path in names.schema_paths() if path.split(".")[0] not in OWN_KEYS} - OWN_NESTED
    assert paths == set(names.table("accepted"))


def test_renamed_keys_lead_to_accepted_ones() -> None:
    for old, entry in names.table("renamed").items():
        assert entry["to"] in names.schema_paths(), old


def test_refused_keys_say_why() -> None:
    for key, entry in names.table("refused").items():
        assert isinstance(entry["later"], bool), key
        assert entry["reason"].endswith("."), key


@pytest.mark.parametrize("section", Section.__subclasses__(), ids=lambda section: section.__name__)
def test_every_field_has_a_stage_and_a_description(section: Any) -> None:
    for name, info in section.model_fields.items():
        assert stages_of(info), name
        assert set(stages_of(info)) <= {"data", "train", "evaluate", "export", "none"}, name
        assert info.description.endswith("."), name


# What each front door takes, and the stage whose key must change with it.
SETTINGS = {
    "data_settings": "data",
    "base_settings": "train",
    "token_settings": "train",
    "lora_settings": "train",
    "optimizer_settings": "train",
    "schedule_settings": "train",
    "batch_settings": "train",
    "precision_settings": "train",
}
PLAIN = RunConfig(base_model="starter", adapter="lora", learning_rate=1e-3)


def other_value(value: Any) -> Any:
    """Another value of the same kind, whatever it means."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 2
    if isinstance(value, dict):
        return {**value, "other": EndpointSection(base_url="http://localhost/v1", model="other")}
    if isinstance(value, tuple | list):
        return type(value)((*value, "other"))
    if isinstance(value, Section):
        return value.model_copy(update={name: other_value(getattr(value, name)) for name in type(value).model_fields})
    return {None: 2}.get(value, "other")


@pytest.mark.parametrize("name", sorted(RunConfig.model_fields))
def test_what_reaches_a_stage_is_in_its_key(name: str) -> None:
    other = ("q_proj",) if name == "lora_target_modules" else other_value(getattr(PLAIN, name))
    changed = PLAIN.model_copy(update={name: other})
    stages = stages_of(RunConfig.model_fields[name])
    for method, stage in SETTINGS.items():
        if getattr(changed, method)() != getattr(PLAIN, method)():
            assert stage in stages, f"`{name}` changes {method}() and is not in the key of {stage}"


def test_keys_are_the_frozen_list() -> None:
    frozen = (HERE / "keys.txt").read_text(encoding="utf-8").split("\n")
    now = sorted(names.schema_paths())
    assert now == [line for line in frozen if line], "a key came or went: change tests/contract/keys.txt with it, so that review sees it"
