"""Shell prompts in front of commands, told from text that the shell itself would read: `> file` is a redirection, `# text` a comment."""

from __future__ import annotations

import re
from collections.abc import Iterator

# `$ `, zsh's `% `, `user@host:~$ `, and PowerShell's `PS C:\> `. A `#` is a root's prompt where sudo follows, which no comment has.
_PROMPT = re.compile(r"[ \t]*(?:(?:[\w.-]+@[\w.-]+(?::[^\s$#]*)?)?[$%][ \t]+|[\w.-]+@[\w.-]+(?::[^\s$#]*)?#[ \t]+|PS [^>\n]{0,200}>[ \t]*)")
_ROOT = re.compile(r"[ \t]*#[ \t]+(?=sudo\b)")
_ROOT_IN_CONSOLE = re.compile(r"[ \t]*#[ \t]+(?=\S)")
_CONTINUED = re.compile(r"[ \t]*>(?:[ \t]|$)")
# Names of fenced blocks that hold a shell's text, and of those that hold what a terminal showed.
SHELLS = ("bash", "sh", "shell", "zsh", "fish", "ksh", "dash")
CONSOLES = ("console", "terminal", "shell-session", "shellsession")


def without_prompts(text: str, name: str = "") -> str:
    """`text`, the body of a block called `name`, without the prompts in front of its lines.

    A `> ` is one only where a prompted line, or another such line, is in front of it: the shell asks for the rest of a command there. A
    `# ` is one where a console is shown in which no other prompt stands.
    """
    return "\n".join(_lines(text, name))


def _lines(text: str, name: str) -> Iterator[str]:
    lines = text.split("\n")
    has_prompts = any(_PROMPT.match(line) for line in lines)
    is_root = name in CONSOLES and not has_prompts
    follows = False
    for line in lines:
        found = _PROMPT.match(line) or _ROOT.match(line)
        if found is None and is_root:
            found = _ROOT_IN_CONSOLE.match(line)
        if found is None and follows:
            found = _CONTINUED.match(line)
        follows = found is not None
        yield line[found.end() :] if found is not None else line
