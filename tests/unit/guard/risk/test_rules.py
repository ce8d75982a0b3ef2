"""Every rule against its own examples: it hits what it says that it hits, by itself, and misses its harmless neighbours."""

from __future__ import annotations

from luthier.guard.risk.context import Settings
from luthier.guard.risk.facts import tables
from luthier.guard.risk.levels import rank
from luthier.guard.risk.rules import Rule, built_in, by_program, rule_of
from luthier.guard.verdict import judge
from many_cases import each_of

RULES = {entry["id"]: rule_of(entry) for entry in tables("rule")}


def level_by(rule: Rule, command: str) -> str:
    """The level of `command` where no other rule speaks, with its reason where that is the rule's."""
    verdict = judge(command, Settings(by_program([rule])))
    return verdict.level if verdict.reason == rule.reason else ""


@each_of(RULES.items())
def test_a_rule_hits_its_own_examples(rule: Rule) -> None:
    assert rule.hits
    for command in rule.hits:
        full = judge(command)
        assert rank(full.level) >= rank(rule.level), f"{command}: {full.level}, {full.reason}"
        alone = judge(command, Settings({}))
        # What the engine finds without any rule at that level may speak first: then the rule adds nothing here, and does no harm.
        if rank(alone.level) < rank(rule.level):
            assert level_by(rule, command) == rule.level, f"{command}: the rule does not hit it"


@each_of(RULES.items())
def test_a_rule_misses_its_neighbours(rule: Rule) -> None:
    for command in rule.misses:
        assert level_by(rule, command) == "", command


def test_every_rule_is_looked_up_under_its_programs() -> None:
    found = {rule.id for rules in built_in().values() for rule in rules}
    assert found == set(RULES)


def test_a_rule_that_does_not_ask_for_enough_fails_its_misses() -> None:
    """The check above can fail: the same rule without its flags hits what it must miss."""
    entry = next(entry for entry in tables("rule") if entry["id"] == "git-reset-hard")
    loose = rule_of({**entry, "flags": []})
    assert any(level_by(loose, command) for command in loose.misses)
