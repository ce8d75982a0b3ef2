"""Calls that administer something, told by no rule: what their words settle, and what they leave open."""

from __future__ import annotations

import re
from typing import Literal

from luthier.guard.risk.context import Context
from luthier.guard.risk.facts import UNSAID, Argument, Call, is_option, spec_of
from luthier.guard.risk.lexicon import REHEARSES, Lexicon, lexicon
from luthier.guard.risk.roles import roles_of
from luthier.guard.values.symbols import as_typed

Kind = Literal["reads", "everyday", "deletes", "open"]

_WORD = re.compile(r"[A-Za-z][\w:.@-]*")
# `rpm -qf`, `pacman -Qs`.
_QUERY = re.compile(r"-[qQ][a-zA-Z]*")
_CLUSTER = re.compile(r"-[A-Za-z]+")
_LISTING = re.compile(r"--(?:list|show|get|print|info|query|status|report|check|verify|version|dump)(?:-.*)?")
_PIECE = re.compile(r"[-:._]")
# Tools whose first word is a service, and words that name a group of subcommands where another word follows.
_GROUPED = frozenset(("aws", "awslocal"))
_GROUPS = frozenset(
    (
        "logs",
        "log",
        "images",
        "events",
        "metrics",
        "snapshots",
        "snapshot",
        "docs",
        "releases",
        "release",
        "reports",
        "top",
        "config",
        "package",
        "run",
    )
)
# How many words a subcommand has at most: `gcloud compute instance-groups managed delete`.
_MOST_WORDS = 4
# Options with which a program that only reads elsewhere changes a file after all.
_CHANGES = spec_of("--in-place|--inplace|--overwrite|--write|--fix|--apply|--update-all|--exec|--delete|--save")
_WRITES = spec_of("--output|--output-file|--outfile|--out|--output-dir|--log-file")
# Options with which such a program only tells something.
_TELLS = frozenset(
    (
        *("-l", "-L", "-S", "-s", "-p", "-v", "-q", "-h", "-V", "-a", "-t", "-C", "-n", "-x", "-d", "-T", "-i"),
        *("--detail", "--examine", "--help", "--all", "--json", "--verbose", "--numeric", "--line-numbers", "--state", "--last"),
        *("--status-all", "--failed", "--quiet", "--no-pager"),
    )
)

# Values with which a rehearsal is none.
_REALLY = frozenset(("none", "false", "no", "off", "0"))
_HELPS = frozenset(("-h", "-?", "-help", "--help"))


def judge_open(shell: Context, call: Call, place: Argument) -> None:
    """Reports what no rule speaks of where it reaches what others use or has all rights: the words of the call settle it, or nothing."""
    known, program = lexicon(), call.program
    reaches, has_all_rights = call.name in known.tools, call.name in known.administrators or shell.environment.privileged
    if not (reaches or has_all_rights) or program.inner is not None or (program.level == "safe" and not changes_something(call)):
        return
    if rehearses(call) or (call.options and all(option.name in _HELPS for option in call.options)):
        return
    kind = kind_of(call)
    if kind == "deletes" and reaches:
        shell.report("dangerous", "cloud", "it is told to delete what others may use", place)
    elif kind in ("reads", "everyday") or (_lists_at_length(call) if reaches else only_tells(call)):
        return
    elif reaches:
        shell.report("unknown", "unsettled", "what it does to what others use is not known", place)
    elif call.name not in known.routine and not (program.is_listed and (program.runs_project or program.script or _says_where(call))):
        shell.report("unknown", "unsettled", "what it does with all rights is not known", place)


def _says_where(call: Call) -> bool:
    """Whether the roles of all its operands are known: where they lead has been judged."""
    roles = {role for role, _ in roles_of(call)}
    return bool(roles - {"text", "list"}) and UNSAID not in roles


def rehearses(call: Call) -> bool:
    """Whether a call only tries what it would do: `--dry-run`, `--dry-run=client`, but not `--dry-run=none`."""
    option = call.has(REHEARSES)
    return option is not None and (option.value is None or option.value.text not in _REALLY)


def changes_something(call: Call) -> bool:
    """Whether an option tells a program that only reads elsewhere to change a file."""
    option = call.has(_WRITES)
    to_file = option is not None and option.value is not None and re.search(r"[/.]", option.value.text) is not None
    return to_file or call.has(_CHANGES) is not None


def kind_of(call: Call) -> Kind:
    """What the words of its subcommand say that a call does; `open` where they say nothing that is known, or touch what is sensitive."""
    known = lexicon()
    kind: Kind = "open"
    pieces: set[str] = set()
    words = _leading_words(call)
    for place, word in enumerate(words):
        here = {word, *_PIECE.split(word)}
        pieces |= here
        is_group = place + 1 < len(words) and (word in _GROUPS or (call.name in _GROUPED and place == 0))
        if kind == "open" and not is_group:
            kind = _kind_of_word(known, here)
    if kind == "everyday" and pieces & known.sensitive - {"login"}:
        return "open"
    return "reads" if kind == "deletes" and rehearses(call) else kind


def _leading_words(call: Call) -> list[str]:
    words: list[str] = []
    for operand in call.operands[:_MOST_WORDS]:
        if is_option(operand.text) or not _WORD.fullmatch(as_typed(operand.text)):
            break
        words.append(operand.text.lower())
    return words


def _kind_of_word(known: Lexicon, pieces: set[str]) -> Kind:
    if pieces & known.deletes:
        return "deletes"
    if pieces & known.reads:
        return "reads"
    return "everyday" if pieces & known.everyday else "open"


def only_tells(call: Call) -> bool:
    """Whether the options are ones that list or print: `fdisk -l`, `iptables -L -n -v`, `semanage boolean --list`, `sysctl -a`."""
    if any("=" in operand.text for operand in call.operands) or (call.operands and not call.options):
        return False
    if any(_QUERY.fullmatch(option.name) for option in call.options):
        return True
    return all(_lists(option.name) for option in call.options) or any(_LISTING.fullmatch(option.name) for option in call.options)


def _lists_at_length(call: Call) -> bool:
    """Whether a long option lists or prints, or nothing is asked for at all."""
    if not call.operands and all(option.name in ("--failed", "--all", "--no-pager", "-l", "-a") for option in call.options):
        return True
    return any(_LISTING.fullmatch(option.name) for option in call.options)


def _lists(name: str) -> bool:
    return name in _TELLS or (_CLUSTER.fullmatch(name) is not None and all(f"-{letter}" in _TELLS for letter in name[1:]))
