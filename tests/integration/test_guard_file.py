"""`luthier guard command --file` and `--guard`: each verdict says where it stands, and so does each mistake in settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from luthier.cli.main import group
from luthier.core.errors import ConfigError

COMMANDS = "# head\n\nls -l\nrm -rf \\\n  /\n\ncat <<E > notes.txt\nit's\nE\necho 'a\nb'\n"


def test_each_verdict_names_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "commands.sh"
    file.write_text(COMMANDS, encoding="utf-8")
    found = CliRunner().invoke(group, ["guard", "command", "--file", str(file)])
    assert found.exit_code == 3
    assert [line.split()[:2] for line in found.stdout.splitlines()] == [
        ["3:", "safe"],
        ["4-5:", "dangerous"],
        ["7-9:", "caution"],
        ["10-11:", "safe"],
    ]
    rows = [json.loads(line) for line in CliRunner().invoke(group, ["guard", "command", "--json", "--file", str(file)]).stdout.splitlines()]
    assert [row["lines"] for row in rows] == [[3, 3], [4, 5], [7, 9], [10, 11]]
    assert [row["command"] for row in rows][1] == "rm -rf \\\n  /"


SCRIPT = """#!/bin/bash
if true; then
  ls
fi

for name in a b; do
  echo "$name"
done
count() {
  wc -l "$1"
}
ls |
  sort
ls &&
  pwd
(
  rm -rf /
)
"""


def test_an_ordinary_script_parses_and_keeps_its_line_numbers(tmp_path: Path) -> None:
    file = tmp_path / "script.sh"
    file.write_text(SCRIPT, encoding="utf-8")
    found = CliRunner().invoke(group, ["guard", "command", "--file", str(file)])
    assert [line.split()[:2] for line in found.stdout.splitlines()] == [
        ["2-4:", "safe"],
        ["6-8:", "safe"],
        ["9-11:", "safe"],
        ["12-13:", "safe"],
        ["14-15:", "safe"],
        ["16-18:", "dangerous"],
    ]
    file.write_text(SCRIPT.replace("rm -rf /", "pwd"), encoding="utf-8")
    assert CliRunner().invoke(group, ["guard", "command", "--file", str(file)]).exit_code == 0


def test_a_command_of_no_file_has_no_lines() -> None:
    found = CliRunner().invoke(group, ["guard", "command", "--json", "ls"])
    assert "lines" not in json.loads(found.stdout)


SETTINGS = """policy:
  unknown: reject
  unknwn: ask
  dangerous: maybe
protect:
  - data
  - $HOME
allow_hosts:
  - ok.example
  - "bad host"
rulez: []
rules:
  - id: a
    programs: [zap]
    level: bad
    class: destruction
    reason: it zaps
  - id: b
    programs: [zap]
    level: caution
    class: destruction
    reason: it zaps
    flag: [x]
  - own.toml
  - own.yaml
"""
TOML = """# head
[[rule]]
id = "x"
programs = ["zap"]
level = "caution"
class = "destruction"
reason = "r"

[[rule]]
id = "y"
programs = ["zap"]
level = "cautious"
class = "destruction"
reason = "r"
"""
YAML = """rule:
  - id: z
    programs: [zap]
    level: caution
    class: destruction
    reason: r
  - id: z
    programs: [zap]
    level: caution
    class: destruction
    reason: r
"""
PLACES = [
    ("settings.yaml:3: the policy speaks of no known level or class", "unknwn"),
    ("settings.yaml:4: `dangerous` has no known action", "maybe"),
    ("settings.yaml:7: `protect` holds what is no path", "$HOME"),
    ("settings.yaml:10: `allow_hosts` holds what is no host's name", "bad host"),
    ("settings.yaml:11: unknown key `rulez`", "did you mean `rules`?"),
    ("settings.yaml:15: `level` has a wrong value", "bad"),
    ("settings.yaml:23: unknown key `flag`", "did you mean `flags`?"),
    ("own.toml:12: `level` has a wrong value", "cautious"),
    ("own.yaml:7: two rules are called `z`", "give one of them another `id`"),
]


def write(folder: Path, settings: str) -> Path:
    file = folder / "settings.yaml"
    file.write_text(settings, encoding="utf-8")
    (folder / "own.toml").write_text(TOML, encoding="utf-8")
    (folder / "own.yaml").write_text(YAML, encoding="utf-8")
    return file


@pytest.mark.parametrize("in_section", [False, True])
def test_each_mistake_in_settings_names_line_and_key(tmp_path: Path, in_section: bool) -> None:
    """As a file of its own, and as the `guard` section of a run file, one line further down."""
    settings = "guard:\n" + "".join(f"  {line}\n" for line in SETTINGS.splitlines()) if in_section else SETTINGS
    told = CliRunner().invoke(group, ["guard", "command", "ls", "--guard", str(write(tmp_path, settings))])
    assert isinstance(told.exception, ConfigError)
    for place, detail in PLACES:
        name, line, rest = place.split(":", 2)
        number = int(line) + (in_section and name == "settings.yaml")
        assert f"{tmp_path}/{name}:{number}:{rest}" in str(told.exception)
        assert detail in str(told.exception)


@pytest.mark.parametrize(
    ("rules", "place"),
    [
        ("[[rule]\nx", "own.toml:1: the file cannot be read"),
        ('[[rule]]\nid = "a"\nx', "own.toml:3: the file cannot be read"),
        ("# head\n[[rules]]\nid = 1\n", "own.toml:2: unknown key `rules`"),
    ],
)
def test_a_broken_file_of_rules_names_its_line(tmp_path: Path, rules: str, place: str) -> None:
    file = write(tmp_path, "rules: [own.toml]\n")
    (tmp_path / "own.toml").write_text(rules, encoding="utf-8")
    told = CliRunner().invoke(group, ["guard", "command", "ls", "--guard", str(file)])
    assert f"{tmp_path}/{place}" in str(told.exception)


def test_a_key_that_stands_twice_in_settings_is_a_mistake(tmp_path: Path) -> None:
    told = CliRunner().invoke(group, ["guard", "command", "ls", "--guard", str(write(tmp_path, "protect: [a]\nprotect: [b]\n"))])
    assert isinstance(told.exception, ConfigError)
    assert "settings.yaml:2" in str(told.exception)
