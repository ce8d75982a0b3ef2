"""How the values of keys are told from the words of a command."""

from __future__ import annotations

import pytest

from luthier.serve.jobs.handing import parted


@pytest.mark.parametrize(
    ("command", "words", "values"),
    [
        ("run a.yaml --json", "run a.yaml --json", ""),
        ("run --set lora_r=4 a.yaml --set seed=1 --json", "run a.yaml --json", "lora_r=4 seed=1"),
        # What stands behind it is its value, whatever it is.
        ("run a.yaml --set --set lora_r=4", "run a.yaml lora_r=4", "--set"),
        ("run a.yaml --set", "run a.yaml --set", ""),
    ],
)
def test_values_are_parted_from_words(command: str, words: str, values: str) -> None:
    assert parted(command.split()) == (tuple(words.split()), tuple(values.split()))
