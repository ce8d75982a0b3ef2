"""The how-to of the guard's rules says what the guard reads: every key, zone, flow and class, and none that is unknown."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

from luthier.guard.policy import CLASSES
from luthier.guard.risk.facts import Program
from luthier.guard.risk.paths import zone_names
from luthier.guard.risk.rules import FLOWS, RULE_KEYS, Rule
from luthier.guard.rule_checks import RULE_LEVELS
from luthier.guard.settings import guard_settings
from luthier.guard.verdict import judge

TEXT = (Path(__file__).parents[2] / "docs" / "how-to" / "guard-rules.md").read_text(encoding="utf-8")
# A user's file of rules, and a program's entry in a file of Luthier's own.
EXAMPLE, OWN_EXAMPLE = re.findall(r"^```toml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
TABLE = dict(re.findall(r"^\| (`.*?) \| (.*) \|$", TEXT, re.MULTILINE))


def words_after(start: str) -> list[str]:
    """The words of a list that runs up to a full stop."""
    return TEXT.split(start, 1)[1].split(".", 1)[0].split()


def test_every_key_of_a_rule_is_told_and_no_other() -> None:
    (rule,) = tomllib.loads(EXAMPLE)["rule"]
    told = [key for cell in TABLE for key in re.findall(r"`([a-z_]+)`", cell)]
    assert sorted([*rule, *told]) == sorted(RULE_KEYS)


def test_the_keys_are_the_fields_of_a_rule() -> None:
    """`efforts` is what a check finds out, and no key."""
    assert len(RULE_KEYS) == len(fields(Rule)) - 1


def test_the_words_that_a_rule_may_use_are_told() -> None:
    assert words_after("\nZones: ") == list(zone_names())
    assert words_after("\nClasses: ") == list(CLASSES)
    assert TABLE["`stdin`"].split(": ", 1)[1].split(" (", 1)[0].split() == list(FLOWS)
    level = next(line for line in EXAMPLE.split("[[rule]]")[1].splitlines() if line.startswith("level"))
    assert re.findall(r"\w+", level.split("#")[1].split(":")[0]) == list(RULE_LEVELS)


def test_the_example_is_a_file_of_rules_that_holds_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(EXAMPLE, encoding="utf-8")
    settings = guard_settings({"rules": "rules.toml"}, folder=tmp_path).settings
    verdict = judge("deployctl rollout --env=prod -r", settings)
    assert (verdict.level, verdict.danger) == ("dangerous", "cloud")


def test_what_is_told_of_options_of_unknown_programs_holds() -> None:
    about = {"programs": ["deployctl"], "level": "dangerous", "class": "cloud", "reason": "ends it"}
    behind_equals = guard_settings({"rules": [about | {"id": "one", "flags": ["--env=prod*"]}]}).settings
    next_word = guard_settings({"rules": [about | {"id": "two", "flags": ["--env"], "operands": ["prod.*"]}]}).settings
    levels = [
        judge(f"deployctl wipe {option}", rules).level for rules in (behind_equals, next_word) for option in ("--env=prod", "--env prod")
    ]
    assert levels == ["dangerous", "unknown", "unknown", "dangerous"]


def test_the_example_decides_the_verdicts_on_its_own_commands() -> None:
    """A miss that something else stops would tell the reader that his rule does not work; and a rule never lowers a level."""
    (rule,) = tomllib.loads(EXAMPLE)["rule"]
    chosen = guard_settings({"rules": [rule]}).settings
    assert {judge(command, chosen).level for command in rule["hits"]} == {rule["level"]}
    assert {judge(command, chosen).level for command in rule["misses"]} == {"caution"}
    told = re.findall(r"`(deployctl [^`]+)` would stay `(\w+)`", TEXT)
    assert [(judge(command, chosen).level, judge(command).level) for command, _ in told] == [(level, level) for _, level in told] != []
    milder = {"id": "milder", "programs": ["rm"], "level": "caution", "class": "destruction", "reason": "deletes"}
    lowering = guard_settings({"rules": [milder]}).settings
    assert judge("rm -r /", lowering).level == "dangerous"


def test_every_key_of_a_program_is_told() -> None:
    (program,) = tomllib.loads(OWN_EXAMPLE)["program"]
    paragraph = TEXT.split("Further keys of a program:", 1)[1].split("\n\n", 1)[0]
    told = {*program, *re.findall(r"`([a-z_]+)`", paragraph)}
    known = {field.name for field in fields(Program)} - {"name", "is_listed"}
    assert known <= told
