"""Arguments of a tool from its JSON schema: the file's own examples, else what the schema itself names, never a made-up text.

The keywords are those of JSON Schema 2020-12 that OpenAPI and tool definitions use; a value is checked against them before it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from luthier.core.records import JsonObject, JsonValue
from luthier.data.synthesize.wording import drawn, pick

# Values for formats, from the names and networks that are kept for documentation (RFC 2606, RFC 5737, RFC 3849).
_FORMATS: dict[str, Sequence[str]] = {
    "date": ("2024-03-15", "2024-11-02", "2025-01-20"),
    "date-time": ("2024-03-15T09:30:00Z", "2024-11-02T18:00:00Z", "2025-01-20T12:15:00Z"),
    "time": ("09:30:00", "18:00:00"),
    "duration": ("PT15M", "P1D"),
    "email": ("alice@example.com", "team@example.org"),
    "hostname": ("server1.example.com", "db.example.net"),
    "ipv4": ("192.0.2.10", "198.51.100.7"),
    "ipv6": ("2001:db8::10", "2001:db8::2a"),
    "uri": ("https://example.com/data", "https://example.org/report"),
    "url": ("https://example.com/data", "https://example.org/report"),
    "uuid": ("3f2b8c1e-5a4d-4e6f-9b7a-1c2d3e4f5a6b", "9d1e7c42-6b3a-4f58-8e21-7a6b5c4d3e2f"),
}
_MOST_DEPTH = 4
_WHOLE_NUMBERS = (3, 5, 7, 12, 20, 42)
# A year of 5 or a port of 3 is nothing that anybody asks for.
_NUMBERS_OF = {"year": (1998, 2015, 2023), "port": (8080, 5432, 9000), "width": (320, 800, 1280), "height": (240, 600, 720)}
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


class NoValue(Exception):
    """A parameter for which the schema names no value; the message is its path."""


def parameters(definition: JsonObject) -> JsonObject:
    """The schema of a tool's arguments; an object without properties where the definition has none."""
    function = definition.get("function", definition)
    schema = function.get("parameters") if isinstance(function, dict) else None
    return schema if isinstance(schema, dict) else {"type": "object", "properties": {}}


def drawn_arguments(schema: JsonObject, key: str) -> JsonObject:
    """Arguments for `schema`: all required properties, and of the others those with a value of the file's own, about half by the draw.

    `NoValue` where a required property has none.
    """
    value = _in_order(_object(schema, key, 0, ""), schema, key)
    if found := next(problems(value, schema), None):
        raise NoValue(found)
    return value


# Names of two bounds, of which the second lies behind the first.
_BOUNDS = (("from", "to"), ("start", "end"), ("since", "until"), ("after", "before"), ("min", "max"), ("begin", "end"))


def _in_order(value: JsonObject, schema: JsonObject, key: str) -> JsonObject:
    """The arguments with a first bound below its second: nobody asks for a report from May to March, or of no time at all."""
    properties = schema.get("properties") if isinstance(schema.get("properties"), dict) else {}
    assert isinstance(properties, dict)
    for name, first in value.items():
        for low, high in _BOUNDS:
            other = re.sub(rf"(?<![a-z]){low}(?=[A-Z_-]|$)", high, name)
            second = value.get(other)
            if other == name or type(first) is not type(second) or not isinstance(first, str | int | float) or first < second:  # type: ignore[operator]
                continue
            inner = properties[name] if isinstance(properties.get(name), dict) else {}
            given = sorted(_FORMATS.get(str(inner.get("format")), ())) if not _named(inner) else []
            if first > second:  # type: ignore[operator]
                value = {**value, name: second, other: first}
            elif len(given) > 1:
                at = drawn(key, name, "bounds") % (len(given) - 1)
                value = {**value, name: given[at], other: given[at + 1]}
    return value


def _value(schema: JsonObject, key: str, depth: int, path: str) -> JsonValue:
    """A value for one property: the first that the schema names, else one that its type and format fix."""
    if depth > _MOST_DEPTH:
        raise NoValue(path)
    named = _named(schema)
    if named:
        return pick(named, key, path)
    kind = _kind(schema)
    if kind == "string" and schema.get("format") in _FORMATS and "pattern" not in schema:
        return pick(_FORMATS[schema["format"]], key, path)
    if kind == "boolean":
        return drawn(key, path) % 2 == 0
    if kind in ("integer", "number"):
        return _number(schema, key, path)
    if kind == "array" and isinstance(schema.get("items"), dict):
        return [_value(schema["items"], key, depth + 1, f"{path}[]")]
    if kind == "object" and isinstance(schema.get("properties"), dict):
        return _object(schema, key, depth + 1, path)
    raise NoValue(path)


def _named(schema: JsonObject) -> list[JsonValue]:
    """The values that a schema itself names: its examples, else its constant, else those of its enum, else its default."""
    if "example" in schema:
        return [schema["example"]]
    for keyword in ("examples", "enum"):
        values = schema.get(keyword)
        if isinstance(values, list) and (given := [value for value in values if value is not None]):
            return given
    if "const" in schema:
        return [schema["const"]]
    default = schema.get("default")
    return [] if default in (None, "", [], {}) else [default]


