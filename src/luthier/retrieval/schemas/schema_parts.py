"""Parts that tool definitions share: names, references within a file resolved, schemas reduced to what a model is shown, and checks."""

from __future__ import annotations

import math
import re
from typing import Any

from luthier.core.issued import issued
from luthier.core.records import JsonObject, JsonValue
from luthier.retrieval.outline import Unreadable

# OpenAI's rule for the name of a function.
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
# References can double a schema with each step.
MAX_SCHEMA_VALUES = 20_000
MAX_SCHEMA_DEPTH = 60
# In what stands for a credential in documents.
_SHOWN = re.compile(r"(?i)example|your|x{6,}")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_KEPT = [
    "type",
    "title",
    "description",
    "enum",
    "const",
    "default",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "required",
]
_SCHEMAS = ("items", "additionalProperties", "not", "contains", "propertyNames")
_SCHEMA_LISTS = ("oneOf", "anyOf", "allOf", "prefixItems")


def function_name(name: str) -> str:
    """`name` as it stands where a function may have it, else with `_` for what it may not hold, at most 64 long."""
    return name if NAME.match(name) else re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:64].rstrip("_")


def refuse_secrets(*parts: JsonValue) -> None:
    """`Unreadable` where a key or a text in `parts` holds a credential. Once a name is written as words, no scan of a row tells it."""
    texts: list[str] = []
    waiting = list(parts)
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            texts += part
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        if isinstance(part, str):
            texts.append(part)
    # Line by line, so that no text is taken for the value of another.
    text = "\n".join(texts)
    for found in issued(text):
        if _SHOWN.search(text, found.start, found.end) is None:
            raise Unreadable("secret", f"it holds a credential of the kind `{found.kind}`")


class Resolver:
    """Schemas of one file with their references put in, reduced to the words of JSON schema that say what an argument may be."""

    def __init__(self, root: JsonValue) -> None:
        self._root = root
        self._left = MAX_SCHEMA_VALUES

    def start(self) -> None:
        """Begins a definition: its size is counted anew."""
        self._left = MAX_SCHEMA_VALUES

    def followed(self, value: JsonValue) -> JsonValue:
        """`value`, or what it refers to; `Unreadable` for references out of the file, to nothing, or in a circle."""
        seen: set[str] = set()
        while isinstance(value, dict) and isinstance(reference := value.get("$ref"), str):
            if reference in seen:
                raise Unreadable("circular_reference", f"`{reference[:120]}` refers to itself")
            seen.add(reference)
            beside = {name: part for name, part in value.items() if name != "$ref"}
            target = self._target(reference)
            # OpenAPI 3.1 lets a description stand beside a reference.
            value = {**target, **beside} if isinstance(target, dict) and beside else target
        return value

    def _target(self, reference: str) -> JsonValue:
        if not reference.startswith("#"):
            raise Unreadable("remote_reference", f"`{reference[:120]}` leads out of the file, and is not fetched")
        value = self._root
        for part in reference[1:].lstrip("/").split("/") if len(reference) > 1 else []:
            name = part.replace("~1", "/").replace("~0", "~").replace("%7B", "{").replace("%7D", "}")
            if isinstance(value, dict) and name in value:
                value = value[name]
            elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
                value = value[int(name)]
            else:
                raise Unreadable("missing_reference", f"`{reference[:120]}` leads nowhere")
        return value

    def schema(self, value: JsonValue, above: tuple[str, ...] = ()) -> JsonObject:
        """`value` with every reference in it put in. Where a schema holds itself, the inner one says only what type it is of.

        `Unreadable` where it is no schema, or too large once it is written out.
        """
        self._left -= 1
        if self._left < 0 or len(above) > MAX_SCHEMA_DEPTH:
            raise Unreadable("too_large", f"its schema has more than {MAX_SCHEMA_VALUES:,} parts once references are put in")
        if value is True:
            return {}
        if not isinstance(value, dict):
            raise Unreadable("invalid_schema", f"a schema is a mapping, not {str(value)[:60]!r}")
        reference = value.get("$ref")
        if isinstance(reference, str) and reference in above:
            target = self.followed(value)
            return {
                name: target[name] for name in ("type", "description") if isinstance(target, dict) and isinstance(target.get(name), str)
            }
        resolved = self.followed(value)
        if not isinstance(resolved, dict):
            raise Unreadable("invalid_schema", f"a schema is a mapping, not {str(resolved)[:60]!r}")
        return self._reduced(resolved, (*above, reference if isinstance(reference, str) else ""))

    def _reduced(self, value: JsonObject, above: tuple[str, ...]) -> JsonObject:
        found: JsonObject = {name: value[name] for name in _KEPT if name in value}
        for name in _SCHEMAS:
            if isinstance(value.get(name), dict):
                found[name] = self.schema(value[name], above)
            elif isinstance(value.get(name), bool):
                found[name] = value[name]
        for name in _SCHEMA_LISTS:
            if isinstance(parts := value.get(name), list) and parts:
                found[name] = [self.schema(part, above) for part in parts]
        if isinstance(properties := value.get("properties"), dict):
            # What a server alone writes is no argument.
            wanted = {name: part for name, part in properties.items() if not (isinstance(part, dict) and part.get("readOnly") is True)}
            found["properties"] = {name: self.schema(part, above) for name, part in wanted.items()}
            if isinstance(required := found.get("required"), list):
                found["required"] = [name for name in required if name not in properties or name in wanted]
        if value.get("nullable") is True and isinstance(found.get("type"), str):
            found["type"] = [found["type"], "null"]
        check(found)
        return _merged(found)


