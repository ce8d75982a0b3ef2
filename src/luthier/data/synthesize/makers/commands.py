"""Rows of tools: from a task and its command on a page of help to a request and the command that does it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from luthier.data.rows.grams import normalised
from luthier.data.synthesize.made import Made, Material, Unfit, asked
from luthier.data.synthesize.option_entries import rows_of_options
from luthier.data.synthesize.placeholders import Unfillable, fill
from luthier.data.synthesize.requests import MOST_VALUES, cleaned_task, with_values, worded
from luthier.guard.option_table import known_name
from luthier.guard.shell import parse
from luthier.retrieval.records import CommandHelp

VERSION = 3
# A page of tldr has eight tasks at most; a manual's options come on top.
PER_FILE = 60

_MIN_TASK_WORDS = 2
# How a sentence of a manual begins that speaks of what went before.
_NO_TASK = re.compile(
    r"(?:you|this|that|it|we|if|these|those|the above|here|as|and|but|now|another|same|see|note|when|since|i)\b", re.IGNORECASE
)
_SELF_SPOKEN = re.compile(r"--?(?:help|version)\b|-[hVv?]$|\bhelp$|\bversion$|^(?:man|tldr|info)\b")
_SAYS_HELP = re.compile(
    r"(?:display|show|print|view|get|output)\s+(?:the\s+|full\s+|general\s+)?(?:help|version|documentation|usage)\b", re.I
)
_HELP_ALONE = re.compile(
    r"(?:display|show|print|view|get)\s+(?:the\s+)?(?:help|version)(?:\s+(?:page|information|menu|message|text))?", re.I
)
_NO_COMMAND = re.compile(r"^(?:<.*>|\W*|!.*)$")
_KEYS = re.compile(r"<[A-Z][\w ]*>|^\W?[a-zA-Z]$")


def make(material: Material) -> Iterator[Made | Unfit]:
    """A row for each task of a page whose command can be filled in, then rows of the options that manuals list."""
    tasks = Counter(normalised(cleaned_task(entry.task)) for entry in material.commands)
    for entry in material.commands:
        yield _row(entry, tasks)
    yield from rows_of_options(material)


def _row(entry: CommandHelp, tasks: Counter[str]) -> Made | Unfit:
    task = cleaned_task(entry.task)
    lines = (entry.line, entry.line)
    if refused := _unfit(entry, task):
        return Unfit(entry.path, lines, *refused)
    key = f"{entry.tool}\n{entry.task}\n{entry.command}"
    try:
        filled = fill(entry.command, key)
    except Unfillable as error:
        return Unfit(entry.path, lines, error.reason, error.detail)
    if len(filled.values) > MOST_VALUES:
        return Unfit(entry.path, lines, "too_many_values", f"{len(filled.values)} values for one request: {filled.command}")
    if parse(filled.command) is None:
        return Unfit(entry.path, lines, "unparsable_command", f"bash cannot read {filled.command}")
    said = with_values(task, filled.values, key)
    if said is None:
        return Unfit(entry.path, lines, "value_without_name", f"the page does not tell what a value in {filled.command} is")
    tool = _tool_in(filled.command, entry.tool)
    must_name = tasks[normalised(task)] > 1 or known_name([filled.command.removeprefix("sudo ").split()[0]]) is None
    return Made(asked(worded(said, tool, must_name, key), filled.command), entry.path, lines)


def _unfit(entry: CommandHelp, task: str) -> tuple[str, str] | None:
    """Why a page's entry makes no row before anything is filled in."""
    if len(task.split()) < _MIN_TASK_WORDS or _NO_TASK.match(task) or not re.search(r"[a-z]", task):
        return "vague_task", f"`{entry.task}` says too little"
    if re.match(r"works like\b", task, re.IGNORECASE) or re.search(r"<[a-z][\w-]*>", task):
        return "vague_task", f"`{entry.task}` tells of the command, and of no task"
    command = entry.command.strip()
    if "\n" in command:
        return "many_lines", "the command has more than one line"
    if _NO_COMMAND.match(command) or _KEYS.search(command) or entry.task.startswith("[Interactive]"):
        return "not_a_command", f"`{command}` is typed into a program, not into a shell"
    plain = re.sub(r"\{\{\[([^|\]]*)\|([^\]]*)\]\}\}", r"\2", command)
    if _HELP_ALONE.fullmatch(task) or (_SAYS_HELP.match(task) and _SELF_SPOKEN.search(plain)):
        return "trivial", f"`{entry.task}` is the same for every tool"
    return None


def _tool_in(command: str, tool: str) -> str:
    """The program that a page speaks of: `git` for the page `git-merge`, whose command is `git merge`."""
    program = command.removeprefix("sudo ").split()[0]
    return program if tool.startswith(f"{program}-") else tool
