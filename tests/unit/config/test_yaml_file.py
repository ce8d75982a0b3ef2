"""The YAML reader: scalars of YAML 1.2, places, and a writer that reads back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
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


DEEP = {
    "flow": "a:\n  " + "[" * 100_000 + "]" * 100_000,
    "blocks": "a:\n" + "\n".join(" " * level + "b:" for level in range(1, 2_000)),
    "dashes": "a:\n" + "- " * 50_000 + "b",
    "mappings": "a: " + "{b: " * 100_000 + "1" + "}" * 100_000,
}


@pytest.mark.parametrize("name", DEEP)
def test_what_nests_deeper_than_the_stack_is_refused_with_its_line(name: str) -> None:
    """The parser would end the process: in a child, so that it is the child's end."""
    code = "import sys; from luthier.config.yaml_file import parse; parse(sys.stdin.read(), 'run.yaml')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=DEEP[name],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 1
    assert re.search(r"ConfigError: run\.yaml:\d+: too many or too deeply nested values", done.stderr)


def test_a_value_on_the_command_line_that_nests_too_deeply_is_refused() -> None:
    with pytest.raises(ConfigError, match="too deeply nested"):
        parse_value("[" * 1_000 + "]" * 1_000)
