"""The YAML reader: scalars of YAML 1.2, places, and a writer that reads back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.config.yaml_file import dump, parse, parse_value
from luthier.core.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2e-4", 2e-4),
        ("1_000", "1_000"),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("~", None),
        ("", None),
        ("0o17", 15),
        ("017", 17),
        ("0x1f", 31),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("'5'", "5"),
        (".inf", float("inf")),
        ("-.5e3", -500.0),
        ("[a, 1]", ["a", 1]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    assert parse_value(text) == value


def test_places_are_kept() -> None:
    document = parse("a: 1\nb:\n  - c: 2\n    d: 3\n", "x.yaml")
    assert document.place(("b", 0, "d")).text() == "x.yaml:4"
    assert document.place(("b", 0, "unknown")).text() == "x.yaml:3"


def test_merge_keys_lie_below_written_ones() -> None:
    document = parse("base: &base {a: 1, b: 2}\nmine:\n  <<: *base\n  b: 3\n", "x.yaml")
    assert document.value["mine"] == {"a": 1, "b": 3}


TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False, width=32) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS.filter(lambda key: key != "<<"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=5), VALUES, min_size=1, max_size=4))
def test_what_is_written_reads_back(value: dict[str, Any]) -> None:
    assert parse(dump(value), "x").value == value


@given(st.text(max_size=200))
def test_any_text_is_a_mapping_or_an_error(text: str) -> None:
    try:
        value: object = parse(text, "x").value
    except ConfigError as error:
        value = {} if error.problems[0].where.startswith("x") else None
    assert isinstance(value, dict)
