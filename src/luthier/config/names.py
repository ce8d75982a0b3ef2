"""Names of keys: the three tables of Axolotl's keys, other tools' spellings, and the nearest known name of a misspelt one."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from luthier.config.keys.fields import Section, Stage, stages_of
from luthier.config.schema import RunConfig
from luthier.config.yaml_file import Document, KeyPath
from luthier.core.errors import Problem
from luthier.core.nearness import nearest

TABLES = Path(__file__).parent / "tables"
Table = dict[str, dict[str, Any]]
# Sections whose keys are names that the user gives.
OPEN_SECTIONS: tuple[KeyPath, ...] = (("endpoints",), ("evaluate", "gate"))


@cache
def table(name: str) -> Table:
    """One of the tables `accepted`, `renamed`, `refused`, `values`: key path (list items as `*`) to its entry."""
    with (TABLES / f"{name}.toml").open("rb") as stream:
        return tomllib.load(stream)


@cache
def schema_paths() -> frozenset[str]:
    """Every key path of the schema, list items as `*`."""
    return frozenset(path for path, _ in _fields_of(RunConfig, ""))


def key_description(generic: str) -> str:
    """What the schema says of a key path."""
    return _descriptions()[generic]


@cache
def _descriptions() -> dict[str, str]:
    return {path: info.description or "" for path, info in _fields_of(RunConfig, "")}


def changes_no_result(generic: str) -> bool:
    """Whether a key path, or the longest beginning of it that is a key, belongs to no stage: whatever it says, results are the same."""
    parts = generic.split(".")
    stages = _stages()
    known = next((path for end in range(len(parts), 0, -1) if (path := ".".join(parts[:end])) in stages), None)
    return known is not None and stages[known] == ("none",)


@cache
def _stages() -> dict[str, tuple[Stage, ...]]:
    return {path: stages_of(info) for path, info in _fields_of(RunConfig, "")}


def _fields_of(section: type[Section], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, info in section.model_fields.items():
        path = f"{prefix}{name}"
        yield path, info
        for inner in _sections_in(info.annotation):
            middle = ".*." if "tuple" in str(info.annotation) or "dict[" in str(info.annotation) else "."
            yield from _fields_of(inner, f"{path}{middle}")


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _sections_in(argument)


def key_groups() -> dict[str, list[str]]:
    """The keys of the top level by what they are about, in the order of the keys' own page."""
    groups: dict[str, list[str]] = {}
    for key in RunConfig.model_fields:
        owner = next(one for one in reversed(RunConfig.__mro__) if key in vars(one).get("__annotations__", {}))
        about = "Data, evaluation, export" if owner is RunConfig else str(owner.__doc__).partition("\n")[0].rstrip(".")
        groups.setdefault(about, []).append(key)
    return groups


def json_schema() -> dict[str, Any]:
    """The JSON schema of a run file, for editors: every key of a resolved one, other spellings of them, and `extends`.

    No key is required: a file that another one extends may lack any.
    """
    schema = RunConfig.model_json_schema()
    del schema["required"]
    files = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    schema["properties"]["extends"] = {**files, "title": "Extends", "description": "Run files that this one is laid on top of."}
    for old, entry in table("renamed").items():
        *parents, last = old.split(".")
        if parents[:2] in (["datasets", "*"], ["test_datasets", "*"]):
            properties, parents = schema["$defs"]["DatasetEntry"]["properties"], parents[2:]
        else:
            properties = schema["properties"]
        for parent in parents:
            properties = properties.setdefault(parent, {"type": "object", "properties": {}}).setdefault("properties", {})
        properties.setdefault(last, {"deprecated": True, "description": f"Read as `{entry['to']}`."})
    return schema


def dotted(path: KeyPath, generic: bool = False) -> str:
    """A key path as text: `datasets[0].path`, or `datasets.*.path` where `generic`; a name that the user gave is a `*` too."""
    if generic:
        named = next((len(section) for section in OPEN_SECTIONS if path[: len(section)] == section), -1)
        return ".".join("*" if isinstance(part, int) or index == named else part for index, part in enumerate(path))
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def asks_for_nothing(value: Any) -> bool:
    """Whether the value of a refused key leaves everything as it is: null, false, or empty."""
    return value is None or value is False or value in ("", [], {})


@dataclass(slots=True)
class Naming:
    """What became of a document's names: the notes to show, and the problems found."""

    notes: list[str]
    problems: list[Problem]


def apply_tables(document: Document) -> Naming:
    """Moves renamed keys to Luthier's names and takes refused ones out of `document`, in place; says what it did."""
    naming = Naming([], [])
    _walk(document, document.value, (), naming)
    return naming


def _walk(document: Document, value: dict[str, Any], path: KeyPath, naming: Naming) -> None:
    for name in list(value):
        here = (*path, name)
        generic = dotted(here, generic=True)
        if generic in schema_paths():
            _enter(document, value[name], here, naming)
            _pass_over(document, value, here, naming)
        elif generic in table("renamed"):
            _rename(document, value, here, naming)
        elif generic in table("refused"):
            _refuse(document, value, here, naming)
        elif isinstance(value[name], dict) and _is_parent(generic):
            _walk(document, value[name], here, naming)
            if not value[name]:
                del value[name]
        elif value[name] is None and _is_parent(generic):
            del value[name]


