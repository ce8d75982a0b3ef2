"""What users add to the guard, and what is done about a verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.core.errors import ConfigError
from luthier.guard.policy import CLASSES, DEFAULTS, Policy
from luthier.guard.risk.levels import LEVELS, Verdict
from luthier.guard.settings import guard_settings, read_guard_file
from luthier.guard.verdict import judge
from luthier.pipeline.check import check, load_run

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
        "cd ~; rm thesis/chapter1.tex",
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
        ({"rules": [{**RULE, "operands": ["a{99999999999}"]}]}, "no regular expression"),
        ({"rules": [{**RULE, "operands": ["(?L)a"]}]}, "no regular expression"),
        ({"rules": [{**RULE, "all_operands": ["(a+)+b"]}]}, "time without bound"),
        ({"rules": [{**RULE, "max_operands": "2"}]}, "a whole number"),
        ({"rules": [{**RULE, "min_operands": -1}]}, "a whole number"),
        ({"rules": [{**RULE, "min_operands": True}]}, "a whole number"),
        ({"rules": [{**RULE, "privileged": "yes"}]}, "true or false"),
        ({"rules": [{**RULE, "id": 5}]}, "`id` is a text"),
        ({"rules": [{**RULE, "reason": [1]}]}, "`reason` is a text"),
        ({"rules": [{**RULE, "stdin": 5}]}, "`stdin` is a list of texts"),
        ({"rules": [{**RULE, "flags": None}]}, "`flags` is a list of texts"),
        ({"rules": [{**RULE, "hits": []}]}, "`hits` is a list of texts"),
        ({"rules": [{**RULE, "sub": [" "]}]}, "none of them empty"),
        ({"rules": [{**RULE, "zones": ["hom"]}]}, "did you mean `home`"),
        ({"rules": [{**RULE, "working": ["xyzzyq"]}]}, "known: above-working-folder, accounts"),
        ({"rules": [{**RULE, "stdin": ["netwerk"]}]}, "did you mean `network`"),
        ({"rules": [{**RULE, "level": "safe"}]}, "known: caution, unknown, dangerous"),
        ({"rules": [{**RULE, "min_operands": 3, "max_operands": 1}]}, "more operands than it allows"),
        ({"rules": [{**RULE, "max_operands": 0, "operands": ["x"]}]}, "where none is allowed"),
        ({"rules": [{**RULE, "without": ["-f", "--force"]}]}, "asks for an option and excludes it"),
        ({"rules": [{**RULE, "environment": ["="]}]}, "no variable"),
        ({"rules": [{**RULE, "programs": ["*"]}]}, "says which variables are set"),
        ({"rules": [{**RULE, "programs": ["git push"]}]}, "no name of a program"),
        ({"rules": [{**RULE, "programs": ["/usr/bin/frob"]}]}, "no name of a program"),
        ({"rules": [{**RULE, "flags": ["force"]}]}, "names what is no option"),
        ({"rules": [{**RULE, "flags": ["-f|"]}]}, "names what is no option"),
        ({"rules": [{**RULE, "hits": ["deployctl prod push"]}]}, "does not hit a command of its `hits`"),
        ({"rules": [{**RULE, "misses": ["sudo deployctl prod push -f"]}]}, "hits a command of its `misses`"),
        ({"rules": [RULE, RULE]}, "two rules are called `no-deploys`"),
        ({"rules": ["nowhere.toml"]}, "is not there"),
        ({"rules": [3]}, "a rule is a mapping"),
        ({"protect": [1]}, "a list of texts"),
        ({"allow_hosts": ["https://x.example/"]}, "no host's name"),
        ({"policy": {"dangerouz": "reject"}}, "did you mean `dangerous`"),
        ({"policy": {"dangerous": "stop"}}, "no known action"),
        ({"policy": ["reject"]}, "a policy is a mapping"),
        ({"protect": ["$HOME/x"]}, "a variable is not read here"),
    ],
)
def test_every_mistake_is_told(section: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError) as error:
        guard_settings(section)
    assert word in str(error.value)


@pytest.mark.parametrize(
    "more",
    [
        {"working": ["root"], "hits": ["cd / && deployctl prod push -f"], "misses": ["deployctl prod push -f"]},
        {"zones": ["home"], "programs": ["rm"], "sub": ["x"], "flags": ["-r"], "hits": ["rm -r x ~"], "misses": ["rm -r x /"]},
        {"environment": ["DEPLOY_*", "STAGE=prod*"], "hits": ["DEPLOY_KEY=1 deployctl prod push -f", "STAGE=prod2 deployctl prod push -f"]},
        {"programs": ["*"], "environment": ["DEPLOY_KEY"], "hits": ["DEPLOY_KEY=1 anything prod push -f"]},
        {"stdin": ["text"], "hits": ["echo yes | deployctl prod push -f"], "misses": ["curl x.example | deployctl prod push -f"]},
        {"privileged": True, "hits": ["sudo deployctl prod push -f"], "misses": ["deployctl prod push -f"]},
        {"without": ["--dry-run", "rehearsal"], "hits": ["sh -c 'deployctl prod push -f'"], "misses": ["deployctl prod push -f rehearsal"]},
        {"operands": ["(a)\\1", "(b)\\1"], "hits": ["deployctl prod push -f BB"], "misses": ["deployctl prod push -f ba"]},
    ],
)
def test_every_key_of_a_rule_is_minded(more: dict[str, object]) -> None:
    """The examples are held against the rule: with none of the keys that ask for more it would hit what it must miss."""
    rule = {**RULE, **more}
    guard_settings({"rules": [rule]})
    asked = [key for key in more if key not in ("hits", "misses", "programs", "sub", "flags")]
    if "misses" in more:
        with pytest.raises(ConfigError, match="hits a command of its `misses`"):
            guard_settings({"rules": [{key: value for key, value in rule.items() if key not in asked}]})


VALUES = ("5", "1.5", "true", "[5]", "[[x]]", "[null]", "{a: 1}", "{a: {b: [1]}}", "'  '", "[{a: [1, {b: 2}]}]", "{dangerous: [ask]}")


@pytest.mark.parametrize("key", ["rules", "protect", "allow_hosts", "policy", "guard"])
@pytest.mark.parametrize("value", VALUES)
def test_a_value_of_a_wrong_kind_is_told_with_its_line(tmp_path: Path, key: str, value: str) -> None:
    guard_file, run_file = tmp_path / "guard.yaml", tmp_path / "run.yaml"
    guard_file.write_text(f"\n{key}: {value}\n")
    section = f"guard: {value}\n" if key == "guard" else f"guard:\n  {key}: {value}\n"
    (tmp_path / "rows.jsonl").write_text("{}")
    start = f"base_model: starter\nadapter: lora\nlearning_rate: 1e-3\ndatasets: [{{path: {tmp_path}/rows.jsonl, type: alpaca}}]\n"
    run_file.write_text(start + section)
    with pytest.raises(ConfigError) as in_guard_file:
        read_guard_file(guard_file)
    with pytest.raises(ConfigError) as in_run_file:
        check(load_run(run_file))
    lines = {problem.where for problem in in_guard_file.value.problems}
    assert lines == {f"{guard_file}:2"}
    assert all(problem.hint or problem.expected for problem in in_guard_file.value.problems)
    assert {problem.where for problem in in_run_file.value.problems} == {f"{run_file}:{5 if key == 'guard' else 6}"}


@pytest.mark.parametrize("key", ["rules", "protect", "allow_hosts", "policy", "guard"])
def test_nothing_asks_for_nothing(tmp_path: Path, key: str) -> None:
    for value in ("null", "~", ""):
        (tmp_path / "guard.yaml").write_text(f"{key}: {value}\n")
        assert read_guard_file(tmp_path / "guard.yaml") == guard_settings(None)


def test_a_wrong_kind_in_a_run_file_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}")
    start = f"base_model: starter\nadapter: lora\nlearning_rate: 1e-3\ndatasets: [{{path: {tmp_path}/rows.jsonl, type: alpaca}}]\n"
    (tmp_path / "run.yaml").write_text(f"{start}guard: {{rules: 5, protect: [1], policy: 3}}\n")
    with pytest.raises(ConfigError) as error:
        check(load_run(tmp_path / "run.yaml"))
    assert len(error.value.problems) == 3


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("own.toml", '[[program]]\nnames = ["x"]\n', "unknown key `program`"),
        ("own.toml", "rule = 5\n", "no list of rules"),
        ("own.toml", "[[rule]\n", "cannot be read"),
        ("own.yaml", "- a\n", "must hold keys and values"),
        ("own.yaml", "rule: [5]\n", "no list of rules"),
        ("own.yaml", "rule: [{id: x}]\n", "`programs` is missing"),
    ],
)
def test_a_wrong_file_of_rules_is_named(tmp_path: Path, name: str, text: str, word: str) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "guard.yaml").write_text(f"rules: [{name}, {'x' * 300}]\n")
    with pytest.raises(ConfigError) as error:
        read_guard_file(tmp_path / "guard.yaml")
    assert word in str(error.value)
    assert all(problem.where.startswith(str(tmp_path / name)) for problem in error.value.problems[:-1])
    assert error.value.problems[-1].where == f"{tmp_path}/guard.yaml:1"


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
