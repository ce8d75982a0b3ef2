"""Blocks of PowerShell and of cmd.exe as the commands that would run them, for the guard to follow."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

_PROMPT = re.compile(r"[ \t]*(?:PS )?(?:[A-Za-z]:[^>\n]{0,200})?>[ \t]*", re.IGNORECASE)
_SAYS_NOTHING = re.compile(r"[ \t]*(?:@?(?:rem|echo)\b|::|$)", re.IGNORECASE)
# A path below a drive's folders that are the project's own or one person's; to bash a backslash is a quote, and only the drive would show.
_OWN_PATH = re.compile(
    r"(?<![\w:])[A-Za-z]:\\(?:users\\[^\\\s\"*]+\\(?=[\w.])|(?!(?:windows|users|program files|programdata|boot|recovery)\b)(?=[\w.]))",
    re.IGNORECASE,
)


def of_powershell(text: str) -> Iterator[str]:
    """The block as one command: variables and pipes hold its lines together."""
    code = "\n".join(_without_prompt(line) for line in text.split("\n")).strip()
    if code:
        yield f"powershell -Command {shlex.quote(code)}"


def of_cmd(text: str) -> Iterator[str]:
    """Each line by itself, without its prompt; `^` carries a line over its end."""
    for line in text.replace("^\n", " ").split("\n"):
        command = _without_prompt(line).strip().lstrip("@")
        if not _SAYS_NOTHING.match(command):
            yield f"cmd /c {shlex.quote(_OWN_PATH.sub('', command))}"


def _without_prompt(line: str) -> str:
    found = _PROMPT.match(line)
    return line[found.end() :] if found is not None and found.end() > 1 else line
