"""Rules of `rules/rules-*.toml` and of a run file: what flags, subcommands, operands and surroundings make dangerous."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from luthier.guard.risk.facts import Argument, Call, Spec, forms_of, spec_of, tables
from luthier.guard.risk.paths import zones_of
from luthier.guard.risk.values import as_typed, taint_of

ANY_PROGRAM = "*"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a rule may ask about beside the call: the flow into it, variables set for it, whether it runs as root, where it works."""

    stdin: str | None
    environment: Collection[str]
    privileged: bool
    cwd: str
    paths: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; all that it names must hold."""

    id: str
    programs: tuple[str, ...]
    level: str
    danger: str
    reason: str
    subcommands: tuple[tuple[str, ...], ...] = ()
    flags: tuple[Spec, ...] = ()
    without: tuple[Spec, ...] = ()
    operands: re.Pattern[str] | None = None
    all_operands: tuple[re.Pattern[str], ...] = ()
    min_operands: int = 0
    max_operands: int | None = None
    zones: frozenset[str] = frozenset()
    stdin: frozenset[str] = frozenset()
    environment: frozenset[str] = frozenset()
    privileged: bool = False
    working: frozenset[str] = frozenset()
    hits: tuple[str, ...] = ()
    misses: tuple[str, ...] = ()

    def applies(self, call: Call, situation: Situation) -> Argument | None:
        """The argument that the rule is about (the program's own where it is about no other); None where it does not hold."""
        operands = call.operands
        if self.subcommands:
            length = self._subcommand_length(operands)
            if length is None:
                return None
            operands = operands[length:]
        place: Argument | None = None
        for spec in self.flags:
            option = call.has(spec)
            if option is None:
                return None
            place = place or option.place
        if any(call.has(spec) is not None or _names_operand(spec, operands) for spec in self.without):
            return None
        if not self._fits(operands, len(call.rest)):
            return None
        if self.operands is not None:
            found = next((operand for operand in operands if _matches(self.operands, operand.text)), None)
            if found is None:
                return None
            place = place or found
        if not self._surroundings(situation):
            return None
        return place or (call.operands[0] if call.operands else Argument("", -1, -1))

    def _subcommand_length(self, operands: list[Argument]) -> int | None:
        for phrase in self.subcommands:
            if len(operands) >= len(phrase) and all(word == operand.text.lower() for word, operand in zip(phrase, operands, strict=False)):
                return len(phrase)
        return None

    def _fits(self, operands: list[Argument], further: int) -> bool:
        count = len(operands) + further
        if count < self.min_operands or (self.max_operands is not None and count > self.max_operands):
            return False
        return all(any(_matches(pattern, operand.text) for operand in operands) for pattern in self.all_operands)

    def is_about(self, variables: Collection[str]) -> bool:
        """Whether one of `variables`, each given as `NAME` and as `NAME=value`, is one that the rule names."""
        if not self.environment.isdisjoint(variables):
            return True
        return any(fnmatchcase(given, pattern) for pattern in self.environment if "=" in pattern for given in variables)

    def _surroundings(self, situation: Situation) -> bool:
        if self.privileged and not situation.privileged:
            return False
        if self.working and not self.working & zones_of(situation.cwd, situation.cwd):
            return False
        if self.stdin and (situation.stdin is None or (taint_of(situation.stdin) or "text") not in self.stdin):
            return False
        if self.environment and not self.is_about(situation.environment):
            return False
        return not self.zones or any(self.zones & zones_of(path.text, situation.cwd) for path in situation.paths)


def _matches(pattern: re.Pattern[str], text: str) -> bool:
    return any(pattern.fullmatch(form) for form in forms_of(text))


def _names_operand(spec: Spec, operands: list[Argument]) -> bool:
    return any(name == operand.text for operand in operands for name, _ in spec if not name.startswith("-")) or (
        any(name == as_typed(operand.text) for operand in operands for name, _ in spec if name.startswith("/"))
    )


def _patterns(texts: list[str]) -> re.Pattern[str] | None:
    # Case and line ends never count here, so that flags in front say nothing new.
    bare = [re.sub(r"^\(\?[is]+\)", "", text) for text in texts]
    return re.compile("|".join(f"(?:{text})" for text in bare), re.IGNORECASE | re.DOTALL) if bare else None


def rule_of(entry: Mapping[str, Any]) -> Rule:
    """The rule of one `[[rule]]` table."""
    return Rule(
        id=entry["id"],
        programs=tuple(entry["programs"]),
        level=entry["level"],
        danger=entry["class"],
        reason=entry["reason"],
        subcommands=tuple(tuple(phrase.lower().split()) for phrase in entry.get("sub", ())),
        flags=tuple(spec_of(text) for text in entry.get("flags", ())),
        without=tuple(spec_of(text) for text in entry.get("without", ())),
        operands=_patterns(entry.get("operands", [])),
        all_operands=tuple(re.compile(text, re.IGNORECASE | re.DOTALL) for text in entry.get("all_operands", ())),
        min_operands=entry.get("min_operands", 0),
        max_operands=entry.get("max_operands"),
        zones=frozenset(entry.get("zones", ())),
        stdin=frozenset(entry.get("stdin", ())),
        environment=frozenset(entry.get("environment", ())),
        privileged=entry.get("privileged", False),
        working=frozenset(entry.get("working", ())),
        hits=tuple(entry.get("hits", ())),
        misses=tuple(entry.get("misses", ())),
    )


Rules = Mapping[str, tuple[Rule, ...]]


def by_program(rules: list[Rule]) -> Rules:
    """Rules by the program that they are about."""
    found: dict[str, list[Rule]] = {}
    for rule in rules:
        for program in rule.programs:
            found.setdefault(program, []).append(rule)
    return {program: tuple(entries) for program, entries in found.items()}


@cache
def built_in() -> Rules:
    """The rules that come with Luthier."""
    return by_program([rule_of(entry) for entry in tables("rule")])
