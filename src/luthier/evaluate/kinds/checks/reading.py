"""Reading the checks of a task: every mistake with the path of the key that it is in."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any

from luthier.config.yaml_file import KeyPath
from luthier.core.errors import MissingExtraError, Problem
from luthier.core.nearness import nearest
from luthier.core.records import JsonObject, JsonValue
from luthier.evaluate.kinds.checks.bounded import check_schema
from luthier.evaluate.kinds.checks.check import Check
from luthier.guard.shell import is_well_formed

Mistake = tuple[KeyPath, Problem]

_COMMON = ("name", "not")
# The kinds of checks, and the further keys that each may have.
OPTIONS: dict[str, tuple[str, ...]] = {
    "equals": ("ignore_case",),
    "contains": ("ignore_case",),
    "pattern": ("ignore_case",),
    "json_schema": (),
    "tool_call": (),
    "command": (),
    "unit_tests": ("seconds",),
    "judge": (),
}
MAX_SECONDS = 60.0


def read_checks(value: JsonValue, path: KeyPath) -> tuple[list[Check], list[Mistake]]:
    """The checks in a task's list, and every mistake in it by the path of its key."""
    if not isinstance(value, list) or not value:
        return [], [(path, Problem("`checks` must be a list with at least one check", found=_shown(value), hint=_known()))]
    checks: list[Check] = []
    mistakes: list[Mistake] = []
    for index, item in enumerate(value):
        check, found = _read_check(item, (*path, index))
        mistakes += found
        checks += [check] if check is not None else []
    names = [check.name for check in checks if check.name]
    mistakes += [
        (path, Problem("two checks have one name", found=name)) for name in sorted({name for name in names if names.count(name) > 1})
    ]
    return checks, mistakes


def _read_check(value: JsonValue, path: KeyPath) -> tuple[Check | None, list[Mistake]]:
    if not isinstance(value, dict):
        return None, [(path, Problem("a check must be a mapping", found=_shown(value), hint=_known()))]
    kinds = [name for name in value if name in OPTIONS]
    mistakes = [((*path, name), _unknown(name, kinds)) for name in value if not _is_known(name, kinds)]
    if len(kinds) != 1:
        what = "a check names two kinds; write two checks" if kinds else "a check names no kind"
        return None, [*mistakes, (path, Problem(what, found=", ".join(map(str, value))[:120], hint=_known()))]
    kind = kinds[0]
    mistakes += [((*path, *inner), problem) for inner, problem in _value_mistakes(kind, value[kind])]
    mistakes += [((*path, name), problem) for name, problem in _option_mistakes(value)]
    options = {name: value[name] for name in OPTIONS[kind] if name in value}
    return Check(kind, value[kind], value.get("name", ""), value.get("not", False), options), mistakes


def _is_known(name: object, kinds: list[str]) -> bool:
    return name in OPTIONS or name in _COMMON or any(name in OPTIONS[kind] for kind in kinds)


def _unknown(name: object, kinds: list[str]) -> Problem:
    known = (*_COMMON, *(OPTIONS[kinds[0]] if kinds else OPTIONS))
    best = nearest(str(name), known)
    return Problem(f"unknown key `{name}` in a check", hint=f"did you mean `{best}`?" if best else f"known: {', '.join(known)}")


def _known() -> str:
    return f"a check is one of {', '.join(OPTIONS)}, each with `name` and `not` if you like"


def _option_mistakes(value: JsonObject) -> Iterator[tuple[str, Problem]]:
    for name in ("not", "ignore_case"):
        if not isinstance(value.get(name, False), bool):
            yield name, Problem(f"`{name}` must be true or false", found=_shown(value[name]))
    if not isinstance(value.get("name", ""), str):
        yield "name", Problem("`name` must be a text", found=_shown(value["name"]))
    seconds = value.get("seconds", 1)
    if type(seconds) not in (int, float) or not 0 < seconds <= MAX_SECONDS:
        yield "seconds", Problem(f"`seconds` must be a number above 0, at most {MAX_SECONDS:.0f}", found=_shown(seconds))


