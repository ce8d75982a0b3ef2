"""Patterns as Axolotl 0.19 reads them."""

from __future__ import annotations

import pytest

from luthier.config.name_pattern import NamePattern


@pytest.mark.parametrize(
    ("pattern", "name", "is_meant"),
    [
        ("model.layers.2", "model.layers.2.mlp.up_proj.weight", True),
        ("model.layers.2", "model.layers.20.mlp.up_proj.weight", True),
        ("model.layers.2$", "model.layers.2.mlp.up_proj.weight", False),
        ("layers.2", "model.layers.2.mlp.up_proj.weight", False),  # From the beginning of the name.
        ("model.layers.[0-9]+.self_attn.q_proj", "model.layers.11.self_attn.q_proj.bias", True),
        ("model.norm", "modelXnorm.weight", False),  # A dot is a dot,
        ("model.+bias", "model.layers.1.self_attn.q_proj.bias", True),  # but before a plus.
        ("model.*", "model.norm.weight", True),
        (r"model\.norm", "model.norm.weight", False),
        ("^model.embed_tokens.weight$[:32000]", "model.embed_tokens.weight", True),
        ("^lm_head.weight$[10]", "lm_head.weights", False),
    ],
)
def test_which_names_are_meant(pattern: str, name: str, is_meant: bool) -> None:
    assert NamePattern.parse(pattern).matches(name) is is_meant


@pytest.mark.parametrize(
    ("pattern", "rows"),
    [("a", None), ("a[7]", (7, 8)), ("a[:5]", (0, 5)), ("a[5:]", (5, None)), ("a[2:5]", (2, 5)), ("a.[0-9]", None), ("a$[2:5]", (2, 5))],
)
def test_rows_at_the_end(pattern: str, rows: tuple[int, int | None] | None) -> None:
    assert NamePattern.parse(pattern).rows == rows


@pytest.mark.parametrize("pattern", ["a(b", "a[5:5]", "a[6:2]"])
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"unterminated|are none"):
        NamePattern.parse(pattern)
