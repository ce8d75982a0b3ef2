"""What is wrong with a value, in Luthier's words: pydantic's errors with their place in the file, what was found and what is meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from luthier.config import names
from luthier.config.schema import RunConfig
from luthier.config.yaml_file import Document, KeyPath
from luthier.core.errors import Problem
from luthier.core.nearness import nearest


def problem_of(item: dict[str, Any], document: Document) -> Problem:
    """A pydantic error in Luthier's words."""
    # pydantic puts the tag of a union into the path; it is no key of the file.
    path: KeyPath = tuple(part for part in item["loc"] if part not in ("name", "mapping") or (*item["loc"],)[-1:] == (part,))
    while path and path not in document.places and path[:-1] in document.places and item["type"] not in ("missing", "extra_forbidden"):
        path = path[:-1]
    kind = item["type"]
    where = document.place(path).text()
    if kind == "extra_forbidden":
        return names.unknown_key(path, document)
    if kind == "missing":
        return Problem(f"the key `{names.dotted(path)}` is missing", where=where or str(document.place(()).file), hint=_example(path))
    # What stands there in place of a variable's name may be the key itself, and an address may carry a password.
    found = "" if path[-1:] in (("api_key_env",), ("base_url",)) else str(item.get("input"))
    context = item.get("ctx", {})
    expected = context.get("expected", "") if kind == "literal_error" else ""
    hint = ""
    entry = names.table("values").get(names.dotted(path, generic=True), {})
    if reason := entry.get("refused", {}).get(found):
        return Problem(f"`{names.dotted(path)}: {found}` is not what Luthier does", where=where, found=found, hint=reason)
    if found in entry.get("later", ()):
        return Problem(f"`{names.dotted(path)}: {found}` is not in this version yet", where=where, expected=expected)
    if kind == "bool_parsing" and "'auto'" in str(RunConfig.model_fields.get(str(path[0]), "")):
        item = {**item, "type": "bool_or_auto"}
    if kind == "int_parsing" and "'auto'" in str(RunConfig.model_fields.get(str(path[0]), "")):
        item = {**item, "type": "int_or_auto"}
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'", expected)
        best = nearest(found, known)
        hint = f"did you mean `{best}`?" if best else ""
    return Problem(
        f"`{names.dotted(path)}` has a wrong value: {_in_words(item)}", where=where, found=found[:120], expected=expected, hint=hint
    )


_WORDS = {
    "literal_error": "it is none of the known ones",
    "int_parsing": "a whole number is meant",
    "int_from_float": "a whole number is meant",
    "int_type": "a whole number is meant",
    "float_parsing": "a number is meant",
    "float_type": "a number is meant",
    "bool_parsing": "true or false is meant",
    "bool_type": "true or false is meant",
    "bool_or_auto": "true, false or auto is meant",
    "int_or_auto": "a whole number or auto is meant",
    "string_type": "text is meant",
    "tuple_type": "a list is meant",
    "dict_type": "keys and values are meant",
    "model_type": "keys and values are meant",
    "model_attributes_type": "keys and values are meant",
    "finite_number": "a finite number is meant",
}


# The beginning of a pattern in the schema, in words.
_PATTERNS = {
    r"^[^\x0": "it holds a control character",
    "^https": "an address that begins with http:// or https:// is meant, without a user name, a query or blanks",
    "^[A-Z_": "the name of an environment variable in capitals is meant, never the key itself",
}


def _in_words(item: dict[str, Any]) -> str:
    kind, context = item["type"], item.get("ctx", {})
    if kind in _WORDS:
        return _WORDS[kind]
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"][:6], "letters, digits and . _ - are meant, nothing else")
    for name, words in (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than")):
        if name in context:
            return f"it must be {words} {context[name]}"
    return str(item["msg"]).removeprefix("Value error, ")


def _example(path: KeyPath) -> str:
    examples = {
        "base_model": "base_model: starter",
        "learning_rate": "learning_rate: 2e-4",
        "adapter": "adapter: lora",
        "path": "path: data/rows.jsonl",
    }
    example = examples.get(str(path[-1]) if path else "", "")
    return f"write, for example, `{example}`" if example else ""


def in_order(problems: Sequence[Problem]) -> list[Problem]:
    """The problems by place, without repeats of one place and key: a rule and the schema may both complain about a missing adapter."""
    kept: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        keys = re.findall(r"`([^`]*)`", problem.what)
        kept.setdefault((problem.where, keys[0] if keys else problem.what), problem)
    return sorted(kept.values(), key=_by_place)


def _by_place(problem: Problem) -> tuple[str, int]:
    file, _, line = problem.where.rpartition(":")
    return (file, int(line)) if line.isdigit() else (problem.where, 0)