def _object(schema: JsonObject, key: str, depth: int, path: str) -> JsonObject:
    properties = schema.get("properties") if isinstance(schema.get("properties"), dict) else {}
    assert isinstance(properties, dict)
    required = schema.get("required") if isinstance(schema.get("required"), list) else []
    found: JsonObject = {}
    for name, inner in properties.items():
        place = f"{path}.{name}" if path else name
        is_wanted = name in (required or ())
        if not isinstance(inner, dict):
            if is_wanted:
                raise NoValue(place)
            continue
        if not is_wanted and drawn(key, place, "optional") % 2:
            continue
        try:
            value = _value(inner, key, depth, place)
        except NoValue:
            if is_wanted:
                raise
            continue
        if is_wanted or value != {}:
            found[name] = value
    return found


def _kind(schema: JsonObject) -> str:
    """The JSON type of a schema; the first that is not null of several."""
    given = schema.get("type")
    kinds = [given] if isinstance(given, str) else [kind for kind in given or () if kind != "null"] if isinstance(given, list) else []
    return kinds[0] if kinds else "object" if "properties" in schema else ""


def _number(schema: JsonObject, key: str, path: str) -> int | float:
    """A number within the schema's bounds; `NoValue` where none of a few plain ones is."""
    low, high = schema.get("minimum"), schema.get("maximum")
    last = re.split(r"[._]|(?<=[a-z])(?=[A-Z])", path)[-1].lower()
    options: list[int | float] = [value for value in _NUMBERS_OF.get(last, _WHOLE_NUMBERS) if next(problems(value, schema), None) is None]
    options = options or [bound for bound in (low, high) if isinstance(bound, int | float) and next(problems(bound, schema), None) is None]
    if not options:
        raise NoValue(path)
    return pick(options, key, path)


def problems(value: JsonValue, schema: JsonObject, path: str = "") -> Iterator[str]:
    """What in `value` does not fit `schema`, each as the path and the keyword; nothing where it fits.

    Held to are `type enum const minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern minItems maxItems
    items properties required additionalProperties` and, as far as they are plain, `allOf anyOf oneOf`; a reference fits nothing.
    """
    where = path or "arguments"
    if "$ref" in schema:
        yield f"{where}: a reference that the definition does not resolve"
        return
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if isinstance(kinds, list) and not any(_is_of(value, kind) for kind in kinds) and not (value is None and schema.get("nullable")):
        yield f"{where}: type"
        return
    if isinstance(schema.get("enum"), list) and value not in schema["enum"]:
        yield f"{where}: enum"
    if "const" in schema and value != schema["const"]:
        yield f"{where}: const"
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number_problems(value, schema, where)
    elif isinstance(value, str):
        yield from _text_problems(value, schema, where)
    elif isinstance(value, list):
        yield from _list_problems(value, schema, where)
    elif isinstance(value, dict):
        yield from _object_problems(value, schema, path)
    yield from _combined_problems(value, schema, path)


def _is_of(value: JsonValue, kind: str) -> bool:
    if kind in ("integer", "number") and isinstance(value, bool):
        return False
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, ()))


def _number_problems(value: float, schema: JsonObject, where: str) -> Iterator[str]:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below, step = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum"), schema.get("multipleOf")
    # In OpenAPI 3.0 the exclusive bounds are switches of the others.
    if isinstance(low, int | float) and (value < low or (above is True and value == low)):
        yield f"{where}: minimum"
    if isinstance(high, int | float) and (value > high or (below is True and value == high)):
        yield f"{where}: maximum"
    if isinstance(above, int | float) and not isinstance(above, bool) and value <= above:
        yield f"{where}: exclusiveMinimum"
    if isinstance(below, int | float) and not isinstance(below, bool) and value >= below:
        yield f"{where}: exclusiveMaximum"
    if isinstance(step, int) and step > 0 and value % step:
        yield f"{where}: multipleOf"


def _text_problems(value: str, schema: JsonObject, where: str) -> Iterator[str]:
    if len(value) < (schema.get("minLength") or 0) or len(value) > (schema.get("maxLength") or len(value)):
        yield f"{where}: length"
    if isinstance(pattern := schema.get("pattern"), str):
        try:
            fits = re.search(pattern, value) is not None
        except re.error:
            # A pattern of another dialect cannot be told to fit.
            fits = False
        if not fits:
            yield f"{where}: pattern"


def _list_problems(value: list[JsonValue], schema: JsonObject, where: str) -> Iterator[str]:
    if len(value) < (schema.get("minItems") or 0) or len(value) > (schema.get("maxItems") or len(value)):
        yield f"{where}: number of items"
    if isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from problems(item, schema["items"], f"{where}[{index}]")


def _object_problems(value: JsonObject, schema: JsonObject, path: str) -> Iterator[str]:
    properties = schema.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    for name in schema.get("required") or ():
        if name not in value:
            yield f"{path}.{name}".lstrip(".") + ": required"
    extra = schema.get("additionalProperties")
    for name, inner in value.items():
        place = f"{path}.{name}".lstrip(".")
        if isinstance(properties.get(name), dict):
            yield from problems(inner, properties[name], place)
        elif name not in properties and extra is False:
            yield f"{place}: additionalProperties"
        elif name not in properties and isinstance(extra, dict):
            yield from problems(inner, extra, place)


def _combined_problems(value: JsonValue, schema: JsonObject, path: str) -> Iterator[str]:
    for inner in schema.get("allOf") or ():
        if isinstance(inner, dict):
            yield from problems(value, inner, path)
    for keyword in ("anyOf", "oneOf"):
        options = [inner for inner in schema.get(keyword) or () if isinstance(inner, dict)]
        fitting = sum(next(problems(value, inner, path), None) is None for inner in options)
        if options and (fitting == 0 or (keyword == "oneOf" and fitting > 1)):
            yield f"{path or 'arguments'}: {keyword}"
