"""The controls of the form for a run, made of the keys of a run file: each with its words, its kind, and its default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from luthier.config import names, yaml_file
from luthier.core.records import JsonObject

# Asked first, in this order; all others are folded away.
FIRST = (
    "base_model",
    "run_name",
    "adapter",
    "num_epochs",
    "max_steps",
    "learning_rate",
    "sequence_len",
    "micro_batch_size",
    "lora_r",
    "seed",
    "split",
)
# The server says where runs go, and sources and rows have controls of their own.
_LEFT_OUT = ("output_dir", "serve", "sources", "datasets", "engine", "axolotl")
_NULL = {"type": "null"}


@dataclass(frozen=True, slots=True)
class Control:
    """One key: `kind` is `choice`, `text` or `yaml`; `options` are those of a choice; `default` is told where nothing is given."""

    key: str
    kind: str
    hint: str
    default: str
    options: tuple[str, ...] = ()
    is_text: bool = False

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The options of a choice, each with its words."""
        return [(word, word) for word in self.options]

    def value(self, given: str) -> Any:
        """What the run file says for what was given: as YAML reads it, a plain text where the key holds one."""
        return given if self.is_text else yaml_file.parse_value(given)


@dataclass(frozen=True, slots=True)
class Group:
    """Controls that belong together."""

    title: str
    controls: tuple[Control, ...]


@cache
def groups() -> tuple[tuple[Control, ...], tuple[Group, ...]]:
    """The controls that are asked first, and the others by group, in the order of the keys' own page."""
    schema, about = names.json_schema(), names.key_groups()
    properties, defs = schema["properties"], schema["$defs"]
    found = {key: _control(key, properties[key], defs) for keys in about.values() for key in keys if key not in _LEFT_OUT}
    others = (Group(title, tuple(found[key] for key in keys if key in found and key not in FIRST)) for title, keys in about.items())
    return tuple(found[key] for key in FIRST), tuple(group for group in others if group.controls)


def all_controls() -> Iterator[Control]:
    """Every control."""
    first, others = groups()
    yield from first
    for group in others:
        yield from group.controls


def _control(key: str, schema: JsonObject, defs: Mapping[str, JsonObject]) -> Control:
    kinds = [defs[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in schema.get("anyOf", [schema]) if one != _NULL]
    default = "" if schema.get("default") is None else _written(schema["default"])
    hint = str(schema.get("description", ""))
    if all("enum" in one or "const" in one or one.get("type") == "boolean" for one in kinds):
        options = [word for one in kinds for word in ("true", "false") if one.get("type") == "boolean"]
        options += [_written(word) for one in kinds for word in one.get("enum", [one["const"]] if "const" in one else [])]
        return Control(key, "choice", hint, default, tuple(options))
    types = {one.get("type") for one in kinds}
    if types & {"object", "array"} or None in types or any("$ref" in one for one in schema.get("anyOf", [schema])):
        return Control(key, "yaml", hint, default)
    return Control(key, "text", hint, default, is_text=types == {"string"})


def _written(value: Any) -> str:
    """A value as it stands in a run file, on one line."""
    if isinstance(value, dict | list):
        return ", ".join(map(_written, value)) if isinstance(value, list) else ""
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
