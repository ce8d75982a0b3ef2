"""What the clients of databases obey themselves: `psql`, `mysql` and `sqlite3` read commands of their own between the statements."""

from __future__ import annotations

import re

from luthier.guard.risk.inline.found import Findings
from luthier.guard.values.symbols import UNKNOWN

_CLIENT = re.compile(r"^[ \t]*(\\!|\\[a-z.]+|\.[a-z]+|system\b|source\b|tee\b|pager\b)[ \t]*([^\n]*)", re.M | re.I)
_INLINE_SHELL = re.compile(r"\\!\s*([^\n]*)")
_HARMLESS_CLIENT = frozenset(
    [
        ".tables",
        ".schema",
        ".headers",
        ".header",
        ".mode",
        ".databases",
        ".quit",
        ".exit",
        ".help",
        ".indexes",
        ".indices",
        ".dump",
        ".width",
        ".timer",
        ".separator",
        ".nullvalue",
        ".show",
        ".stats",
        ".echo",
        ".bail",
        ".print",
        ".open",
        "\\l",
        "\\c",
        "\\connect",
        "\\q",
        "\\x",
        "\\timing",
        "\\pset",
        "\\t",
        "\\a",
        "\\echo",
        "\\conninfo",
        "\\h",
        "\\?",
        "\\z",
        "\\e",
        "\\f",
        "\\set",
        "\\encoding",
        "\\password",
        "\\u",
        "\\r",
        "\\p",
        "\\n",
        "\\g",
    ]
)


def client_commands(code: str, findings: Findings, offset: int) -> str:
    """`code` with the lines that the client itself obeys blanked out; their effects are noted, `offset` characters further on."""
    if "\\" not in code and "." not in code and not _CLIENT.search(code):
        return code

    def blanked(match: re.Match[str]) -> str:
        name, rest = match[1].lower(), match[2].strip().rstrip(";").strip()
        span = offset + match.start(), offset + match.end()
        if name in ("\\!", ".shell", ".system", "system"):
            findings.add("shell", (rest or UNKNOWN,), *span)
        elif name in (
            "\\o",
            "\\out",
            ".output",
            ".once",
            "tee",
            "\\w",
            "\\write",
            ".backup",
            ".save",
            ".clone",
            ".log",
            ".trace",
            "\\g",
            "\\gx",
            "pager",
            "\\s",
        ):
            _target(rest, "write", findings, span)
        elif name in ("\\i", "\\ir", "\\include", ".read", "source", "\\.", ".restore", ".import"):
            _target(
                rest.split()[0] if name == ".import" and rest.split() and not rest.startswith(("|", '"|', "'|")) else rest,
                "read",
                findings,
                span,
            )
        elif name == "\\copy":
            _copy(rest, findings, span)
        elif name in ("\\gexec", ".load", ".dbinfo"):
            findings.add("dynamic", (), *span)
        elif name not in _HARMLESS_CLIENT and not name.startswith("\\d"):
            return match[0]
        return " " * len(match[0])

    code = _CLIENT.sub(blanked, code)
    # psql obeys a backslash command anywhere outside quotes.
    match = _INLINE_SHELL.search(code)
    if match is not None and code.count("'", 0, match.start()) % 2 == 0:
        findings.add("shell", (match[1].strip() or UNKNOWN,), offset + match.start(), offset + match.end())
        code = code[: match.start()]
    return code


def _target(text: str, kind: str, findings: Findings, span: tuple[int, int]) -> None:
    text = text.strip("\"'")
    if text.startswith("|"):
        findings.add("shell", (text[1:].strip(),), *span)
    elif text and text not in ("stdout", "off", "main"):
        findings.add(kind, (text.split()[-1],), *span)


def _copy(text: str, findings: Findings, span: tuple[int, int]) -> None:
    match = re.search(r"\b(from|to)\s+(program\s+)?'([^']*)'", text, re.I)
    if match is not None:
        findings.add("shell" if match[2] else "read" if match[1].lower() == "from" else "write", (match[3],), *span)
