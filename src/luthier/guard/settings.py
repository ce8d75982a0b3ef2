"""What users add to the guard: rules of their own, protected places, allowed hosts and a policy, from a run file or a file of its own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luthier.config.names import nearest
from luthier.config.yaml_file import read
from luthier.core.errors import ConfigError, Problem
from luthier.guard.policy import ACTIONS, CLASSES, Policy, is_policy_key
from luthier.guard.risk.context import Settings
from luthier.guard.risk.paths import Zone, pattern_of
from luthier.guard.risk.rules import Rule, built_in, by_program, rule_of
from luthier.guard.verdict import LEVELS

SECTION_KEYS = ("rules", "protect", "allow_hosts", "policy")
_TEXTS = ("sub", "flags", "without", "operands", "all_operands", "zones", "stdin", "environment", "hits", "misses")
_NUMBERS = ("min_operands", "max_operands")
_NEEDED = ("id", "programs", "level", "class", "reason")
RULE_KEYS = (*_NEEDED, *_TEXTS, *_NUMBERS, "privileged")
FLOWS = ("network", "decoded", "secret", "unknown", "trusted")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)
_HARMFUL = {
    role: ("dangerous", "truncation" if role == "truncate" else "destruction") for role in ("delete", "move", "write", "append", "truncate")
}
_EVERY = {**_HARMFUL, "permissions": ("dangerous", "permissions")}


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """Everything that a user may say of the guard, checked: what it looks for, and what is done about it."""

    settings: Settings
    policy: Policy = field(default_factory=Policy)


def guard_problems(section: Mapping[str, Any], where: str = "guard", folder: Path | None = None) -> list[Problem]:
    """Everything that is wrong in a `guard` section; its built-in rules are not read for that."""
    return _read(section, where, folder).problems


def guard_settings(section: Mapping[str, Any] | None, where: str = "guard", folder: Path | None = None) -> GuardSettings:
    """The settings of a `guard` section; every problem of it in one `ConfigError`. `folder` is where files of rules are looked for."""
    found = _read(section or {}, where, folder)
    if found.problems:
        raise ConfigError(found.problems)
    hosts = frozenset(host.lower() for host in found.hosts)
    return GuardSettings(Settings(_joined(found.rules), _protected(found.protect), hosts), Policy(dict(found.policy)))


@dataclass(frozen=True, slots=True)
class _Section:
    rules: list[Rule]
    protect: tuple[str, ...]
    hosts: tuple[str, ...]
    policy: Mapping[str, str]
    problems: list[Problem]


def _read(section: Mapping[str, Any], where: str, folder: Path | None) -> _Section:
    problems = [_unknown_key(key, SECTION_KEYS, where) for key in section if key not in SECTION_KEYS]
    rules: list[Rule] = []
    for entry, place in _entries(section.get("rules") or (), f"{where}.rules", folder, problems):
        found = list(_rule_problems(entry, place))
        problems += found
        if not found:
            rules.append(rule_of(entry))
    known = [rule.id for rule in rules]
    problems += [
        Problem(f"two rules are called `{name}`", where=where) for name in sorted({name for name in known if known.count(name) > 1})
    ]
    protect = _texts(section.get("protect") or (), f"{where}.protect", problems)
    hosts = _texts(section.get("allow_hosts") or (), f"{where}.allow_hosts", problems)
    hint = "write, for example, `get.example.org`"
    problems += [Problem("this is no host's name", f"{where}.allow_hosts", host, hint=hint) for host in hosts if not _HOST.fullmatch(host)]
    policy = section.get("policy") or {}
    problems += _policy_problems(policy, f"{where}.policy")
    return _Section(rules, protect, hosts, policy, problems)


def read_guard_file(path: Path) -> GuardSettings:
    """The settings in a YAML file: the keys of a `guard` section, or a run file that has one."""
    value = read(path).value
    if "guard" in value:
        return guard_settings(value["guard"], f"{path}: guard", path.parent)
    return guard_settings(value, str(path), path.parent)


def _joined(rules: Sequence[Rule]) -> Mapping[str, tuple[Rule, ...]]:
    if not rules:
        return built_in()
    own = by_program(list(rules))
    return {program: own.get(program, ()) + built_in().get(program, ()) for program in {*own, *built_in()}}


def _protected(paths: Sequence[str]) -> tuple[Zone, ...]:
    if not paths:
        return ()
    both = [form for path in paths for form in (path.rstrip("/") or "/", f"{path.rstrip('/')}/**")]
    return (
        Zone(
            "protected",
            re.compile("|".join(pattern_of(path) for path in both), re.DOTALL),
            None,
            "it is protected by the guard's settings",
            _EVERY,
            _EVERY,
        ),
    )


def _entries(value: Any, where: str, folder: Path | None, problems: list[Problem]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Rules written out, and those of files, with their places."""
    for index, entry in enumerate([value] if isinstance(value, str | Mapping) else value):
        place = f"{where}[{index}]"
        if isinstance(entry, Mapping):
            yield entry, place
            continue
        if not isinstance(entry, str):
            problems.append(Problem("a rule is a mapping, or the name of a file with rules", where=place, found=str(entry)[:80]))
            continue
        path = (folder or Path()) / entry
        if not path.is_file():
            hint = f"it is looked for in {path.parent}"
            problems.append(Problem("the file of rules is not there", where=place, found=entry, hint=hint))
            continue
        yield from ((rule, f"{path}, rule {number}") for number, rule in enumerate(_rules_in(path, problems), 1))


