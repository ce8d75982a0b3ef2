"""What is wrong in a rule that a user wrote: keys, kinds of values, unknown words, contradictions, and examples that do not fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from luthier.core.errors import Problem
from luthier.core.nearness import nearest
from luthier.guard.policy import CLASSES
from luthier.guard.risk.effort import Effort, Unbounded, effort_of
from luthier.guard.risk.facts import spec_of
from luthier.guard.risk.levels import LEVELS
from luthier.guard.risk.paths import zone_names
from luthier.guard.risk.rules import ANY_PROGRAM, FLOWS, RULE_KEYS, Rule, expanded, rule_of
from luthier.guard.verdict import holds

NEEDED_KEYS = ("id", "programs", "level", "class", "reason")
# A rule that only found something safe would change no verdict.
RULE_LEVELS = LEVELS[1:]
_PATTERNS = ("operands", "all_operands")
_PROGRAM = re.compile(r"[^\s/|*?\[\]]+|\*")
_VARIABLE = re.compile(r"[A-Za-z_*?\[][\w*?\[\]!-]*(?:=.*)?", re.DOTALL)
_OPTION = re.compile(r"-\S+")


def read_rule(entry: Mapping[str, Any], where: str, problems: list[Problem]) -> Rule | None:
    """The rule that a user wrote as `entry`; where something is wrong with it that joins `problems`, and there is none."""
    found = [*_unknown_keys(entry, where), *_missing_keys(entry, where), *_wrong_kinds(entry, where)]
    # What follows looks into values of the right kind.
    found = found or [*_unknown_words(entry, where), *_wrong_texts(entry, where), *_contradictions(entry, where)]
    efforts = _efforts(entry, where, found) if not found else ()
    if found:
        problems += found
        return None
    rule = rule_of(entry, efforts)
    found = list(_examples(rule, where))
    problems += found
    return None if found else rule


def unknown_key(key: str, known: Sequence[str], where: str) -> Problem:
    """The problem with a key that nothing reads."""
    best = nearest(key, known)
    return Problem(f"unknown key `{key}`", where=where, hint=f"did you mean `{best}`?" if best else f"known: {', '.join(known)}")


def _unknown_keys(entry: Mapping[str, Any], where: str) -> Iterator[Problem]:
    return (unknown_key(str(key), tuple(RULE_KEYS), f"{where}.{key}") for key in entry if key not in RULE_KEYS)


def _missing_keys(entry: Mapping[str, Any], where: str) -> Iterator[Problem]:
    for key in NEEDED_KEYS:
        if entry.get(key) in (None, "", []):
            yield Problem(f"the key `{key}` is missing", where=where, hint=f"a rule has {', '.join(NEEDED_KEYS)}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_text, value))


# By the type of the rule's field; all others are lists.
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "str": (_is_text, "a text"),
    "int": (_is_count, "a whole number, 0 or more"),
    "int | None": (_is_count, "a whole number, 0 or more"),
    "bool": (_is_switch, "true or false"),
}


def _wrong_kinds(entry: Mapping[str, Any], where: str) -> Iterator[Problem]:
    for key, value in entry.items():
        if key not in RULE_KEYS or (key in NEEDED_KEYS and value in (None, "", [])):
            continue
        fits, kind = _KINDS.get(RULE_KEYS[key], (_is_texts, "a list of texts, none of them empty"))
        if not fits(value):
            yield Problem(f"`{key}` is {kind}", where=f"{where}.{key}", found=str(value)[:80])


def _unknown_words(entry: Mapping[str, Any], where: str) -> Iterator[Problem]:
    given: list[tuple[str, Sequence[str], Sequence[str]]] = [
        ("level", [entry["level"]], RULE_LEVELS),
        ("class", [entry["class"]], CLASSES),
        ("stdin", entry.get("stdin", ()), FLOWS),
    ]
    places = [(key, entry[key]) for key in ("zones", "working") if key in entry]
    given += [(key, words, zone_names()) for key, words in places]
    for key, words, known in given:
        for word in words:
            if word not in known:
                best = nearest(word, known)
                hint = f"did you mean `{best}`?" if best else f"known: {', '.join(known)}"
                yield Problem(f"`{key}` has a wrong value", where=f"{where}.{key}", found=word, hint=hint)


def _wrong_texts(entry: Mapping[str, Any], where: str) -> Iterator[Problem]:
    for program in entry["programs"]:
        if not _PROGRAM.fullmatch(program):
            hint = "write its bare name, its subcommands under `sub`; `*` alone means every program"
            yield Problem("`programs` holds what is no name of a program", where=f"{where}.programs", found=program, hint=hint)
    for variable in entry.get("environment", ()):
        if not _VARIABLE.fullmatch(variable):
            hint = "write `NAME`, or `NAME=VALUE`, both with `*` and `?` where they are meant"
            yield Problem("`environment` holds what is no variable", where=f"{where}.environment", found=variable, hint=hint)
    for key in ("flags", "without"):
        for text in entry.get(key, ()):
            # An operand is named by `without` alone.
            if not all(_OPTION.fullmatch(name) or (key == "without" and _is_word(name)) for name, _ in spec_of(text)):
                hint = "write options with their dashes and `|` between alternatives: `-f|--force`, `--env=prod*`"
                yield Problem(f"`{key}` names what is no option", where=f"{where}.{key}", found=text, hint=hint)


def _is_word(name: str) -> bool:
    return re.fullmatch(r"[^\s-]\S*", name) is not None


def _contradictions(entry: Mapping[str, Any], where: str) -> Iterator[Problem]:
    if ANY_PROGRAM in entry["programs"] and "environment" not in entry:
        hint = "name variables under `environment`, or the programs that are meant"
        yield Problem("a rule about every program says which variables are set", where=f"{where}.programs", found="*", hint=hint)
    most = entry.get("max_operands")
    if most is not None and entry.get("min_operands", 0) > most:
        hint = "no call has both; change one of the two"
        found = f"min_operands {entry['min_operands']}, max_operands {most}"
        yield Problem("the rule can never hold: it asks for more operands than it allows", where=where, found=found, hint=hint)
    if most == 0 and any(key in entry for key in _PATTERNS):
        hint = "raise `max_operands`, or leave the pattern out"
        yield Problem("the rule can never hold: a pattern asks for an operand where none is allowed", where=where, hint=hint)
    excluded = {alternative for text in entry.get("without", ()) for alternative in spec_of(text)}
    for text in entry.get("flags", ()):
        if all(_is_excluded(alternative, excluded) for alternative in spec_of(text)):
            hint = "it stands under `without`, too; keep one"
            yield Problem("the rule can never hold: it asks for an option and excludes it", where=f"{where}.flags", found=text, hint=hint)


def _is_excluded(alternative: tuple[str, str | None], excluded: set[Any]) -> bool:
    return alternative in excluded or (alternative[0], None) in excluded


def _efforts(entry: Mapping[str, Any], where: str, problems: list[Problem]) -> tuple[Effort, ...]:
    efforts: list[Effort] = []
    for key in _PATTERNS:
        for pattern in entry.get(key, ()):
            place = f"{where}.{key}"
            try:
                re.compile(expanded(pattern), re.IGNORECASE | re.DOTALL)
                efforts.append(effort_of(expanded(pattern)))
            except (re.error, ValueError, OverflowError, RecursionError) as error:
                what = str(error) or type(error).__name__
                problems.append(Problem(f"`{key}` holds what is no regular expression: {what[:200]}", where=place, found=pattern[:200]))
            except Unbounded:
                what = f"`{key}` holds an expression that may take time without bound"
                hint = "repeat nothing that can itself be read in several ways: write `[a-z-]+` for `([a-z]+-?)+`"
                problems.append(Problem(what, where=place, found=pattern[:200], hint=hint))
    return tuple(efforts)


def _examples(rule: Rule, where: str) -> Iterator[Problem]:
    """Commands that the rule itself says that it hits or misses, and does not."""
    for key, commands, expected in (("hits", rule.hits, True), ("misses", rule.misses, False)):
        for command in commands:
            if holds(rule, command) is not expected:
                does = "does not hit" if expected else "hits"
                hint = f"change what the rule asks for, or take the command out of `{key}`"
                yield Problem(f"the rule {does} a command of its `{key}`", where=f"{where}.{key}", found=command[:200], hint=hint)
