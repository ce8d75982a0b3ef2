"""Commands: the frozen list of commands and options."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from command_line import luthier
from luthier.cli import main as cli

HERE = Path(__file__).parent


def commands(group: click.Group, prefix: str = "luthier") -> list[str]:
    lines = []
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            lines += commands(command, f"{prefix} {name}")
        else:
            options = sorted(option for parameter in command.params for option in parameter.opts)
            lines.append(f"{prefix} {name}: {' '.join(options)}")
    return lines


def test_commands_are_the_frozen_list() -> None:
    frozen = (HERE / "commands.txt").read_text(encoding="utf-8").splitlines()
    assert commands(cli.group) == frozen, "a command or option came or went: change tests/contract/commands.txt with it"


def test_unknown_command_names_the_nearest() -> None:
    """In a process of its own: `python -m luthier` is the command."""
    done = subprocess.run([sys.executable, "-m", "luthier", "chekc", "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "check" in done.stderr


def test_every_command_takes_json() -> None:
    for line in commands(cli.group):
        assert "--json" in line, line


def test_schema_is_a_json_schema() -> None:
    schema = json.loads(luthier("check", "--schema").stdout)
    assert schema["additionalProperties"] is False
    assert {"base_model", "extends", "per_device_train_batch_size", "lora"} <= schema["properties"].keys()
    assert "required" not in schema, "a file that another one extends may lack any key"
    assert schema["properties"]["sequence_len"]["description"]


@pytest.mark.parametrize(
    "words", [("check", "--json"), ("check", "none.yaml", "--json"), ("nosuch", "--json"), ("ask", "starter", "--json")]
)
def test_errors_are_json_too_where_it_is_asked_for(words: tuple[str, ...]) -> None:
    done = luthier(*words)
    assert done.returncode == 2
    assert json.loads(done.stdout).keys() == {"error", "exit_code"}
    assert "Traceback" not in done.stderr


def test_a_revision_of_a_model_without_one_is_refused() -> None:
    done = luthier("ask", "starter", "hi", "--set", "revision_of_model=abc")
    assert done.returncode == 2
    assert "acts only on hub models" in done.stderr