def _merged(schema: JsonObject) -> JsonObject:
    """`allOf` of plain objects as one object: what a schema inherits is its own."""
    parts = schema.get("allOf")
    plain = {"type", "properties", "required", "description", "title"}
    if not isinstance(parts, list) or not all(isinstance(part, dict) and set(part) <= plain for part in parts):
        return schema
    rest = {name: value for name, value in schema.items() if name != "allOf"}
    merged: dict[str, Any] = {}
    for part in [*parts, rest]:
        for name, value in part.items():
            if name == "properties":
                merged[name] = {**merged.get(name, {}), **value}
            elif name == "required":
                merged[name] = list(dict.fromkeys([*merged.get(name, []), *value]))
            else:
                merged[name] = value
    return {name: value for name, value in merged.items() if value != []}


def check(schema: JsonObject) -> None:
    """`Unreadable` for a schema whose own words are wrong: unknown types, an empty `enum`, `required` of other than names."""
    named = schema.get("type")
    for name in named if isinstance(named, list) else [named] if named is not None else []:
        if not isinstance(name, str) or name not in _TYPES:
            raise Unreadable("invalid_schema", f"`type: {str(name)[:60]}` is none of {', '.join(_TYPES)}")
    if "enum" in schema and not (isinstance(schema["enum"], list) and schema["enum"]):
        raise Unreadable("invalid_schema", "`enum` takes a list of values")
    required = schema.get("required")
    if required is not None and not (isinstance(required, list) and all(isinstance(name, str) for name in required)):
        raise Unreadable("invalid_schema", "`required` takes a list of names")
    for name in ("description", "title", "pattern", "format"):
        if name in schema and not isinstance(schema[name], str):
            raise Unreadable("invalid_schema", f"`{name}` takes text")


def misfit(value: JsonValue, schema: JsonObject, where: str = "") -> str:
    """Where and how `value` does not fit the types, enums, required and known properties of `schema`; empty where it fits.

    What a schema says otherwise, as of formats and patterns, is not looked at.
    """
    named = schema.get("type")
    names = named if isinstance(named, list) else [named] if isinstance(named, str) else []
    if names and not any(_is_of(value, str(name)) for name in names):
        return f"{where or 'it'} is not of type {' or '.join(map(str, names))}"
    if isinstance(choices := schema.get("enum"), list) and value not in choices:
        return f"{where or 'it'} is none of its choices"
    if isinstance(value, list) and isinstance(items := schema.get("items"), dict):
        return next((said for index, item in enumerate(value) if (said := misfit(item, items, f"{where}[{index}]"))), "")
    if isinstance(value, dict) and isinstance(properties := schema.get("properties"), dict):
        missing = [name for name in schema.get("required") or [] if name not in value]
        unknown = [name for name in value if name not in properties] if not _takes_more(schema) else []
        if missing or unknown:
            return f"{where or 'it'} {'lacks' if missing else 'holds the unknown'} `{(missing or unknown)[0]}`"
        inner = ((name, part) for name, part in value.items() if isinstance(properties.get(name), dict))
        return next((said for name, part in inner if (said := misfit(part, properties[name], f"{where}.{name}".lstrip(".")))), "")
    return ""


def _takes_more(schema: JsonObject) -> bool:
    return schema.get("additionalProperties", False) is not False or any(name in schema for name in ("oneOf", "anyOf", "allOf"))


def _is_of(value: JsonValue, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return math.isfinite(value) and value.is_integer()
    return isinstance(value, _TYPES.get(name, (object,)))


def line_of(text: str, *needles: str) -> int:
    """The line on which the last of `needles` stands, each looked for behind the one before; 1 where one is not there."""
    at = 0
    for needle in needles:
        found = re.compile(needle).search(text, at)
        if found is None:
            return 1
        at = found.start()
    return text.count("\n", 0, at) + 1


def text_of(value: JsonValue) -> str:
    """A text without blanks at its ends; empty for anything else."""
    return value.strip() if isinstance(value, str) else ""


def tool(name: str, description: str, parameters: JsonObject) -> JsonObject:
    """A definition in OpenAI's nested form. Parameters are an object's schema."""
    function: JsonObject = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function if description else {"name": name, "parameters": parameters}}