def _enter(document: Document, value: Any, path: KeyPath, naming: Naming) -> None:
    if isinstance(value, dict):
        _walk(document, value, path, naming)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict):
                _walk(document, item, (*path, index), naming)


def _pass_over(document: Document, value: dict[str, Any], path: KeyPath, naming: Naming) -> None:
    """Takes out a value that asks for another way to the result that the default has."""
    entry = table("values").get(dotted(path, generic=True), {})
    written = value[str(path[-1])]
    if isinstance(written, str) and written in entry.get("same", ()):
        del value[str(path[-1])]
        naming.notes.append(f"{document.place(path).text()}: `{dotted(path)}: {written}` is left out: {entry['same_note']}")


@cache
def _is_parent(generic: str) -> bool:
    return any(key.startswith(f"{generic}.") for name in ("renamed", "refused") for key in table(name))


def _rename(document: Document, value: dict[str, Any], path: KeyPath, naming: Naming) -> None:
    entry = table("renamed")[dotted(path, generic=True)]
    written = value.pop(str(path[-1]))
    target: KeyPath = _target_path(path, entry["to"])
    place = document.place(path)
    if "value" in entry:
        if not isinstance(written, bool) and written not in (None, "true", "false", "yes", "no"):
            problem = Problem(f"`{dotted(path)}` has a wrong value: true or false is meant", where=place.text(), found=_shown(written))
            naming.problems.append(problem)
            return
        if asks_for_nothing(written) or written in ("false", "no"):
            naming.notes.append(f"{place.text()}: `{dotted(path)}` asks for nothing and is left out")
            return
        written = entry["value"]
    written = entry.get("values", {}).get(str(written), written)
    holder = _holder(document.value, target)
    if target[-1] in holder and holder[target[-1]] != written:
        naming.problems.append(
            Problem(
                f"`{dotted(path)}` is another spelling of `{dotted(target)}`, and both are written with different values",
                where=place.text(),
                found=f"{written} here, {holder[target[-1]]} in {document.place(target).text()}",
                hint=f"keep `{dotted(target)}`",
            )
        )
        return
    holder[target[-1]] = written
    for known in [key for key in document.places if key[: len(path)] == path]:
        document.places[target + known[len(path) :]] = document.places[known]
    said = f"{place.text()}: `{dotted(path)}` is read as `{dotted(target)}`"
    naming.notes.append(said + (f": {entry['note']}" if entry.get("note") else ""))
    _pass_over(document, holder, target, naming)


def forget_target(document: Document, path: KeyPath) -> None:
    """Takes out the value that `path`, another spelling, is about to replace; nothing happens where `path` is no other spelling."""
    entry = table("renamed").get(dotted(path, generic=True))
    if entry is not None:
        target = _target_path(path, entry["to"])
        _holder(document.value, target).pop(target[-1], None)


def _target_path(path: KeyPath, target: str) -> KeyPath:
    """`target` with the list indices of `path` in place of its `*`."""
    indices = iter(part for part in path if isinstance(part, int))
    return tuple(next(indices) if part == "*" else part for part in target.split("."))


def _holder(value: dict[str, Any], path: KeyPath) -> Any:
    holder: Any = value
    for part in path[:-1]:
        if isinstance(part, str) and part not in holder:
            holder[part] = {}
        holder = holder[part]
    return holder


def _refuse(document: Document, value: dict[str, Any], path: KeyPath, naming: Naming) -> None:
    entry = table("refused")[dotted(path, generic=True)]
    written = value.pop(str(path[-1]))
    place = document.place(path).text()
    if asks_for_nothing(written):
        naming.notes.append(f"{place}: `{dotted(path)}` asks for nothing and is left out")
        return
    # True equals 1 in Python; a list of harmless values means what it says.
    if any(written == value and type(written) is type(value) for value in entry.get("harmless", ())):
        naming.notes.append(f"{place}: `{dotted(path)}: {_shown(written)}` asks for what is done anyway")
        return
    what = f"`{dotted(path)}` is not in this version yet" if entry.get("later") else f"`{dotted(path)}` is not a key of Luthier"
    naming.problems.append(Problem(what, where=place, found=_shown(written), hint=entry.get("reason", "")))


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def unknown_key(path: KeyPath, document: Document) -> Problem:
    """The problem of a key that stands in no table, with the nearest name at its depth."""
    parent = dotted(path[:-1], generic=True)
    prefix = f"{parent}." if parent else ""
    known = {key[len(prefix) :] for key in (*schema_paths(), *table("renamed")) if key.startswith(prefix)}
    siblings = {key for key in known if "." not in key}
    best = nearest(str(path[-1]), siblings)
    hint = f"did you mean `{dotted((*path[:-1], best))}`?" if best else "`luthier check --schema` lists every key"
    renamed = table("renamed").get(f"{prefix}{best}")
    if renamed is not None:
        hint = f"did you mean `{best}`, which is `{renamed['to']}` here?"
    return Problem(f"unknown key `{dotted(path)}`", where=document.place(path).text(), hint=hint)