def _rules_in(path: Path, problems: list[Problem]) -> list[Mapping[str, Any]]:
    """The rules of a TOML file (`[[rule]]`) or of a YAML file (`rule:` with a list)."""
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8")) if path.suffix == ".toml" else read(path).value
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(Problem(f"the file cannot be read: {error}", where=str(path)))
        return []
    rules = value.get("rule")
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        problems.append(
            Problem("the file has no list of rules", where=str(path), hint="write `[[rule]]` in TOML, `rule:` and a list in YAML")
        )
        return []
    return rules


def _rule_problems(rule: Mapping[str, Any], where: str) -> Iterator[Problem]:
    for key in rule:
        if key not in RULE_KEYS:
            yield _unknown_key(str(key), RULE_KEYS, where)
    for key in _NEEDED:
        if not rule.get(key):
            yield Problem(f"the key `{key}` is missing", where=where, hint=f"a rule has {', '.join(_NEEDED)}")
    for key in ("programs", *_TEXTS):
        value = rule.get(key, [])
        if not isinstance(value, list | tuple) or not all(isinstance(text, str) and text for text in value):
            yield Problem(f"`{key}` is a list of texts", where=where, found=str(value)[:80])
        elif key in ("operands", "all_operands"):
            yield from _pattern_problems(value, key, where)
    for key in _NUMBERS:
        if key in rule and (type(rule[key]) is not int or rule[key] < 0):
            yield Problem(f"`{key}` is a whole number", where=where, found=str(rule[key])[:80])
    if "privileged" in rule and not isinstance(rule["privileged"], bool):
        yield Problem("`privileged` is true or false", where=where, found=str(rule["privileged"])[:80])
    yield from _word_problems(rule, where)


def _word_problems(rule: Mapping[str, Any], where: str) -> Iterator[Problem]:
    choices = {"level": ("caution", "unknown", "dangerous"), "class": CLASSES}
    for key, known in choices.items():
        value = rule.get(key)
        if value and value not in known:
            best = nearest(str(value), known)
            yield Problem(
                f"`{key}` has a wrong value",
                where=where,
                found=str(value),
                hint=f"did you mean `{best}`?" if best else f"known: {', '.join(known)}",
            )
    for flow in rule.get("stdin") or ():
        if flow not in FLOWS:
            yield Problem("`stdin` names a flow that is not known", where=where, found=str(flow), hint=f"known: {', '.join(FLOWS)}")


def _pattern_problems(patterns: Sequence[str], key: str, where: str) -> Iterator[Problem]:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            yield Problem(f"`{key}` holds what is no regular expression: {error}", where=where, found=pattern)


def _policy_problems(policy: Any, where: str) -> Iterator[Problem]:
    if not isinstance(policy, Mapping):
        yield Problem("a policy is a mapping of levels or classes to actions", where=where, found=str(policy)[:80])
        return
    for key, action in policy.items():
        if not is_policy_key(str(key)):
            best = nearest(str(key), (*LEVELS, *CLASSES))
            hint = f"did you mean `{best}`?" if best else f"a level ({', '.join(LEVELS)}), a class, or level:class"
            yield Problem("the policy speaks of no known level or class", where=where, found=str(key), hint=hint)
        if action not in ACTIONS:
            yield Problem(f"`{key}` has no known action", where=where, found=str(action), expected=", ".join(ACTIONS))


def _texts(value: Any, where: str, problems: list[Problem]) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if isinstance(values, list | tuple) and all(isinstance(text, str) and text.strip() for text in values):
        return tuple(values)
    problems.append(Problem("a list of texts is meant", where=where, found=str(value)[:80]))
    return ()


def _unknown_key(key: str, known: Sequence[str], where: str) -> Problem:
    best = nearest(str(key), known)
    return Problem(f"unknown key `{key}`", where=where, hint=f"did you mean `{best}`?" if best else f"known: {', '.join(known)}")
