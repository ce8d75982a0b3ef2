"""What users add to the guard, and what is done about a verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.core.errors import ConfigError
from luthier.guard.policy import CLASSES, DEFAULTS, Policy
from luthier.guard.settings import guard_settings, read_guard_file
from luthier.guard.verdict import LEVELS, Verdict, judge

RULE = {
    "id": "no-deploys",
    "programs": ["deployctl"],
    "sub": ["prod push"],
    "flags": ["-f|--force"],
    "level": "dangerous",
    "class": "cloud",
    "reason": "puts it before the customers",
}


def test_a_rule_of_the_users_own_counts_beside_the_built_in_ones() -> None:
    settings = guard_settings({"rules": [RULE]}).settings
    assert judge("deployctl prod push --force", settings).reason == "puts it before the customers"
    assert judge("sh -c 'deployctl prod push -vf'", settings).level == "dangerous"
    assert judge("deployctl prod push", settings).level == "caution"
    assert judge("rm -rf /", settings).level == "dangerous"


def test_protected_places_are_not_to_be_touched() -> None:
    settings = guard_settings({"protect": ["~/thesis", "/data/**", "release.key"]}).settings
    for command in (
        "rm ~/thesis/chapter1.tex",
        "echo x > ~/thesis/a",
        "mv /data/x .",
        "sed -i s/a/b/ /data/x/y",
        "cd ~; rm -r thesis",
        "rm release.key",
    ):
        assert judge(command, settings).level == "dangerous", command
        assert judge(command).level != "dangerous", command
    assert judge("cat ~/thesis/chapter1.tex", settings).level == "safe"


def test_rules_come_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        '[[rule]]\nid = "x"\nprograms = ["frob"]\nlevel = "dangerous"\nclass = "services"\nreason = "frobs"\n', encoding="utf-8"
    )
    (tmp_path / "guard.yaml").write_text("rules: [own.toml]\npolicy: {unknown: reject}\n", encoding="utf-8")
    found = read_guard_file(tmp_path / "guard.yaml")
    assert judge("frob", found.settings).danger == "services"
    assert found.policy.action(judge('"$x"')) == "reject"
    (tmp_path / "run.yaml").write_text("base_model: starter\nguard: {allow_hosts: [get.example.org]}\n", encoding="utf-8")
    assert read_guard_file(tmp_path / "run.yaml").settings.allow_hosts == {"get.example.org"}


@pytest.mark.parametrize(
    ("section", "word"),
    [
        ({"rule": []}, "did you mean `rules`"),
        ({"rules": [{**RULE, "flagz": []}]}, "did you mean `flags`"),
        ({"rules": [{**RULE, "level": "danger"}]}, "did you mean `dangerous`"),
        ({"rules": [{**RULE, "class": "clouds"}]}, "did you mean `cloud`"),
        ({"rules": [{**RULE, "operands": ["("]}]}, "no regular expression"),
        ({"rules": [{"id": "x"}]}, "`programs` is missing"),
        ({"rules": [{**RULE, "max_operands": "2"}]}, "a whole number"),
        ({"rules": [RULE, RULE]}, "two rules are called `no-deploys`"),
        ({"rules": ["nowhere.toml"]}, "is not there"),
        ({"rules": [3]}, "a rule is a mapping"),
        ({"protect": [1]}, "a list of texts"),
        ({"allow_hosts": ["https://x.example/"]}, "no host's name"),
        ({"policy": {"dangerouz": "reject"}}, "did you mean `dangerous`"),
        ({"policy": {"dangerous": "stop"}}, "no known action"),
        ({"policy": ["reject"]}, "a policy is a mapping"),
    ],
)
def test_every_mistake_is_told(section: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError) as error:
        guard_settings(section)
    assert word in str(error.value)


def verdict(level: str, danger: str) -> Verdict:
    return Verdict("x", level, danger, (0, 1), "")


def test_the_most_exact_word_of_a_policy_wins() -> None:
    policy = Policy({"dangerous": "ask", "remote-code": "reject", "dangerous:packages": "allow", "caution": "ask"})
    assert policy.action(verdict("dangerous", "destruction")) == "ask"
    assert policy.action(verdict("dangerous", "remote-code")) == "reject"
    assert policy.action(verdict("dangerous", "packages")) == "allow"
    assert policy.action(verdict("caution", "packages")) == "ask"
    assert policy.action(verdict("safe", "")) == "allow"
    for level in LEVELS:
        assert Policy().action(verdict(level, "")) == DEFAULTS[level]


def test_every_class_of_the_rules_is_one_that_a_policy_can_name() -> None:
    from luthier.guard.risk.paths import zones
    from luthier.guard.risk.rules import built_in

    named = {rule.danger for rules in built_in().values() for rule in rules}
    named |= {danger for zone in zones() for table in (zone.roles, zone.tree) for _, danger in table.values()}
    assert named - {""} <= set(CLASSES)
