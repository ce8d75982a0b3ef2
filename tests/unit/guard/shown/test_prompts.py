"""Prompts: one list for whoever takes them off."""

from __future__ import annotations

import pytest

from luthier.guard.shown.prompts import typed_lines, without_prompts


@pytest.mark.parametrize(
    "prompt",
    [
        "$ ",
        "user@host:~$ ",
        "root@host:/srv# ",
        "[root@box ~]# ",
        "(venv) $ ",
        "bash-5.1$ ",
        "❯ ",
        "➜ ",
        "└─$ ",
        "PS C:\\a b> ",
        "~ # ",
        "% ",
    ],
)
def test_a_prompt_is_one_to_all(prompt: str) -> None:
    assert without_prompts(f"{prompt}ls -l") == "ls -l"
    assert typed_lines(f"{prompt}ls -l\na.txt") == "ls -l"


@pytest.mark.parametrize(
    ("text", "name", "whole", "typed"),
    [
        ("ls\n> out cat x", "sh", "ls\n> out cat x", None),
        ("$ cat <<E\n> a\n> E\nseen", "", "cat <<E\na\nE\nseen", "cat <<E\na\nE"),
        ("$ npm test\n\n> pkg@1 test\n> jest", "", "npm test\n\n> pkg@1 test\n> jest", "npm test"),
        ("$ ls \\\n  -l\na", "", "ls \\\n  -l\na", "ls \\\n  -l"),
        ("$ if x; then\n> ls\n> fi\n$ du", "", "if x; then\nls\nfi\ndu", "if x; then\nls\nfi\ndu"),
        ("# ls", "console", "ls", "ls"),
        ("# ls", "bash", "# ls", None),
        ("# as root\n$ ls", "console", "# as root\nls", "ls"),
        ("% a comment", "matlab", "% a comment", None),
    ],
)
def test_which_lines_were_typed(text: str, name: str, whole: str, typed: str | None) -> None:
    assert without_prompts(text, name) == whole
    assert typed_lines(text, name) == typed
