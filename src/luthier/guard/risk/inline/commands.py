"""What small command languages do: m4's macros, a mailer's escapes, file transfer, and the scripts of a log rotation."""

from __future__ import annotations

import re

from luthier.guard.risk.inline.found import Findings
from luthier.guard.values.symbols import UNKNOWN

MAX_COMMANDS = 100_000
_SYSTEM_CALL = re.compile(r"\b(?:esyscmd|syscmd)\(\s*`?([^\n]*?)'?\s*\)\s*(?:$|\n|')", re.MULTILINE)
_SENT = re.compile(r"\s*(?:put|mput|send|append|mirror\s+(?:-\w+\s+)*(?:-R|--reverse))\s+(?:-[A-Za-z]+\s+)*([^;\n]+)", re.IGNORECASE)
_HOOK = re.compile(r"^\s*(?:pre|post|first|last)(?:rotate|action|remove)\s*$")


def m4(code: str, findings: Findings) -> None:
    """Notes the shell text that `syscmd` and `esyscmd` run."""
    for found in _SYSTEM_CALL.finditer(code[:MAX_COMMANDS]):
        findings.add("shell", (found[1].replace("`", "").replace("'", "") or UNKNOWN,), found.start(), found.end())
    if len(code) > MAX_COMMANDS or re.search(r"\binclude\(", code):
        findings.add("dynamic", (), 0, len(code))


def transfer(code: str, findings: Findings) -> None:
    """Notes the files that `put` and its like send, and the shell text after `!`."""
    position = 0
    for line in code[:MAX_COMMANDS].split("\n"):
        span = position, position + len(line)
        position += len(line) + 1
        if line.lstrip().startswith("!"):
            findings.add("shell", (line.lstrip()[1:].strip() or "sh",), *span)
        elif (sent := _SENT.match(line)) is not None:
            for word in sent[1].split()[:20]:
                findings.add("argv", ("curl", "-T", word.strip("'\""), "ftp://host"), *span)


def mail(code: str, findings: Findings) -> None:
    """Notes the shell text of a message's `~!` and `~|`, and the files that `~r` puts in."""
    position = 0
    for line in code[:MAX_COMMANDS].split("\n"):
        span = position, position + len(line)
        position += len(line) + 1
        if (found := re.match(r"~([!|])\s*(.+)", line)) is not None:
            findings.add("shell", (found[2],), *span)
        elif (read := re.match(r"~[r<]\s*(\S+)", line)) is not None:
            findings.add("argv", ("curl", "-T", read[1], "smtp://host"), *span)


def logrotate(code: str, findings: Findings) -> None:
    """Notes the scripts that stand between `prerotate` and its like and `endscript`."""
    lines = code[:MAX_COMMANDS].split("\n")
    script: list[str] | None = None
    for line in lines:
        if _HOOK.match(line) or re.search(r"\{\s*(?:pre|post|first|last)(?:rotate|action)\s*$", line):
            script = []
        elif script is not None and line.strip().startswith("endscript"):
            findings.add("shell", ("\n".join(script),), 0, len(code))
            script = None
        elif script is not None:
            script.append(line)
