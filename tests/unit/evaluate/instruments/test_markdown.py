"""Fenced blocks: what opens one, what closes it, what is left of a text without them."""

from __future__ import annotations

import time

import pytest

from luthier.evaluate.instruments.extract import markdown_command
from luthier.evaluate.instruments.markdown import Block, blocks, outside_blocks
from luthier.evaluate.kinds.checks.structure import json_in
from luthier.evaluate.kinds.python_code import cut_code
from luthier.evaluate.kinds.shown_commands import Shown, shown_commands


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("no block", []),
        ("```\na\n```", [Block("", "a\n")]),
        ("```Bash\na\n```\n~~~ py x\nb\n~~~", [Block("bash", "a\n"), Block("py", "b\n")]),
        ("````\n```\na\n````", [Block("", "```\na\n")]),
        ("```\na\n`````", [Block("", "a\n")]),
        ("```\na", [Block("", "a")]),
        ("  ```c++ {.x}\na\n  ```  ", [Block("c++", "a\n")]),
    ],
)
def test_blocks(text: str, found: list[Block]) -> None:
    assert list(blocks(text)) == found


def test_what_is_left_without_blocks() -> None:
    assert outside_blocks("one\n```\na\n```\ntwo") == "one\n\n\ntwo"


@pytest.mark.parametrize("closing", ["```", "`````"])
def test_all_kinds_read_the_same_block(closing: str) -> None:
    """A fence that closes with more marks than it opened with closes for every reader."""
    assert markdown_command(f"```bash\nls\n{closing}\nIt lists.") == "ls"
    assert cut_code(f"```python\nx = 1\n{closing}\nIt sets.") == "x = 1"
    assert json_in(f'```json\n{{"a": 1}}\n{closing}\nAn object.') == {"a": 1}
    assert Shown("ls", "block") in shown_commands(f"```bash\nls\n{closing}\nIt lists.", "").shown


@pytest.mark.parametrize(
    "name", ["bash", "sh", "shell", "zsh", "fish", "ksh", "dash", "console", "terminal", "shell-session", "shellsession"]
)
def test_all_kinds_know_the_same_names_of_shells(name: str) -> None:
    assert markdown_command(f"```{name} ls -l```") == "ls -l"
    assert Shown("ls -l", "block") in shown_commands(f"```{name}\nls -l\n```", "").shown


@pytest.mark.parametrize("name", ["console", "terminal", "shell-session", "shellsession"])
def test_a_consoles_prompt_is_taken_off_in_every_form_of_its_fence(name: str) -> None:
    assert markdown_command(f"```{name} # ls -l```") == markdown_command(f"```{name}\n# ls -l\n```")


def test_many_fences_take_no_time() -> None:
    started = time.process_time()
    list(blocks("```\n" * 50_000))
    list(blocks("`" * 200_000))
    assert time.process_time() - started < 5
