"""The guard's data files: every key, type, name, class, role and pattern is known to the guard, and every rule carries examples."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import luthier.guard
from luthier.guard.policy import CLASSES
from many_cases import each_of

RULES = Path(luthier.guard.__file__).with_name("rules")
PROGRAM_FILES = sorted(RULES.glob("programs*.toml"))
RULE_FILES = sorted(RULES.glob("rules*.toml"))

LEVELS = {"safe", "caution", "unknown", "dangerous"}
ZONES = {
    *("root", "system", "binaries", "boot", "kernel", "device", "accounts", "credentials", "startup", "logs", "history", "home", "homes"),
    *("project", "cwd", "temp", "other"),
    *("data", "package-sources"),
}
FLOWS = {"network", "decoded", "secret", "unknown", "personal", "file"}
ROLE = re.compile(
    r"(text|read|write|append|truncate|delete|move|list|permissions|execute|install|update|mount|host|send|code:[a-z0-9-]+)(\.\.\.)?"
)
NAME = re.compile(r"\S+( \S+){0,4}")  # a program and up to four words of a subcommand
OPTION = re.compile(r"--?[^|=\s]+")

PROGRAM_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("names", "long", "operands"), list),
    **dict.fromkeys(
        (
            "level",
            "flags",
            "valued",
            "glued",
            "stdin",
            "stdout",
            "replace",
            "within",
            "instead",
            "rewrites",
            "removes",
            "keeps",
            "appends",
            "words",
            "plus",
            "language",
        ),
        str,
    ),
    **dict.fromkeys(("options", "pairs", "globals"), dict),
    **dict.fromkeys(("single_dash_long", "network", "inner_assigns", "inner_text", "inner_remote", "inner_items"), bool),
    **dict.fromkeys(("privileged", "script", "runs_project", "dashless"), bool),
    "tree": (str, bool),
    "inner": int,
}
RULE_LISTS = (
    "programs",
    "sub",
    "flags",
    "without",
    "operands",
    "all_operands",
    "zones",
    "working",
    "stdin",
    "environment",
    "hits",
    "misses",
)
RULE_TYPES: dict[str, type] = {
    **dict.fromkeys(RULE_LISTS, list),
    **dict.fromkeys(("id", "level", "class", "reason"), str),
    **dict.fromkeys(("min_operands", "max_operands"), int),
    "privileged": bool,
}


def entries(files: list[Path], table: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{path.stem}-{index}", entry)
        for path in files
        for index, entry in enumerate(tomllib.loads(path.read_text(encoding="utf-8"))[table])
    ]


PROGRAMS = entries(PROGRAM_FILES, "program")
GUARD_RULES = entries(RULE_FILES, "rule")


def options_of(text: str) -> list[str]:
    return text.split("|")


def check_types(entry: dict[str, Any], types: dict[str, Any]) -> None:
    assert set(entry) <= set(types), f"unknown keys: {sorted(set(entry) - set(types))}"
    for key, value in entry.items():
        assert isinstance(value, types[key]), key
        assert types[key] is not int or not isinstance(value, bool), key
        if isinstance(value, list):
            assert value, f"{key} is empty"
            assert all(isinstance(item, str) for item in value), key
            assert key == "operands" or len(set(value)) == len(value), f"{key} says something twice"


def test_the_files_hold_one_table_each() -> None:
    assert PROGRAM_FILES
    assert RULE_FILES
    for paths, table in ((PROGRAM_FILES, "program"), (RULE_FILES, "rule")):
        for path in paths:
            assert set(tomllib.loads(path.read_text(encoding="utf-8"))) == {table}, path.name


@each_of(PROGRAMS)
def test_a_program_is_well_formed(program: dict[str, Any]) -> None:
    check_types(program, PROGRAM_TYPES)
    assert program["level"] in {"safe", "caution"}
    assert all(NAME.fullmatch(name) for name in program["names"])
    assert not set(program.get("flags", "")) & set(program.get("valued", "")), "a letter takes a value or does not"
    assert program.get("stdin", "") in {"", "sent", "paths"} or ROLE.fullmatch(program["stdin"]), program.get("stdin")
    assert program.get("stdout", "text") in {"network", "stdin", "files", "secret", "decoded", "data", "text"}
    assert program.get("inner", 0) >= 0
    roles = [*program.get("operands", []), *program.get("options", {}).values(), *program.get("pairs", {}).values()]
    assert all(ROLE.fullmatch(role) for role in roles), roles
    assert sum(role.endswith("...") for role in program.get("operands", [])) <= 1
    assert set(program.get("globals", {})) <= {"valued", "long", "flags"}


@each_of(PROGRAMS)
def test_an_option_with_a_role_takes_a_value(program: dict[str, Any]) -> None:
    for key in program.get("options", {}):
        for option in options_of(key):
            assert OPTION.fullmatch(option), option
            if program.get("single_dash_long") or option.startswith("--"):
                assert option.lstrip("-") in [*program.get("long", []), *program.get("valued", "")], option
            elif len(option) == 2:
                assert option[1] in program["valued"] + program.get("glued", ""), option


@each_of((where, entry) for where, entry in PROGRAMS if {"tree", "instead", "rewrites"} & set(entry))
def test_named_options_are_options(program: dict[str, Any]) -> None:
    for key in ("tree", "instead", "rewrites", "removes", "keeps", "appends"):
        value = program.get(key, True)
        assert value is True or all(re.fullmatch(r"--?\S+|/[sS]", option) for option in options_of(value)), key


def test_each_program_has_one_entry() -> None:
    names = [name for _, entry in PROGRAMS for name in entry["names"]]
    assert sorted({name for name in names if names.count(name) > 1}) == []


@each_of(GUARD_RULES)
def test_a_rule_is_well_formed(rule: dict[str, Any]) -> None:
    check_types(rule, RULE_TYPES)
    assert {"id", "programs", "level", "class", "reason", "hits", "misses"} <= set(rule)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule["id"])
    assert rule["level"] in LEVELS
    assert rule["class"] in CLASSES
    assert set(rule.get("zones", [])) | set(rule.get("working", [])) <= ZONES
    assert set(rule.get("stdin", [])) <= FLOWS
    assert not rule["reason"].endswith(".")
    assert rule["reason"][0].islower()
    for group in [*rule.get("flags", []), *rule.get("without", [])]:
        assert all(option for option in options_of(group)), group
    for pattern in [*rule.get("operands", []), *rule.get("all_operands", [])]:
        re.compile(pattern)


@each_of(GUARD_RULES)
def test_a_rule_is_shown_by_examples(rule: dict[str, Any]) -> None:
    assert not set(rule["hits"]) & set(rule["misses"])
    assert all(example.strip() == example and example for example in rule["hits"] + rule["misses"])


def test_a_rule_over_any_program_says_which_variables() -> None:
    for _, rule in GUARD_RULES:
        assert rule["programs"] != ["*"] or rule.get("environment"), rule["id"]


def test_each_rule_has_its_own_id() -> None:
    ids = [rule["id"] for _, rule in GUARD_RULES]
    assert sorted({name for name in ids if ids.count(name) > 1}) == []
