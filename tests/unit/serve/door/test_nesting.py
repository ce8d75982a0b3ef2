"""What lies too deep in a body, whichever field it is of."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from luthier.serve.api.jobs import RunBody
from luthier.serve.door.nesting import MOST_DEPTH, of_some_depth


def nested(depth: int) -> Any:
    value: Any = 1
    for number in range(depth):
        value = [2, value] if number % 2 else {"a": value, "b": 3}
    return value


def test_what_can_be_written_again_is_taken_as_it_is() -> None:
    for value in (nested(MOST_DEPTH), nested(0), [], {}, [[1] * 50_000] * 2):
        assert of_some_depth(value) is value


@pytest.mark.parametrize("depth", [MOST_DEPTH + 1, 300, 100_000])
def test_what_lies_deeper_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match="64 deep"):
        of_some_depth(nested(depth))


@pytest.mark.parametrize("depth", [MOST_DEPTH, 300, 900])
def test_values_of_keys_too(depth: int) -> None:
    with pytest.raises(ValidationError) as raised:
        RunBody.model_validate({"text": "x", "overrides": {"a": nested(depth)}})
    assert raised.value.errors()[0]["loc"] == ("overrides",)
