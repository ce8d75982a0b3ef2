"""Rules of `rules/rules-*.toml` and of a run file: what flags, subcommands, operands and surroundings make dangerous."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from luthier.guard.risk.effort import Effort
from luthier.guard.risk.facts import Argument, Call, Spec, forms_of, spec_of, tables
from luthier.guard.risk.hosts import OWN_HOST
from luthier.guard.risk.paths import zones_of
from luthier.guard.values.symbols import TAINTS, as_typed, taint_of

ANY_PROGRAM = "*"
# What the flow into a program is: known text, or where it comes from.
_KNOWN_TEXT = "text"
FLOWS = (*TAINTS, _KNOWN_TEXT)
_GLOB = re.compile(r"[*?\[]")


def _free(steps: int) -> None:
    """Built-in rules were measured as they are; nobody counts their work."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a rule may ask about beside the call: the flow into it, variables set for it, whether it runs as root, where it works.

    `spend` is told the steps that a user's patterns may take.
    """

    stdin: str | None
    environment: Collection[str]
    privileged: bool
    cwd: str
    paths: tuple[Argument, ...]
    spend: Callable[[int], None] = _free


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; all that it names must hold. A field is a key of `[[rule]]`, under the name in `key` where that is another.

    `efforts` bound the work of a user's patterns; they are no key.
    """

    id: str
    programs: tuple[str, ...]
    level: str
    danger: str = field(metadata={"key": "class"})
    reason: str
    subcommands: tuple[tuple[str, ...], ...] = field(default=(), metadata={"key": "sub"})
    flags: tuple[Spec, ...] = ()
    without: tuple[Spec, ...] = ()
    operands: tuple[re.Pattern[str], ...] = ()
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
    efforts: tuple[Effort, ...] = field(default=(), metadata={"key": ""})

    def applies(self, call: Call, situation: Situation) -> Argument | None:
        """The argument that the rule is about (the program's own where it is about no other); None where it does not hold."""
        # A wrapper without operands of its own is told the program that it starts.
        operands = call.operands or call.rest[:1]
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
        if not self._counts(len(call.operands) + len(call.rest)):
            return None
        if self.efforts:
            situation.spend(sum(effort.on(len(operand.text)) for effort in self.efforts for operand in operands))
        if not all(any(_matches(pattern, operand.text) for operand in operands) for pattern in self.all_operands):
            return None
        if self.operands:
            found = next((operand for operand in operands if any(_matches(pattern, operand.text) for pattern in self.operands)), None)
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

    def _counts(self, count: int) -> bool:
        return self.min_operands <= count and (self.max_operands is None or count <= self.max_operands)

    def is_about(self, variables: Collection[str]) -> bool:
        """Whether one of `variables`, each given as `NAME` and as `NAME=value`, is one that the rule names."""
        if not self.environment.isdisjoint(variables):
            return True
        return any(fnmatchcase(given, pattern) for pattern in self.environment if _GLOB.search(pattern) for given in variables)

    def _surroundings(self, situation: Situation) -> bool:
        if self.privileged and not situation.privileged:
            return False
        if self.working and not self.working & zones_of(situation.cwd, situation.cwd):
            return False
        if self.stdin and (situation.stdin is None or (taint_of(situation.stdin) or _KNOWN_TEXT) not in self.stdin):
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


def expanded(pattern: str) -> str:
    """A pattern with `<own-host>`, as rules write it, spelt out."""
    return pattern.replace("<own-host>", OWN_HOST)


def _patterns(texts: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(expanded(text), re.IGNORECASE | re.DOTALL) for text in texts)


# The keys of a `[[rule]]` table, each with the type of its field as it is written there.
RULE_KEYS = {key: str(found.type) for found in fields(Rule) if (key := found.metadata.get("key", found.name))}


def rule_of(entry: Mapping[str, Any], efforts: tuple[Effort, ...] = ()) -> Rule:
    """The rule of one `[[rule]]` table; `efforts` where the work of its patterns is to be counted."""
    return Rule(
        id=entry["id"],
        programs=tuple(entry["programs"]),
        level=entry["level"],
        danger=entry["class"],
        reason=entry["reason"],
        subcommands=tuple(tuple(phrase.lower().split()) for phrase in entry.get("sub", ())),
        flags=tuple(spec_of(text) for text in entry.get("flags", ())),
        without=tuple(spec_of(text) for text in entry.get("without", ())),
        operands=_patterns(entry.get("operands", ())),
        all_operands=_patterns(entry.get("all_operands", ())),
        min_operands=entry.get("min_operands", 0),
        max_operands=entry.get("max_operands"),
        zones=frozenset(entry.get("zones", ())),
        stdin=frozenset(entry.get("stdin", ())),
        environment=frozenset(entry.get("environment", ())),
        privileged=entry.get("privileged", False),
        working=frozenset(entry.get("working", ())),
        hits=tuple(entry.get("hits", ())),
        misses=tuple(entry.get("misses", ())),
        efforts=efforts,
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