def _value_mistakes(kind: str, value: JsonValue) -> list[Mistake]:
    return [(path if path else (kind,), problem) for path, problem in _READERS[kind](kind, value)]


def _texts(kind: str, value: JsonValue) -> Iterator[Mistake]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(text, str) and text for text in values):
        # YAML reads 4 as a number and yes as a text, which is easily missed.
        yield (), Problem(f"`{kind}` takes a text or a list of texts", found=_shown(value), hint="put it in quotes")


def _text(kind: str, value: JsonValue) -> Iterator[Mistake]:
    if not isinstance(value, str) or not value.strip():
        yield (), Problem(f"`{kind}` takes a text", found=_shown(value), hint="put it in quotes")


def _pattern(kind: str, value: JsonValue) -> Iterator[Mistake]:
    yield from (mistakes := list(_text(kind, value)))
    if not mistakes:
        try:
            re.compile(value)
        except (re.error, OverflowError, RecursionError) as error:
            yield (), Problem(f"this is no regular expression of Python's: {error}", found=value[:120])


def _commands(kind: str, value: JsonValue) -> Iterator[Mistake]:
    yield from (mistakes := list(_texts(kind, value)))
    for text in [] if mistakes else value if isinstance(value, list) else [value]:
        if not is_well_formed(text):
            yield (), Problem("this does not parse as a shell command, so that no answer could equal it", found=text[:120])


def _unit_tests(kind: str, value: JsonValue) -> Iterator[Mistake]:
    yield from (mistakes := list(_text(kind, value)))
    if not mistakes:
        try:
            tree = ast.parse(value)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            yield (), Problem(f"the tests are no Python: {error}", found=value[:120])
            return
        if not any(isinstance(node, ast.Assert | ast.Raise | ast.Call) for node in ast.walk(tree)):
            yield (), Problem("the tests check nothing: no assert, raise or call", found=value[:120])


def _tool_call(kind: str, value: JsonValue) -> Iterator[Mistake]:
    calls = value if isinstance(value, list) else [value]
    for index, call in enumerate(calls):
        path: KeyPath = (kind, index) if isinstance(value, list) else (kind,)
        if not isinstance(call, dict) or not isinstance(call.get("name"), str) or not call["name"]:
            yield path, Problem("`tool_call` takes `name` and `arguments`, or a list of such calls", found=_shown(call))
            continue
        yield from (((*path, name), Problem(f"unknown key `{name}` in a tool call")) for name in call if name not in ("name", "arguments"))
        if not isinstance(call.get("arguments", {}), dict):
            yield (*path, "arguments"), Problem("`arguments` must be a mapping", found=_shown(call["arguments"]))
    if not calls:
        yield (), Problem("`tool_call` names no call", hint="for an answer without a call write `not: true` with the call it must not make")


def _schema(kind: str, value: JsonValue) -> Iterator[Mistake]:
    if not isinstance(value, dict | bool):
        yield (), Problem("`json_schema` takes a schema, a mapping", found=_shown(value))
        return
    outside = [(path, reference) for path, reference in _references(value, (kind,)) if not reference.startswith("#")]
    yield from ((path, Problem("a schema's `$ref` must stay within the schema", found=found[:120])) for path, found in outside)
    if not outside:
        try:
            wrong = check_schema(value)
        except MissingExtraError as error:
            yield (), error.problems[0]
            return
        if wrong:
            yield (), Problem(f"this is no JSON schema: {wrong}")


def _references(value: JsonValue, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    inner: list[tuple[Any, Any]] = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    for name, item in inner:
        if name in ("$ref", "$dynamicRef") and isinstance(item, str):
            yield (*path, name), item
        yield from _references(item, (*path, name))


def _shown(value: JsonValue) -> str:
    return f"{value!r:.120}"


_READERS: dict[str, Callable[[str, JsonValue], Iterator[Mistake]]] = {
    "equals": _texts,
    "contains": _texts,
    "pattern": _pattern,
    "json_schema": _schema,
    "tool_call": _tool_call,
    "command": _commands,
    "unit_tests": _unit_tests,
    "judge": _text,
}
