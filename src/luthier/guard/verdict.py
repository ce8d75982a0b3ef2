"""The command guard: how dangerous a shell command is, which part of it, and why. Nothing here ever runs a command."""

from __future__ import annotations

import re
from dataclasses import replace

from luthier.guard.characters import UNSEEN
from luthier.guard.risk.context import Settings
from luthier.guard.risk.environment import Environment
from luthier.guard.risk.facts import Argument
from luthier.guard.risk.findings import Exhausted, Finding, Findings
from luthier.guard.risk.levels import Verdict
from luthier.guard.risk.rules import Rule, built_in, by_program
from luthier.guard.risk.shell import Shell
from luthier.guard.syntax.nodes import ShellSyntaxError
from luthier.guard.syntax.parser import parse

# A command of more characters than this is not read at all: no person could.
MOST_CHARACTERS = 1 << 20

_HIDDEN = re.compile(f"[{UNSEEN}]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ue000-\ue01f\ud800-\udfff]")
# Text that may be of another shell where this one's grammar does not fit.
_POWERSHELL = re.compile(r"(?:^|[|;({\s])(?:[A-Z][a-z]+-[A-Z][a-z]\w+|icacls|takeown|iex|iwr)\b", re.MULTILINE)
_CMDLET = re.compile(r"\s*[A-Z][a-z]+-[A-Z][a-z]\w+\s")
MOST_POWERSHELL = 20_000
_CARRIAGE = re.compile(r"\r(?!\n)")


def judge(command: str, settings: Settings | None = None) -> Verdict:
    """The verdict over any text; it never raises.

    The level is the worst that was found. `unknown` is what the text does not settle: a program or target known only at run time,
    text that does not parse, code that is decoded. `safe` is a text of which every program is known to read, compute or print only.
    """
    findings = Findings()
    size = len(command)
    if size > MOST_CHARACTERS:
        return Verdict(command, "unknown", "unsettled", (0, size), f"it has more than {MOST_CHARACTERS:,} characters")
    _judge_characters(command, findings)
    if findings.worst is None or findings.worst.level != "dangerous":
        _follow(_readable(command), settings or default_settings(), findings)
    worst = findings.worst or Finding("safe", "", "it reads, computes or prints only", 0, size)
    start, end = (worst.start, worst.end) if 0 <= worst.start <= worst.end <= size else (0, size)
    return Verdict(command, worst.level, worst.danger, (start, end), worst.reason)


def holds(rule: Rule, command: str) -> bool:
    """Whether `rule`, the only one, holds anywhere in `command`, whatever else is found there."""
    mark = "\0 the rule at hand"  # A reason that nothing else gives.
    reasons: set[str] = set()
    _follow(_readable(command), Settings(by_program([replace(rule, reason=mark)])), Findings(reasons=reasons))
    return mark in reasons


def _readable(command: str) -> str:
    text = command.replace("\r\n", "\n") if "\r\n" in command else command
    return _CONTROL.sub("\ufffd", text) if _CONTROL.search(text) else text


def _judge_characters(command: str, findings: Findings) -> None:
    if (hidden := _HIDDEN.search(command)) is not None and not _is_emoji(command, hidden.start()):
        findings.add(Finding("dangerous", "obfuscation", "an invisible character stands in it", hidden.start(), hidden.end()))
    if (control := _CONTROL.search(command) or _CARRIAGE.search(command)) is not None:
        is_text = not "\ud800" <= control.group() <= "\udfff"
        reason = "a control character stands in it" if is_text else "it is not UTF-8 text"
        findings.add(Finding("unknown", "obfuscation", reason, control.start(), control.end()))


def _is_emoji(command: str, place: int) -> bool:
    """Whether a joiner or variation selector belongs to a picture."""
    return command[place] in "\u200d\ufe0f\ufe0e" and place > 0 and ord(command[place - 1]) > 0x2000


def _follow(text: str, settings: Settings, findings: Findings) -> None:
    try:
        script = parse(text)
        if not script.pipelines:
            findings.add(Finding("safe", "", "it holds no command", 0, len(text)))
        Shell(settings, findings, Environment(), here=(0, len(text))).script(script)
        if "\\" in text and _CMDLET.match(text) and len(text) < MOST_POWERSHELL:  # To bash its paths lose their signs.
            _follow_powershell(text, settings, findings)
    except ShellSyntaxError as error:
        place = min(error.position, len(text))
        findings.add(Finding("unknown", "unsettled", f"it does not parse: {error}", place, min(place + 1, len(text))))
        if _POWERSHELL.search(text) and len(text) < MOST_POWERSHELL:
            _follow_powershell(text, settings, findings)
    except RecursionError:
        findings.add(Finding("unknown", "unsettled", "it is nested deeper than is followed", 0, len(text)))
    except Exhausted:
        findings.add(Finding("unknown", "unsettled", "it holds more commands than are followed", 0, len(text)))


def _follow_powershell(text: str, settings: Settings, findings: Findings) -> None:
    Shell(settings, findings, Environment(), here=(0, len(text))).inline("powershell", text, Argument(text, 0, len(text)), None)


_DEFAULT: list[Settings] = []


def default_settings() -> Settings:
    """The built-in rules alone."""
    if not _DEFAULT:
        _DEFAULT.append(Settings(built_in()))
    return _DEFAULT[0]
