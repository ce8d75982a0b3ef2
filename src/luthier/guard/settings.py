"""What users add to the guard: rules of their own, protected places, allowed hosts and a policy, from a run file or a file of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from luthier.config.yaml_file import Document, KeyPath, read
from luthier.core.errors import ConfigError, Problem
from luthier.core.nearness import nearest
from luthier.guard.policy import ACTIONS, CLASSES, Policy, is_policy_key
from luthier.guard.risk.context import Settings
from luthier.guard.risk.levels import LEVELS
from luthier.guard.risk.protected import Protected
from luthier.guard.risk.rules import Rule, built_in, by_program
from luthier.guard.rule_checks import read_rule, unknown_key
from luthier.guard.rule_files import Lines, placed, read_rules

_TOP = "guard"
SECTION_KEYS = ("rules", "protect", "allow_hosts", "policy")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)


# A rule as written, its place, and what gives a problem with it the line in its file.
_Entry = tuple[Mapping[str, Any], str, Callable[[Problem, str], Problem]]


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """Everything that a user may say of the guard, checked: what it looks for, and what is done about it."""

    settings: Settings
    policy: Policy = field(default_factory=Policy)


def guard_problems(section: Any, document: Document | None = None, at: KeyPath = (_TOP,), folder: Path | None = None) -> list[Problem]:
    """Everything that is wrong in a `guard` section, whatever it holds; the examples of its rules are held against them.

    Places are lines of `document`, in which the section stands `at` a path of keys. `folder` is where files of rules are looked for.
    """
    return _read(section, document, at, folder).problems


def guard_settings(section: Any, document: Document | None = None, at: KeyPath = (_TOP,), folder: Path | None = None) -> GuardSettings:
    """The settings of a `guard` section, None for an empty one; `ConfigError` with all of its `guard_problems`."""
    found = _read(section, document, at, folder)
    if found.problems:
        raise ConfigError(found.problems)
    hosts = frozenset(host.lower() for host in found.hosts)
    return GuardSettings(Settings(_joined(found.rules), Protected(found.protect), hosts), Policy(dict(found.policy)))


def _placed(problem: Problem, document: Document, at: KeyPath) -> Problem:
    """The problem with the line of the key that it names; one in a file of rules has its place already."""
    keys = re.findall(r"[^.\[\]]+", problem.where)
    if keys[:1] != [_TOP] or (len(keys) > 1 and keys[1] not in SECTION_KEYS and (*at, keys[1]) not in document.places):
        return problem
    path = (*at, *(int(key) if key.isdigit() else key for key in keys[1:]))
    return replace(problem, where=document.place(path).text() or problem.where)


@dataclass(frozen=True, slots=True)
class _Section:
    rules: list[Rule]
    protect: tuple[str, ...]
    hosts: tuple[str, ...]
    policy: Mapping[str, str]
    problems: list[Problem]


def _read(section: Any, document: Document | None, at: KeyPath, folder: Path | None) -> _Section:
    problems: list[Problem] = []
    if section is not None and not isinstance(section, Mapping):
        hint = f"write keys and values: {', '.join(SECTION_KEYS)}"
        problems.append(Problem("the guard's settings are a mapping", where=_TOP, found=str(section)[:80], hint=hint))
        section = None
    given: Mapping[str, Any] = section or {}
    problems += [unknown_key(str(key), SECTION_KEYS, f"{_TOP}.{key}") for key in given if key not in SECTION_KEYS]
    rules = _rules(given.get("rules"), folder, problems)
    protect = _texts(given.get("protect"), "protect", "paths, such as `[data/raw, ~/thesis]`", problems)
    hint = "a variable is not read here; write the path itself, with `~` for a home"
    variables = [(index, path) for index, path in enumerate(protect) if path.startswith("$")]
    problems += [Problem("`protect` holds what is no path", f"{_TOP}.protect[{index}]", path, hint=hint) for index, path in variables]
    hosts = _texts(given.get("allow_hosts"), "allow_hosts", "hosts, such as `[get.example.org]`", problems)
    hint = "write, for example, `get.example.org`"
    wrong = [(index, host) for index, host in enumerate(hosts) if not _HOST.fullmatch(host)]
    what = "`allow_hosts` holds what is no host's name"
    problems += [Problem(what, f"{_TOP}.allow_hosts[{index}]", host, hint=hint) for index, host in wrong]
    policy = {} if given.get("policy") is None else given["policy"]
    problems += _policy_problems(policy, f"{_TOP}.policy")
    if document is not None:
        problems = [_placed(problem, document, at) for problem in problems]
    return _Section(rules, protect, hosts, policy, problems)


def _rules(value: Any, folder: Path | None, problems: list[Problem]) -> list[Rule]:
    rules: list[Rule] = []
    for entry, place, locate in _entries(value, f"{_TOP}.rules", folder, problems):
        wrong: list[Problem] = []
        rule = read_rule(entry, place, wrong)
        if rule is not None and any(rule.id == known.id for known in rules):
            wrong.append(Problem(f"two rules are called `{rule.id}`", where=f"{place}.id", hint="give one of them another `id`"))
        if rule is not None:
            rules.append(rule)
        problems += [locate(problem, place) for problem in wrong]
    return rules


def read_guard_file(path: Path) -> GuardSettings:
    """The settings in a YAML file: the keys of a `guard` section, or a run file that has one."""
    document = read(path)
    if document.problems:
        raise ConfigError(document.problems)
    at = (_TOP,) if _TOP in document.value else ()
    return guard_settings(document.value[_TOP] if at else document.value, document, at, path.parent)


def _joined(rules: Sequence[Rule]) -> Mapping[str, tuple[Rule, ...]]:
    if not rules:
        return built_in()
    own = by_program(list(rules))
    return {program: own.get(program, ()) + built_in().get(program, ()) for program in {*own, *built_in()}}


def _entries(value: Any, where: str, folder: Path | None, problems: list[Problem]) -> Iterator[_Entry]:
    """Rules written out, and those of files, with their places."""
    if value is None:
        return
    hint = "write a list of rules, each a mapping with `id`, `programs` and so on, or the name of a file with rules"
    entries = [value] if isinstance(value, str | Mapping) else value
    if not isinstance(entries, list | tuple):
        problems.append(Problem("`rules` is a list of rules", where=where, found=str(value)[:80], hint=hint))
        return
    for index, entry in enumerate(entries):
        place = f"{where}[{index}]"
        if isinstance(entry, Mapping):
            yield entry, place, _unchanged
            continue
        if not isinstance(entry, str):
            problems.append(Problem("a rule is a mapping, or the name of a file with rules", where=place, found=str(entry)[:80], hint=hint))
            continue
        path = (folder or Path()) / entry
        if not _is_file(path):
            what = "the file of rules is not there"
            problems.append(Problem(what, where=place, found=entry[:200], hint=f"it is looked for in {path.parent}"))
            continue
        found, lines, wrong = read_rules(path, unknown_key)
        problems += wrong
        yield from ((rule, f"{path}, rule {number + 1}", _in_file(path, number, lines)) for number, rule in enumerate(found))


def _unchanged(problem: Problem, _place: str) -> Problem:
    return problem


def _in_file(path: Path, number: int, lines: Lines) -> Callable[[Problem, str], Problem]:
    """Gives a problem with the rule of that number in a file, counted from 0, the line of the key that it names."""

    def locate(problem: Problem, place: str) -> Problem:
        key = problem.where.removeprefix(place).strip(".")
        line = lines(number, key)
        return replace(problem, where=placed(path, line)) if line else problem

    return locate


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # A name that is too long for any file.
        return False


def _policy_problems(policy: Any, where: str) -> Iterator[Problem]:
    if not isinstance(policy, Mapping):
        hint = "write, for example, `{unknown: reject, packages: ask}`"
        yield Problem("a policy is a mapping of levels or classes to actions", where=where, found=str(policy)[:80], hint=hint)
        return
    for key, action in policy.items():
        if not is_policy_key(str(key)):
            best = nearest(str(key), (*LEVELS, *CLASSES))
            hint = f"did you mean `{best}`?" if best else f"a level ({', '.join(LEVELS)}), a class, or level:class"
            yield Problem("the policy speaks of no known level or class", where=f"{where}.{key}", found=str(key), hint=hint)
        if action not in ACTIONS:
            yield Problem(f"`{key}` has no known action", where=f"{where}.{key}", found=str(action)[:80], expected=", ".join(ACTIONS))


def _texts(value: Any, key: str, meant: str, problems: list[Problem]) -> tuple[str, ...]:
    values = () if value is None else [value] if isinstance(value, str) else value
    if isinstance(values, list | tuple) and all(isinstance(text, str) and text.strip() for text in values):
        return tuple(values)
    what = f"`{key}` is a list of texts, none of them empty"
    problems.append(Problem(what, where=f"{_TOP}.{key}", found=str(value)[:80], hint=f"write {meant}"))
    return ()
