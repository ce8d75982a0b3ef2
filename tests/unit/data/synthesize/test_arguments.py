"""Arguments from schemas: the own check agrees with `jsonschema`, and what is drawn always fits."""

from __future__ import annotations

from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.synthesize.arguments import NoValue, drawn_arguments, problems

SCALARS: list[dict[str, Any]] = [
    {"type": "string", "example": "Rex"},
    {"type": "string"},
    {"type": "string", "enum": ["a", "b"]},
    {"type": "string", "format": "uuid"},
    {"type": "string", "format": "date", "minLength": 3},
    {"type": "string", "example": "x", "pattern": "^[0-9]+$"},
    {"type": "integer", "minimum": 4, "maximum": 6},
    {"type": "integer", "minimum": 1000},
    {"type": "integer", "multipleOf": 7},
    {"type": "number", "exclusiveMaximum": 4},
    {"type": "boolean"},
    {"type": ["string", "null"], "default": "plain"},
    {"const": 7},
    {"anyOf": [{"type": "integer"}, {"type": "string"}], "example": 3},
]


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    leaves = st.sampled_from(SCALARS)
    return st.one_of(leaves, st.builds(lambda item: {"type": "array", "items": item, "minItems": 1}, leaves), st.deferred(objects))


def objects() -> st.SearchStrategy[dict[str, Any]]:
    def put_together(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
        names = [name for name in required if name in properties]
        return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}

    names = st.sampled_from(["a", "b", "c"])
    return st.builds(put_together, st.dictionaries(names, schemas(), max_size=3), st.lists(names, unique=True, max_size=3))


@given(objects(), st.text(max_size=4))
def test_drawn_arguments_fit(schema: dict[str, Any], key: str) -> None:
    try:
        found = drawn_arguments(schema, key)
    except NoValue:
        return
    jsonschema.validate(found, schema)
    assert drawn_arguments(schema, key) == found


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 2000), st.sampled_from(["a", "Rex", "12", ""]), st.floats(0, 9, width=16)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)),
    max_leaves=5,
)


@given(st.one_of(schemas(), objects()), VALUES)
def test_the_check_agrees_with_the_standard_one(schema: dict[str, Any], value: Any) -> None:
    assert (next(problems(value, schema), None) is None) == jsonschema.Draft202012Validator(schema).is_valid(value)


def test_a_reference_fits_nothing() -> None:
    assert list(problems({}, {"$ref": "#/components/x"})) == ["arguments: a reference that the definition does not resolve"]


def test_the_path_of_what_does_not_fit() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}, "required": ["b"]}
    assert list(problems({"a": [1, "x"]}, schema)) == ["b: required", "a[1]: type"]
