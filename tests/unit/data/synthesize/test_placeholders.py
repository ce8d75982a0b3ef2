"""Placeholders: what is put into them, drawn by the key alone, and what is left unfilled."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.synthesize.placeholders import Unfillable, file_names, fill
from luthier.guard.shell import parse


def reason(command: str) -> str:
    with pytest.raises(Unfillable) as raised:
        fill(command, "key")
    return raised.value.reason


def test_golden() -> None:
    filled = fill("tar {{[-c|--create]}} {{[-f|--file]}} {{path/to/archive.tar}} {{path/to/file1 path/to/file2 ...}}", "golden")
    assert filled.command == "tar -c -f release.tar data.csv server.log"
    assert [(value.label, value.texts, value.kind) for value in filled.values] == [
        ("archive", ("release.tar",), "path"),
        ("file", ("data.csv", "server.log"), "path"),
    ]


def test_one_form_of_options_in_a_command() -> None:
    forms = {fill("ls {{[-a|--all]}} {{[-r|--reverse]}}", str(number)).command for number in range(20)}
    assert forms == {"ls -a -r", "ls --all --reverse"}


def test_the_same_placeholder_has_the_same_value() -> None:
    words = fill("cp {{path/to/file}} {{path/to/file}}.bak", "key").command.split()
    assert words[2] == f"{words[1]}.bak"


def test_values_of_one_command_differ() -> None:
    for number in range(30):
        words = fill("mv {{path/to/file1}} {{path/to/file2}}", str(number)).command.split()
        assert words[1] != words[2]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("mysql --password {{password}}", "secret_value"),
        ("vault login {{token}}", "secret_value"),
        ("run {{arguments}}", "open_command"),
        ("git help {{subcommand}}", "open_command"),
        ("tool {{frobnicator}}", "unknown_placeholder"),
        ("tool {{path/to/font_file}}", "unknown_placeholder"),
        ("tool {{a|path/to/b}}", "unknown_placeholder"),
        ('tool {{"email"}}', "unknown_placeholder"),
        ("tool --url {{&has_header=true}}", "unknown_placeholder"),
    ],
)
def test_what_stays_unfilled(command: str, expected: str) -> None:
    assert reason(command) == expected


def test_templates_of_other_programs_stay() -> None:
    assert fill("docker ps --format '{{.ID}}: {{.Names}}'", "key").command == "docker ps --format '{{.ID}}: {{.Names}}'"


def test_a_value_with_blanks_is_quoted_once() -> None:
    for number in range(30):
        quoted, bare = (fill(command, str(number)).command for command in ('echo "{{text}}"', "echo {{text}}"))
        assert quoted.count('"') == 2
        assert len(quoted.split('"')[1]) > 3
        assert bare.removeprefix("echo ").strip("'") == quoted.split('"')[1]


def test_packages_are_those_of_the_program() -> None:
    found = {fill("pip install {{package}}", str(number)).values[0].texts[0] for number in range(40)}
    assert found == {"requests", "flask", "numpy", "pandas"}


def test_file_names_keep_the_ending() -> None:
    assert all(name.endswith(".pdf") for name in file_names("pdf"))
    assert all(name.endswith(".xyz") for name in file_names("xyz"))


def labels() -> Iterator[str]:
    yield from (
        "path/to/file",
        "path/to/directory",
        "path/to/image.png",
        "package",
        "branch_name",
        "host",
        "username",
        "pattern",
        "5",
        "url",
    )


@given(st.lists(st.sampled_from(list(labels())), min_size=1, max_size=3, unique=True), st.text(max_size=8))
def test_a_filled_command_parses_and_hangs_on_its_key_alone(chosen: list[str], key: str) -> None:
    command = "tool " + " ".join(f"{{{{{label}}}}}" for label in chosen)
    filled = fill(command, key)
    assert "{{" not in filled.command
    assert parse(filled.command) is not None
    assert fill(command, key) == filled
    assert json.dumps([value.texts for value in filled.values])


@pytest.mark.parametrize("command", ["tool {{1 2}}", "tool | jq '{{.[].replacement}}'"])
def test_a_mark_that_says_nothing_is_left_open(command: str) -> None:
    with pytest.raises(Unfillable):
        fill(command, "key")


def test_a_format_of_go_is_no_placeholder() -> None:
    assert fill("docker ps --format '{{.Names}}'", "key").command == "docker ps --format '{{.Names}}'"
